"""The transform stage: documents in, chunks out, for every strategy of the configuration.

>>> from pipelines.config import load_config
>>> from pipelines.options import RunOptions
>>> run(load_config("configs/quickstart.yaml"), RunOptions()).as_dict()
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from chunkers import embedders
from chunkers.registry import build
from chunkers.shape import Shape
from lineage import ConfigError
from pipelines.budget import BudgetExceeded, Meter, usage_value
from pipelines.config import Config, StrategyConfig
from pipelines.config.place import located
from pipelines.facts import document_facts, source_roots
from pipelines.options import RunOptions
from pipelines.shapes import read_shapes
from pipelines.tables import ChunkTable, Lake, Table, newest_documents
from pipelines.tracking import Publisher
from pipelines.transform.batches import BatchRunner, open_pool, portions
from pipelines.transform.figures import Figures, merge_by_type
from pipelines.transform.plan import DOCUMENT_COLUMNS, Action, Router, plan
from pipelines.transform.summary import StrategySummary, TransformSummary
from pipelines.transform.tracking import Tracking, record_of
from pipelines.usage import Ledger

if TYPE_CHECKING:
    from pipelines.tables import Batch


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
        if not chunks.exists:
            # No documents at all: whoever loads finds a table without chunks.
            chunks.create()
        return StrategySummary({}, 0, chunks.version, {}, notes=tuple(notes))
    with located(f"{config.path}: the policy of strategy {strategy.name!r}"):
        _prepare(strategy, actions, lake)
    options.progress.stage(f"transform {strategy.name}", len(actions))
    done: list[Batch] = []
    stopped = None
    last = chunks.seq
    waiting = deque(portions(actions, options.batch or config.batch.documents)) or deque([()])
    with ExitStack() as stack:
        pool = open_pool(options, stack, strategy.encoding, actions) if actions else None
        runner = BatchRunner(config, strategy, documents, chunks, options, meter, pool)
        while waiting:
            members = waiting.popleft()
            # Only the last batch moves the position: documents of one commit may be spread over
            # several batches, and what an interrupted run has done is seen in the headers.
            reached = position if waiting else documents.seq
            if not waiting and any(action.kind == "chunk" for action in actions):
                tracking.start()
            batch = chunks.begin(consumer, reached, options.run_id, after=last)
            try:
                done.append(runner.run(batch, members))
                last = batch.seq
            except BudgetExceeded as error:
                if len(members) == 1:
                    stopped = str(error)
                    break
                # As much as the budget allows, rights and withdrawals in any case.
                half = len(members) // 2
                waiting.extendleft((members[half:], members[:half]))
                options.progress.stage(f"transform {strategy.name}", sum(map(len, waiting)))
    _tidy(actions, lake)
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


def _prepare(strategy: StrategyConfig, actions: Sequence[Action], lake: Lake) -> None:
    """Have chunkers that need more than the text say so before the first document, not in each.

    Raises:
        GristmillError: a model is missing, or its library.
    """
    from pipelines.embedding.ahead import ReadAhead
    from pipelines.embedding.cache import VectorCache
    from pipelines.transform.work import chunker_of

    routes = [action.routed for action in actions if action.kind == "chunk" and action.routed]
    chunkers = {
        id(chunker): chunker for chunker in (chunker_of(r, strategy.max_tokens) for r in routes)
    }
    with embedders.served_by(ReadAhead(VectorCache(lake.vectors)).serve):
        for chunker in chunkers.values():
            if hasattr(chunker, "prepare"):
                chunker.prepare()


def _tidy(actions: Sequence[Action], lake: Lake) -> None:
    """Fold what the chunking processes have added to the cache of vectors, file by file."""
    from pipelines.transform.work import embeds

    if any(map(embeds, actions)):
        from pipelines.embedding.cache import VectorCache

        VectorCache(lake.vectors).compact()


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
