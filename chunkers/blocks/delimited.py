"""Comma- and tab-separated values: one table, one row a record, quoted line ends included."""

from __future__ import annotations

import re
from functools import cache

from lineage import Block

_SAMPLE_CHARS = 20_000
_SAMPLE_ROWS = 20
_DELIMITERS = ",;\t|"
_NUMBER = re.compile(r"\s*[-+(]?[$€£]?\s*\d[\d\s.,:/%-]*\)?\s*")
_PLAIN_ROW = re.compile(r"[^\r\n]+")


def scan_csv(text: str) -> list[Block]:
    """A table of rows; the delimiter is the one of comma, semicolon, tab and bar that fits."""
    return scan_delimited(text, sniff_delimiter(text))


def scan_tsv(text: str) -> list[Block]:
    """A table of tab-separated rows."""
    return scan_delimited(text, "\t")


def scan_delimited(text: str, delimiter: str) -> list[Block]:
    """A `table` with a `table_row` per record.

    The first row is the header when it reads like one: no cell of it is empty or a number. Others
    have the locator `row N`, counting records from 1. A quote that is never closed is a
    character like any other.
    """
    rows = row_spans(text, delimiter)
    if not rows:
        return []
    header = is_header(cells(text, rows[0], delimiter))
    blocks = [Block("table", rows[0][0], rows[-1][1])]
    for number, (start, end) in enumerate(rows, start=1):
        locator = "header" if header and number == 1 else f"row {number}"
        blocks.append(Block("table_row", start, end, None, None, None, locator))
    return blocks


def row_spans(text: str, delimiter: str) -> list[tuple[int, int]]:
    """Spans of the records, without their line ends and without blank lines."""
    if '"' in text:
        found = (match.span() for match in _row(delimiter).finditer(text))
    else:
        found = (match.span() for match in _PLAIN_ROW.finditer(text))
    return [(start, end) for start, end in found if not text[start:end].isspace()]


def cells(text: str, row: tuple[int, int], delimiter: str) -> list[str]:
    """The cells of one row as they are written, quotes removed."""
    return [
        cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell
        for cell in (match.group(1) for match in _cell(delimiter).finditer(text, *row))
    ]


def is_header(row: list[str]) -> bool:
    """Whether a first row reads like column names."""
    names = [cell.strip() for cell in row]
    while len(names) > 1 and not names[-1]:
        names.pop()
    return len(names) > 1 and not any(
        not name or len(name) > 200 or _NUMBER.fullmatch(name) for name in names
    )


def sniff_delimiter(text: str) -> str:
    """The delimiter that splits the first rows most evenly; a comma when none does."""
    sample = text[:_SAMPLE_CHARS]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        if delimiter not in sample:
            continue
        counts = [
            len(cells(sample, row, delimiter))
            for row in row_spans(sample, delimiter)[:_SAMPLE_ROWS]
        ]
        if not counts:
            continue
        usual = max(set(counts), key=counts.count)
        score = counts.count(usual) / len(counts) if usual > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


# A cell is quoted only when a quote opens it. Possessive repeats: nothing to backtrack into.
@cache
def _row(delimiter: str) -> re.Pattern[str]:
    quoted, bare = _cell_patterns(delimiter)
    cell = f"(?:{quoted}|{bare})"
    # At least one character, so that an empty line is no match.
    return re.compile(rf"(?=[^\r\n]){cell}(?:{re.escape(delimiter)}{cell})*+")


@cache
def _cell(delimiter: str) -> re.Pattern[str]:
    quoted, bare = _cell_patterns(delimiter)
    return re.compile(rf"({quoted}|{bare})(?:{re.escape(delimiter)}|(?=[\r\n])|\Z)")


def _cell_patterns(delimiter: str) -> tuple[str, str]:
    bare = rf"[^{re.escape(delimiter)}\r\n]*+"
    return rf'"[^"]*+(?:""[^"]*+)*+"{bare}', bare
