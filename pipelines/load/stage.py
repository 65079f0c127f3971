"""The load stage: brings every sink up to the state of its chunk table.

    >>> summary = run(load_config("pipeline.yaml"), RunOptions())  # doctest: +SKIP
    >>> summary.upserted  # doctest: +SKIP
    27

A sink that is up to date costs one look at the table's log and one small file: neither Beam nor
the sink's library is imported then.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lineage import ConfigError
from pipelines.arrow import trim_memory
from pipelines.budget import Meter, usage_value
from pipelines.load.open import check_sinks, open_sink
from pipelines.load.sink import LeaseLike, Sink
from pipelines.usage import Ledger

if TYPE_CHECKING:
    from pipelines.config import Config, SinkConfig
    from pipelines.load.apply import Target
    from pipelines.load.plan import Plan
    from pipelines.load.vectors import Vectorizer
    from pipelines.options import RunOptions
    from pipelines.tables.lake import ChunkTable


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What a load did, over all sinks. The first four count documents."""

    documents: int = 0
    """Documents that were changed in a sink."""
    upserted: int = 0
    acl_updated: int = 0
    deleted: int = 0
    version: int = 0
    """`seq` of the chunk table that the sinks stand at now; the lowest where they differ."""
    ledger: Ledger = field(default_factory=Ledger, compare=False)
    usage: dict[str, Any] = field(default_factory=dict, compare=False)
    """What embedding cost, by the labels that pay; see `pipelines.budget.usage_value`."""
    stopped: str | None = None
    """Why the load ended before its plan did, when the budget was at its limit."""

    def as_dict(self) -> dict[str, Any]:
        """The keys of the command line's `--json`."""
        names = ("documents", "upserted", "acl_updated", "deleted", "version", "usage", "stopped")
        return {name: getattr(self, name) for name in names}


def run(config: Config, options: RunOptions) -> LoadSummary:
    """Load all sinks of `config`, one after the other.

    Raises:
        ConfigError: a sink's strategy has no chunks in the lake, or its settings are wrong.
        CommitConflict: another loader is writing to a sink.
        MissingExtra: a sink's library is not installed.
        TerminalError: the chunk table is damaged.
    """
    # All of them are looked at before anything is written.
    check_sinks(config)
    targets = [(sink, _table(config, sink)) for sink in config.sinks]
    opened = [(sink, table, open_sink(sink, table.identity)) for sink, table in targets]
    done = [_load(config, *each, options) for each in opened]
    if not done:
        return LoadSummary()
    counts: dict[str, Any] = {
        name: sum(getattr(summary, name) for summary in done)
        for name in ("documents", "upserted", "acl_updated", "deleted")
    }
    ledger = Ledger(config.budget.labels)
    for summary in done:
        ledger = ledger.merge(summary.ledger)
    return LoadSummary(
        **counts,
        version=min(summary.version for summary in done),
        ledger=ledger,
        usage=usage_value(config, ledger),
        stopped=next((summary.stopped for summary in done if summary.stopped), None),
    )


def _table(config: Config, sink: SinkConfig) -> ChunkTable:
    from pipelines.tables.lake import Lake

    table = Lake(config.lake).chunks(sink.strategy)
    if not table.exists:
        known = ", ".join(strategy.name for strategy in config.strategies)
        raise ConfigError(
            f"sink {sink.name!r}: the lake {config.lake} has no chunks of strategy "
            f"{sink.strategy!r} yet (strategies of this configuration: {known or 'none'}); "
            f"run `gristmill transform {config.path}` first"
        )
    return table


def _load(
    config: Config, sink_config: SinkConfig, table: ChunkTable, sink: Sink, options: RunOptions
) -> LoadSummary:
    if sink.position() == table.seq:
        return LoadSummary(version=table.seq)
    with sink.lease() as lease:
        # Another loader may have finished in between.
        table.refresh()
        return _catch_up(config, sink_config, table, sink, lease, options)


def _catch_up(
    config: Config,
    sink_config: SinkConfig,
    table: ChunkTable,
    sink: Sink,
    lease: LeaseLike,
    options: RunOptions,
) -> LoadSummary:
    from pipelines.beam import ProgressHandle, lend
    from pipelines.load.apply import Target
    from pipelines.upkeep import loads
    from pipelines.upkeep.sinks import remember

    position = sink.position()
    goal = table.seq
    if position == goal:
        return LoadSummary(version=goal)
    # Where the log does not go back so far, everything is applied as if from the beginning.
    known = position if _follows(table, position) else None
    plan = _plan(table, sink, position)
    options.progress.stage(f"load {sink_config.name}", plan.documents)
    vectors = None
    if sink_config.embedder is not None:
        from pipelines.load.vectors import Vectorizer

        vectors = Vectorizer.of(config, sink_config.embedder, Meter.of(config, options))
    with ExitStack() as stack:
        target = Target(
            table=stack.enter_context(lend(table)),
            sink=sink_config,
            origin=table.identity,
            lease=lease,
            progress=ProgressHandle.to(options.progress),
            vectors=None if vectors is None else stack.enter_context(lend(vectors)),
        )
        _apply(plan, target, options, options.batch or config.batch.documents, vectors)
    stopped = vectors.stopped if vectors else None
    if not stopped:
        lease.check()
        loads.record(config.lake, sink_config.name, options.run_id, table.identity, known, goal)
        trim_memory()
        sink.commit(goal)
        remember(config.lake, sink_config)
    if vectors is not None:
        vectors.embedder.cache.compact()
    return LoadSummary(
        documents=plan.documents if not stopped else len(plan.delete) + plan.set_acl.num_rows,
        upserted=plan.replace.num_rows if not stopped else 0,
        acl_updated=plan.set_acl.num_rows,
        deleted=len(plan.delete),
        version=position or 0 if stopped else goal,
        ledger=vectors.ledger if vectors else Ledger(),
        stopped=stopped,
    )


def _plan(table: ChunkTable, sink: Sink, position: int | None) -> Plan:
    from pipelines.load.plan import COLUMNS, make_plan

    if _follows(table, position):
        return make_plan(table.headers(position).select(COLUMNS))
    if position is None or position > table.seq:
        sink.begin_rebuild()
    # Otherwise the log does not go back so far as to tell what was deleted since.
    return make_plan(table.headers().select(COLUMNS), frozenset(sink.document_ids()))


def _follows(table: ChunkTable, position: int | None) -> bool:
    """Whether the table's log tells all that has happened since `position`."""
    return position is not None and table.horizon <= position <= table.seq


def _apply(
    plan: Plan, target: Target, options: RunOptions, size: int, vectors: Vectorizer | None
) -> None:
    """Apply a plan: rights and deletions, then replacements as far as the budget goes."""
    from pipelines.load.apply import Unit
    from pipelines.load.pipeline import apply_here, run_units
    from pipelines.load.plan import rights_parts

    # Rights first, also of documents whose chunks follow: a revocation does not wait for them,
    # but who was added to the readers was added to those of the new chunks.
    first = [Unit(plan.set_acl.slice(0, 0), "rights", delete=plan.delete)]
    first += [Unit(part, "rights") for part in rights_parts(plan.set_acl)]
    first += [Unit(part, "narrow") for part in rights_parts(plan.replace)]
    if plan.delete or len(first) > 1:
        apply_here(first, target)
    options.progress.advance(plan.set_acl.num_rows)
    for rows in plan.replacements(size):
        run_units([Unit(rows, "replace")], target, options)
        if vectors is not None and vectors.stopped:
            return
