"""What a DOCX package says about paragraphs elsewhere than in them: styles and numbering."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.ingest.parsers.ooxml import attribute, local

if TYPE_CHECKING:
    from lxml.etree import _Element

_HEADING_NAME = re.compile(r"heading ?([1-9])$", re.IGNORECASE)
_LETTERED_NAME = re.compile(r"head(?:ing)?[ _-]?([a-f])(?:number\w*)?$", re.IGNORECASE)
"""Publishers' templates letter their headings below the chapter's title."""
_TITLE_NAME = re.compile(r"(?:book|part|chapter|appendix)?[ _-]?title$", re.IGNORECASE)
_CODE_NAME = re.compile(
    r"^(html )?(code|source ?code|preformatted|listing|literal|program)(?!.*(caption|head|title))",
    re.IGNORECASE,
)
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
          (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """A paragraph style, its parents' properties included."""

    kind: str = "paragraph"
    heading: int | None = None
    number: str | None = None
    """Id of the numbering that the style brings along."""
    level: int = 0


def read_styles(root: _Element | None) -> dict[str, Style]:
    """Style id → style. A cycle of parents ends where it closes."""
    raw: dict[str, tuple[str, str | None, int | None, str | None, int]] = {}
    for element in root if root is not None else ():
        if local(element) != "style" or attribute(element, "type") not in (None, "paragraph"):
            continue
        name, parent, outline, number, level = "", None, None, None, 0
        for child in element:
            tag = local(child)
            if tag == "name":
                name = attribute(child, "val") or ""
            elif tag == "basedOn":
                parent = attribute(child, "val")
            elif tag == "pPr":
                outline, number, level = paragraph_numbers(child)
        raw[attribute(element, "styleId") or ""] = (name, parent, outline, number, level)
    return {key: _resolve(key, raw) for key in raw}


def paragraph_numbers(properties: _Element) -> tuple[int | None, str | None, int]:
    """Outline level from 0, numbering id, and numbering level from 0, of a `pPr`."""
    outline: int | None = None
    number: str | None = None
    level = 0
    for child in properties:
        tag = local(child)
        if tag == "outlineLvl":
            outline = as_int(attribute(child, "val"))
        elif tag == "numPr":
            for part in child:
                if local(part) == "numId":
                    number = attribute(part, "val")
                elif local(part) == "ilvl":
                    level = as_int(attribute(part, "val")) or 0
    return outline, number, level


def _resolve(
    key: str, raw: dict[str, tuple[str, str | None, int | None, str | None, int]]
) -> Style:
    seen: set[str] = set()
    kind: str | None = None
    heading: int | None = None
    number: str | None = None
    numbering_level = 0
    current: str | None = key
    while current in raw and current not in seen:
        seen.add(current)
        name, parent, outline, own_number, level = raw[current]
        lowered = name.lower()
        if heading is None and kind is None:
            named = _HEADING_NAME.match(name)
            if named:
                heading = int(named[1])
            elif outline is not None and 0 <= outline < 9:
                heading = outline + 1
            elif lettered := _LETTERED_NAME.match(name):
                heading = ord(lettered[1].lower()) - ord("a") + 2
            elif _TITLE_NAME.match(name):
                heading = 1
            elif "caption" in lowered:
                kind = "caption"
            elif "quote" in lowered or lowered == "block text":
                kind = "quote"
            elif _CODE_NAME.match(name):
                kind = "code"
        if number is None and own_number is not None:
            number, numbering_level = own_number, level
        current = parent
    return Style(kind or "paragraph", heading, number, numbering_level)


def as_int(value: str | None) -> int | None:
    """The number that `value` writes; null when it writes none."""
    try:
        return int(value) if value is not None else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Level:
    format: str
    text: str
    start: int


class Numbering:
    """Counts numbered paragraphs and spells their labels, such as `2.1` or `(b)`."""

    def __init__(self, root: _Element | None) -> None:
        self._abstract: dict[str, dict[int, _Level]] = {}
        self._numbers: dict[str, str] = {}
        self._counts: dict[str, list[int]] = {}
        for element in root if root is not None else ():
            if local(element) == "abstractNum":
                levels = {}
                for child in element:
                    if local(child) == "lvl":
                        levels[as_int(attribute(child, "ilvl")) or 0] = _read_level(child)
                self._abstract[attribute(element, "abstractNumId") or ""] = levels
            elif local(element) == "num":
                for child in element:
                    if local(child) == "abstractNumId":
                        key = attribute(element, "numId") or ""
                        self._numbers[key] = attribute(child, "val") or ""

    def known(self, number: str | None) -> bool:
        """Whether `number` is a list at all; `0` is Word's way to say that it is none."""
        return number not in (None, "0")

    def label(self, number: str, level: int) -> str:
        """Count one paragraph of the list, and spell its label; empty for bullets."""
        abstract = self._numbers.get(number)
        levels = self._abstract.get(abstract or "", {})
        if abstract is None or level not in levels:
            return ""
        counts = self._counts.setdefault(abstract, [])
        del counts[level + 1 :]
        while len(counts) <= level:
            below = levels.get(len(counts))
            counts.append((below.start if below else 1) - (len(counts) == level))
        counts[level] += 1
        own = levels[level]
        if own.format in ("bullet", "none"):
            return ""

        def spell(match: re.Match[str]) -> str:
            index = int(match[1]) - 1
            if index >= len(counts):
                return ""
            return _spell(counts[index], levels[index].format if index in levels else "decimal")

        return re.sub(r"%([1-9])", spell, own.text).strip()


def _read_level(element: _Element) -> _Level:
    values = {local(child): attribute(child, "val") for child in element}
    start = as_int(values.get("start"))
    return _Level(
        values.get("numFmt") or "decimal",
        values.get("lvlText") or "",
        1 if start is None else start,
    )


def _spell(number: int, format: str) -> str:
    if format in ("lowerLetter", "upperLetter") and number > 0:
        # Word goes a … z, aa, bb …
        letter = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, 8)
        return letter.upper() if format == "upperLetter" else letter
    if format in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        roman = ""
        for value, digits in _ROMAN:
            count, number = divmod(number, value)
            roman += digits * count
        return roman.upper() if format == "upperRoman" else roman
    if format == "decimalZero":
        return f"{number:02d}"
    return str(number)
