"""Spans: what a chunker returns, never strings: so a chunk's text cannot differ from the source."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, make_dataclass
from typing import cast

from chunkers import graphemes

_NOT_SPACE = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk as a half-open range of code points of the document's text."""

    start: int
    end: int
    level: int = 0
    """Depth in the tree of spans; 0 for the smallest chunks, the ones that are embedded."""
    granularity: str = ""
    """The name of the size this span belongs to, where a policy asks for several."""
    parent: int | None = None
    """Index of the larger span around this one, in the same returned list."""
    context: str = ""
    """What is embedded and counted before the text, and a blank line, without being part of it."""
    heading_path: tuple[str, ...] = ()
    """Titles of the sections around the span, outermost first."""
    overlap_chars: int = 0
    """Leading code points that repeat the end of the span before this one."""
    max_tokens: int | None = None
    """The span's own cap, where its level has one; else the chunker's holds."""
    target_tokens: int | None = None
    """The size this span was cut for, where that is not the chunker's."""


_Draft = make_dataclass(
    "_Draft", [field.name for field in fields(Span)], slots=True, eq=False, repr=False
)


def new_span(
    start: int, end: int, context: str, heading_path: tuple[str, ...], overlap_chars: int
) -> Span:
    """A span of the smallest chunks, in a third of the time (`lineage.records.new_block`)."""
    draft = _Draft(start, end, 0, "", None, context, heading_path, overlap_chars, None, None)
    draft.__class__ = Span
    return cast(Span, draft)


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The range `[start, end)` without the white space at its edges.

    A range of white space alone comes back as `(end, end)`. Only the white space itself is read,
    so trimming a long range costs nothing.
    """
    match = _NOT_SPACE.search(text, start, end)
    if match is None:
        return end, end
    # A mark that stands on the white space before it is one character with that.
    start = graphemes.floor(text, match.start(), start)
    while text[end - 1].isspace():
        end -= 1
    return start, end


def keep_indent(text: str, start: int, floor: int) -> int:
    """`start` moved back over the blanks that indent its line, not before `floor`.

    Code without the indentation of its first line is a different piece of code.
    """
    position = start
    while position > floor and text[position - 1] in " \t":
        position -= 1
    return position if position == 0 or text[position - 1] in "\r\n" else start
