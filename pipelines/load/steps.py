"""The Beam step of the load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipelines.beam import Lent
from pipelines.load.apply import Target, Unit, apply_unit
from pipelines.load.open import open_sink
from pipelines.load.sink import Sink
from pipelines.tables.lake import ChunkTable

if TYPE_CHECKING:
    from collections.abc import Iterator


class ApplyUnit(beam.DoFn):
    """Applies a unit to the sink that `target` describes, in the order they come."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._table: ChunkTable | None = None
        self._sink: Sink | None = None

    def setup(self) -> None:
        """Open both ends; connections are made on first use."""
        self._table = self.target.table.get()
        self._sink = open_sink(self.target.sink, self.target.origin)

    def process(self, unit: Lent[Unit]) -> Iterator[None]:
        """Apply `unit`; there is no output."""
        assert self._table is not None
        assert self._sink is not None
        apply_unit(unit.get(), self._table, self._sink, self.target)
        Metrics.counter("load", "units-applied").inc()
        yield from ()
