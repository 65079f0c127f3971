"""Tables on a PDF page: between ruling lines, or by words that stand in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.ingest.parsers.pdflayout import LABEL, Line, Table
from pipelines.ingest.parsers.pdfpage import Glyphs
from pipelines.ingest.parsers.pdfrules import Grid
from pipelines.ingest.parsers.textbuild import squeeze

_SHORT = 18
"""A column whose cells have fewer characters on average is a column of a table, not of prose."""
_FEWEST_ROWS = 3
_HEADER_SHARE = 0.6


def ruled_tables(lines: Sequence[Line], grids: Sequence[Grid], glyphs: Glyphs) -> list[Line]:
    """The lines, those within a grid replaced by a table in place of the first of them.

    A grid that holds little text, or text in one column only, is a drawing and left alone.
    """
    remaining = list(lines)
    for grid in grids:
        inside = [line for line in remaining if _touches(line, grid)]
        cells: dict[tuple[int, int], list[str]] = {}
        bold: dict[int, list[bool]] = {}
        outside: list[Line] = []
        for line in sorted(inside, key=lambda line: (line.baseline, line.left)):
            for (cell, left, right), text in _runs(line, grid, glyphs):
                if cell is None:
                    outside.append(_part(line, text, left, right))
                else:
                    cells.setdefault(cell, []).append(text)
                    bold.setdefault(cell[0], []).append(line.bold)
        rows = _rows(grid, cells)
        if sum(sum(map(bool, row)) > 1 for row in rows) < 2:
            continue
        filled = [row for row in rows if any(row)]
        top = min((row for row, _ in cells), default=0)
        header = all(bold.get(top, [False])) and not all(all(b) for b in bold.values())
        table = Table(
            tuple(map(tuple, filled)), header, grid.xs[0], grid.ys[0], grid.xs[-1], grid.ys[-1]
        )
        remaining = _replaced(remaining, inside, [_stand_in(table, inside), *outside])
    return remaining


def _touches(line: Line, grid: Grid) -> bool:
    middle = line.baseline - 0.3 * line.size
    return (
        line.table is None
        and not line.sideways
        and grid.ys[0] < middle < grid.ys[-1]
        and line.right > grid.xs[0]
        and line.left < grid.xs[-1]
    )


_Run = tuple[tuple[tuple[int, int] | None, float, float], str]


def _runs(line: Line, grid: Grid, glyphs: Glyphs) -> Iterator[_Run]:
    """The line's text, divided where it passes from one cell to another, spaces trimmed."""
    middle = line.baseline - 0.3 * line.size
    current: tuple[int, int] | None = None
    left, right = line.left, line.left
    text = ""
    for start, part in line.parts:
        position = start
        text += " " if text and not text.endswith(" ") else ""
        for character in part:
            if not character.isspace():
                near, far = glyphs.edges(glyphs.index(position))
                cell = grid.cell((near + far) / 2, middle)
                if cell != current and text.strip():
                    yield (current, left, right), text.strip()
                    text = ""
                if not text.strip():
                    left, current = near, cell
                right = far
            text += character
            position += 1 if character <= "\uffff" else 2
    if text.strip():
        yield (current, left, right), text.strip()


def _part(line: Line, text: str, left: float, right: float) -> Line:
    return Line(text, left, right, line.baseline, line.size, line.bold, line.fixed,
                hidden=line.hidden)  # fmt: skip


def _rows(grid: Grid, cells: dict[tuple[int, int], list[str]]) -> list[list[str]]:
    rows = [[""] * (len(grid.xs) - 1) for _ in range(len(grid.ys) - 1)]
    for (row, column), texts in cells.items():
        rows[row][column] = squeeze(join_words(texts))
    return rows


def join_words(texts: Sequence[str]) -> str:
    """Lines of one cell as one, divided words made whole."""
    joined = ""
    for text in texts:
        if joined.endswith(("\ufffe", "\x02", "\u00ad")):
            joined = joined[:-1] + text
        else:
            joined = f"{joined} {text}" if joined else text
    return joined.translate({0xFFFE: "-", 0x02: "-", 0xAD: None})


