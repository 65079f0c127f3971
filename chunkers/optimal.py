"""Chunks of least total cost, by dynamic programming over all places where a cut makes sense."""

from __future__ import annotations

import functools
import operator
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, ClassVar

from chunkers import boundaries
from chunkers.packing import Atoms
from chunkers.parameters import check_number
from chunkers.structure import StructureChunker
from chunkers.tokens import TokenMap

_IMPOSSIBLE = 1e9


@dataclass(frozen=True, kw_only=True)
class OptimalChunker(StructureChunker):
    """Weighs all segmentations of a section against each other, and takes the cheapest.

    The cost of a segmentation is a sum over its chunks, of three terms each:

    - size: the square of its deviation from the target, as a share of the target;
    - structure: what the cut at its start breaks. A cut at the end of a section, a block or a line
      is rewarded, one between sentences costs as much, one inside a sentence several times that,
      and one between a heading and what it heads most. A chunk that joins a part of a paragraph to
      another paragraph costs more;
    - cohesion: the repeated words that the cut separates (`chunkers.cohesion`).

    So a chunk is shorter than the target where natural ends abound, and longer inside a long
    paragraph: with the weights as they are, from about 0.6 to 1.3 times the target. Tables, code
    fences and lists stay whole while they fit under the cap; lines count where they were broken on
    purpose (`chunkers.running`). A region of a document is divided by itself, and what lies far
    from an edit does not move.

    Good for: prose, Markdown, HTML, PDF; the default. Chunks are best with a cap of twice the
    target.
    Costs: one pass of the encoding, a sentence segmenter for the longer paragraphs, a sort of the
    tokens, and time linear in the number of candidates times those that fit into one chunk.
    Comes from: text segmentation by dynamic programming (Utiyama and Isahara, ACL 2001), with Knuth
    and Plass's line breaking (1981) as the model for costs.
    """

    name: ClassVar[str] = "optimal"
    version: ClassVar[str] = "3"

    size_weight: float = 0.5
    """Cost of a chunk of no size at all, falling with the square to none at the target."""
    overfull_weight: float = 0.5
    """Cost of a chunk of twice the target, rising with the square from none at the target."""
    structure_weight: float = 1.0
    """Factor on the costs of what a cut breaks."""
    end_bonus: float = 0.3
    """What a cut at the end of a section, a block or a line takes off the cost."""
    cohesion_weight: float = 0.4
    """Cost of a cut that separates as many repeated words as there can be."""
    straddle_weight: float = 0.2
    """Cost of a chunk that joins a part of a paragraph to another paragraph."""
    sentence_share: float = 0.25
    """Paragraphs over this share of the target may be cut inside even if they fit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = f"chunker {self.name!r}"
        for weight in ("size_weight", "overfull_weight", "structure_weight", "end_bonus",
                       "cohesion_weight", "straddle_weight", "sentence_share"):  # fmt: skip
            check_number(owner, weight, getattr(self, weight), 0.0, 100.0)

    def layout_options(self) -> dict[str, Any]:
        """Candidates inside longer paragraphs, too."""
        return {"fine": int(self.target * self.sentence_share)}

    def choose(
        self, sizes: list[int], atoms: Atoms, rooms: list[int], tokens: TokenMap
    ) -> list[int]:
        """The cheapest segmentation."""
        target = self.target
        size_costs = _size_costs(self.room, target, self.size_weight, self.overfull_weight)
        breaks = _breaks(self.structure_weight, self.end_bonus)
        penalties = [breaks[strength] for strength in atoms.strengths]
        if self.cohesion_weight:
            torn = self.torn(sizes, atoms, tokens)
            weight = self.cohesion_weight
            penalties = [
                broken + weight * tear for broken, tear in zip(penalties, torn, strict=True)
            ]
        units = _units(atoms.strengths)
        largest = max(map(operator.sub, sizes[1:], sizes), default=0)
        reach = target + max(target, largest)
        return cheapest(sizes, rooms, penalties, size_costs, reach, units, self.straddle_weight)

    def torn(self, sizes: list[int], atoms: Atoms, tokens: TokenMap) -> list[float]:
        """What a cut before each atom separates, from 0 to 1."""
        found: list[float] = tokens.torn[sizes[:-1]].tolist()
        return found


@functools.lru_cache(maxsize=64)
def _size_costs(most: int, target: int, under: float, over: float) -> list[float]:
    """The cost of a chunk's size, for each number of tokens up to `most`."""
    return [
        (under if size < target else over) * ((size - target) / target) ** 2
        for size in range(most + 1)
    ]


