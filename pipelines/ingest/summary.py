"""What an ingest run did, and whether its counts add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lineage import TerminalError
from pipelines.budget import usage_value
from pipelines.config import Config
from pipelines.ingest.listing import Sources
from pipelines.ingest.plan import Action
from pipelines.tables import Table
from pipelines.usage import Ledger

if TYPE_CHECKING:
    from pipelines.tables import Batch

COUNTS = (
    "listed", "new", "changed", "acl", "touched", "unchanged", "rejected", "deleted", "held",
    "empty", "parsed", "warned",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What an ingest run did: its counts in sum and per source."""

    counts: dict[str, int]
    sources: dict[str, dict[str, int]]
    rows_written: int
    version: int | None
    """Version of the documents table after the run."""
    unknown_acl: int = 0
    """Listed documents that nobody may read, because no ACL was found or it was unreadable."""
    notes: tuple[str, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    usage: dict[str, Any] = field(default_factory=dict)
    """What the run cost, by the labels that pay; see `pipelines.budget.usage_value`."""
    stopped: str | None = None
    """Why the run ended before its plan did, when the budget was at its limit."""
    acl_as_of: datetime | None = None
    """When the oldest rights in force were resolved: those of listed documents are of this run,
    those of documents that it did not see are older."""
    incomplete: int = 0
    """Sources whose listing did not come to its end."""
    warnings: dict[str, str] = field(default_factory=dict)
    """What parsers warned of, by document URI: damage repaired, parts that could not be read. At
    most twenty of a batch; `counts["warned"]` are all."""

    @property
    def held(self) -> int:
        """Deletions that the guard held back."""
        return self.counts["held"]

    @property
    def rejected(self) -> int:
        """Rejects that this run added."""
        return self.counts["rejected"]

    def as_dict(self) -> dict[str, Any]:
        """The stage's entry in the `--json` output."""
        return {
            **self.counts,
            "rows_written": self.rows_written,
            "version": self.version,
            "unknown_acl": self.unknown_acl,
            "acl_as_of": self.acl_as_of,
            "incomplete": self.incomplete,
            "warnings": self.warnings,
            "sources": self.sources,
            "usage": self.usage,
            "stopped": self.stopped,
        }


def summarize(
    config: Config,
    table: Table,
    sources: Sources,
    done: Sequence[Batch],
    notes: Sequence[str],
    stopped: str | None,
    left: Sequence[Action],
) -> IngestSummary:
    """The summary of a run that has `done` these batches and has `left` these actions.

    Raises:
        TerminalError: its counts do not add up.
    """
    per_source: dict[str, dict[str, int]] = {}
    rows = sum(part.rows for batch in done for part in batch.parts)
    for source in config.sources:
        plan = sources.plans[source.name]
        counts = Counter(listed=plan.listed, unchanged=plan.unchanged, held=plan.held)
        for batch in done:
            counts.update(batch.facts["counts"].get(source.name, {}))
        per_source[source.name] = {name: counts[name] for name in COUNTS}
        check_counts(source.name, per_source[source.name], plan.missing, left)
    ledger = Ledger(config.budget.labels)
    for batch in done:
        ledger = ledger.merge(Ledger.from_value(batch.facts["usage"]))
    total = {name: sum(counts[name] for counts in per_source.values()) for name in COUNTS}
    return IngestSummary(
        counts=total,
        sources=per_source,
        rows_written=rows,
        version=table.version,
        unknown_acl=sum(plan.unknown_acl for plan in sources.plans.values()),
        notes=(*notes, *(note for plan in sources.plans.values() for note in plan.notes)),
        ledger=ledger,
        usage=usage_value(config, ledger),
        stopped=stopped,
        acl_as_of=_oldest_acl(sources),
        incomplete=sum(not plan.complete for plan in sources.plans.values()),
        warnings={uri: text for b in done for uri, text in b.facts.get("warnings", {}).items()},
    )


def check_counts(
    source: str, counts: Mapping[str, int], missing: int, left: Sequence[Action] = ()
) -> None:
    """Make sure that every document is accounted for, once.

    Every listed one is new, changed, acl, touched, unchanged or rejected, and every known one
    that was not listed (`missing` of them) is deleted or held; or it is among the actions that a
    budget at its limit has `left` undone.

    Raises:
        TerminalError: the counts do not add up; what was committed stays.
    """
    outcomes = ("new", "changed", "acl", "touched", "unchanged", "rejected")
    undone = Counter(action.kind == "delete" for action in left if action.source == source)
    found = sum(counts[name] for name in outcomes) + undone[False]
    gone = counts["deleted"] + counts["held"] + undone[True]
    if found == counts["listed"] and gone == missing:
        return
    terms = " + ".join(f"{counts[name]} {name}" for name in outcomes)
    raise TerminalError(
        f"source {source!r}: the counts of this run do not add up: {counts['listed']} listed, and "
        f"{terms} = {found}; {missing} known and not listed, and {counts['deleted']} deleted + "
        f"{counts['held']} held = {gone}. What was committed stays. This is a fault in gristmill: "
        "run `gristmill verify --sources` to see which documents it concerns"
    )


def _oldest_acl(sources: Sources) -> datetime | None:
    found = [plan.oldest_acl for plan in sources.plans.values()] + [sources.left_acl]
    if any(plan.listed for plan in sources.plans.values()):
        found.append(sources.listed_at)
    return min((value for value in found if value is not None), default=None)
