"""What all sections of a report share: the order of the strategies, and what is read of them."""

from __future__ import annotations

from pipelines.evaluate.compare import Comparison
from pipelines.evaluate.report.words import h


class Order:
    """The strategies in the order of a report, each with its number (colour) and rank."""

    def __init__(self, made: Comparison) -> None:
        ranked = [r.name for r in made.ranking]
        rest = [s.name for s in made.strategies if s.name in made.results and s.name not in ranked]
        self.names = [*ranked, *rest]
        self.results = [made.results[name] for name in self.names]
        given = [s.name for s in made.strategies]
        self._numbers = {name: given.index(name) for name in self.names}
        self._ranks = {name: place for place, name in enumerate(ranked, 1)}

    def number(self, name: str) -> int:
        """Decides about its colour; the same in every comparison of the same configuration."""
        return self._numbers[name]

    def rank(self, name: str) -> int:
        """Its place, from 1.

        Raises:
            KeyError: it has none, as the questions say nothing about it.
        """
        return self._ranks[name]

    def badge(self, name: str) -> str:
        """Its rank in its colour, and its name; the colour alone where it has no rank."""
        number = self.number(name) % 10
        if name not in self._ranks:
            return f'<span class="chip s{number}"></span>{h(name)}'
        return f'<span class="rank s{number}">{self.rank(name)}</span>{h(name)}'


def read_metric(made: Comparison) -> str | None:
    """The tokens read for a question, at the k that reports speak of; null without any k."""
    ks = made.settings.k
    return f"tokens_read_at_{5 if 5 in ks else ks[len(ks) // 2]}" if ks else None
