"""Totals of a population of documents, estimated from a sample of it.

Documents fall into strata, within which amounts are about in proportion to size. What was sampled
counts as it is; the rest of a stratum counts by the ratio estimator, sum of amounts / sum of
sizes (Cochran, Sampling Techniques, 1977, chapter 6). More is sampled where the error comes from
(Neyman allocation) until the error is small enough, at worst until everything was.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

LEAST = 30
"""Documents sampled of each stratum before its variance is believed."""
CERTAIN_SHARE = 0.01
"""A document with more than this share of all sizes is always sampled."""
_Z = 2.576
"""Standard errors in the half-width of an interval with 99 % confidence."""
_MOST_ROUNDS = 20
_LARGE = "\0large"
"""The stratum of documents that are sampled for certain."""

Amounts = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Unit:
    """A document of the population."""

    key: str
    stratum: str
    size: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Estimate:
    """Totals of amounts, and how far off they may be."""

    units: Sequence[Unit]
    sampled: dict[str, Amounts]
    """Key of each sampled unit to its amounts; one that is not named is 0."""
    per_unit: Callable[[str], bool] = lambda name: False
    """Whether the amount of this name is in proportion to the number of documents."""

    def totals(self, chosen: Callable[[Unit], bool] = lambda unit: True) -> dict[str, float]:
        """The totals over the units that are `chosen`; over a partition they add up."""
        totals: dict[str, float] = {}
        for members in _strata(self.units).values():
            known = [unit for unit in members if unit.key in self.sampled]
            rest = [u for u in members if u.key not in self.sampled and chosen(u)]
            for name in self._names(known):
                size = sum(self._size(unit, name) for unit in rest)
                exact = sum(self.sampled[u.key].get(name, 0.0) for u in known if chosen(u))
                totals[name] = totals.get(name, 0.0) + exact + self._ratio(known, name) * size
        return totals

    def half_widths(self, names: Sequence[str]) -> dict[str, float]:
        """Half the width of each total's interval with 99 % confidence; 0 once all is sampled."""
        return {
            name: _Z * math.sqrt(sum(self.variances(name).values()))
            for name in names
        }  # fmt: skip

    def variances(self, name: str) -> dict[str, float]:
        """The variance that each stratum adds to a total."""
        result = {}
        for stratum, members in _strata(self.units).items():
            known = [unit for unit in members if unit.key in self.sampled]
            result[stratum] = _variance(
                [self.sampled[u.key].get(name, 0.0) for u in known],
                [self._size(u, name) for u in known],
                len(members),
            )
        return result

    def _size(self, unit: Unit, name: str) -> float:
        return 1.0 if self.per_unit(name) else unit.size

    def _names(self, known: Sequence[Unit]) -> list[str]:
        return sorted({name for unit in known for name in self.sampled[unit.key]})

    def _ratio(self, known: Sequence[Unit], name: str) -> float:
        size = sum(self._size(unit, name) for unit in known)
        return sum(self.sampled[u.key].get(name, 0.0) for u in known) / size if size else 0.0


def estimate(
    units: Sequence[Unit],
    measure: Callable[[Sequence[Unit]], Mapping[str, Amounts]],
    *,
    precision: float,
    judged: Callable[[str], bool],
    per_unit: Callable[[str], bool] = lambda name: False,
) -> Estimate:
    """Sample until the totals are known with `precision`.

    Args:
        units: the population.
        measure: the amounts of some units, by key.
        precision: the half-width of the interval with 99 % confidence, relative to the total.
        judged: whether that must hold for the amount of this name.
        per_unit: whether it is in proportion to the number of documents, and not to their sizes.
    """
    total = sum(unit.size for unit in units)
    units = [
        replace(unit, stratum=_LARGE) if unit.size > CERTAIN_SHARE * total else unit
        for unit in units
    ]
    order = {stratum: sorted(members, key=_draw) for stratum, members in _strata(units).items()}
    wanted = {
        stratum: len(members) if stratum == _LARGE else min(len(members), LEAST)
        for stratum, members in order.items()
    }
    result = Estimate(units, {}, per_unit)
    for _ in range(_MOST_ROUNDS):
        fresh = [
            unit
            for stratum, members in order.items()
            for unit in members[: wanted[stratum]]
            if unit.key not in result.sampled
        ]
        result.sampled.update(measure(fresh))
        worst = _worst(result, precision, judged)
        if worst is None:
            return result
        for stratum, count in _more(result, worst, order, wanted).items():
            wanted[stratum] = count
    everything = [unit for unit in units if unit.key not in result.sampled]
    result.sampled.update(measure(everything))
    return result


def _worst(result: Estimate, precision: float, judged: Callable[[str], bool]) -> str | None:
    """The amount that is furthest from the precision asked for; null when all are within."""
    totals = {name: value for name, value in result.totals().items() if judged(name) and value}
    widths = result.half_widths(list(totals))
    errors = {name: widths[name] / totals[name] for name in totals}
    name = max(errors, key=lambda name: errors[name], default=None)
    return name if name is not None and errors[name] > precision else None


def _more(
    result: Estimate,
    name: str,
    order: Mapping[str, Sequence[Unit]],
    wanted: Mapping[str, int],
) -> dict[str, int]:
    """Twice the sample, the new half where the error is."""
    deviations = {
        stratum: math.sqrt(variance) for stratum, variance in result.variances(name).items()
    }
    whole = sum(deviations.values()) or 1.0
    fresh = sum(wanted.values())
    return {
        stratum: min(len(order[stratum]), wanted[stratum] + math.ceil(fresh * share / whole))
        for stratum, share in deviations.items()
    }


def _variance(amounts: Sequence[float], sizes: Sequence[float], population: int) -> float:
    """Of the estimated sum over what was not sampled, for a ratio estimator."""
    count = len(amounts)
    if count >= population or count < 2:
        return 0.0
    ratio = sum(amounts) / (sum(sizes) or 1.0)
    squares = sum((a - ratio * s) ** 2 for a, s in zip(amounts, sizes, strict=True))
    return population**2 * (1 - count / population) / count * squares / (count - 1)


def _strata(units: Sequence[Unit]) -> dict[str, list[Unit]]:
    strata: dict[str, list[Unit]] = {}
    for unit in units:
        strata.setdefault(unit.stratum, []).append(unit)
    return strata


def _draw(unit: Unit) -> str:
    """A random order that is the same on every run."""
    return hashlib.sha256(unit.key.encode("utf-8", "surrogatepass")).hexdigest()
