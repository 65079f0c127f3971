"""Least-squares fit of tidal constituents to a series of levels.

The frequencies are given; amplitudes and phases are fitted. Times are seconds, levels metres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Degrees per hour of the constituents that matter at Ostwick.
SPEEDS = {"M2": 28.984104, "S2": 30.0, "N2": 28.439730, "K1": 15.041069, "O1": 13.943036}


@dataclass(frozen=True)
class Constituent:
    """One cosine of the tide."""

    name: str
    amplitude: float
    phase: float

    def level(self, seconds: float) -> float:
        """The constituent's part of the level at a time, in metres."""
        angle = math.radians(SPEEDS[self.name] * seconds / 3600.0 - self.phase)
        return self.amplitude * math.cos(angle)


class Fit:
    """A mean level and its constituents."""

    def __init__(self, mean: float, constituents: Sequence[Constituent]) -> None:
        self.mean = mean
        self.constituents = tuple(constituents)

    def predict(self, seconds: float) -> float:
        """The level that the tide alone would make."""
        return self.mean + sum(c.level(seconds) for c in self.constituents)

    def residual(self, seconds: float, measured: float) -> float:
        """What the weather added: measured minus predicted."""
        return measured - self.predict(seconds)


def fit(times: Sequence[float], levels: Sequence[float], names: Sequence[str]) -> Fit:
    """Fit the named constituents.

    Needs at least thirty days of readings; with less, M2 and S2 cannot be told apart, and the
    result is a good prediction of the past and a poor one of next month.
    """
    if len(times) != len(levels):
        raise ValueError(f"{len(times)} times, but {len(levels)} levels")
    if times[-1] - times[0] < 30 * 86_400:
        raise ValueError("less than thirty days of readings")
    rows = [_row(t, names) for t in times]
    solution = _solve(_normal(rows), _right(rows, levels))
    constituents = []
    for i, name in enumerate(names):
        a, b = solution[1 + 2 * i], solution[2 + 2 * i]
        phase = math.degrees(math.atan2(b, a)) % 360.0
        constituents.append(Constituent(name, math.hypot(a, b), phase))
    return Fit(solution[0], constituents)


def _row(seconds: float, names: Sequence[str]) -> list[float]:
    row = [1.0]
    for name in names:
        angle = math.radians(SPEEDS[name] * seconds / 3600.0)
        row += [math.cos(angle), math.sin(angle)]
    return row


def _normal(rows: list[list[float]]) -> list[list[float]]:
    size = len(rows[0])
    return [[sum(r[i] * r[j] for r in rows) for j in range(size)] for i in range(size)]


def _right(rows: list[list[float]], levels: Sequence[float]) -> list[float]:
    return [sum(r[i] * y for r, y in zip(rows, levels)) for i in range(len(rows[0]))]


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gauss elimination with pivoting; the matrix is small and symmetric."""
    size = len(right)
    work = [row[:] + [value] for row, value in zip(matrix, right)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda r: abs(work[r][column]))
        work[column], work[pivot] = work[pivot], work[column]
        for row in range(column + 1, size):
            factor = work[row][column] / work[column][column]
            for k in range(column, size + 1):
                work[row][k] -= factor * work[column][k]
    result = [0.0] * size
    for row in reversed(range(size)):
        known = sum(work[row][k] * result[k] for k in range(row + 1, size))
        result[row] = (work[row][size] - known) / work[row][row]
    return result
