"""The transform stage: documents in, chunks out, for every strategy of the configuration.

>>> from pipelines.config import load_config
>>> from pipelines.options import RunOptions
>>> run(load_config("configs/quickstart.yaml"), RunOptions()).as_dict()
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from chunkers.registry import build
from chunkers.shape import Shape
from lineage import ConfigError
from pipelines.budget import BudgetExceeded, Meter, usage_value
from pipelines.config import Config, StrategyConfig
from pipelines.facts import document_facts, source_roots
from pipelines.options import RunOptions
from pipelines.shapes import read_shapes
from pipelines.tables import ChunkTable, Lake, Table, content_places, newest_documents
from pipelines.tracking import Publisher
from pipelines.transform.figures import Figures, merge_by_type
from pipelines.transform.plan import DOCUMENT_COLUMNS, Action, Router, plan
from pipelines.transform.tracking import Tracked, Tracking, record_of
from pipelines.usage import Ledger

if TYPE_CHECKING:
    from pipelines.pool import ProcessPool
    from pipelines.tables import Batch
    from pipelines.transform.rows import RowStamp
    from pipelines.transform.slices import Slice

REMOTE_SLICE = 500
"""Documents in a slice on a remote runner; locally a batch is one slice."""


@dataclass(frozen=True, slots=True)
class StrategySummary:
    """What a transform run did for one strategy."""

    counts: Mapping[str, int]
    rows_written: int
    version: int | None
    figures: Mapping[str, Figures]
    notes: tuple[str, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    stopped: str | None = None
    """Why the run ended before its plan did, when the budget was at its limit."""


@dataclass(frozen=True, slots=True)
class TransformSummary:
    """What a transform run did.

    Its MLflow runs may still be being logged; whoever reads their ids or the notes waits for
    that, for a bounded time.
    """

    strategies: Mapping[str, StrategySummary] = field(default_factory=dict)
    tracking: Tracking | None = None
    ledger: Ledger = field(default_factory=Ledger)
    usage: Mapping[str, Any] = field(default_factory=dict)
    """What the run cost, by the labels that pay; see `pipelines.budget.usage_value`."""

    @property
    def stopped(self) -> str | None:
        """Why the run ended before its plan did, when the budget was at its limit."""
        return next((one.stopped for one in self.strategies.values() if one.stopped), None)

    @property
    def rejected(self) -> int:
        """Rejects that this run added."""
        return self._sum("rejected")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know besides the counts."""
        notes = [note for one in self.strategies.values() for note in one.notes]
        tracked = [self._tracked(name).note for name in self.strategies]
        return (*notes, *(note for note in tracked if note))

    def mlflow_run_id(self, strategy: str) -> str | None:
        """Id of the MLflow run with a strategy's figures; null when there is none."""
        return self._tracked(strategy).mlflow_run_id

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """Mean quality figures by strategy and data type, `strategy/data_type` → metric → mean."""
        return {
            f"{name}/{data_type}": figures.means()
            for name, one in self.strategies.items()
            for data_type, figures in one.figures.items()
        }

    def _tracked(self, strategy: str) -> Tracked:
        return self.tracking.outcome(strategy) if self.tracking else Tracked()

    def _sum(self, name: str) -> int:
        return sum(one.counts.get(name, 0) for one in self.strategies.values())

    def as_dict(self) -> dict[str, Any]:
        """The stage's entry in the `--json` output; version and MLflow run of the last strategy."""
        last = list(self.strategies)[-1] if self.strategies else None
        return {
            **{name: self._sum(name) for name in ("documents", "chunks", "tokens", "rejected")},
            "acl": self._sum("acl"),
            "deleted": self._sum("deleted") + self._sum("withdrawn"),
            "rows_written": sum(one.rows_written for one in self.strategies.values()),
            "version": self.strategies[last].version if last else None,
            "mlflow_run_id": self.mlflow_run_id(last) if last else None,
            "strategies": {
                name: {
                    **{k: one.counts.get(k, 0) for k in ("documents", "chunks", "tokens")},
                    "rows_written": one.rows_written,
                    "version": one.version,
                    "mlflow_run_id": self.mlflow_run_id(name),
                }
                for name, one in self.strategies.items()
            },
            "usage": self.usage,
            "stopped": self.stopped,
        }


def run(config: Config, options: RunOptions) -> TransformSummary:
    """Bring every strategy's chunk table in step with the documents table.

    Raises:
        ConfigError: the documents table does not exist yet.
        CommitConflict: another run committed meanwhile.
    """
    lake = Lake(config.lake)
    documents = lake.documents
    if not documents.exists:
        raise ConfigError(
            f"there is no documents table in {config.lake}; run `gristmill ingest {config.path}` "
            "first, or correct `lake`"
        )
    tracking = Tracking(Publisher(config))
    try:
        summaries = {
            strategy.name: _run_strategy(config, strategy, lake, documents, options, tracking)
            for strategy in config.strategies
        }
    except BaseException:
        tracking.close()
        raise
    ledger = Ledger(config.budget.labels)
    for summary in summaries.values():
        ledger = ledger.merge(summary.ledger)
    return TransformSummary(summaries, tracking, ledger, usage_value(config, ledger))


