"""Chunks of least total cost, by dynamic programming over all places where a cut makes sense."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from chunkers import boundaries
from chunkers.context import ContextFitter
from chunkers.layout import Layout
from chunkers.outline import BlockIndex
from chunkers.packing import Atoms
from chunkers.parameters import check_number
from chunkers.structure import StructureChunker
from chunkers.tokens import TokenMap
from lineage.records import Document

_IMPOSSIBLE = 1e9


@dataclass(frozen=True, kw_only=True)
class OptimalChunker(StructureChunker):
    """Weighs all segmentations of a section against each other, and takes the cheapest.

    The cost of a segmentation is the sum over its chunks of the size's deviation from the target
    and of the structure that the cut at its start breaks: nothing before a heading, little between
    blocks, more between sentences, much inside one, and most between a heading and what it heads.
    Tables, code fences and lists stay whole while they fit under the cap. Sections are divided one
    by one, so an edit stays local.

    Good for: prose, Markdown, HTML, PDF; the default.
    Costs: one pass of the encoding, a sentence segmenter for the longer paragraphs, and time linear
    in the number of candidates times those that fit into one chunk.
    Comes from: text segmentation by dynamic programming (Utiyama and Isahara, 2001), with Knuth and
    Plass's line breaking (1981) as the model for costs.
    """

    name: ClassVar[str] = "optimal"
    version: ClassVar[str] = "1"

    size_weight: float = 1.0
    """Cost of a chunk of no size at all; it falls with the square to none at the target."""
    overfull_weight: float = 2.0
    """Cost of a chunk of twice the target, rising with the square from none at the target."""
    structure_weight: float = 1.0
    """Factor on the costs of what a cut breaks."""
    sentence_share: float = 0.25
    """Paragraphs over this share of the target may be cut between sentences even if they fit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = f"chunker {self.name!r}"
        check_number(owner, "size_weight", self.size_weight, 0.0, 100.0)
        check_number(owner, "overfull_weight", self.overfull_weight, 0.0, 100.0)
        check_number(owner, "structure_weight", self.structure_weight, 0.0, 100.0)
        check_number(owner, "sentence_share", self.sentence_share, 0.0, 100.0)

    def layout(
        self,
        document: Document,
        index: BlockIndex,
        tokens: TokenMap,
        contexts: ContextFitter,
        headings: tuple[str, ...],
    ) -> Layout:
        """As in `structure`, with candidates between the sentences of longer paragraphs."""
        layout = super().layout(document, index, tokens, contexts, headings)
        return replace(layout, fine=int(self.target * self.sentence_share))

    def choose(self, sizes: list[int], atoms: Atoms, rooms: list[int]) -> list[int]:
        """The cheapest segmentation."""
        costs = _size_costs(self.room, self.target, self.size_weight, self.overfull_weight)
        penalties = [self.structure_weight * _broken(strength) for strength in atoms.strengths]
        return cheapest(sizes, rooms, penalties, costs)


@functools.lru_cache(maxsize=64)
def _size_costs(most: int, target: int, under: float, over: float) -> list[float]:
    """The cost of a chunk's size, for each number of tokens up to `most`."""
    return [
        (under if size < target else over) * ((size - target) / target) ** 2
        for size in range(most + 1)
    ]


def _broken(strength: int) -> float:
    """What a cut at a boundary of this strength breaks, on the scale of the size's cost."""
    if strength < boundaries.BLOCK:
        return 0.0
    if strength < boundaries.LINE:
        return 0.05 + 0.02 * (strength - boundaries.BLOCK)
    if strength < boundaries.SENTENCE:
        return 0.3
    if strength < boundaries.WORD:
        return 0.35
    return 1.0 if strength < boundaries.GLUE else 3.0


def cheapest(
    sizes: Sequence[int],
    rooms: Sequence[int],
    penalties: Sequence[float],
    size_costs: Sequence[float],
) -> list[int]:
    """The index of the first atom of each chunk in the segmentation of least cost.

    Args:
        sizes: tokens before each atom, and one more for the end.
        rooms: tokens that a chunk beginning at this atom may have; an atom over it stands alone.
        penalties: cost of a cut before each atom.
        size_costs: cost of a chunk of so many tokens, up to the largest room.
    """
    count = len(rooms)
    most = len(size_costs) - 1
    best = [0.0] * (count + 1)
    back = [0] * (count + 1)
    for j in range(1, count + 1):
        end = sizes[j]
        i = j - 1
        size = end - sizes[i]
        # An atom that alone is over its room is divided later on; here it only stands alone.
        least = best[i] + penalties[i] + (size_costs[size] if size <= rooms[i] else _IMPOSSIBLE)
        chosen = i
        i -= 1
        while i >= 0:
            size = end - sizes[i]
            if size > most:
                break
            if size <= rooms[i]:
                cost = best[i] + penalties[i] + size_costs[size]
                if cost < least:
                    least, chosen = cost, i
            i -= 1
        best[j], back[j] = least, chosen
    firsts: list[int] = []
    j = count
    while j > 0:
        j = back[j]
        firsts.append(j)
    firsts.reverse()
    return firsts
