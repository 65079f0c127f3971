"""YAML: a record per document, top-level key or item, and inside long ones per nested key.

Read by indentation, line by line. A YAML library would be exact about the rare forms, but takes
time quadratic in the depth of brackets.
"""

from __future__ import annotations

import re

from chunkers.blocks.common import complete, lines, paragraphs, trim
from lineage import Block

_LONG = 2_000
"""Records of more characters than this are divided into nested ones."""
_DEPTH = 12
_KEY = re.compile(
    r"""(?:"((?:[^"\\\n]++|\\.)*+)"|'([^'\n]*+)'|([^\s#\-?:,\[\]{}&*!|>'"%@`][^\n:]*+"""
    r"""(?::[^\s][^\n:]*+)*+|[-?:][^\s:][^\n:]*+))\s*+:(?=\s|\Z)"""
)
_MARKER = re.compile(r"(---|\.\.\.)(?=\s|\Z)")
_SCALAR = re.compile(r":\s+(?:[&!][^\s]*\s+)*[|>][-+0-9]*\s*(?:#[^\n]*)?\Z")
_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")

_Line = tuple[int, int, int]
"""Start, end without the line end, indentation; blank lines and comments are left out."""


def scan_yaml(text: str) -> list[Block]:
    """Records of a YAML text, with paths (`$.services[2]`) as locators."""
    documents: list[list[_Line]] = [[]]
    spans: list[list[int]] = [[0, 0]]
    for start, end in lines(text):
        first, stop = _inked(text, start, end)
        if first == start and (marker := _MARKER.match(text, start)):
            if marker.group(1) == "---" and has_content(text, spans[-1]):
                documents.append([])
                spans.append([start, end])
            spans[-1][1] = end
            continue
        spans[-1][1] = end
        if first < stop and text[first] not in "#%\t":
            documents[-1].append((first, stop, first - start))
    blocks: list[Block] = []
    for number, (content, (start, end)) in enumerate(zip(documents, spans, strict=True), start=1):
        start, end = trim(text, start, end)
        if start == end:
            continue
        if len(documents) > 1:
            blocks.append(Block("record", start, end, None, None, None, f"document {number}"))
        inner = _records(text, content, end, "$", 0)
        if not inner and len(documents) == 1:
            blocks.append(Block("record", start, end, None, None, None, "$"))
        blocks += inner
    return complete(text, blocks, lambda a, b: _between(text, a, b))


def nested_yaml(text: str, start: int, end: int, path: str) -> list[Block]:
    """Records inside the one at `text[start:end]`, whose path is `path`, however short they are."""
    begin = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    content: list[_Line] = []
    for low, high in lines(text, begin, end):
        first, stop = _inked(text, max(low, start), high)
        if first < stop and text[first] not in "#%\t":
            content.append((first, stop, first - low))
    if not content:
        return []
    inner = content[1:]
    first, stop, _ = content[0]
    dash = text[first] == "-" and (first + 1 >= stop or text[first + 1].isspace())
    if dash and (rest := _after_dash(text, content[0])):
        inner = [rest, *inner]
    if _SCALAR.search(text[first:stop][-200:]):
        return []
    return _records(text, inner, end, path, 0, long=0)


def _inked(text: str, start: int, end: int) -> tuple[int, int]:
    """A line without the spaces before it and its line end."""
    first = start
    while first < end and text[first] == " ":
        first += 1
    stop = end
    while stop > first and text[stop - 1] in "\r\n":
        stop -= 1
    return first, stop


def _between(text: str, start: int, end: int) -> list[Block]:
    """Comments, markers and directives outside of records."""
    kinds = {"#": "comment", "-": "markup", ".": "markup", "%": "markup"}
    return [
        Block(kinds.get(text[block.start], "paragraph"), block.start, block.end)
        for block in paragraphs(text, start, end)
    ]


def has_content(text: str, span: list[int]) -> bool:
    """Whether anything but blank space is in the span."""
    start, end = trim(text, *span)
    return start < end


def _records(
    text: str, content: list[_Line], end: int, path: str, depth: int, long: int = _LONG
) -> list[Block]:
    """Records of one mapping or sequence: of the lines at its indentation."""
    if not content or depth > _DEPTH:
        return []
    indent = min(line[2] for line in content)
    if content[0][2] != indent:
        return []
    sequence = text.startswith("-", content[0][0]) and not _KEY.match(text, content[0][0])
    starts: list[tuple[int, str]] = []
    for index, (first, stop, column) in enumerate(content):
        if column != indent:
            continue
        if sequence:
            if text[first] == "-" and (first + 1 >= stop or text[first + 1].isspace()):
                starts.append((index, f"{path}[{len(starts)}]"))
        elif key := _KEY.match(text, first, stop):
            name = next(group for group in key.groups() if group is not None).strip()
            step = f".{name}" if _SIMPLE_KEY.match(name) else f"[{name[:100]!r}]"
            starts.append((index, path + step))
    blocks: list[Block] = []
    for number, (index, locator) in enumerate(starts):
        following = starts[number + 1][0] if number + 1 < len(starts) else len(content)
        first = content[index][0]
        last = content[following - 1][1] if following > index else end
        # Comments between the last line and the next record stay outside both.
        a, b = trim(text, first, last)
        blocks.append(Block("record", a, b, None, None, None, locator))
        head = text[content[index][0] : content[index][1]]
        if b - a > long and following > index + 1 and not _SCALAR.search(head[-200:]):
            inner = content[index + 1 : following]
            if sequence and (rest := _after_dash(text, content[index])):
                inner = [rest, *inner]
            blocks += _records(text, inner, b, locator, depth + 1, long)
    return blocks


def _after_dash(text: str, line: _Line) -> _Line | None:
    """The mapping that begins on the line of its dash."""
    start, stop, column = line
    first = start + 1
    while first < stop and text[first] == " ":
        first += 1
    return (first, stop, column + first - start) if first < stop else None
