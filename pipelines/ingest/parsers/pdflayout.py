"""From the lines of PDF pages to paragraphs, headings and running heads, by geometry alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pipelines.ingest.parsers.textbuild import squeeze

HYPHENS = "\ufffe\x02\u00ad"
"""What PDFium writes for a hyphen at a line's end that it takes for a division of a word."""
WIDE_GAP = 2.0
"""White space in a line, as a multiple of the font size, from which on its parts stand apart."""
_SYMBOL = "[•◦▪‣●○■□\u2013\u2043\ue000-\uf8ff]"
_NUMBER = r"\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})[.)]"
LABEL = re.compile(rf"{_SYMBOL}|[-*]|{_NUMBER}|\[\d{{1,3}}\]|\d{{1,3}}(?:\.\d{{1,3}})+\.?")
"""All that stands before an item of a list."""
_BULLET = re.compile(rf"(?:{_SYMBOL}|[-*]\s|{_NUMBER}\s)")
_DIGITS = re.compile(r"\d+")
_DASH = "[-\u2013\u2014]?"
_PAGE_NUMBER = re.compile(
    rf"(?:page|seite|página|p\.)?\s*{_DASH}\s*\d{{1,5}}\s*(?:(?:of|/|von)\s*\d+)?\s*{_DASH}$",
    re.IGNORECASE,
)
_HEADING_RATIO = 1.14
_MAX_HEADING = 200
_MAX_HEADING_LINES = 3
_LONGEST_ITEM = 300
_MARGIN = 0.12
"""Share of a page's height, at its top and bottom, where running heads are looked for."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells row by row, and the table's edges in points from the page's top left corner."""

    rows: tuple[tuple[str, ...], ...]
    header: bool
    """Whether the first row holds the columns' names."""
    left: float
    top: float
    right: float
    bottom: float


@dataclass(slots=True)
class Line:
    """A line of text, measured in points from the top left corner of its page."""

    text: str
    left: float
    right: float
    baseline: float
    size: float
    """Size of the font as drawn."""
    bold: bool = False
    fixed: bool = False
    """Whether the font is of fixed pitch."""
    sideways: bool = False
    hidden: bool = False
    parts: tuple[tuple[int, str], ...] = ()
    """The text again, each part with its position (UTF-16 units) in the page's text."""
    table: Table | None = None
    """A table that stands where the line is said to be."""

    @property
    def top(self) -> float:
        """Where letters of a common font reach."""
        return self.baseline - 0.8 * self.size if self.table is None else self.table.top

    @property
    def bottom(self) -> float:
        """Where descenders of a common font reach."""
        return self.baseline + 0.2 * self.size if self.table is None else self.table.bottom


