"""Packing: atoms in, cuts out. The machinery that every chunker shares.

An atom is a piece that stays whole; atoms lie end to end, so whatever is cut covers everything.
Packing decides at which atoms a chunk begins; `chunkers.base` turns the parts into exact spans.
"""

from __future__ import annotations

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

from chunkers import boundaries
from chunkers.tokens import TokenMap

Lines = tuple[str, ...]


@dataclass(slots=True)
class Atoms:
    """Pieces of a text, in order and end to end, as parallel lists."""

    starts: list[int] = field(default_factory=list)
    strengths: list[int] = field(default_factory=list)
    """How good a place for a cut each start is: smaller is better (`chunkers.boundaries`)."""
    extras: list[Lines] = field(default_factory=list)
    """What a chunk that begins here needs as context besides its headings."""
    paths: list[Lines] = field(default_factory=list)
    """Names of the definitions around, for code; else empty."""

    def add(self, start: int, strength: int, extras: Lines = (), path: Lines = ()) -> None:
        """Appends an atom that begins at `start`; the one before it ends there."""
        self.starts.append(start)
        self.strengths.append(strength)
        self.extras.append(extras)
        self.paths.append(path)

    def extend(
        self, starts: list[int], strength: int, extras: Lines = (), path: Lines = ()
    ) -> None:
        """Appends atoms that are alike."""
        count = len(starts)
        self.starts += starts
        self.strengths += [strength] * count
        self.extras += [extras] * count
        self.paths += [path] * count

    def __len__(self) -> int:
        return len(self.starts)


def pack(
    sizes: Sequence[int], strengths: Sequence[int], rooms: Sequence[int], target: int
) -> list[int]:
    """Greedy packing: the index of the first atom of each chunk.

    Fills a chunk up to `target` tokens, and then, looking back over its second half, cuts at the
    best boundary there, the latest of equals. What is left at the end is taken in when it fits, or
    cut in two halves rather than in a full chunk and a crumb.

    Args:
        sizes: tokens before each atom, counted from anywhere, and one more for the end.
        strengths: of each atom's start.
        rooms: tokens that a chunk beginning at this atom may have at most.
        target: tokens that it should have.
    """
    count = len(strengths)
    firsts: list[int] = []
    i = 0
    while i < count:
        firsts.append(i)
        base = sizes[i]
        room = rooms[i]
        rest = sizes[count] - base
        goal = min(target, room)
        if i + 1 == count or rest <= goal or (rest <= room and rest <= goal + goal // 4):
            break
        if rest < 2 * goal:
            goal = min(goal, max(rest * 5 // 9, goal // 2))
        high = max(bisect_right(sizes, base + goal, i + 1, count) - 1, i + 1)
        low = min(bisect_left(sizes, base + goal // 2, i + 1, high), high)
        window = strengths[low : high + 1]
        best = min(window)
        if best >= boundaries.GLUE and high + 1 < count:
            further = bisect_right(sizes, base + room, i + 1, count) - 1
            if further > high and min(strengths[high + 1 : further + 1]) < boundaries.GLUE:
                high = further
                window = strengths[low : high + 1]
                best = min(window)
        i = high
        while strengths[i] != best:
            i -= 1
    return firsts


PARAGRAPH_STEP, LINE_STEP, SENTENCE_STEP = range(3)
TEXT_STEPS = (PARAGRAPH_STEP, LINE_STEP, SENTENCE_STEP)
"""For text of unknown make."""
PROSE_STEPS = (PARAGRAPH_STEP, SENTENCE_STEP, LINE_STEP)
"""For running text, whose lines end anywhere."""
LINE_STEPS = (LINE_STEP, SENTENCE_STEP)
"""For rows and records."""
NO_STEPS = ()
_STRENGTHS = (boundaries.BLOCK, boundaries.LINE, boundaries.SENTENCE)


def text_atoms(
    tokens: TokenMap,
    start: int,
    end: int,
    room: int,
    atoms: Atoms,
    *,
    strength: int,
    steps: tuple[int, ...] = TEXT_STEPS,
    language: str | None = None,
    extras: Lines = (),
    path: Lines = (),
    first_extras: Lines | None = None,
) -> None:
    """Appends the atoms of `text[start:end]`: what fits into `room` whole, the rest divided.

    Args:
        tokens: the map of the text.
        start: first code point.
        end: code point after the last one.
        room: tokens that an atom may have.
        atoms: what they are appended to.
        strength: of the boundary at `start` itself.
        steps: at what to divide, one after the other while something does not fit; and then
            wherever it is best (`boundaries.fill`).
        language: for the sentences.
        extras: context for chunks that begin inside the range.
        path: names of the definitions around.
        first_extras: context for a chunk that begins at `start`, when it is different.
    """
    opening = extras if first_extras is None else first_extras
    if tokens.estimate(start, end) <= room:
        atoms.add(start, strength, opening, path)
        return
    cuts: list[int] = []
    own = boundaries.WORD
    while steps and not cuts:
        cuts = _cuts(tokens.text, start, end, steps[0], language)
        own = _STRENGTHS[steps[0]]
        steps = steps[1:]
    if not cuts:
        atoms.add(start, strength, opening, path)
        atoms.extend(list(boundaries.fill(tokens, start, end, room)), boundaries.WORD, extras, path)
        return
    places = [start, *cuts, end]
    sizes = tokens.indices(places)
    if len(cuts) > 1:
        # Pieces of less than a token go with the one before, so atoms are never more than tokens.
        kept = [True, *map(operator.gt, sizes[1:-1], sizes), True]
        if not all(kept):
            places = list(compress(places, kept))
            sizes = list(compress(sizes, kept))
    done = 0
    for i, size in enumerate(map(operator.sub, sizes[1:], sizes)):
        if i and size <= room:
            continue
        if i > done:
            atoms.extend(places[done:i], own, extras, path)
        here = own if i else strength
        lines = extras if i else opening
        if size <= room:
            atoms.add(start, here, lines, path)
        else:
            text_atoms(
                tokens, places[i], places[i + 1], room, atoms,
                strength=here, steps=steps, language=language, extras=extras, path=path,
                first_extras=lines,
            )  # fmt: skip
        done = i + 1
    atoms.extend(places[done:-1], own, extras, path)


def _cuts(text: str, start: int, end: int, step: int, language: str | None) -> list[int]:
    """Positions inside `(start, end)` at which one step divides."""
    if step == SENTENCE_STEP:
        return boundaries.sentence_starts(text, start, end, language)
    find = boundaries.paragraph_ends if step == PARAGRAPH_STEP else boundaries.line_ends
    cuts = find(text, start, end)
    if cuts and cuts[-1] == end:
        cuts.pop()
    return cuts
