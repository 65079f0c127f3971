"""Chunk-quality figures, summed so that they can be merged in any order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from lineage import Quality

METRICS = tuple(f.name for f in fields(Quality))


@dataclass(slots=True)
class Figures:
    """Sums over documents of one data type; a metric's mean is over the documents that have it."""

    documents: int = 0
    chunks: int = 0
    tokens: int = 0
    largest: int = 0
    """Tokens of the largest chunk."""
    sums: dict[str, float] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)

    def add(self, quality: Quality, counts: Iterable[int]) -> None:
        """Add one document: its figures, and the tokens of each of its chunks."""
        sizes = list(counts)
        self.documents += 1
        self.chunks += len(sizes)
        self.tokens += sum(sizes)
        self.largest = max([self.largest, *sizes])
        for name in METRICS:
            value = getattr(quality, name)
            if value is not None:
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.weights[name] = self.weights.get(name, 0) + 1

    def merge(self, other: Figures) -> Figures:
        """Both together."""
        merged = Figures(
            self.documents + other.documents,
            self.chunks + other.chunks,
            self.tokens + other.tokens,
            max(self.largest, other.largest),
            dict(self.sums),
            dict(self.weights),
        )
        for name, value in other.sums.items():
            merged.sums[name] = merged.sums.get(name, 0.0) + value
            merged.weights[name] = merged.weights.get(name, 0) + other.weights[name]
        return merged

    def means(self) -> dict[str, float]:
        """The mean of each metric, over the documents that have it; and two costs.

        `tokens_per_document` is what is stored and embedded of a document in the mean, all its
        sizes of chunks, context and overlap included: 0 or more, lower is cheaper.
        `tokens_per_chunk` is the mean size of a chunk.
        """
        values = {name: self.sums[name] / self.weights[name] for name in sorted(self.sums)}
        if self.documents:
            values["tokens_per_document"] = self.tokens / self.documents
        if self.chunks:
            values["tokens_per_chunk"] = self.tokens / self.chunks
        return values

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def merge_by_type(left: dict[str, Figures], right: dict[str, Figures]) -> dict[str, Figures]:
    """Two sets of figures by data type as one."""
    merged = dict(left)
    for name, figures in right.items():
        merged[name] = merged[name].merge(figures) if name in merged else figures
    return merged
