"""The ruling lines of a PDF page, and the grids that they make."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.ingest.parsers.pdfpage import Geometry

_MOST_OBJECTS = 4_000
_MOST_EDGES = 8_000
"""A page with more than this is a drawing."""
_SNAP = 3.0
"""Points within which edges count as one."""
_SHORTEST = 6.0
_PATH, _LINE_TO, _BEZIER = 2, 0, 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight edge: where it stands, and from where to where it goes, in points."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns and rows between ruling lines; cells that no line divides belong together."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    owner: tuple[tuple[tuple[int, int], ...], ...]
    """For each row and column, the row and column of the cell that it is part of."""

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of the cell around a point; null outside."""
        column = sum(edge <= x for edge in self.xs) - 1
        row = sum(edge <= y for edge in self.ys) - 1
        if 0 <= row < len(self.ys) - 1 and 0 <= column < len(self.xs) - 1:
            return self.owner[row][column]
        return None


def find_grids(page: Any, geometry: Geometry) -> list[Grid]:
    """Grids of at least two rows and two columns on a page, from top to bottom."""
    across, down = _edges(page, geometry)
    if len(across) < 2 or not down:
        return []
    across, down = _merged(across), _merged(down)
    if len(across) * len(down) > 100_000:
        return []
    grids = [_grid(*group) for group in _connected(across, down)]
    return sorted((grid for grid in grids if grid), key=lambda grid: grid.ys[0])


def _edges(page: Any, geometry: Geometry) -> tuple[list[Rule], list[Rule]]:
    """Edges of all drawn paths that run straight across or down."""
    import pypdfium2.raw as raw

    across: list[Rule] = []
    down: list[Rule] = []
    count = raw.FPDFPage_CountObjects(page)
    if count > _MOST_OBJECTS:
        return [], []
    matrix = raw.FS_MATRIX()
    x, y = ctypes.c_float(), ctypes.c_float()
    at_x, at_y = ctypes.byref(x), ctypes.byref(y)
    for number in range(count):
        shape = raw.FPDFPage_GetObject(page, number)
        if raw.FPDFPageObj_GetType(shape) != _PATH:
            continue
        segments = raw.FPDFPath_CountSegments(shape)
        raw.FPDFPageObj_GetMatrix(shape, ctypes.byref(matrix))
        last = first = (0.0, 0.0)
        for index in range(segments):
            segment = raw.FPDFPath_GetPathSegment(shape, index)
            raw.FPDFPathSegment_GetPoint(segment, at_x, at_y)
            point = geometry.point(
                matrix.a * x.value + matrix.c * y.value + matrix.e,
                matrix.b * x.value + matrix.d * y.value + matrix.f,
            )
            kind = raw.FPDFPathSegment_GetType(segment)
            if kind == _LINE_TO:
                _add(across, down, last, point)
            elif kind != _BEZIER:
                first = point
            last = point
            if raw.FPDFPathSegment_GetClose(segment):
                _add(across, down, last, first)
        if len(across) + len(down) > _MOST_EDGES:
            return [], []
    return across, down


def _add(
    across: list[Rule], down: list[Rule], one: tuple[float, float], other: tuple[float, float]
) -> None:
    width, height = abs(other[0] - one[0]), abs(other[1] - one[1])
    if height < 1 and width >= _SHORTEST:
        across.append(Rule((one[1] + other[1]) / 2, min(one[0], other[0]), max(one[0], other[0])))
    elif width < 1 and height >= _SHORTEST:
        down.append(Rule((one[0] + other[0]) / 2, min(one[1], other[1]), max(one[1], other[1])))


def _merged(rules: Iterable[Rule]) -> list[Rule]:
    """Edges at the same place that touch, made one."""
    places: list[tuple[float, list[Rule]]] = []
    for rule in sorted(rules, key=lambda rule: rule.at):
        if not places or rule.at - places[-1][0] > _SNAP:
            places.append((rule.at, []))
        places[-1][1].append(rule)
    found: list[Rule] = []
    for at, members in places:
        members.sort(key=lambda rule: rule.start)
        start, end = members[0].start, members[0].end
        for rule in members[1:]:
            if rule.start > end + _SNAP:
                found.append(Rule(at, start, end))
                start = rule.start
                end = rule.end
            end = max(end, rule.end)
        found.append(Rule(at, start, end))
    return found


def _connected(across: Sequence[Rule], down: Sequence[Rule]) -> list[tuple[list[Rule], list[Rule]]]:
    """Rules that hang together by crossing or touching."""
    parents = list(range(len(across) + len(down)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for i, row in enumerate(across):
        for j, column in enumerate(down, len(across)):
            if (
                row.start - _SNAP <= column.at <= row.end + _SNAP
                and column.start - _SNAP <= row.at <= column.end + _SNAP
            ):
                parents[root(i)] = root(j)
    groups: dict[int, tuple[list[Rule], list[Rule]]] = defaultdict(lambda: ([], []))
    for index, rule in enumerate([*across, *down]):
        groups[root(index)][index >= len(across)].append(rule)
    return list(groups.values())


def _grid(across: Sequence[Rule], down: Sequence[Rule]) -> Grid | None:
    if len(across) < 2 or not down:
        return None
    # The outer edges of a table are often not drawn.
    xs = _places([r.at for r in down], min(r.start for r in across), max(r.end for r in across))
    ys = _places([r.at for r in across], min(r.start for r in down), max(r.end for r in down))
    rows, columns = len(ys) - 1, len(xs) - 1
    if rows < 2 or columns < 2:
        return None
    owner = [[(row, column) for column in range(columns)] for row in range(rows)]
    for row in range(rows):
        middle = (ys[row] + ys[row + 1]) / 2
        for column in range(1, columns):
            if not _drawn(down, xs[column], middle):
                owner[row][column] = owner[row][column - 1]
    for row in range(1, rows):
        for column in range(columns):
            middle = (xs[column] + xs[column + 1]) / 2
            if not _drawn(across, ys[row], middle):
                owner[row][column] = owner[row - 1][column]
    return Grid(tuple(xs), tuple(ys), tuple(map(tuple, owner)))


def _places(inner: Sequence[float], first: float, last: float) -> list[float]:
    places: list[float] = []
    for place in sorted([*inner, first, last]):
        if not places or place - places[-1] > _SNAP:
            places.append(place)
    return places


def _drawn(rules: Iterable[Rule], at: float, middle: float) -> bool:
    return any(abs(rule.at - at) <= _SNAP and rule.start <= middle <= rule.end for rule in rules)
