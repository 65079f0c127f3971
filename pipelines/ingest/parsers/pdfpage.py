"""One PDF page as PDFium gives it: lines of text with their geometry, and annotations."""

from __future__ import annotations

import ctypes
import math
import re
from typing import Any

from pipelines.ingest.parsers.pdflayout import WIDE_GAP, Line, join_pieces

_NO_ANNOTATION_TEXT = frozenset({2, 16, 20})
"""Subtypes of annotations without text of their own: link, popup, widget."""
_WIDGET = 20
_LINE_END = re.compile("(?<=\r\n)|(?<=[\ufffe\x02])")
"""PDFium runs a line on that ends in a hyphen, and marks the place."""
_GAPS = re.compile(r" +")
_BOLD_WEIGHT = 600
_FIXED_PITCH = 1
_INVISIBLE = 3
_SCALE = 100


class Geometry:
    """From a page's coordinates to points from the top left corner of the page as it is seen."""

    def __init__(self, page: Any) -> None:
        import pypdfium2.raw as raw

        self.width, self.height = page.get_size()
        size = (int(self.width * _SCALE), int(self.height * _SCALE))

        def device(x: float, y: float) -> tuple[int, int]:
            left, top = ctypes.c_int(), ctypes.c_int()
            raw.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, ctypes.byref(left), ctypes.byref(top))
            return left.value, top.value

        # Three points settle the transformation, boxes and rotation of the page included.
        zero, east, north = device(0, 0), device(1000, 0), device(0, 1000)
        unit = 1000 * _SCALE
        self._x = ((east[0] - zero[0]) / unit, (north[0] - zero[0]) / unit, zero[0] / _SCALE)
        self._y = ((east[1] - zero[1]) / unit, (north[1] - zero[1]) / unit, zero[1] / _SCALE)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the page's own coordinates is seen."""
        a, b, c = self._x
        d, e, f = self._y
        return a * x + b * y + c, d * x + e * y + f

    def turn(self) -> None:
        """Turn the page a quarter clockwise."""
        self._x, self._y = (-self._y[0], -self._y[1], self.height - self._y[2]), self._x
        self.width, self.height = self.height, self.width


class Glyphs:
    """What PDFium knows of single characters of a page's text."""

    def __init__(self, text_page: Any, geometry: Geometry) -> None:
        import pypdfium2.raw as raw

        self._raw = raw
        self._page = text_page
        self._geometry = geometry
        self._doubles = [ctypes.c_double() for _ in range(4)]
        self._references = [ctypes.byref(value) for value in self._doubles]
        self._name = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()

    def index(self, position: int) -> int:
        """Index of the character at a position (UTF-16 units) of the page's text."""
        return int(self._raw.FPDFText_GetCharIndexFromTextIndex(self._page, position))

    def origin(self, index: int) -> tuple[float, float]:
        """Where the character's baseline begins."""
        x, y, *_ = self._references
        self._raw.FPDFText_GetCharOrigin(self._page, index, x, y)
        return self._geometry.point(self._doubles[0].value, self._doubles[1].value)

    def edges(self, index: int) -> tuple[float, float]:
        """Left and right of the character as seen."""
        self._raw.FPDFText_GetCharBox(self._page, index, *self._references)
        left, right, bottom, top = (value.value for value in self._doubles)
        one = self._geometry.point(left, bottom)[0]
        other = self._geometry.point(right, top)[0]
        return (one, other) if one <= other else (other, one)

    def size(self, index: int) -> float:
        """Font size as drawn, in points: the nominal one may be 1 and scaled by a matrix."""
        matrix = self._raw.FS_MATRIX()
        size = float(self._raw.FPDFText_GetFontSize(self._page, index))
        if self._raw.FPDFText_GetMatrix(self._page, index, ctypes.byref(matrix)):
            size *= math.hypot(matrix.c, matrix.d) or 1.0
        return size

    def font(self, index: int) -> tuple[bool, bool]:
        """Whether the character is bold, and whether its font is of fixed pitch."""
        self._raw.FPDFText_GetFontInfo(
            self._page, index, self._name, 128, ctypes.byref(self._flags)
        )
        name = self._name.value.lower()
        bold = self._raw.FPDFText_GetFontWeight(self._page, index) >= _BOLD_WEIGHT
        fixed = bool(self._flags.value & _FIXED_PITCH) or b"mono" in name or b"courier" in name
        return bold or b"bold" in name, fixed

    def invisible(self, index: int) -> bool:
        """Whether the character is drawn in no colour at all."""
        shape = self._raw.FPDFText_GetTextObject(self._page, index)
        return bool(shape) and self._raw.FPDFTextObj_GetTextRenderMode(shape) == _INVISIBLE