@dataclass(slots=True)
class Group:
    """Lines that belong together: a paragraph, a heading, a running head."""

    lines: list[Line]
    kind: str = "paragraph"
    level: int | None = None

    @property
    def text(self) -> str:
        """The lines joined: divided words made whole, full lines run on, short ones kept apart."""
        if self.kind == "code":
            return self._code()
        right = max(line.right for line in self.lines)
        width = max(right - min(line.left for line in self.lines), 1.0)
        parts: list[str] = []
        for line in self.lines:
            parts.append(line.text.rstrip())
            if parts[-1].endswith(tuple(HYPHENS)):
                parts[-1] = parts[-1][:-1]
            else:
                parts.append(" " if right - line.right < 0.15 * width else "\n")
        return _plain("".join(parts).strip())

    def _code(self) -> str:
        """The lines as they are, indented by where they begin."""
        left = min(line.left for line in self.lines)
        widths = sorted((line.right - line.left) / max(len(line.text), 1) for line in self.lines)
        width = max(widths[len(widths) // 2], 1.0)
        indented = (
            " " * round((line.left - left) / width) + line.text.rstrip() for line in self.lines
        )
        return _plain("\n".join(indented))

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, in points from the top left corner, to a tenth."""
        return (
            round(min(line.left for line in self.lines), 1),
            round(min(line.top for line in self.lines), 1),
            round(max(line.right for line in self.lines), 1),
            round(max(line.bottom for line in self.lines), 1),
        )


@dataclass(slots=True)
class Page:
    """One page's lines in reading order, and its height in points."""

    number: int
    height: float
    lines: list[Line] = field(default_factory=list)


def lay_out(
    pages: Sequence[Page], outline: Mapping[int, Mapping[str, int]]
) -> list[tuple[Page, list[Group]]]:
    """Group the lines of all pages and say what each group is.

    Args:
        pages: pages in order.
        outline: for each page number, the bookmarks' titles (as `fold` makes them) and levels.
    """
    sizes: Counter[float] = Counter()
    fixed = 0
    for page in pages:
        for line in page.lines:
            sizes[round(line.size * 2) / 2] += len(line.text)
            fixed += len(line.text) if line.fixed else 0
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    if fixed * 2 > sizes.total():
        # Where all is typewritten, that says nothing about code.
        for line in (line for page in pages for line in page.lines):
            line.fixed = False
    grouped = [(page, _group(page.lines)) for page in pages]
    _mark_margins(grouped)
    _mark_headings(grouped, body, outline)
    for _, groups in grouped:
        for group in groups:
            if group.kind == "paragraph" and _is_item(group):
                group.kind = "list_item"
        # Many programs draw them first, or last, both of them.
        groups.sort(key=lambda group: {"header": 0, "footer": 2}.get(group.kind, 1))
    return grouped


def fold(text: str) -> str:
    """A title made comparable: letters and digits only, lower case."""
    return "".join(c for c in text.lower() if c.isalnum())


def _plain(text: str) -> str:
    for hyphen in HYPHENS:
        text = text.replace(hyphen, "-" if hyphen != "\u00ad" else "")
    return text


def join_pieces(pieces: Sequence[Line]) -> list[Line]:
    """Put together what stands on one line, such as superscripts and runs of other fonts."""
    lines: list[Line] = []
    for piece in pieces:
        last = lines[-1] if lines else None
        if last is not None and not last.sideways and not piece.sideways:
            size = max(last.size, piece.size, 1.0)
            gap = piece.left - last.right
            label = gap > 0 and LABEL.fullmatch(last.text) is not None
            near = label or -0.5 * size < gap < WIDE_GAP * size
            if abs(piece.baseline - last.baseline) < 0.6 * size and near:
                glue = "" if gap < 0.15 * size or last.text.endswith(tuple(HYPHENS)) else " "
                main = last if len(last.text) >= len(piece.text) else piece
                lines[-1] = Line(
                    last.text + glue + piece.text, last.left, max(last.right, piece.right),
                    main.baseline, main.size, main.bold, main.fixed, hidden=main.hidden,
                    parts=last.parts + piece.parts,
                )  # fmt: skip
                continue
        lines.append(piece)
    return lines


def _group(lines: Sequence[Line]) -> list[Group]:
    ratios = sorted(
        (below.baseline - above.baseline) / max(below.size, 1.0)
        for above, below in pairwise(lines)
        if 0.6 < (below.baseline - above.baseline) / max(below.size, 1.0) < 3
    )
    # Paragraphs of one line each must not pass for the usual pitch.
    usual = ratios[len(ratios) // 3] if ratios else 1.2
    edge = sorted(line.right for line in lines)[int(len(lines) * 0.9)] if lines else 0.0
    groups: list[Group] = []
    for line in lines:
        if line.table is not None:
            groups.append(Group([line], "table"))
        elif (
            groups
            and groups[-1].kind != "table"
            and not _starts_anew(groups[-1].lines, line, usual, edge)
        ):
            groups[-1].lines.append(line)
        else:
            groups.append(Group([line]))
    for group in groups:
        if len(group.lines) > 2 and all(line.fixed for line in group.lines):
            group.kind = "code"
    return groups


def _starts_anew(above: Sequence[Line], line: Line, usual: float, edge: float) -> bool:
    """Whether `line` begins a paragraph after `above`.

    `usual` is the page's line pitch as a multiple of the font size, `edge` where its long lines
    end, in points.
    """
    last = above[-1]
    size = max(last.size, line.size, 1.0)
    if line.sideways or last.sideways:
        return not (line.sideways and last.sideways and abs(line.left - last.left) < 2 * size)
    step = (line.baseline - last.baseline) / size
    if last.text.endswith(tuple(HYPHENS)) and step > 0:
        return False
    if step < 0.6 or step > max(1.3 * usual, 1.35):
        return True
    if line.fixed or last.fixed:
        return line.fixed != last.fixed or abs(line.size - last.size) > 0.1 * size
    if abs(line.size - last.size) > 0.1 * size or _BULLET.match(line.text):
        return True
    left = min(other.left for other in above)
    right = max(other.right for other in above)
    short = max(right, edge if len(above) == 1 else right) - last.right > 2 * size
    if line.bold != last.bold and short:
        return True
    # The second line of a hanging indent is not a new paragraph, nor are those below it.
    indented = line.left - left > size and line.left - last.left > size and len(above) > 1
    ended = short and last.text.rstrip().endswith((".", "!", "?", ":", "。"))
    return indented or (ended and len(above) > 1)


def _is_item(group: Group) -> bool:
    text = group.lines[0].text
    if _BULLET.match(text) is None or LABEL.fullmatch(text):
        return False
    # Paragraphs of contracts and laws are numbered too.
    return not text.lstrip("(")[:1].isalnum() or len(group.text) <= _LONGEST_ITEM


def _mark_margins(grouped: Sequence[tuple[Page, list[Group]]]) -> None:
    """Find running heads and feet: text near a page's edge that many pages repeat."""
    if len(grouped) < 2:
        return
    for kind in ("header", "footer"):
        near = [
            (group, _DIGITS.sub("#", squeeze(group.text)))
            for page, groups in grouped
            for group in groups
            if group.kind == "paragraph"
            and len(group.lines) <= _MAX_HEADING_LINES
            and (group.bbox[3] < _MARGIN * page.height if kind == "header"
                 else group.bbox[1] > (1 - _MARGIN) * page.height)
        ]  # fmt: skip
        counts = Counter(text for _, text in near)
        for group, text in near:
            repeated = counts[text] >= max(2, len(grouped) / 3)
            if repeated or _PAGE_NUMBER.match(squeeze(group.text)):
                group.kind = kind


def _mark_headings(
    grouped: Sequence[tuple[Page, list[Group]]],
    body: float,
    outline: Mapping[int, Mapping[str, int]],
) -> None:
    large: list[tuple[Group, float]] = []
    bold: list[Group] = []
    for page, groups in grouped:
        titles = outline.get(page.number, {})
        for group in groups:
            if group.kind != "paragraph" or len(group.lines) > _MAX_HEADING_LINES:
                continue
            text = squeeze(group.text)
            if len(text) > _MAX_HEADING or sum(c.isalpha() for c in text) < 2:
                continue
            if titles and (level := titles.get(fold(text))) is not None:
                group.kind, group.level = "heading", level
                continue
            if group.lines[0].sideways:
                continue
            size = sum(line.size for line in group.lines) / len(group.lines)
            if body and size >= _HEADING_RATIO * body:
                large.append((group, round(size * 2) / 2))
            elif (
                all(line.bold for line in group.lines)
                and len(group.lines) <= 2
                and len(text) < 100
                and size > 0.9 * body
                and not text.endswith((".", ",", ";"))
            ):
                bold.append(group)
    ranks = {size: rank for rank, size in enumerate(sorted({s for _, s in large}, reverse=True), 1)}
    for group, size in large:
        group.kind, group.level = "heading", min(ranks[size], 6)
    deepest = min(len(ranks) + 1, 6)
    # Where most short lines are bold, bold says nothing.
    candidates = sum(len(groups) for _, groups in grouped)
    if len(bold) * 2 < candidates or candidates < 4:
        for group in bold:
            group.kind, group.level = "heading", deepest
