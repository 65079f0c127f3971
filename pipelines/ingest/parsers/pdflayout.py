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
_DIGITS = re.compile(r"\d+")
_DASH = "[-\u2013\u2014]?"
_PAGE_NUMBER = re.compile(
    rf"(?:page|seite|página|p\.)?\s*{_DASH}\s*\d{{1,5}}\s*(?:(?:of|/|von)\s*\d+)?\s*{_DASH}$",
    re.IGNORECASE,
)
_BULLET = re.compile("(?:[•◦▪‣●○■□\u2013]|[-*]\\s|\\(?(?:\\d{1,3}|[a-z]|[ivx]{1,4})[.)]\\s)")
_HEADING_RATIO = 1.14
_MAX_HEADING = 200
_MAX_HEADING_LINES = 3


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

    @property
    def top(self) -> float:
        """Where letters of a common font reach."""
        return self.baseline - 0.8 * self.size

    @property
    def bottom(self) -> float:
        """Where descenders of a common font reach."""
        return self.baseline + 0.2 * self.size


@dataclass(slots=True)
class Group:
    """Lines that belong together: a paragraph, a heading, a running head."""

    lines: list[Line]
    kind: str = "paragraph"
    level: int | None = None

    @property
    def text(self) -> str:
        """The lines joined: divided words made whole, full lines run on, short ones kept apart."""
        right = max(line.right for line in self.lines)
        width = max(right - min(line.left for line in self.lines), 1.0)
        parts: list[str] = []
        for line in self.lines:
            parts.append(line.text.rstrip())
            if parts[-1].endswith(tuple(HYPHENS)):
                parts[-1] = parts[-1][:-1]
            else:
                parts.append(" " if right - line.right < 0.15 * width else "\n")
        text = "".join(parts).strip()
        for hyphen in HYPHENS:
            text = text.replace(hyphen, "-" if hyphen != "\u00ad" else "")
        return text

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
    for page in pages:
        for line in page.lines:
            sizes[round(line.size * 2) / 2] += len(line.text)
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    grouped = [(page, _group(page.lines)) for page in pages]
    _mark_margins(grouped)
    _mark_headings(grouped, body, outline)
    return grouped


def fold(text: str) -> str:
    """A title made comparable: letters and digits only, lower case."""
    return "".join(c for c in text.lower() if c.isalnum())


def join_pieces(pieces: Sequence[Line]) -> list[Line]:
    """Put together what stands on one line, such as superscripts and runs of other fonts."""
    lines: list[Line] = []
    for piece in pieces:
        last = lines[-1] if lines else None
        if last is not None:
            size = max(last.size, piece.size, 1.0)
            gap = piece.left - last.right
            if abs(piece.baseline - last.baseline) < 0.6 * size and -0.5 * size < gap < 3 * size:
                glue = "" if gap < 0.15 * size or last.text.endswith(tuple(HYPHENS)) else " "
                main = last if len(last.text) >= len(piece.text) else piece
                lines[-1] = Line(
                    last.text + glue + piece.text, last.left, max(last.right, piece.right),
                    main.baseline, main.size, main.bold,
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
    usual = ratios[len(ratios) // 2] if ratios else 1.2
    edge = sorted(line.right for line in lines)[int(len(lines) * 0.9)] if lines else 0.0
    groups: list[Group] = []
    for line in lines:
        if groups and not _starts_anew(groups[-1].lines, line, usual, edge):
            groups[-1].lines.append(line)
        else:
            groups.append(Group([line]))
    return groups


def _starts_anew(above: Sequence[Line], line: Line, usual: float, edge: float) -> bool:
    """Whether `line` begins a paragraph after `above`.

    `usual` is the page's line pitch as a multiple of the font size, `edge` where its long lines
    end, in points.
    """
    last = above[-1]
    size = max(last.size, line.size, 1.0)
    step = (line.baseline - last.baseline) / size
    if last.text.endswith(tuple(HYPHENS)) and step > 0:
        return False
    if step < 0.6 or step > max(1.3 * usual, 1.35):
        return True
    if abs(line.size - last.size) > 0.1 * size or _BULLET.match(line.text):
        return True
    left = min(other.left for other in above)
    right = max(other.right for other in above)
    short = max(right, edge if len(above) == 1 else right) - last.right > 2 * size
    if line.bold != last.bold and short:
        return True
    indented = line.left - left > size and len(above) > 1
    ended = short and last.text.rstrip().endswith((".", "!", "?", ":", "。"))
    return indented or (ended and len(above) > 1)


def _mark_margins(grouped: Sequence[tuple[Page, list[Group]]]) -> None:
    """Find running heads and feet: text near a page's edge that many pages repeat."""
    for kind, at in (("header", 0), ("footer", -1)):
        edges = [
            (page, groups[at])
            for page, groups in grouped
            if groups and len(groups[at].lines) <= _MAX_HEADING_LINES
        ]
        near = [
            (page, group, _DIGITS.sub("#", squeeze(group.text)))
            for page, group in edges
            if (group.bbox[1] < 0.12 * page.height if at == 0
                else group.bbox[3] > 0.88 * page.height)
        ]  # fmt: skip
        counts = Counter(text for _, _, text in near)
        for page, group, text in near:
            repeated = counts[text] >= 3 and counts[text] * 3 >= len(grouped)
            numbered = _PAGE_NUMBER.match(squeeze(group.text)) and page.number > 0
            if repeated or (numbered and len(grouped) > 1):
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
