"""How sure a mean over questions is: bootstrap intervals and paired tests.

Questions are what is drawn anew, so the intervals say how the figure would move with other
questions of the same kind. All draws come from a fixed seed: the same input, the same interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.evaluate.spanmetrics import Floats

DRAWS = 2000
LEVEL = 0.95
_SEED = 20
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the bounds of its interval."""

    mean: float
    low: float
    high: float
    number: int
    """Questions that it is the mean of."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference of two figures on the same questions."""

    difference: Interval
    """Of the first less the second."""
    p_value: float
    """Two-sided, that signs of the differences are by chance."""


def bootstrap(values: Floats, *, draws: int = DRAWS, level: float = LEVEL) -> Interval:
    """The mean of `values`, NaN left out, with its percentile interval (Efron 1979).

    All NaN when there is no value; a single value has itself as both bounds.
    """
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        nan = float("nan")
        return Interval(nan, nan, nan, 0)
    means = _means(known, draws)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(known.mean()), float(low), float(high), len(known))


def paired(first: Floats, second: Floats, *, draws: int = DRAWS, level: float = LEVEL) -> Paired:
    """Whether `first` is more than `second`, question by question.

    The interval is the bootstrap's of the differences; the p-value that of the permutation test
    which flips their signs at random (Fisher 1935), with (hits + 1) / (draws + 1).

    Raises:
        ValueError: they are not of the same questions.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} figures cannot be paired with {len(second)}")
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    difference = difference[~np.isnan(difference)]
    interval = bootstrap(difference, draws=draws, level=level)
    if not len(difference) or not difference.any():
        return Paired(interval, 1.0)
    generator = np.random.default_rng(_SEED)
    observed, hits, done = abs(difference.sum()), 0, 0
    step = max(1, _BLOCK // len(difference))
    while done < draws:
        number = min(step, draws - done)
        signs = generator.integers(0, 2, (number, len(difference)), np.int8) * 2 - 1
        hits += int((np.abs(signs @ difference) >= observed * (1 - 1e-12)).sum())
        done += number
    return Paired(interval, (hits + 1) / (draws + 1))


def holm(p_values: list[float]) -> list[float]:
    """The p-values of several tests, adjusted for their number (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, i in enumerate(order):
        highest = max(highest, min((len(p_values) - place) * p_values[i], 1.0))
        adjusted[i] = highest
    return adjusted


def _means(values: Floats, draws: int) -> Floats:
    generator = np.random.default_rng(_SEED)
    means = np.empty(draws)
    step = max(1, _BLOCK // len(values))
    for start in range(0, draws, step):
        number = min(step, draws - start)
        picks = generator.integers(0, len(values), (number, len(values)))
        means[start : start + number] = values[picks].mean(axis=1)
    return means
