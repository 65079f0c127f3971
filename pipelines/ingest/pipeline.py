"""The ingest pipeline: slices of a plan in, a batch's manifest out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection

from pipelines.beam import ProgressHandle
from pipelines.ingest import work
from pipelines.ingest.parsers.base import Limits
from pipelines.ingest.slices import Slice, SliceIngest, SliceResult
from pipelines.pool import ProcessPool
from pipelines.storage import Storage
from pipelines.tables import Batch, Lake, PartWriter


class IngestSlice(beam.DoFn):
    """Fetches, parses and writes one slice, in `workers` parse processes."""

    def __init__(self, lake: Storage, batch: Batch, workers: int, progress: ProgressHandle) -> None:
        self._lake = lake
        self._batch = batch
        self._workers = workers
        self._progress = progress
        self._pool: ProcessPool | None = None

    def setup(self) -> None:
        """Start the parse processes."""
        limits = Limits()
        self._pool = ProcessPool(
            self._workers,
            function=work.FUNCTION,
            preload=work.PRELOAD,
            seconds=limits.seconds,
            memory_bytes=limits.memory_bytes,
            network=False,
        )
        self._pool.__enter__()

    def teardown(self) -> None:
        """Stop them."""
        if self._pool is not None:
            self._pool.__exit__(None, None, None)
            self._pool = None

    def process(self, element: Slice) -> Iterator[SliceResult]:
        """The slice's part file and counts."""
        assert self._pool is not None
        table = Lake(self._lake).documents
        path = table.part_path(self._batch, f"{element.index:05d}")
        writer = PartWriter(table.folder, path, table.schema)
        try:
            result = SliceIngest(element, writer, self._progress.advance).run(self._pool)
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


def finished(batch: Batch, result: SliceResult) -> Batch:
    """The batch with its parts and counts."""
    counts: dict[str, dict[str, int]] = {}
    for (source, name), count in sorted(result.counts.items()):
        counts.setdefault(source, {})[name] = count
    parts = tuple(sorted(result.parts, key=lambda part: part.path))
    return dataclasses.replace(batch, parts=parts, facts={"counts": counts})


@dataclasses.dataclass
class Ingest(beam.PTransform[Any, Any]):
    """Slices → the batch's manifest."""

    lake: Storage
    batch: Batch
    slices: Sequence[Slice]
    workers: int
    progress: ProgressHandle

    def expand(self, pbegin: beam.pvalue.PBegin) -> PCollection[str]:
        """Create the slices, ingest each where it lands, merge their results."""
        return (
            pbegin
            | "CreateSlices" >> beam.Create(list(self.slices))
            | "SpreadSlices" >> beam.Reshuffle()
            | "IngestSlice"
            >> beam.ParDo(IngestSlice(self.lake, self.batch, self.workers, self.progress))
            | "MergeResults" >> beam.CombineGlobally(merge_results)
            | "WriteManifest" >> beam.ParDo(WriteManifest(self.lake, self.batch))
        )