def _stand_in(table: Table, lines: Sequence[Line]) -> Line:
    size = sorted(line.size for line in lines)[len(lines) // 2]
    return Line("", table.left, table.right, table.bottom, size, table=table)


def _replaced(lines: Sequence[Line], gone: Sequence[Line], instead: Sequence[Line]) -> list[Line]:
    found: list[Line] = []
    dropped = {id(line) for line in gone}
    placed = False
    for line in lines:
        if id(line) not in dropped:
            found.append(line)
        elif not placed:
            found += instead
            placed = True
    return found


def aligned_tables(lines: Sequence[Line]) -> list[Line]:
    """The lines, those whose parts stand in columns over several rows replaced by tables.

    Only what the file draws row by row counts, as it does with tables: columns of prose that
    happen to share their baselines are drawn one after the other. Parts in columns that are no
    table come back column by column.
    """
    rows = _drawn_rows(lines)
    found: list[Line] = []
    start = 0
    while start < len(rows):
        end, columns = _extent(rows, start) if len(rows[start]) > 1 else (start, [])
        if end - start < 2:
            found += rows[start]
            start += 1
            continue
        table = _aligned(rows[start:end], columns)
        members = [line for row in rows[start:end] for line in row]
        if table is not None:
            found.append(_stand_in(table, members))
        else:
            for left, right in columns:
                found += [line for line in members if left <= _middle(line) <= right]
        start = end
    return found


def _middle(line: Line) -> float:
    return (line.left + line.right) / 2


def _drawn_rows(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines that follow each other on one baseline, put together."""
    rows: list[list[Line]] = []
    for line in lines:
        last = rows[-1][-1] if rows else None
        if (
            last is not None
            and line.table is None
            and last.table is None
            and not line.sideways
            and not last.sideways
            and abs(line.baseline - last.baseline) < 0.4 * max(line.size, 1.0)
            and line.left > last.right
        ):
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _extent(rows: Sequence[Sequence[Line]], start: int) -> tuple[int, list[tuple[float, float]]]:
    """Where the rows end that can be columns of one table with the row at `start`."""
    columns: list[tuple[float, float]] = []
    settled: list[tuple[float, float]] = []
    last = start
    for index in range(start, len(rows)):
        row = rows[index]
        if any(line.table is not None or line.fixed or line.sideways for line in row):
            break
        if index > start:
            step = row[0].baseline - rows[index - 1][0].baseline
            if not 0 < step < 3.5 * max(row[0].size, 1.0):
                break
        joined = _columns(columns, row)
        if joined is None or (len(row) == 1 and not _within(row[0], columns)):
            break
        columns = joined
        if len(row) > 1:
            last, settled = index + 1, columns
    return last, settled


def _within(line: Line, columns: Sequence[tuple[float, float]]) -> bool:
    return any(left - 2 <= line.left and line.right <= right + 2 for left, right in columns)


def _columns(
    columns: Sequence[tuple[float, float]], row: Sequence[Line]
) -> list[tuple[float, float]] | None:
    """The columns widened by a row; null where the row joins two of them into one."""
    merged: list[tuple[float, float]] = []
    spans = [(line.left, line.right) for line in row]
    for left, right in sorted([*columns, *spans]):
        if merged and left < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged if len(merged) >= max(len(columns), len(row)) else None


def _aligned(
    rows: Sequence[Sequence[Line]], columns: Sequence[tuple[float, float]]
) -> Table | None:
    """The rows as a table; null when they are prose in columns, or a list with its labels."""
    full = [row for row in rows if len(row) > 1]
    if len(full) < _FEWEST_ROWS or len(columns) < 2:
        return None
    cells: list[list[str]] = []
    for row in rows:
        texts = [""] * len(columns)
        for line in row:
            for number, (left, right) in enumerate(columns):
                if left <= _middle(line) <= right:
                    texts[number] = squeeze(join_words([texts[number], line.text]))
        if len(row) == 1 and cells and not texts[0]:
            cells[-1] = [squeeze(join_words(pair)) for pair in zip(cells[-1], texts, strict=True)]
        else:
            cells.append(texts)
    lengths = [
        [len(texts[number]) for texts in cells if texts[number]] for number in range(len(columns))
    ]
    if not any(sum(some) < _SHORT * len(some) for some in lengths):
        return None
    labels = [texts[0] for texts in cells if texts[0]]
    if sum(LABEL.fullmatch(label) is not None for label in labels) * 2 > len(labels):
        return None
    lines = [line for row in rows for line in row]
    header = all(line.bold for line in rows[0]) and not all(line.bold for line in lines)
    return Table(
        tuple(map(tuple, cells)), header,
        min(line.left for line in lines), min(line.top for line in lines),
        max(line.right for line in lines), max(line.bottom for line in lines),
    )  # fmt: skip
