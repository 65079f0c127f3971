"""Where running text may be cut: all its places at once, each with its strength.

Paragraphs, lines that were broken on purpose, sentences. A line break is on purpose when the next
word would have fitted into the line, when the lines are shorter or longer than anybody wraps, or
when they are rows of cells; else it says nothing, and the text goes on. So lines of verse, of a
speech, of a plain-text table are kept apart, and the lines of wrapped paragraphs are not.
"""

from __future__ import annotations

import re
from itertools import compress

from chunkers import boundaries
from chunkers.packing import NO_STEPS, Atoms, Lines, text_atoms
from chunkers.tokens import TokenMap

NARROW, WIDE = 50, 160
"""Nobody wraps to fewer characters, or to more: such lines are as somebody wanted them."""
_SLACK = 0.8
"""A line shorter than this share of the longest one was not wrapped to its width."""
_WORD = re.compile(r"\S{1,24}")
_CELLS = re.compile(r"\S[ \t]+\|[ \t]+\S|\S\t+\S|\S {3,}\S")
_MARKED = re.compile(r"\s*(=+) .* \1\s*$|\s*#{1,6} ")
_TITLE = 80
"""Characters that a title has at most."""
_CONTINUES = ".!?\u2026,;\u3002\uff01\uff1f\uff0c\u3001\uff1b\u0964\u061f\u06d4"


def running_atoms(
    tokens: TokenMap,
    start: int,
    end: int,
    room: int,
    atoms: Atoms,
    *,
    strength: int,
    language: str | None = None,
    extras: Lines = (),
    path: Lines = (),
    first_extras: Lines | None = None,
) -> None:
    """Appends the atoms of `text[start:end]`: its sentences, each with the strength of its start.

    Args:
        tokens: the map of the text.
        start: first code point.
        end: code point after the last one.
        room: tokens that an atom may have; a longer sentence is divided wherever it is best.
        atoms: what they are appended to.
        strength: of the boundary at `start` itself.
        language: for the sentences.
        extras: context for chunks that begin inside the range.
        path: names of the definitions around.
        first_extras: context for a chunk that begins at `start`, when it is different.
    """
    cuts, strengths = candidates(tokens.text, start, end, language)
    places = [start, *cuts, end]
    strengths = [strength, *strengths]
    sizes = tokens.indices(places)
    if cuts:
        # Pieces of less than a token go with the one before, so atoms are never more than tokens.
        kept = [True, *(sizes[i] > sizes[i - 1] for i in range(1, len(cuts) + 1))]
        if not all(kept):
            places = [*compress(places, kept), end]
            strengths = list(compress(strengths, kept))
            sizes = [*compress(sizes, kept), sizes[-1]]
    opening = extras if first_extras is None else first_extras
    for i, here in enumerate(strengths):
        lines = extras if i else opening
        if sizes[i + 1] - sizes[i] <= room:
            atoms.add(places[i], here, lines, path)
        else:
            text_atoms(
                tokens, places[i], places[i + 1], room, atoms,
                strength=here, steps=NO_STEPS, extras=extras, path=path, first_extras=lines,
            )  # fmt: skip


def candidates(
    text: str, start: int, end: int, language: str | None
) -> tuple[list[int], list[int]]:
    """Positions inside `(start, end)` where `text` may be cut, in order, and their strengths."""
    sentences = boundaries.sentence_starts(text, start, end, language)
    if text.find("\n", start, end) < 0 and text.find("\r", start, end) < 0:
        return sentences, [boundaries.SENTENCE] * len(sentences)
    strengths = dict.fromkeys(sentences, boundaries.SENTENCE)
    strengths.update(_lines(text, start, end))
    places = sorted(strengths)
    return places, [strengths[place] for place in places]


def _lines(text: str, start: int, end: int) -> dict[int, int]:
    """The starts of lines that were broken on purpose, and their strengths."""
    begins = [start, *(cut for cut in boundaries.line_ends(text, start, end) if cut < end)]
    lines = [text[a:b].strip() for a, b in zip(begins, [*begins[1:], end], strict=True)]
    width = max((len(line) for line in lines if len(line) <= WIDE), default=0)
    paragraphs = set(boundaries.paragraph_ends(text, start, end))
    found: dict[int, int] = {}
    for i in range(1, len(lines)):
        line, following = lines[i - 1], lines[i]
        if begins[i] in paragraphs:
            strength = boundaries.BLOCK
        elif (
            width < NARROW
            or max(len(line), len(following)) > WIDE
            or _CELLS.search(line)
            or _roomy(line, following, width)
        ):
            strength = boundaries.LINE
        else:
            continue
        found[begins[i]] = boundaries.GLUE if _heads(line, following) else strength
    return found


def _roomy(line: str, following: str, width: int) -> bool:
    """Whether the next line's first word would have fitted into this one."""
    word = _WORD.match(following)
    return len(line) + 1 + (word.end() if word else 0) <= width * _SLACK


def _heads(line: str, following: str) -> bool:
    """Whether a line is a title, or an announcement, of the much longer one after it."""
    if not line or len(line) > _TITLE:
        return False
    if _MARKED.match(line):
        return True
    if len(following) < 2 * len(line) or line[-1] in _CONTINUES:
        return False
    return not _CELLS.search(line) and not _CELLS.search(following)
