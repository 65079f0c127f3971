"""Reciprocal rank fusion: one ranking out of several that share no scale."""

from __future__ import annotations

from collections.abc import Sequence

K = 60
"""Damps the weight of the first ranks (Cormack, Clarke, Büttcher, 2009)."""


def fuse(rankings: Sequence[Sequence[str]], limit: int, k: int = K) -> dict[str, float]:
    """The best `limit` ids with the sum of 1 / (k + rank), ties in order of the id.

    Args:
        rankings: ids, best first; one that is missing from a ranking gets nothing from it.
        limit: how many to keep.
        k: see `K`.
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, identifier in enumerate(ranking, 1):
            scores[identifier] = scores.get(identifier, 0.0) + 1.0 / (k + rank)
    ranked = sorted(scores, key=lambda identifier: (-scores[identifier], identifier))
    return {identifier: scores[identifier] for identifier in ranked[:limit]}
