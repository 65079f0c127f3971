"""Which strategy is best, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.evaluate.intervals import Interval, Paired, bootstrap, holm, paired
from pipelines.evaluate.results import Result

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Ranked:
    """A strategy's place."""

    name: str
    interval: Interval
    """Of the objective, over the questions."""
    against_best: Paired | None = None
    """The best one's figure less this one's; null for the best."""
    p_value: float | None = None
    """That the difference to the best is by chance, adjusted for the number of strategies."""

    @property
    def level_with_best(self) -> bool:
        """Whether the difference to the best one may be nothing.

        It is something when its interval excludes zero and so, among so many strategies, does
        the adjusted test.
        """
        if self.against_best is None or self.p_value is None:
            return True
        return not self.against_best.difference.excludes_zero or self.p_value >= SIGNIFICANT


def rank_strategies(
    results: Sequence[Result], questions: Mapping[str, pa.Table], objective: str
) -> list[Ranked]:
    """The strategies, best first; those that have no such figure are left out.

    Args:
        results: the evaluations.
        questions: by strategy, the table of its questions.
        objective: the metric; more is better.
    """
    values = {
        result.name: figures_of(questions[result.name], result.main, objective)
        for result in results
        if result.main is not None
    }
    intervals = {name: bootstrap(each) for name, each in values.items()}
    order = sorted(
        (name for name, interval in intervals.items() if interval.number),
        key=lambda name: (-intervals[name].mean, name),
    )
    if not order:
        return []
    best = order[0]
    pairs = {name: paired(values[best], values[name]) for name in order[1:]}
    adjusted = dict(zip(pairs, holm([pair.p_value for pair in pairs.values()]), strict=True))
    return [Ranked(name, intervals[name], pairs.get(name), adjusted.get(name)) for name in order]


def figures_of(
    table: pa.Table, variant: str | None, metric: str
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A metric for each question, in their order; NaN where a question has none."""
    if variant is None or metric not in table.column_names:
        return np.zeros(0)
    rows = table.filter(pc.equal(table["variant"], variant))
    values = rows[metric].to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float64)
