"""A text divided where its chunks begin and end: what every picture of a chunking is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a text over which nothing changes."""

    start: int
    end: int
    """Code points, half-open."""
    chunks: tuple[int, ...]
    """Which chunks hold it, in their order; several where they overlap, none between chunks."""
    begins: tuple[int, ...] = ()
    """Which chunks begin at its start."""
    marked: bool = False
    """Whether it is inside one of the marks."""


def segments(
    spans: Sequence[tuple[int, int]],
    start: int,
    end: int,
    marks: Sequence[tuple[int, int]] = (),
) -> list[Segment]:
    """The segments of `[start, end)`, in order, end to end.

    Args:
        spans: (start, end) of each chunk, in any order; its place here is its number.
        start: where the picture begins.
        end: where it ends.
        marks: further ranges, such as evidence; they may overlap.
    """
    inside = [n for n, (a, b) in enumerate(spans) if a < end and b > start and a < b]
    edges = {start, end}
    for a, b in (*(spans[n] for n in inside), *marks):
        edges.update(edge for edge in (a, b) if start < edge < end)
    places = sorted(edges)
    opening: dict[int, list[int]] = {}
    closing: dict[int, list[int]] = {}
    for n in inside:
        opening.setdefault(max(spans[n][0], start), []).append(n)
        closing.setdefault(spans[n][1], []).append(n)
    marked = _union(marks)
    current: set[int] = set()
    place = 0
    made: list[Segment] = []
    for left, right in pairwise(places):
        current.difference_update(closing.get(left, ()))
        current.update(opening.get(left, ()))
        while place < len(marked) and marked[place][1] <= left:
            place += 1
        made.append(
            Segment(
                left,
                right,
                tuple(sorted(current, key=lambda n: (spans[n][0], n))),
                tuple(n for n in opening.get(left, ()) if spans[n][0] == left),
                place < len(marked) and marked[place][0] <= left,
            )
        )
    return made


def _union(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
