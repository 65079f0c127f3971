"""The format of text whose name says little: by what is written in it."""

from __future__ import annotations

import json
import re

from chunkers.blocks.common import lines
from chunkers.blocks.delimited import cells, is_header, row_spans
from chunkers.blocks.log import is_log
from chunkers.blocks.xml import walk_xml

SAMPLE_CHARS = 16_384
_ROWS = 200
_WHOLE = 1 << 20
"""Characters up to which JSON and XML are read through where their beginning is no proof."""
_INTERPRETERS = {
    "python": "python", "pypy": "python", "bash": "bash", "sh": "bash", "zsh": "bash",
    "ksh": "bash", "dash": "bash", "node": "javascript", "deno": "typescript", "ruby": "ruby",
    "perl": "perl", "php": "php", "lua": "lua", "pwsh": "powershell", "elixir": "elixir",
    "julia": "julia", "groovy": "groovy", "Rscript": "r", "make": "make", "awk": "awk",
}  # fmt: skip
_OBJECT = re.compile(r'(?:\[\s*)*+\{\s*(?:"(?:[^"\\\n]|\\.){0,500}"\s*:|\}\s*\Z)')
_PAIRS = ("{}", "[]")
_ORG = re.compile(r"#\+(?:title|author|date|options|property|startup|setupfile):", re.IGNORECASE)
_BIB = re.compile(r"(?:%[^\n]*\n|\s)*+@[A-Za-z]{3,20}\s*\{\s*[^\s,{}]{1,200}\s*,")
_DIRECTIVE = re.compile(r"^\.\. (?:_[^:\n]{1,200}:|[a-z][a-z:-]{1,40}::)(?:\s|$)", re.MULTILINE)
_ELEMENT = re.compile(r"<([A-Za-z][A-Za-z0-9]{0,20})(?:\s[^<>]{0,2000})?>")
_PAGE_ELEMENTS = frozenset(
    {"div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "span", "article",
     "section", "main", "title", "meta", "link", "center", "font", "b", "i", "a", "pre",
     "blockquote"}
)  # fmt: skip
_MARKDOWN = (
    (("#",), re.compile(r"(?:\A|\n[ \t]*\r?\n)#{1,6} [^\s#][^\n]*(?:\r?\n[ \t]*(?=\r?\n)|\Z)")),
    (
        ("```", "~~~"),
        re.compile(r"^(```|~~~)[ \t]*[\w+#.-]*[ \t]*\r?\n(?:.*\n){0,400}?\1[ \t]*\r?$", re.M),
    ),
    (("](",), re.compile(r"!?\[[^\]\[\n]{1,200}\]\((?:https?://|#|/|\.{0,2}/|[\w./-]{1,200}\))")),
    (
        ("---",),
        re.compile(r"^[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*(?:\|[ \t]*:?-{3,}:?[ \t]*)+\|?[ \t]*$", re.M),
    ),
    (("**",), re.compile(r"(?<![\w*`])\*\*[^\s*][^*\n]{0,200}(?<!\s)\*\*(?![\w*`])")),
    (("---",), re.compile(r"\A---[ \t]*\r?\n[A-Za-z][\w-]*:(?:.*\n){1,60}?---[ \t]*\r?\n")),
)
"""Signs of Markdown. Before each stands what a text must hold for it: most hold little of that, and
looking for a few characters takes a hundredth of the time."""


def guess(text: str, *, whole: bool) -> str:
    """The format of a text; `text` when nothing stands out.

    Args:
        text: the text, not blank within its first `SAMPLE_CHARS`. Where it begins with neither a
            bracket nor `<`, those are enough.
        whole: whether its end is that of the source.
    """
    sample = text[:SAMPLE_CHARS]
    start = sample.lstrip()
    if start.startswith("#!") and (language := _INTERPRETERS.get(_interpreter(start))):
        return f"code:{language}"
    if kind := json_kind(text):
        return kind
    if start.startswith("<?php"):
        return "code:php"
    if _ORG.match(start):
        return "org"
    if _BIB.match(start):
        return "bib"
    if _is_markdown(sample):
        return "markdown"
    if kind := _markup_kind(text, start):
        return kind
    spans = list(lines(sample))[:_ROWS]
    if len(spans) >= 3 and is_log(sample, spans):
        return "log"
    if kind := _delimited_kind(sample, whole=whole and len(text) <= SAMPLE_CHARS):
        return kind
    return "rst" if len(_DIRECTIVE.findall(sample)) >= 2 else "text"


def _is_markdown(sample: str) -> bool:
    found = 0
    for marks, sign in _MARKDOWN:
        found += any(mark in sample for mark in marks) and sign.search(sample) is not None
        if found == 2:
            return True
    return False


def _interpreter(start: str) -> str:
    """The program that the first line names, without its folder and version."""
    for word in start[2:300].partition("\n")[0].split():
        if not word.startswith("-") and "=" not in word and not word.endswith("env"):
            return word.rpartition("/")[2].rstrip("0123456789.")
    return ""


def json_kind(text: str) -> str | None:
    """`json` or `jsonl` for a text that is, as far as a look at it tells, and null for others."""
    start = text[:SAMPLE_CHARS].lstrip()
    if not start or start[0] not in "{[":
        return None
    first, _, rest = start.partition("\n")
    second = rest.lstrip().partition("\n")[0]
    if second[:1] == first[0] and _is_json(first) and (_is_json(second) or _OBJECT.match(second)):
        return "jsonl"
    if start[0] + text[-SAMPLE_CHARS:].rstrip()[-1:] not in _PAIRS:
        return None
    return "json" if _OBJECT.match(start) or (len(text) <= _WHOLE and _is_json(text)) else None


def is_json_scalar(text: str) -> bool:
    """Whether a short text is one JSON value that is neither an object nor an array."""
    try:
        return len(text) <= SAMPLE_CHARS and not isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False
    except RecursionError:
        return True


def _markup_kind(text: str, start: str) -> str | None:
    found = _ELEMENT.match(start)
    if found is None and not start.startswith(("<!DOCTYPE", "<!--")):
        return None
    if found is not None and found.group(1).lower() in _PAGE_ELEMENTS:
        return "html"
    whole = len(text) <= _WHOLE and text.rstrip().endswith(">")
    return "xml" if whole and walk_xml(text).balanced else None


def _delimited_kind(sample: str, *, whole: bool) -> str | None:
    """`tsv` or `csv` when all rows have as many cells as a first one that reads like a header."""
    for delimiter, least_rows, least_cells in (("\t", 3, 2), (",", 4, 3), (";", 4, 3)):
        count = sample.count(delimiter)
        # Where it is followed by a space it is punctuation.
        if count < least_rows * (least_cells - 1) or 2 * sample.count(delimiter + " ") > count:
            continue
        rows = row_spans(sample, delimiter)
        rows = rows[:_ROWS] if whole else rows[:-1][:_ROWS]
        if len(rows) < least_rows:
            continue
        header = cells(sample, rows[0], delimiter)
        if len(header) < least_cells or not is_header(header):
            continue
        if all(len(cells(sample, row, delimiter)) == len(header) for row in rows):
            return "tsv" if delimiter == "\t" else "csv"
    return None
