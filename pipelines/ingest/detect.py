"""The format of a source: by its content first, by its name second.

>>> detect(b"%PDF-1.7 ...", "letter.docx", None)
Detected(format='pdf', media_type='application/pdf')
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from chunkers.blocks.common import lines
from pipelines.ingest.detect_binary import detect_binary
from pipelines.ingest.detect_names import (
    format_by_media_type,
    format_by_name,
    media_type_of,
    suffix_of,
)
from pipelines.ingest.detect_text import SAMPLE_CHARS, guess, is_json_scalar, json_kind
from pipelines.ingest.parsers.base import ParseError
from pipelines.ingest.parsers.decode import decode, wide_encoding

_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
# Controls that no text has; tabs, line and page ends, bells, backspaces and escapes occur.
_CONTROLS = bytes(sorted(set(range(32)) - set(b"\t\n\r\f\v\x07\x08\x1b\x1a"))) + b"\x7f"
_HTML = re.compile(
    r"(?:<\?xml[^>]{0,500}>|(?><!--.{0,2000}?-->)|(?><\?php.{0,2000}?\?>)|\s)*+"
    r"(?:<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60}):")
# What people write above a memo too, and what only mail programs write.
_MEMO_HEADERS = frozenset({"from", "to", "subject", "date", "cc", "reply-to", "sender"})
_MAIL_HEADERS = frozenset(
    {"received", "message-id", "mime-version", "return-path", "delivered-to", "content-type",
     "x-mailer", "authentication-results", "dkim-signature", "content-transfer-encoding"}
)  # fmt: skip
_MBOX = re.compile(r"From \S+ +\S[^\n]{8,60}\d{4}[^\n]{0,20}\r?\n>?[A-Za-z][A-Za-z0-9-]*:")
_NEXT_MAIL = re.compile(rb"\n\r?\nFrom \S+ ")
_CUE_TIME = r"\d{1,3}:\d{2}:\d{2}[.,]\d{3}"
_SRT = re.compile(rf"\s*\d+[ \t]*\r?\n\s*{_CUE_TIME}\s*-->\s*{_CUE_TIME}")
_CPP = re.compile(
    r"^[ \t]*(?:(?:class|namespace)\s+\w[\w:]*\s*(?::[^:]|\{|$)|template\s*<|(?:public|private):)",
    re.M,
)
_OBJC = re.compile(r"^[ \t]*@(?:interface|protocol|implementation|class|import)\b", re.M)
_CELLS = re.compile(r'"cells"\s*:\s*\[')
_VAGUE = frozenset({"text", "log", None})
_UNSURE = _VAGUE | {"json", "jsonl", "xml", "notebook", "rtf"}
"""Formats that content of theirs shows; without the sign the name is wrong."""
_NO_JSON = frozenset({"csv", "tsv", "xml", "html", "yaml"})
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
        if _is_binary(data[:SAMPLE_CHARS]):
            known = f", though named .{suffix}" if suffix else ""
            raise ParseError(
                "unsupported", f"binary content of an unknown type{known}; no parser reads it"
            )
        format = _text_format(data, suffix, suggested)
    return Detected(format, media_type_of(format))


def _is_binary(head: bytes) -> bool:
    if head.startswith(_WIDE_BOMS):
        text = decode(head).text
        odd = sum(not (c.isprintable() or c.isspace()) or c == "\ufffd" for c in text)
        return odd > max(2, len(text) // 10)
    if wide_encoding(head) is not None:
        return False
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if _utf8(head) is None:
        # No 8-bit or multi-byte encoding of text uses them.
        return controls > max(4, len(head) // 50)
    # A short text with stray controls is still text.
    return controls > 0.3 * len(head) and (controls > 64 or controls > 0.75 * len(head))


def _utf8(head: bytes) -> str | None:
    """The text of UTF-8 that may be cut within a character, or null for what is none."""
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return None


def _sample(data: bytes) -> str:
    head = data[:SAMPLE_CHARS]
    text = None if b"\0" in head else _utf8(head)
    return decode(head).text if text is None else text


def _text_format(data: bytes, suffix: str, suggested: str | None) -> str:
    sample = _sample(data)
    start = sample.lstrip()
    if not start:
        return suggested if suggested and suggested not in _BINARY else "text"
    signed = _signed(data, start, sample, suggested)
    if signed is not None:
        return signed
    if suggested in _BINARY:
        raise ParseError(
            "mismatched_type",
            f"the content is plain text, not {suggested}; rename the file to what it is",
        )
    brackets = start[0] in "{["
    if brackets and suggested in _NO_JSON:
        return json_kind(decode(data).text) or suggested
    if suggested in ("json", "jsonl"):
        if brackets:
            # The first of its lines may be longer than what is looked at.
            lined = suggested == "jsonl" and "\n" not in start
            return (not lined and json_kind(decode(data).text)) or suggested
        if start.startswith(("//", "/*", "#")) or is_json_scalar(decode(data).text):
            return suggested
    elif suggested == "xml" and start[0] == "<":
        return suggested
    elif suggested not in _UNSURE and suggested is not None:
        return _c_family(sample) if suffix == "h" else suggested
    text = decode(data).text if brackets or start[0] == "<" else sample
    found = guess(text, whole=len(data) <= SAMPLE_CHARS)
    return "log" if found == "text" and suggested == "log" else found


def _signed(data: bytes, start: str, sample: str, suggested: str | None) -> str | None:
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
        # One message with its envelope on top is still one message.
        return "mbox" if suggested != "eml" or _NEXT_MAIL.search(data) else "eml"
    if suggested in (*_VAGUE, "eml", "mbox") and _is_mail(start, suggested == "text"):
        return "eml"
    if suggested in (*_VAGUE, "srt", "vtt") and _SRT.match(start):
        return "srt"
    if start.startswith("{") and suggested in (*_VAGUE, "json", "notebook"):
        cells = _CELLS.search(sample) is not None and '"cell_type"' in sample
        if cells or suggested == "notebook":
            return "notebook"
    return None


def _is_mail(start: str, is_text: bool) -> bool:
    """Whether a block of header lines comes first, two of them known from mail.

    A text by its name takes one that only programs write: people put To and From above memos.
    """
    people = programs = 0
    for a, b in lines(start, 0, min(len(start), 8_000)):
        line = start[a:b]
        if line[0] in " \t" and a:
            continue
        header = _HEADER.match(line)
        if header is None:
            if line.strip():
                return False
            break
        name = header.group(1).lower()
        people += name in _MEMO_HEADERS
        programs += name in _MAIL_HEADERS
    return people + programs >= 2 and (programs > 0 or not is_text)


def _c_family(sample: str) -> str:
    """The language of a header file, which three languages share."""
    if _OBJC.search(sample):
        return "code:objc"
    return "code:cpp" if _CPP.search(sample) else "code:c"
