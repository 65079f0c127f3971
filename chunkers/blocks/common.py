"""Building blocks shared by the scanners."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from lineage import Block

_SEPARATOR = re.compile(r"\n[^\S\n]*\n\s*")
# For text with line ends of old Macs as well. Slower, so only where it has any.
_ANY_SEPARATOR = re.compile(r"(?:\r\n?|\n)[^\S\r\n]*[\r\n]\s*")
_LONE_CR = re.compile(r"\r(?!\n)")
_INK = re.compile(r"\S")
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n)|[^\r\n]++")
_LINE_LF = re.compile(r"[^\n]*+\n|[^\n]++")
_SPAN: Callable[[re.Match[str]], tuple[int, int]] = re.Match.span
_SURROGATE = re.compile("[\ud800-\udfff]")


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without the whitespace at both its ends; (start, start) when nothing is left."""
    found = _INK.search(text, start, end)
    if found is None:
        return start, start
    while text[end - 1].isspace():
        end -= 1
    return found.start(), end


def has_ink(text: str, start: int, end: int) -> bool:
    """Whether the span holds a character that is not whitespace."""
    return _INK.search(text, start, end) is not None


def pieces(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Spans of the paragraphs between blank lines, trimmed."""
    if end is None:
        end = len(text)
    separator = _ANY_SEPARATOR if _LONE_CR.search(text, start, end) else _SEPARATOR
    first = _INK.search(text, start, end)
    if first is None:
        return
    position = first.start()
    for found in separator.finditer(text, position, end):
        yield position, found.start()
        position = found.end()
    if position < end:
        while text[end - 1].isspace():
            end -= 1
        if position < end:
            yield position, end


def paragraphs(
    text: str,
    start: int = 0,
    end: int | None = None,
    *,
    kind: str = "paragraph",
    page: int | None = None,
) -> list[Block]:
    """A block per paragraph between blank lines."""
    return [Block(kind, a, b, None, page) for a, b in pieces(text, start, end)]


def lines(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Spans of the lines, with their line ends: LF, CRLF or CR, and no others."""
    stop = len(text) if end is None else end
    pattern = _LINE_LF if text.find("\r", start, stop) < 0 else _LINE
    return map(_SPAN, pattern.finditer(text, start, stop))


def complete(
    text: str,
    blocks: Sequence[Block],
    fill: Callable[[int, int], Sequence[Block]] | None = None,
) -> list[Block]:
    """`blocks` in order, with the gaps between the outermost of them filled.

    Args:
        text: the text.
        blocks: properly nested, in pre-order.
        fill: makes blocks of a gap (start, end); paragraphs when not given.
    """
    if fill is None:

        def fill(a: int, b: int) -> Sequence[Block]:
            return paragraphs(text, a, b)

    out: list[Block] = []
    position = 0
    for block in blocks:
        start, end = block.start, block.end
        if start > position and _INK.search(text, position, start):
            out.extend(fill(position, start))
        out.append(block)
        if end > position:
            position = end
    if _INK.search(text, position):
        out.extend(fill(position, len(text)))
    return out


def encodable(text: str) -> str:
    """`text` with lone surrogates replaced one for one, so that offsets stay the same."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text
