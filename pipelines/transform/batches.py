"""One batch of a transform: its slices through the pipeline, and the commit of what they made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipelines.budget import BudgetExceeded, Meter
from pipelines.config import Config, StrategyConfig
from pipelines.options import RunOptions
from pipelines.tables import ChunkTable, Lake, Table, content_places
from pipelines.transform.plan import Action
from pipelines.usage import Ledger

if TYPE_CHECKING:
    from pipelines.pool import ProcessPool
    from pipelines.tables import Batch
    from pipelines.transform.rows import RowStamp
    from pipelines.transform.slices import Slice

REMOTE_SLICE = 500
"""Documents in a slice on a remote runner; locally a batch is one slice."""


def portions(actions: Sequence[Action], size: int) -> Iterator[tuple[Action, ...]]:
    """The actions in order, `size` at a time."""
    for start in range(0, len(actions), size):
        yield tuple(actions[start : start + size])


def open_pool(
    options: RunOptions, stack: ExitStack, encoding: str, actions: Sequence[Action]
) -> ProcessPool | None:
    """Chunking processes for all batches; none on a remote runner, whose workers do it."""
    from pipelines.beam import runs_locally
    from pipelines.transform.work import chunk_pool, embeds

    if not runs_locally(options.beam_args):
        return None
    # A document's bytes stand for its characters, which nobody has counted.
    characters = sum(a.document["size_bytes"] or 0 for a in actions if a.kind == "chunk")
    embedding = any(map(embeds, actions))
    return stack.enter_context(chunk_pool(options.workers, encoding, characters, embeds=embedding))


@dataclass(frozen=True, slots=True)
class BatchRunner:
    """Carries out batches of one strategy's plan."""

    config: Config
    strategy: StrategyConfig
    documents: Table
    chunks: ChunkTable
    options: RunOptions
    meter: Meter
    pool: ProcessPool | None

    def run(self, batch: Batch, actions: tuple[Action, ...]) -> Batch:
        """Chunk, and commit if the budget allows it.

        Raises:
            BudgetExceeded: it does not; nothing of the batch is kept but what its work has cost.
            CommitConflict: another run committed meanwhile.
        """
        if not actions:
            self.chunks.manifests.write(batch)
            self.chunks.commit(batch)
            return batch
        self._write_parts(batch, actions)
        batch = self.chunks.finished(batch)
        ledger = Ledger.from_value(batch.facts["usage"])
        try:
            self.meter.allow("transform", ledger.total())
        except BudgetExceeded:
            self.chunks.manifests.drop(batch.batch_id)
            for part in batch.parts:
                self.chunks.folder.delete(part.path)
            self.meter.record("transform", batch.batch_id, ledger.seconds_only())
            raise
        self.meter.record("transform", batch.batch_id, ledger)
        self.chunks.commit(batch)
        return batch

    def _write_parts(self, batch: Batch, actions: tuple[Action, ...]) -> None:
        """Part files of all rows, and the manifest that names them."""
        from pipelines.transform.rows import RowStamp

        contents = {
            action.document["document_id"]: action.document["content_seq"]
            for action in actions
            if action.kind == "chunk"
        }
        slices = self._slices(actions, contents)
        stamp = RowStamp(
            strategy=self.strategy.name,
            encoding=self.strategy.encoding,
            max_tokens=self.strategy.max_tokens,
            seq=batch.seq,
            run_id=self.options.run_id,
            now=datetime.now(UTC),
            payers=self.config.budget.labels,
        )
        if contents:
            self._run_pipeline(batch, stamp, slices)
        else:
            self._run_here(batch, stamp, slices)

    def _slices(self, actions: tuple[Action, ...], contents: dict[str, int]) -> list[Slice]:
        from pipelines.transform.slices import Slice

        places = content_places(self.documents, contents)
        size = REMOTE_SLICE if self.pool is None else len(actions)
        return [
            Slice(
                index,
                members,
                {
                    key: places[key]
                    for action in members
                    if (key := action.document["document_id"]) in contents
                },
            )
            for index, members in enumerate(portions(actions, size))
        ]

    def _run_pipeline(self, batch: Batch, stamp: RowStamp, slices: Sequence[Slice]) -> None:
        from pipelines.beam import ProgressHandle, lend, run_pipeline
        from pipelines.transform.pipeline import Transform

        with ExitStack() as stack:
            pool = self.pool
            transform = Transform(
                lake=Lake(self.config.lake).storage,
                batch=batch,
                stamp=stamp,
                slices=[stack.enter_context(lend(s)) if pool is not None else s for s in slices],
                pool=stack.enter_context(lend(pool)) if pool is not None else None,
                progress=ProgressHandle.to(self.options.progress),
            )
            run_pipeline(lambda pipeline: pipeline | "Transform" >> transform, self.options)

    def _run_here(self, batch: Batch, stamp: RowStamp, slices: Sequence[Slice]) -> None:
        """Rights and withdrawals alone: header rows, for which Beam need not even be imported."""
        from pipelines.pool import NoPool
        from pipelines.transform.slices import SliceResult, SliceTransform, finished

        result = SliceResult()
        vectors, advance = Lake(self.config.lake).vectors, self.options.progress.advance
        for work in slices:
            each = SliceTransform(self.documents, self.chunks, vectors, batch, stamp, advance)
            result = result.merge(each.run(work, NoPool()))
        self.chunks.manifests.write(finished(batch, result))
