"""The ingest stage: list, plan, fetch, parse, commit, batch by batch.

>>> from pipelines.config import load_config
>>> from pipelines.options import RunOptions
>>> run(load_config("configs/quickstart.yaml"), RunOptions()).as_dict()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipelines.budget import BudgetExceeded, Meter
from pipelines.config import Config
from pipelines.ingest.listing import Sources, plan_sources
from pipelines.ingest.plan import Action
from pipelines.ingest.summary import IngestSummary, summarize
from pipelines.options import RunOptions
from pipelines.tables import Lake, Table
from pipelines.usage import Ledger, Usage

if TYPE_CHECKING:
    from pipelines.ingest.rows import RowStamp
    from pipelines.ingest.slices import Slice
    from pipelines.pool import ProcessPool
    from pipelines.tables import Batch

REMOTE_SLICE = 500
"""Documents in a slice on a remote runner; locally a batch is one slice."""


def run(config: Config, options: RunOptions) -> IngestSummary:
    """Bring the documents table in step with the sources.

    Raises:
        ConfigError: a source that cannot be opened as configured.
        TransientError: a source that does not answer.
        CommitConflict: another run committed meanwhile.
    """
    table = Lake(config.lake).documents
    consumer = f"ingest:{config.name}"
    meter = Meter.of(config, options)
    notes = []
    for batch in table.adopt(consumer):
        notes.append(f"committed a batch that run {batch.run_id} had finished and not committed")
        meter.record("ingest", batch.batch_id, Ledger.from_value(batch.facts.get("usage", ())))
    sources = plan_sources(config, table, options)
    actions = sources.actions()
    options.progress.stage("ingest", len(actions))
    done: list[Batch] = []
    left = actions
    stopped = None
    size = options.batch or config.batch.documents
    with ExitStack() as stack:
        pool = _open_pool(options, stack) if actions else None
        for members in _batches(actions, size, apart=meter.limited):
            try:
                meter.allow("ingest", _expected(done, members))
            except BudgetExceeded as error:
                stopped = str(error)
                break
            batch = _run_batch(config, options, table, consumer, sources, members, pool)
            meter.record("ingest", batch.batch_id, Ledger.from_value(batch.facts["usage"]))
            if batch.parts:
                sources.seq = batch.seq
            done.append(batch)
            left = left[len(members) :]
    if not table.exists and not left:
        # Sources without a document are a state of the lake as well: the next stage finds it.
        table.create()
    return summarize(config, table, sources, done, notes, stopped, left)


def _batches(actions: Sequence[Action], size: int, *, apart: bool) -> Iterator[tuple[Action, ...]]:
    """The plan in batches. With `apart`, what costs nothing is not held up by what does."""
    if not apart:
        yield from _chunks(actions, size)
        return
    yield from _chunks([action for action in actions if action.kind != "fetch"], size)
    yield from _chunks([action for action in actions if action.kind == "fetch"], size)


def _expected(done: Sequence[Batch], members: Sequence[Action]) -> Usage:
    """The seconds that a batch will take, at the rate of this run so far."""
    fetches = sum(action.kind == "fetch" for action in members)
    spent = Usage()
    for batch in done:
        spent.add(Ledger.from_value(batch.facts["usage"]).total())
    return Usage(seconds=spent.seconds / spent.documents * fetches if spent.documents else 0.0)


def _open_pool(options: RunOptions, stack: ExitStack) -> ProcessPool | None:
    """Parse processes for all batches; none on a remote runner, whose workers have their own."""
    from pipelines.beam import runs_locally
    from pipelines.ingest.work import parse_pool

    if not runs_locally(options.beam_args):
        return None
    return stack.enter_context(parse_pool(options.workers))


def _chunks(actions: Sequence[Action], size: int) -> Iterator[tuple[Action, ...]]:
    for start in range(0, len(actions), size):
        yield tuple(actions[start : start + size])


def _run_batch(
    config: Config,
    options: RunOptions,
    table: Table,
    consumer: str,
    sources: Sources,
    actions: tuple[Action, ...],
    pool: ProcessPool | None,
) -> Batch:
    from pipelines.ingest.rows import RowStamp

    batch = table.begin(consumer, sources.seq + 1, options.run_id, after=sources.seq)
    stamp = RowStamp(
        config.name, batch.seq, options.run_id, datetime.now(UTC), config.budget.labels
    )
    if any(action.kind == "fetch" for action in actions):
        width = REMOTE_SLICE if pool is None else len(actions)
        slices = [
            _slice(config, sources, stamp, index, members)
            for index, members in enumerate(_chunks(actions, width))
        ]
        _run_pipeline(config, options, batch, slices, pool)
    else:
        _run_here(table, batch, _slice(config, sources, stamp, 0, actions), options)
    finished = table.finished(batch)
    if finished.parts:
        table.commit(finished)
    else:
        table.manifests.drop(batch.batch_id)
    return finished


def _run_pipeline(
    config: Config,
    options: RunOptions,
    batch: Batch,
    slices: Sequence[Slice],
    pool: ProcessPool | None,
) -> None:
    from pipelines.beam import ProgressHandle, lend, run_pipeline
    from pipelines.ingest.pipeline import Ingest

    with ExitStack() as stack:
        local = pool is not None
        ingest = Ingest(
            lake=Lake(config.lake).storage,
            batch=batch,
            slices=[stack.enter_context(lend(each)) if local else each for each in slices],
            pool=stack.enter_context(lend(pool)) if pool is not None else None,
            progress=ProgressHandle.to(options.progress),
        )
        run_pipeline(lambda pipeline: pipeline | "Ingest" >> ingest, options)


def _run_here(table: Table, batch: Batch, work: Slice, options: RunOptions) -> None:
    """Rights and deletions alone: small rows, for which Beam need not even be imported."""
    from pipelines.ingest.slices import SliceIngest, finished
    from pipelines.pool import NoPool
    from pipelines.tables import PartWriter

    writer = PartWriter(table.folder, table.part_path(batch, "00000"), table.schema)
    try:
        result = SliceIngest(work, writer, options.progress.advance).run(NoPool())
    except BaseException:
        writer.abort()
        raise
    table.manifests.write(finished(batch, result))


def _slice(
    config: Config, sources: Sources, stamp: RowStamp, index: int, actions: tuple[Action, ...]
) -> Slice:
    from pipelines.ingest.slices import Slice

    return Slice(
        index=index,
        actions=actions,
        known=_known_rows(sources, actions),
        sources=sources.opened,
        choices={source.name: source.parser for source in config.sources},
        stamp=stamp,
    )


def _known_rows(sources: Sources, actions: Sequence[Action]) -> dict[str, dict[str, Any]]:
    by_source: dict[str, list[Action]] = {}
    for action in actions:
        if action.known is not None:
            by_source.setdefault(action.source, []).append(action)
    rows: dict[str, dict[str, Any]] = {}
    for source, members in by_source.items():
        records = sources.known[source].records(a.known for a in members if a.known is not None)
        rows |= {a.document_id: records[a.known] for a in members if a.known is not None}
    return rows