def _run_strategy(
    config: Config,
    strategy: StrategyConfig,
    lake: Lake,
    documents: Table,
    options: RunOptions,
    tracking: Tracking,
) -> StrategySummary:
    started_at = time.time()
    chunks = lake.chunks(strategy.name)
    consumer = strategy.consumer()
    meter = Meter.of(config, options)
    notes = []
    for batch in chunks.adopt(consumer):
        notes.append(f"committed a batch that run {batch.run_id} had finished and not committed")
        meter.record("transform", batch.batch_id, Ledger.from_value(batch.facts.get("usage", ())))
    position = start_position(strategy, documents, chunks)
    up_to_date = position == documents.seq
    actions: list[Action] = []
    if not up_to_date or options.retry_rejects:
        actions = plan_strategy(
            config, strategy, documents, chunks, position, retry_rejects=options.retry_rejects
        )
    if up_to_date and not actions:
        return StrategySummary({}, 0, chunks.version, {}, notes=tuple(notes))
    _prepare(strategy, actions)
    options.progress.stage(f"transform {strategy.name}", len(actions))
    done: list[Batch] = []
    stopped = None
    last = chunks.seq
    waiting = deque(_portions(actions, options.batch or config.batch.documents)) or deque([()])
    with ExitStack() as stack:
        pool = _open_pool(options, stack) if actions else None
        while waiting:
            members = waiting.popleft()
            # Only the last batch moves the position: documents of one commit may be spread over
            # several batches, and what an interrupted run has done is seen in the headers.
            reached = position if waiting else documents.seq
            if not waiting and any(action.kind == "chunk" for action in actions):
                tracking.start()
            batch = chunks.begin(consumer, reached, options.run_id, after=last)
            try:
                done.append(
                    _run_batch(
                        config, strategy, documents, chunks, batch, members, options, pool, meter
                    )
                )
                last = batch.seq
            except BudgetExceeded as error:
                if len(members) == 1:
                    stopped = str(error)
                    break
                # As much as the budget allows, rights and withdrawals in any case.
                half = len(members) // 2
                waiting.extendleft((members[half:], members[:half]))
                options.progress.stage(f"transform {strategy.name}", sum(map(len, waiting)))
    counts, figures, ledger = _merged(done)
    if figures:
        tracking.log(
            config,
            record_of(
                config, strategy, documents, chunks, counts, figures, ledger, options, started_at
            ),
        )
    return StrategySummary(
        counts=counts,
        rows_written=sum(part.rows for batch in done for part in batch.parts),
        version=chunks.version,
        figures=figures,
        notes=tuple(notes),
        ledger=ledger,
        stopped=stopped,
    )


def _prepare(strategy: StrategyConfig, actions: Sequence[Action]) -> None:
    """Have chunkers that need more than the text say so before the first document, not in each.

    Raises:
        GristmillError: a model is missing, or its library.
    """
    from pipelines.transform.work import chunker_of

    routes = [action.routed for action in actions if action.kind == "chunk" and action.routed]
    chunkers = {
        id(chunker): chunker for chunker in (chunker_of(r, strategy.max_tokens) for r in routes)
    }
    for chunker in chunkers.values():
        if hasattr(chunker, "prepare"):
            chunker.prepare()


def router_of(strategy: StrategyConfig) -> Router:
    """What routes the documents of a strategy."""
    return Router(
        strategy.policy,
        strategy.encoding,
        strategy.max_tokens,
        lambda name, parameters: build(name, parameters, max_tokens=strategy.max_tokens).version,
    )


def start_position(strategy: StrategyConfig, documents: Table, chunks: ChunkTable) -> int:
    """From which commit of the documents table a strategy goes on; 0 to compare everything.

    What was deleted up to the horizon of a fold is no longer in the log.
    """
    position = chunks.position(strategy.consumer()) or 0
    return position if position >= documents.horizon else 0


def plan_strategy(
    config: Config,
    strategy: StrategyConfig,
    documents: Table,
    chunks: ChunkTable,
    position: int,
    *,
    retry_rejects: bool = False,
) -> list[Action]:
    """What each document that changed after `position` needs; rights and withdrawals first.

    With `retry_rejects`, also those that this stage has rejected, whenever that was.
    """
    roots = source_roots(config.sources)
    router = router_of(strategy)
    headers = chunks.headers()
    if retry_rejects:
        # Planned like documents that were never chunked.
        headers = headers.filter(pc.not_equal(headers["op"], "reject"))
        position = 0
    changed = newest_documents(documents, DOCUMENT_COLUMNS, after_seq=position or None)
    shapes: dict[str, Shape] = {}
    if strategy.policy.needs_shape:
        contents = zip(
            changed["document_id"].to_pylist(), changed["content_seq"].to_pylist(), strict=True
        )
        shapes = read_shapes(documents, {key: seq for key, seq in contents if seq is not None})
    return plan(
        changed,
        headers,
        lambda row: router.route(document_facts(row, roots, shapes.get(row["document_id"]))),
        whole=not position,
    )


