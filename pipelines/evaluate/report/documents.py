"""Documents with their chunks in colour, strategies side by side.

Every strategy shows the same text with the same line breaks, because what is added takes no room:
tints, a bar where a chunk begins, its number and size in the margin. So lines are level across
strategies, and one look tells where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chunkers.segments import segments
from pipelines.evaluate.report.words import h

TINTS = 6
_MONOSPACED = frozenset({"code", "table", "spreadsheet", "structured", "log"})


@dataclass(frozen=True, slots=True)
class Column:
    """A strategy's chunks of one document."""

    name: str
    number: int
    """Decides about its colour."""
    spans: Sequence[tuple[int, int]]
    """Of its smallest chunks, in order."""
    tokens: Sequence[int]
    note: str = ""


def document_view(
    text: str,
    data_type: str,
    columns: Sequence[Column],
    start: int,
    end: int,
    evidence: Sequence[tuple[int, int]] = (),
) -> str:
    """`text[start:end]` once for each strategy."""
    shape = "mono" if data_type in _MONOSPACED else "sans"
    made = []
    for column in columns:
        made.append(
            f'<section class="column" data-strategy="{h(column.name)}" '
            f'aria-label="{h(column.name)}">'
            f'<header><span class="chip s{column.number % 10}"></span>'
            f"<b>{h(column.name)}</b> <small>{h(column.note)}</small></header>"
            f'<div class="text {shape}" tabindex="0">'
            f"{_column_text(text, column, start, end, evidence)}</div></section>"
        )
    return f'<div class="columns">{"".join(made)}</div>'


def _column_text(
    text: str, column: Column, start: int, end: int, evidence: Sequence[tuple[int, int]]
) -> str:
    parts = []
    if start > 0:
        parts.append('<span class="cut">…</span>')
    for segment in segments(column.spans, start, end, evidence):
        classes = []
        if segment.chunks:
            classes.append(f"c{segment.chunks[-1] % TINTS}")
        if len(segment.chunks) > 1:
            classes.append("both")
        if segment.marked:
            classes.append("evidence")
        tag = ""
        if segment.begins:
            number = segment.begins[-1]
            classes.append("begin")
            title = f"chunk {number + 1}: {column.tokens[number]:,} tokens"
            tag = (
                f'<i class="tag" title="{title}">{number + 1}'
                f"<span>{column.tokens[number]:,}</span></i>"
            )
        words = h(text[segment.start : segment.end])
        parts.append(f'{tag}<span class="{" ".join(classes)}">{words}</span>' if classes else words)
    if end < len(text):
        parts.append('<span class="cut">…</span>')
    return "".join(parts)
