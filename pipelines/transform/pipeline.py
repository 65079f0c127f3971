"""The transform pipeline: slices of a plan in, a batch's manifest out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection

from pipelines.beam import Lent, ProgressHandle
from pipelines.pool import ProcessPool
from pipelines.storage import Storage
from pipelines.tables import Batch, Lake
from pipelines.transform.rows import RowStamp
from pipelines.transform.slices import Slice, SliceResult, SliceTransform, finished
from pipelines.transform.work import chunk_pool


class TransformSlice(beam.DoFn):
    """Chunks the documents of one slice, in the pool lent by the driver or in this process."""

    def __init__(
        self,
        lake: Storage,
        batch: Batch,
        stamp: RowStamp,
        pool: Lent[ProcessPool] | None,
        progress: ProgressHandle,
    ) -> None:
        self._lake = lake
        self._batch = batch
        self._stamp = stamp
        self._lent = pool
        self._progress = progress

    def process(self, element: Slice | Lent[Slice]) -> Iterator[SliceResult]:
        """The slice's part files, counts and figures."""
        work = element.get() if isinstance(element, Lent) else element
        lake = Lake(self._lake)
        transform = SliceTransform(
            lake.documents,
            lake.chunks(self._stamp.strategy),
            lake.vectors,
            self._batch,
            self._stamp,
            self._progress.advance,
        )
        result = transform.run(work, self._lent.get() if self._lent else chunk_pool(0))
        for name, count in result.counts.items():
            Metrics.counter("transform", f"{name}-out").inc(count)
        yield result


def merge_results(results: Iterable[SliceResult]) -> SliceResult:
    """The results of several slices as one."""
    merged = SliceResult()
    for result in results:
        merged = merged.merge(result)
    return merged


class WriteManifest(beam.DoFn):
    """Records the finished batch in the lake, for the driver to commit."""

    def __init__(self, lake: Storage, strategy: str, batch: Batch) -> None:
        self._lake = lake
        self._strategy = strategy
        self._batch = batch

    def process(self, element: SliceResult) -> Iterator[str]:
        """The batch's id."""
        batch = finished(self._batch, element)
        Lake(self._lake).chunks(self._strategy).manifests.write(batch)
        yield batch.batch_id


@dataclasses.dataclass
class Transform(beam.PTransform[Any, Any]):
    """Slices → the batch's manifest."""

    lake: Storage
    batch: Batch
    stamp: RowStamp
    slices: Sequence[Slice | Lent[Slice]]
    pool: Lent[ProcessPool] | None
    progress: ProgressHandle

    def expand(self, pbegin: beam.pvalue.PBegin) -> PCollection[str]:
        """Create the slices, chunk each where it lands, merge counts and figures."""
        return (
            pbegin
            | "CreateSlices" >> beam.Create(list(self.slices))
            | "SpreadSlices" >> beam.Reshuffle()
            | "TransformSlice"
            >> beam.ParDo(
                TransformSlice(self.lake, self.batch, self.stamp, self.pool, self.progress)
            )
            | "MergeResults" >> beam.CombineGlobally(merge_results)
            | "WriteManifest"
            >> beam.ParDo(WriteManifest(self.lake, self.stamp.strategy, self.batch))
        )
