"""Whether a tuned policy is better, from the figures of questions that it was not tuned on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from pipelines.evaluate.intervals import Interval, Paired, paired
from pipelines.evaluate.spanmetrics import Floats


def judge(before: Sequence[Floats], after: Sequence[Floats]) -> Paired:
    """The difference over the held-out questions of each fold, pooled.

    With one fold it is the paired bootstrap as it is. With several, each fold's policy is tuned on
    the questions by which the others are judged, so the folds' means are not independent, and an
    interval that takes them for that is too narrow (Bates, Hastie and Tibshirani 2023). Its
    variance is made larger by 1 + the sum over folds of held-out / tuned-on questions, which is
    the correction of Nadeau and Bengio (2003), of a mean over all folds.

    Args:
        before: for each fold the figure of each of its questions under the policy in force.
        after: under the policy that was tuned without that fold.
    """
    compared = paired(np.concatenate(after), np.concatenate(before))
    if len(before) == 1 or not compared.difference.number:
        return compared
    factor = math.sqrt(1 + _ratio([len(each) for each in before]))
    d = compared.difference
    return Paired(
        Interval(d.mean, d.mean - factor * (d.mean - d.low), d.mean + factor * (d.high - d.mean),
                 d.number),
        _weaker(compared.p_value, factor),
    )  # fmt: skip


def _ratio(sizes: Sequence[int]) -> float:
    total = sum(sizes)
    return sum(size / (total - size) for size in sizes)


def _weaker(p_value: float, factor: float) -> float:
    """The two-sided p-value when the standard error is `factor` times as large."""
    normal = NormalDist()
    z = normal.inv_cdf(1 - p_value / 2) if p_value < 1 else 0.0
    return 2 * (1 - normal.cdf(z / factor))