def read_lines(text_page: Any, geometry: Geometry) -> tuple[list[Line], Glyphs]:
    """The page's lines as PDFium orders them, put together and split where they are apart.

    A page whose text mostly stands on its side is turned until it does not.
    """
    import pypdfium2.raw as raw

    glyphs = Glyphs(text_page, geometry)
    count = raw.FPDFText_CountChars(text_page)
    if count <= 0:
        return [], glyphs
    text: str = text_page.get_text_range(0, count)
    lines = _pieces(text, glyphs)
    for _ in range(3):
        aside = sum(len(line.text) for line in lines if line.sideways)
        if aside * 2 <= sum(len(line.text) for line in lines):
            break
        geometry.turn()
        lines = _pieces(text, glyphs)
    return join_pieces(lines), glyphs


def _pieces(text: str, glyphs: Glyphs) -> list[Line]:
    wide = any(c > "\uffff" for c in text)
    lines: list[Line] = []
    at = 0
    for piece in _LINE_END.split(text):
        stripped = piece.strip()
        if stripped:
            start = at + len(piece) - len(piece.lstrip())
            _measure(lines, stripped, _units(text, start) if wide else start, glyphs)
        at += len(piece)
    return lines


def _units(text: str, index: int) -> int:
    """UTF-16 code units before the character at `index`."""
    return index + sum(c > "\uffff" for c in text[:index])


def _measure(lines: list[Line], text: str, start: int, glyphs: Glyphs) -> None:
    """Add a line that begins at position `start`, in parts where wide gaps divide it."""
    length = len(text.encode("utf-16-le")) // 2
    first, last = glyphs.index(start), glyphs.index(start + length - 1)
    (x, y), (end, other) = glyphs.origin(first), glyphs.origin(last)
    half = (len(text) - 1) // 2
    # Spaces are PDFium's own and have no font.
    middle = glyphs.index(start + _length(text, half - text[half].isspace()))
    size = sorted(glyphs.size(index) for index in (first, middle, last))[1]
    bold, fixed = glyphs.font(middle)
    hidden = glyphs.invisible(middle)
    sideways = abs(other - y) > 2 * abs(end - x) + 1
    if sideways or end < x:
        # Text from right to left is a line like any other, only that it is not divided.
        lines.append(
            Line(text.replace("\r", "\n"), min(x, end), max(x, end) + size / 2, max(y, other),
                 size, bold, fixed, sideways=sideways, hidden=hidden, parts=((start, text),))
        )  # fmt: skip
        return
    begin, left = 0, x
    if not fixed:
        for gap in _GAPS.finditer(text):
            before = start + _length(text, gap.start()) - 1
            after = start + _length(text, gap.end())
            edge = glyphs.edges(glyphs.index(before))[1]
            following = glyphs.origin(glyphs.index(after))[0]
            if following - edge > WIDE_GAP * size:
                part = text[begin : gap.start()]
                lines.append(
                    Line(part, left, edge, y, size, bold, fixed, hidden=hidden,
                         parts=((start + _length(text, begin), part),))
                )  # fmt: skip
                begin, left = gap.end(), following
    rest = text[begin:]
    right = max(glyphs.edges(last)[1], left)
    lines.append(
        Line(rest.replace("\r", "\n"), left, right, max(y, other), size, bold, fixed,
             hidden=hidden, parts=((start + _length(text, begin), rest),))
    )  # fmt: skip


def _length(text: str, end: int) -> int:
    """UTF-16 code units of `text[:end]`."""
    piece = text[:end]
    return end if piece.isascii() else len(piece.encode("utf-16-le")) // 2


def read_annotations(page: Any) -> list[tuple[str, str]]:
    """Comments, and the values of form fields, as (kind, text)."""
    import pypdfium2.raw as raw

    found: list[tuple[str, str]] = []
    for index in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        subtype = raw.FPDFAnnot_GetSubtype(annotation)
        if subtype == _WIDGET:
            value = _string(annotation, b"V")
            if value:
                name = _string(annotation, b"TU") or _string(annotation, b"T")
                found.append(("paragraph", f"{name}: {value}" if name else value))
        elif subtype not in _NO_ANNOTATION_TEXT:
            contents = _string(annotation, b"Contents")
            if contents:
                author = _string(annotation, b"T")
                found.append(("comment", f"{author}: {contents}" if author else contents))
        raw.FPDFPage_CloseAnnot(annotation)
    return found


def _string(annotation: Any, key: bytes) -> str:
    import pypdfium2.raw as raw

    size = raw.FPDFAnnot_GetStringValue(annotation, key, None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFAnnot_GetStringValue(
        annotation, key, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size
    )
    text = buffer.raw[: size - 2].decode("utf-16-le", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
