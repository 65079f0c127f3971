"""The format of a source: by its content first, by its name second.

>>> detect(b"%PDF-1.7 ...", "letter.docx", None)
Detected(format='pdf', media_type='application/pdf')
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from chunkers.blocks.common import lines
from chunkers.blocks.json import walk_json
from chunkers.blocks.log import log_share
from pipelines.ingest.detect_binary import detect_binary
from pipelines.ingest.detect_names import (
    format_by_media_type,
    format_by_name,
    media_type_of,
    suffix_of,
)
from pipelines.ingest.parsers.base import ParseError
from pipelines.ingest.parsers.decode import decode, wide_encoding

_SAMPLE_BYTES = 16_384
_WHOLE_JSON = 1 << 20
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
# Controls that no text has; tabs, line and page ends, bells, backspaces and escapes occur.
_CONTROLS = bytes(sorted(set(range(32)) - set(b"\t\n\r\f\v\x07\x08\x1b\x1a"))) + b"\x7f"
_HTML = re.compile(
    r"(?:<\?xml[^>]{0,500}>|(?><!--.{0,2000}?-->)|(?><\?php.{0,2000}?\?>)|\s)*+"
    r"(?:<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60}):(?:[ \t]|\r?\n[ \t])")
_MAIL_HEADERS = frozenset(
    {"from", "to", "subject", "date", "received", "message-id", "mime-version", "return-path",
     "delivered-to", "content-type", "cc", "reply-to", "x-mailer", "sender"}
)  # fmt: skip
_MBOX = re.compile(r"From \S+ +\S[^\n]{8,60}\d{4}[^\n]{0,20}\r?\n>?[A-Za-z][A-Za-z0-9-]*:")
_CUE_TIME = r"\d{1,3}:\d{2}:\d{2}[.,]\d{3}"
_SRT = re.compile(rf"\s*\d+[ \t]*\r?\n\s*{_CUE_TIME}\s*-->\s*{_CUE_TIME}")
_SHEBANG = re.compile(r"#!\s*\S*?(?:/|\benv\s+(?:-S\s+)?)(\w+?)[\d.]*(?=\s|\Z)")
_INTERPRETERS = {
    "python": "python", "pypy": "python", "bash": "bash", "sh": "bash", "zsh": "bash",
    "ksh": "bash", "dash": "bash", "node": "javascript", "deno": "typescript", "ruby": "ruby",
    "perl": "perl", "php": "php", "lua": "lua", "pwsh": "powershell", "elixir": "elixir",
    "julia": "julia", "groovy": "groovy", "Rscript": "r",
}  # fmt: skip
_VAGUE = frozenset({"text", "log", None})
_BINARY = frozenset(
    {"pdf", "docx", "pptx", "xlsx", "doc", "xls", "ppt", "odt", "ods", "odp", "epub", "msg"}
)


@dataclass(frozen=True, slots=True)
class Detected:
    """A format and its media type."""

    format: str
    media_type: str


def detect(data: bytes, name: str, declared: str | None = None) -> Detected:
    """Find out what `data` is.

    Args:
        data: the whole source.
        name: its key; only the last part counts, and only where the content leaves a choice.
        declared: the media type that its store declares, the last to be asked.

    Raises:
        ParseError: `unsupported` for binary data that no parser reads, `encrypted`, `malformed`
            or `mismatched_type` for text under the name of a binary format.
    """
    suffix = suffix_of(name)
    suggested = format_by_name(name) or format_by_media_type(declared)
    format = detect_binary(data, suffix)
    if format is None:
        head = data[:_SAMPLE_BYTES]
        if _is_binary(head):
            known = f", though named .{suffix}" if suffix else ""
            raise ParseError(
                "unsupported", f"binary content of an unknown type{known}; no parser reads it"
            )
        format = _text_format(data, _sample(head), suggested)
    return Detected(format, media_type_of(format))


def _is_binary(head: bytes) -> bool:
    if not head or head.startswith(_BOMS) or wide_encoding(head) is not None:
        return False
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls <= len(head) // 10:
        return False
    # A short text with a few stray controls is still text.
    return controls > 64 or controls > len(head) // 2 or b"\0" in head


def _sample(head: bytes) -> str:
    return decode(head).text


def _text_format(data: bytes, sample: str, suggested: str | None) -> str:
    start = sample.lstrip()
    if not start:
        return suggested if suggested and suggested not in _BINARY else "text"
    strong = _signed(start, sample, suggested)
    if strong is not None:
        return strong
    if suggested in _BINARY:
        raise ParseError(
            "mismatched_type",
            f"the content is plain text, not {suggested}; rename the file to what it is",
        )
    if suggested in ("json", "jsonl"):
        return _json_kind(start, suggested)
    if suggested in ("html", "eml", "mbox", "vtt", "srt", "rtf", "notebook"):
        return suggested if suggested not in ("notebook", "rtf") else "text"
    if suggested not in _VAGUE and suggested is not None:
        return suggested
    return _guessed(data, start, sample, suggested)


def _signed(start: str, sample: str, suggested: str | None) -> str | None:
    """The format of text that begins in a way no other text does."""
    code = suggested is not None and suggested.startswith("code:")
    if start.startswith("WEBVTT") and (len(start) == 6 or start[6].isspace()):
        return "vtt"
    if start.startswith("<") and not code and suggested != "markdown":
        if _HTML.match(start):
            return "html"
        if start.startswith("<?xml"):
            return "xml"
    if not code and _MBOX.match(start):
        return "mbox"
    if suggested in (*_VAGUE, "eml", "mbox") and _is_mail(start):
        return "eml"
    if suggested in (*_VAGUE, "srt", "vtt") and _SRT.match(start):
        return "srt"
    notebook = suggested == "notebook" or ('"cells"' in sample and '"cell_type"' in sample)
    if start.startswith("{") and suggested in (*_VAGUE, "json", "notebook") and notebook:
        return "notebook"
    return None


def _is_mail(start: str) -> bool:
    """Whether a block of header lines comes first, two of them known from mail."""
    known = 0
    for a, b in lines(start, 0, min(len(start), 8_000)):
        line = start[a:b]
        if line[0] in " \t" and a:
            continue
        header = _HEADER.match(line) or re.match(r"([A-Za-z][A-Za-z0-9-]{1,60}):\s*$", line)
        if header is None:
            return known >= 2 and not line.strip()
        known += header.group(1).lower() in _MAIL_HEADERS
    return known >= 2


def _json_kind(start: str, suggested: str) -> str:
    """JSON or JSON lines: a first line that is a whole object, and another one below it."""
    if start[0] not in "{[":
        return suggested
    first, _, rest = start.partition("\n")
    rest = rest.lstrip()
    whole = first.rstrip().endswith(("}", "]")) and walk_json(first).balanced
    if whole and rest[:1] in ("{", "[") and rest:
        return "jsonl"
    return "json" if rest else suggested


def _guessed(data: bytes, start: str, sample: str, suggested: str | None) -> str:
    """The format of text whose name says little."""
    if shebang := _SHEBANG.match(start):
        language = _INTERPRETERS.get(shebang.group(1))
        if language:
            return f"code:{language}"
    if start[0] in "{[":
        kind = _json_kind(start, "json")
        if kind == "jsonl":
            return kind
        if len(data) <= _WHOLE_JSON and _is_json(data):
            return kind
    spans = list(lines(sample))[:200]
    if suggested == "log" or (len(spans) >= 3 and log_share(sample, spans) >= 0.6):
        return "log"
    return "text"


def _is_json(data: bytes) -> bool:
    text = decode(data).text.strip()
    walk = walk_json(text)
    opens = text[0] + text[-1]
    pair = opens in ("{}", "[]")
    # Brackets alone are balanced in much that is no JSON; a key or a literal must follow.
    return (
        pair
        and walk.balanced
        and re.match(r'[{\[]\s*(?:"|[{\[\]}]|-?\d|true|false|null)', text) is not None
    )