def _portions(actions: Sequence[Action], size: int) -> Iterator[tuple[Action, ...]]:
    for start in range(0, len(actions), size):
        yield tuple(actions[start : start + size])


def _open_pool(options: RunOptions, stack: ExitStack) -> ProcessPool | None:
    """Chunking processes for all batches; none on a remote runner, whose workers do it."""
    from pipelines.beam import runs_locally
    from pipelines.transform.work import chunk_pool

    if not runs_locally(options.beam_args):
        return None
    return stack.enter_context(chunk_pool(options.workers))


def _run_batch(
    config: Config,
    strategy: StrategyConfig,
    documents: Table,
    chunks: ChunkTable,
    batch: Batch,
    actions: tuple[Action, ...],
    options: RunOptions,
    pool: ProcessPool | None,
    meter: Meter,
) -> Batch:
    """Chunk, and commit if the budget allows it.

    Raises:
        BudgetExceeded: it does not; nothing of the batch is kept but what its work has cost.
    """
    if not actions:
        chunks.manifests.write(batch)
        chunks.commit(batch)
        return batch
    _run_pipeline(config, strategy, documents, batch, actions, options, pool)
    batch = chunks.finished(batch)
    ledger = Ledger.from_value(batch.facts["usage"])
    try:
        meter.allow("transform", ledger.total())
    except BudgetExceeded:
        chunks.manifests.drop(batch.batch_id)
        for part in batch.parts:
            chunks.folder.delete(part.path)
        meter.record("transform", batch.batch_id, ledger.seconds_only())
        raise
    meter.record("transform", batch.batch_id, ledger)
    chunks.commit(batch)
    return batch


def _run_pipeline(
    config: Config,
    strategy: StrategyConfig,
    documents: Table,
    batch: Batch,
    actions: tuple[Action, ...],
    options: RunOptions,
    pool: ProcessPool | None,
) -> None:
    from pipelines.beam import ProgressHandle, lend, run_pipeline
    from pipelines.transform.rows import RowStamp
    from pipelines.transform.slices import Slice

    contents = {
        action.document["document_id"]: action.document["content_seq"]
        for action in actions
        if action.kind == "chunk"
    }
    places = content_places(documents, contents)
    slices = [
        Slice(
            index,
            members,
            {
                key: places[key]
                for action in members
                if (key := action.document["document_id"]) in contents
            },
        )
        for index, members in enumerate(
            _portions(actions, REMOTE_SLICE if pool is None else len(actions))
        )
    ]
    stamp = RowStamp(
        strategy=strategy.name,
        encoding=strategy.encoding,
        max_tokens=strategy.max_tokens,
        seq=batch.seq,
        run_id=options.run_id,
        now=datetime.now(UTC),
        payers=config.budget.labels,
    )
    if not contents:
        _run_here(config, batch, stamp, slices, options)
        return
    from pipelines.transform.pipeline import Transform

    with ExitStack() as stack:
        local = pool is not None
        transform = Transform(
            lake=Lake(config.lake).storage,
            batch=batch,
            stamp=stamp,
            slices=[stack.enter_context(lend(each)) if local else each for each in slices],
            pool=stack.enter_context(lend(pool)) if pool is not None else None,
            progress=ProgressHandle.to(options.progress),
        )
        run_pipeline(lambda pipeline: pipeline | "Transform" >> transform, options)


def _run_here(
    config: Config, batch: Batch, stamp: RowStamp, slices: Sequence[Slice], options: RunOptions
) -> None:
    """Rights and withdrawals alone: header rows, for which Beam need not even be imported."""
    from pipelines.pool import NoPool
    from pipelines.transform.slices import SliceResult, SliceTransform, finished

    lake = Lake(config.lake)
    chunks = lake.chunks(stamp.strategy)
    result = SliceResult()
    for work in slices:
        each = SliceTransform(lake.documents, chunks, batch, stamp, options.progress.advance)
        result = result.merge(each.run(work, NoPool()))
    chunks.manifests.write(finished(batch, result))


def _merged(done: Sequence[Batch]) -> tuple[dict[str, int], dict[str, Figures], Ledger]:
    """The counts of all batches, their figures by data type, and their costs."""
    counts: Counter[str] = Counter()
    figures: dict[str, Figures] = {}
    ledger = Ledger()
    for batch in done:
        ledger = ledger.merge(Ledger.from_value(batch.facts.get("usage", ())))
        counts.update(batch.facts.get("counts", {}))
        found = {name: Figures(**value) for name, value in batch.facts.get("figures", {}).items()}
        figures = merge_by_type(figures, found)
    return dict(counts), figures, ledger
