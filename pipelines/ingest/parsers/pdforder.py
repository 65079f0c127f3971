"""Reading order of what stands on a PDF page, by the white space between it.

A file's own order is mostly the reading order and is kept, unless it jumps about: then the page
is cut along its white space into bands, and bands of several columns are read column by column.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pipelines.ingest.parsers.pdflayout import Line

_GUTTER = 1.2
"""Narrowest white space between columns, as a multiple of the font size."""
_JUMPS = 0.06
"""Share of steps back up the page from which on the file's order is not believed."""
_DEEPEST = 6


def in_reading_order(lines: Sequence[Line]) -> list[Line]:
    """The lines as one reads them; those that stand on their side come last."""
    upright = [line for line in lines if not line.sideways]
    aside = [line for line in lines if line.sideways]
    if _jumps(upright):
        upright = _cut(upright, 0)
    return [*upright, *aside]


def _jumps(lines: Sequence[Line]) -> bool:
    """Whether the order goes back up the page other than to a column further right."""
    if len(lines) < 3:
        return False
    jumps = 0
    for above, below in pairwise(lines):
        size = max(above.size, below.size, 1.0)
        higher = below.baseline < above.baseline - 1.5 * size
        jumps += higher and below.left < above.right - size
    # A running head or foot at the end of the file's order is one jump that means nothing.
    return jumps > 1 + _JUMPS * len(lines)


def _cut(lines: Sequence[Line], depth: int) -> list[Line]:
    """Bands from top to bottom; within a band of columns, columns from left to right."""
    ordered = sorted(lines, key=lambda line: (line.top, line.left))
    if depth > _DEEPEST or len(ordered) < 2:
        return _by_rows(ordered)
    found: list[Line] = []
    region: list[Line] = []
    edges: list[tuple[float, float]] = []
    columned = False
    for band in _bands(ordered):
        size = sorted(line.size for line in band)[len(band) // 2]
        own = _projection(band, _GUTTER * size)
        together = _projection([*region, *band], _GUTTER * size)
        if region and ((columned and len(together) < 2) or (not columned and len(own) > 1)):
            found += _columns(region, edges, depth)
            region, together = [], own
        columned = len(together) > 1
        region += band
        edges = together
    return found + _columns(region, edges, depth)


def _columns(
    region: Sequence[Line], edges: Sequence[tuple[float, float]], depth: int
) -> list[Line]:
    if len(edges) < 2:
        return _by_rows(region)
    found: list[Line] = []
    for left, right in edges:
        inside = [line for line in region if left <= (line.left + line.right) / 2 <= right]
        found += _by_rows(inside) if len(inside) == len(region) else _cut(inside, depth + 1)
    return found


def _bands(ordered: Sequence[Line]) -> list[list[Line]]:
    """Lines that overlap in height, put together; they come sorted by their tops."""
    bands: list[list[Line]] = []
    bottom = 0.0
    for line in ordered:
        # Descenders may reach into the next line.
        if bands and line.top < bottom - 0.35 * line.size:
            bands[-1].append(line)
            bottom = max(bottom, line.bottom)
        else:
            bands.append([line])
            bottom = line.bottom
    return bands


def _projection(lines: Sequence[Line], gutter: float) -> list[tuple[float, float]]:
    """Where lines stand from left to right: their extents, merged unless a gutter divides them."""
    merged: list[tuple[float, float]] = []
    for left, right in sorted((line.left, line.right) for line in lines):
        if merged and left - merged[-1][1] < gutter:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged


def _by_rows(lines: Sequence[Line]) -> list[Line]:
    """Top to bottom, and left to right where baselines are about the same."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.baseline):
        if rows and line.baseline - rows[-1][0].baseline < 0.5 * line.size:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.left)]
