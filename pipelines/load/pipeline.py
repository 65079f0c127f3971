"""The load as a Beam pipeline: a thin step over `pipelines.load.apply`.

It always runs in the driver's process, with one worker: a sink has one writer.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.beam import lend, run_pipeline
from pipelines.load.apply import Target, Unit, apply_unit
from pipelines.load.open import open_sink

if TYPE_CHECKING:
    import apache_beam as beam

    from pipelines.options import RunOptions


def run_units(units: list[Unit], target: Target, options: RunOptions) -> None:
    """Apply `units` in order, as one Beam pipeline in this process."""
    import apache_beam as beam

    from pipelines.load.steps import ApplyUnit

    def build(pipeline: beam.Pipeline) -> None:
        # Without a reshuffle the units stay in order, in one bundle.
        created = pipeline | "CreateUnits" >> beam.Create(lent, reshuffle=False)
        created | "ApplyUnits" >> beam.ParDo(ApplyUnit(target))

    with ExitStack() as stack:
        lent = [stack.enter_context(lend(unit)) for unit in units]
        # Beam's options are for the parallel stages: several workers would be several writers.
        run_pipeline(build, replace(options, beam_args=()))


def apply_here(units: list[Unit], target: Target) -> None:
    """Apply `units` in order, without Beam: what changes rights is small, and should not wait."""
    table = target.table.get()
    sink = open_sink(target.sink, target.origin)
    for unit in units:
        apply_unit(unit, table, sink, target)