@functools.lru_cache(maxsize=64)
def _breaks(weight: float, bonus: float) -> list[float]:
    """For each strength of a boundary, what a cut there costs."""
    return [
        weight * _broken(strength) - bonus * (strength <= boundaries.LINE)
        for strength in range(2 * boundaries.GLUE)
    ]


def _units(strengths: Sequence[int]) -> list[int]:
    """For each atom, the first one of the paragraph or line that it is in."""
    units: list[int] = []
    unit = 0
    for i, strength in enumerate(strengths):
        if strength <= boundaries.LINE:
            unit = i
        units.append(unit)
    return units


def _broken(strength: int) -> float:
    """What a cut at a boundary of this strength breaks, on the scale of the size's cost."""
    if strength < boundaries.BLOCK:
        return 0.0
    if strength < boundaries.LINE:
        return 0.02 * (strength - boundaries.BLOCK)
    if strength <= boundaries.LINE:
        return 0.0
    if strength <= boundaries.SENTENCE:
        return 0.3
    if strength < boundaries.WORD:
        return 0.8
    return 1.5 if strength < boundaries.GLUE else 3.0


def cheapest(
    sizes: Sequence[int],
    rooms: Sequence[int],
    penalties: Sequence[float],
    size_costs: Sequence[float],
    reach: int | None = None,
    units: Sequence[int] = (),
    straddle: float = 0.0,
) -> list[int]:
    """The index of the first atom of each chunk in the segmentation of least cost.

    Args:
        sizes: tokens before each atom, and one more for the end.
        rooms: tokens that a chunk beginning at this atom may have; an atom over it stands alone.
        penalties: cost of a cut before each atom.
        size_costs: cost of a chunk of so many tokens, up to the largest room.
        reach: tokens up to which a chunk of several atoms is considered at all; the room when not
            given.
        units: for each atom the first one of its unit; every atom is a unit when not given.
        straddle: cost of a chunk of several units that begins or ends inside one.
    """
    count = len(rooms)
    if not count:
        return []
    most = len(size_costs) - 1 if reach is None else min(len(size_costs) - 1, reach)
    least_room = min(rooms)
    # An atom that alone is over its room is divided later on; here it only stands alone.
    cost_of = [
        *size_costs,
        *repeat(_IMPOSSIBLE, max(map(operator.sub, sizes[1:], sizes))),
    ].__getitem__
    units = units or range(count)
    joined: list[float] = []
    """As `begun`, for chunks that go on beyond the unit that the atom is in."""
    begun: list[float] = []
    """For each atom, the least cost of what comes before it and of the cut there."""
    back = [0] * (count + 1)
    least = 0.0
    low = 0
    for j in range(1, count + 1):
        unit = units[j - 1]
        begun.append(least + penalties[j - 1])
        joined.append(begun[-1] + (straddle if unit < j - 1 else 0.0))
        end = sizes[j]
        low = bisect_left(sizes, end - most, low, j)
        first = min(low, j - 1)
        spans = list(map(end.__sub__, sizes[first:j]))
        if unit <= first or not straddle:
            before = begun[first:]
        elif j < count and units[j] < j:  # ends inside a unit, whatever it begins with
            before = [*map(float(straddle).__add__, begun[first:unit]), *begun[unit:]]
        else:
            before = [*joined[first:unit], *begun[unit:]]
        costs = list(map(operator.add, before, map(cost_of, spans)))
        if spans[0] > least_room:
            for i, (span, room) in enumerate(zip(spans, rooms[first:j], strict=True)):
                if span > room:
                    costs[i] = begun[first + i] + _IMPOSSIBLE
        least = min(costs)
        back[j] = first + costs.index(least)
    firsts: list[int] = []
    j = count
    while j > 0:
        j = back[j]
        firsts.append(j)
    firsts.reverse()
    return firsts
