"""The ingest pipeline: slices of a plan in, a batch's manifest out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection

from pipelines.beam import Lent, ProgressHandle
from pipelines.ingest.slices import Slice, SliceIngest, SliceResult, finished
from pipelines.ingest.work import parse_pool
from pipelines.pool import ProcessPool
from pipelines.storage import Storage
from pipelines.tables import Batch, Lake, PartWriter


class IngestSlice(beam.DoFn):
    """Fetches, parses and writes one slice, in the pool lent by the driver or in one of its own."""

    def __init__(
        self,
        lake: Storage,
        batch: Batch,
        pool: Lent[ProcessPool] | None,
        progress: ProgressHandle,
    ) -> None:
        self._lake = lake
        self._batch = batch
        self._lent = pool
        self._progress = progress
        self._pool: ProcessPool | None = None

    def setup(self) -> None:
        """Have parse processes."""
        self._pool = self._lent.get() if self._lent else parse_pool(1)

    def teardown(self) -> None:
        """Stop those that are our own."""
        if self._pool is not None and not self._lent:
            self._pool.close()
        self._pool = None

    def process(self, element: Slice | Lent[Slice]) -> Iterator[SliceResult]:
        """The slice's part file and counts."""
        assert self._pool is not None
        work = element.get() if isinstance(element, Lent) else element
        table = Lake(self._lake).documents
        path = table.part_path(self._batch, f"{work.index:05d}")
        writer = PartWriter(table.folder, path, table.schema)
        try:
            result = SliceIngest(work, writer, self._progress.advance).run(self._pool)
        except BaseException:
            writer.abort()
            raise
        for (_, name), count in result.counts.items():
            Metrics.counter("ingest", f"documents-{name}").inc(count)
        yield result


def merge_results(results: Iterable[SliceResult]) -> SliceResult:
    """The results of several slices as one."""
    merged = SliceResult()
    for result in results:
        merged = merged.merge(result)
    return merged


class WriteManifest(beam.DoFn):
    """Records the finished batch in the lake, for the driver to commit."""

    def __init__(self, lake: Storage, batch: Batch) -> None:
        self._lake = lake
        self._batch = batch

    def process(self, element: SliceResult) -> Iterator[str]:
        """The batch's id."""
        batch = finished(self._batch, element)
        Lake(self._lake).documents.manifests.write(batch)
        yield batch.batch_id


@dataclasses.dataclass
class Ingest(beam.PTransform[Any, Any]):
    """Slices → the batch's manifest."""

    lake: Storage
    batch: Batch
    slices: Sequence[Slice | Lent[Slice]]
    pool: Lent[ProcessPool] | None
    progress: ProgressHandle

    def expand(self, pbegin: beam.pvalue.PBegin) -> PCollection[str]:
        """Create the slices, ingest each where it lands, merge their results."""
        return (
            pbegin
            | "CreateSlices" >> beam.Create(list(self.slices))
            | "SpreadSlices" >> beam.Reshuffle()
            | "IngestSlice"
            >> beam.ParDo(IngestSlice(self.lake, self.batch, self.pool, self.progress))
            | "MergeResults" >> beam.CombineGlobally(merge_results)
            | "WriteManifest" >> beam.ParDo(WriteManifest(self.lake, self.batch))
        )
