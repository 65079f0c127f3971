"""Whether tonight's figures are out of line with those of the runs before.

Each transform run leaves a record of its quality figures. A figure is out of line when it is
further from the median of earlier runs than a few times their usual distance from it (the median
absolute deviation, scaled to a standard deviation: Iglewicz and Hoaglin, 1993), and also further
than is worth anybody's attention. Runs of another policy, and those over a few documents only, say
nothing about tonight and are left out.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.storage import Storage
from pipelines.tracking import read_record

RUNS = 30
LEAST_RUNS = 5
LEAST_DOCUMENTS = 20
LIMIT = 3.5
"""Scaled deviations beyond which a figure is out of line."""
WORTH = 0.02
"""For figures from 0 to 1 the least difference that counts; for others, relative to the median."""
_TO_SIGMA = 1.4826
_COUNTS = ("documents", "chunks", "tokens", "rejected", "seconds", "money", "largest_chunk_tokens")
"""Figures of how much there was to do."""
BETTER_HIGHER = frozenset(
    {"size_compliance", "coverage", "boundary_cleanliness", "block_integrity", "cohesion",
     "separation"}
)  # fmt: skip
BETTER_LOWER = frozenset(
    {"redundancy", "dangling_references", "context_overhead", "rejected_share"}
)


@dataclass(frozen=True, slots=True)
class Shift:
    """One figure tonight, beside those before."""

    name: str
    """`figure`, or `figure/data type`."""
    value: float
    median: float
    low: float
    high: float
    """Between these a figure is in line."""
    runs: int
    """Earlier runs that have it."""

    @property
    def out_of_line(self) -> bool:
        """Whether it is an alarm."""
        return not self.low <= self.value <= self.high

    @property
    def direction(self) -> str:
        """`better`, `worse` or `changed`, for a figure that is out of line."""
        base = self.name.partition("/")[0]
        if base not in BETTER_HIGHER | BETTER_LOWER:
            return "changed"
        return "better" if (self.value > self.median) == (base in BETTER_HIGHER) else "worse"


@dataclass(frozen=True, slots=True)
class Drift:
    """What became of the comparison."""

    run_id: str | None
    shifts: tuple[Shift, ...] = ()
    runs: int = 0
    """Earlier runs that it was compared with."""
    note: str | None = None
    """Why there is nothing to say, if so."""

    @property
    def alarms(self) -> tuple[Shift, ...]:
        """The figures that are out of line, worse ones first."""
        found = [shift for shift in self.shifts if shift.out_of_line]
        return tuple(sorted(found, key=lambda shift: (shift.direction != "worse", shift.name)))


def find_drift(
    lake: str,
    strategy: str,
    *,
    runs: int = RUNS,
    least_documents: int = LEAST_DOCUMENTS,
    limit: float = LIMIT,
) -> Drift:
    """The newest transform run of a strategy against up to `runs` earlier ones of its policy.

    Args:
        lake: where the records are.
        strategy: whose.
        runs: how many earlier runs count at most.
        least_documents: runs over fewer are left out.
        limit: see `LIMIT`.
    """
    newest: Mapping[str, Any] | None = None
    before: list[Mapping[str, Any]] = []
    other_policy = 0
    for record in transform_records(lake, strategy):
        if newest is None:
            newest = record
            documents = _documents(record)
            if documents < least_documents:
                return Drift(
                    record["run_id"],
                    note=f"the newest run chunked {documents} documents, fewer than "
                    f"{least_documents}: too few to tell",
                )
        elif _policy(record) != _policy(newest):
            other_policy += 1
        elif _documents(record) >= least_documents:
            before.append(record)
        if len(before) == runs:
            break
    if newest is None:
        return Drift(None, note="no run of this strategy has chunked anything yet")
    if len(before) < LEAST_RUNS:
        more = f"; {other_policy} were of another policy" if other_policy else ""
        return Drift(
            newest["run_id"],
            runs=len(before),
            note=f"{len(before)} earlier runs to compare with, and {LEAST_RUNS} are needed{more}",
        )
    earlier = [_figures(record, least_documents) for record in before]
    shifts = []
    for name, value in sorted(_figures(newest, least_documents).items()):
        known = [each[name] for each in earlier if name in each]
        if len(known) >= LEAST_RUNS:
            shifts.append(shift_of(name, value, known, limit))
    return Drift(newest["run_id"], tuple(shifts), len(before))


def shift_of(name: str, value: float, known: Sequence[float], limit: float = LIMIT) -> Shift:
    """One figure against its earlier values."""
    median = statistics.median(known)
    deviation = _TO_SIGMA * statistics.median(abs(each - median) for each in known)
    share = min(known) >= 0 and max(known) <= 1 and name.partition("/")[0] != "tokens_per_chunk"
    room = max(limit * deviation, WORTH if share else WORTH * abs(median))
    return Shift(name, value, median, median - room, median + room, len(known))


def transform_records(lake: str, strategy: str) -> Iterator[dict[str, Any]]:
    """The records of a strategy's transform runs, newest first, published or not."""
    folder = Storage.from_uri(lake) / "_runs"
    places = {name: folder for name in folder.list()}
    places |= {name: folder / "pending" for name in (folder / "pending").list()}
    # Run ids sort by time.
    for name in sorted(places, reverse=True):
        if name.endswith(".json") and "-transform-" in name and name[0] != ".":
            try:
                record = read_record(places[name], name)
            except ValueError:
                # A damaged one says nothing; `gristmill publish` names it.
                continue
            if record["strategy"] == strategy:
                yield record


def _documents(record: Mapping[str, Any]) -> int:
    return int(record["metrics"].get("documents") or 0)


def _policy(record: Mapping[str, Any]) -> Any:
    return record["parameters"].get("strategy_fingerprint")


def _figures(record: Mapping[str, Any], least_documents: int) -> dict[str, float]:
    """The figures that say how good the chunks are, overall and for types with enough documents."""
    metrics = record["metrics"]
    values = _means(metrics)
    done, rejected = metrics.get("documents") or 0, metrics.get("rejected") or 0
    if done + rejected:
        values["rejected_share"] = rejected / (done + rejected)
    for data_type, own in record["metrics_by_type"].items():
        if (own.get("documents") or 0) >= least_documents:
            values |= {f"{name}/{data_type}": value for name, value in _means(own).items()}
    return values


def _means(metrics: Mapping[str, float | int | None]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items()
        if value is not None and name not in _COUNTS and "_by_" not in name
    }
