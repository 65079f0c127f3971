"""What XLS workbooks say beside their cells: notes, text boxes, charts, page headers and footers.

Read from the records of the workbook's stream after [MS-XLS]; the cells themselves are
calamine's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

_BOF, _EOF, _CONTINUE, _SHEET, _FILEPASS = 0x0809, 0x000A, 0x003C, 0x0085, 0x002F
_HEADER, _FOOTER, _NOTE, _OBJECT, _TEXT_OBJECT = 0x0014, 0x0015, 0x001C, 0x005D, 0x01B6
_SERIES_TEXT, _CACHE_KIND, _NUMBER, _LABEL = 0x100D, 0x1065, 0x0203, 0x0204
_BIFF8 = 0x0600
_CHART = 0x0020
_NOTE_OBJECT = 0x19
_VALUES, _CATEGORIES = 1, 2
MARGIN_CODE = re.compile(r'&(?:"[^"]*"|K[0-9A-Fa-f]{6}|\d+|[A-Za-z])')
"""Fonts, sizes, sections and fields in page headers and footers."""


@dataclass(slots=True)
class _Chart:
    names: list[str] = field(default_factory=list)
    cached: dict[int, dict[int, dict[int, str]]] = field(default_factory=dict)
    """Kind of cached cells → series (column) → point (row) → value."""
    kind: int = 0

    def lines(self) -> Iterator[str]:
        """A line per series: its name, and category: value pairs."""
        values = self.cached.get(_VALUES, {})
        categories = self.cached.get(_CATEGORIES, {})
        titles = self.names[max(len(self.names) - len(values), 0) :] if values else self.names
        if len(self.names) > len(titles):
            yield from self.names[: len(self.names) - len(titles)]
        for number, name in enumerate(titles):
            points = values.get(number, {})
            labels = categories.get(number) or categories.get(0, {})
            pairs = [
                f"{labels[row]}: {value}" if labels.get(row) else value
                for row, value in sorted(points.items())
            ]
            yield f"{name}: {', '.join(pairs)}" if pairs else name


def write_side_texts(build: TextBuilder, stream: bytes) -> None:
    """Add what stands beside the cells of the workbook in `stream`; nothing when encrypted."""
    names: dict[int, str] = {}
    texts: dict[int, str] = {}
    seen: set[tuple[str, str]] = set()
    chart: _Chart | None = None
    sheet = ""
    last_object = (0, 0)
    for at, kind, data in records(stream):
        if kind == _FILEPASS:
            build.warn("the workbook is encrypted: notes and charts are not read")
            return
        if kind == _SHEET and len(data) > 8:
            names[struct.unpack_from("<I", data)[0]] = _short_string(data, 6)
        elif kind == _BOF and len(data) >= 4:
            sheet = names.get(at, sheet)
            if struct.unpack_from("<H", data, 2)[0] in (_CHART, 0x8000):
                chart = _Chart()
        elif kind == _EOF and chart is not None:
            build.leaf("figure", "\n".join(line for line in chart.lines() if line), locator=sheet)
            chart = None
        elif kind in (_HEADER, _FOOTER) and len(data) > 3:
            entry = ("header" if kind == _HEADER else "footer",
                     squeeze(MARGIN_CODE.sub(" ", _string(data, 0))))  # fmt: skip
            if entry not in seen:
                seen.add(entry)
                build.leaf(*entry)
        elif kind == _OBJECT and len(data) >= 8:
            last_object = struct.unpack_from("<HH", data, 4)
        elif kind == _TEXT_OBJECT and len(data) >= 12:
            text = squeeze(_continued(stream, at + 4 + len(data), data))
            if last_object[0] == _NOTE_OBJECT:
                texts[last_object[1]] = text
            else:
                build.leaf("figure", text, locator=sheet or None)
        elif kind == _NOTE and len(data) >= 8:
            row, column, _, number = struct.unpack_from("<HHHH", data)
            cell = f"{_column_name(column)}{row + 1}"
            build.leaf("comment", texts.pop(number, ""), locator=f"{sheet}!{cell}")
        elif chart is not None:
            _chart_record(chart, kind, data)
    for text in texts.values():
        build.leaf("comment", text)


def records(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Offset, type and content of each record of a workbook's stream."""
    at = 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        yield at, kind, stream[at + 4 : at + 4 + size]
        at += 4 + size


def _chart_record(chart: _Chart, kind: int, data: bytes) -> None:
    if kind == _SERIES_TEXT and len(data) > 3:
        chart.names.append(squeeze(_short_string(data, 2)))
    elif kind == _CACHE_KIND and len(data) >= 2:
        chart.kind = struct.unpack_from("<H", data)[0]
    elif kind == _NUMBER and len(data) >= 14:
        row, column, _, value = struct.unpack_from("<HHHd", data)
        chart.cached.setdefault(chart.kind, {}).setdefault(column, {})[row] = f"{value:.15g}"
    elif kind == _LABEL and len(data) > 8:
        row, column = struct.unpack_from("<HH", data)
        text = squeeze(_string(data, 6))
        chart.cached.setdefault(chart.kind, {}).setdefault(column, {})[row] = text


def _short_string(data: bytes, at: int) -> str:
    """A string behind one byte of length and one of flags."""
    size, wide = data[at], data[at + 1] & 1
    raw = data[at + 2 : at + 2 + size * (1 + wide)]
    return raw.decode("utf-16-le" if wide else "latin-1", "replace")


def _string(data: bytes, at: int) -> str:
    """A string behind two bytes of length and one of flags."""
    size = struct.unpack_from("<H", data, at)[0]
    wide = data[at + 2] & 1 if len(data) > at + 2 else 0
    raw = data[at + 3 : at + 3 + size * (1 + wide)]
    return raw.decode("utf-16-le" if wide else "latin-1", "replace")


def _continued(stream: bytes, at: int, data: bytes) -> str:
    """The text of a text object: in the records that continue it, each with its own flags."""
    missing = struct.unpack_from("<H", data, 10)[0]
    parts: list[str] = []
    while missing > 0 and at + 5 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        if kind != _CONTINUE or size < 2:
            break
        wide = stream[at + 4] & 1
        raw = stream[at + 5 : at + 4 + size][: missing * (1 + wide)]
        parts.append(raw.decode("utf-16-le" if wide else "latin-1", "replace"))
        missing -= len(raw) // (1 + wide)
        at += 4 + size
    return "".join(parts)


def _column_name(index: int) -> str:
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
