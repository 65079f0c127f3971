"""The text inside one Word paragraph, and what hangs on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.ingest.parsers.ooxml import attribute, local

if TYPE_CHECKING:
    from lxml.etree import _Element

_SKIPPED = frozenset(
    {"pPr", "del", "moveFrom", "instrText", "delText", "delInstrText", "Fallback", "rubyPr",
     "sdtPr", "sdtEndPr", "numPr", "proofErr", "bookmarkStart", "bookmarkEnd", "fldChar", "ffData",
     "binData", "tbl"}
)  # fmt: skip
_CHARACTERS = {"tab": "\t", "ptab": "\t", "cr": "\n", "noBreakHyphen": "-", "softHyphen": ""}
_BULLET = "f0b7"


@dataclass(slots=True)
class Paragraph:
    """A paragraph's text; text boxes, picture descriptions and notes apart."""

    text: str = ""
    boxes: list[_Element] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    hidden: bool = False
    formula: bool = False
    breaks_before_rendered: int = 0
    breaks_before_explicit: int = 0
    breaks_after_rendered: int = 0
    breaks_after_explicit: int = 0

    @property
    def breaks_before(self) -> int:
        """Page breaks before the first text."""
        return self.breaks_before_rendered + self.breaks_before_explicit

    @property
    def breaks_after(self) -> int:
        """Page breaks after the first text."""
        return self.breaks_after_rendered + self.breaks_after_explicit


def paragraph_text(paragraph: _Element) -> Paragraph:
    """Read a `w:p`. Deleted text is skipped, inserted text kept; of two renderings of one
    drawing the newer one is read.
    """
    found = Paragraph()
    parts: list[str] = []
    words = formulas = False
    pending: list[_Element] = list(paragraph)
    pending.reverse()
    while pending:
        element = pending.pop()
        tag = local(element)
        if tag == "t":
            # `m:t` of a formula has the same local name.
            parts.append(element.text or "")
            if not words and "/math" in element.tag:
                formulas = True
            else:
                words = True
        elif tag == "rPr":
            found.hidden = found.hidden or any(
                local(c) == "vanish" and attribute(c, "val") not in ("0", "false") for c in element
            )
        elif tag in _SKIPPED:
            continue
        elif tag in _CHARACTERS:
            parts.append(_CHARACTERS[tag])
        elif tag == "br":
            if attribute(element, "type") == "page":
                _count_break(found, parts, rendered=False)
            else:
                parts.append("\n")
        elif tag == "lastRenderedPageBreak":
            _count_break(found, parts, rendered=True)
        elif tag == "sym":
            parts.append(_symbol(attribute(element, "char") or ""))
        elif tag == "footnoteReference" or tag == "endnoteReference":
            key = attribute(element, "id") or ""
            found.notes.append((tag.removesuffix("Reference"), key))
            parts.append(f"[{key}]")
        elif tag == "txbxContent":
            found.boxes.append(element)
        elif tag == "docPr":
            description = (element.get("descr") or "").strip()
            if description:
                found.descriptions.append(description)
        elif tag == "ruby":
            parts.append(_ruby(element))
        elif tag == "AlternateContent":
            chosen = next((c for c in element if local(c) == "Choice"), None)
            if chosen is None:
                chosen = next((c for c in element if local(c) == "Fallback"), None)
            if chosen is not None:
                pending.extend(list(chosen)[::-1])
        elif len(element):
            pending.extend(list(element)[::-1])
    found.text = "".join(parts)
    found.formula = formulas and not words
    return found


def _count_break(found: Paragraph, parts: list[str], *, rendered: bool) -> None:
    before = not any(part.strip() for part in parts)
    name = f"breaks_{'before' if before else 'after'}_{'rendered' if rendered else 'explicit'}"
    setattr(found, name, getattr(found, name) + 1)


def _symbol(code: str) -> str:
    """A character of a symbol font; only those outside its private area mean anything."""
    if code.lower() == _BULLET:
        return "•"
    try:
        value = int(code, 16)
    except ValueError:
        return ""
    return "" if 0xE000 <= value <= 0xF8FF or 0xD800 <= value < 0xE000 else chr(value)


def _ruby(element: _Element) -> str:
    """Base text, its reading in parentheses."""
    reading = base = ""
    for child in element:
        text = "".join(t.text or "" for t in child.iter() if local(t) == "t")
        if local(child) == "rt":
            reading = text
        elif local(child) == "rubyBase":
            base = text
    return f"{base} ({reading})" if reading else base
