"""Running a Beam pipeline: the local default is the in-process Fn API runner, named explicitly.

An unqualified `DirectRunner` would look for another engine on the network. Work that needs
several cores goes to a `pipelines.pool.ProcessPool` inside the steps, which starts faster than
Beam's own worker processes, enforces limits, and notices at once when a process dies.
Everything after `--` on the command line goes to Beam, so another runner is a matter of
options; there each Beam worker does its slices by itself.
"""

from __future__ import annotations

import logging
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lineage import ConfigError, MissingExtra, TerminalError
from pipelines.options import RunOptions
from pipelines.progress import Progress

if TYPE_CHECKING:
    import apache_beam as beam

LOCAL_RUNNER = "FnApiRunner"

T = TypeVar("T")

_progress: weakref.WeakValueDictionary[str, Progress] = weakref.WeakValueDictionary()
_lent: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Lent(Generic[T]):
    """A picklable reference to a value in the driver's process, for a runner that works there.

    Beam pickles and compresses what a pipeline is built with, several times over; a plan of
    thousands of documents goes by reference instead, and so does what cannot be pickled.
    """

    key: str

    def get(self) -> T:
        """The value; only in the process that lent it, and only while it does."""
        value: T = _lent[self.key]
        return value


@contextmanager
def lend(value: T) -> Iterator[Lent[T]]:
    """Lend `value` to the steps of a pipeline that runs in this process."""
    handle: Lent[T] = Lent(uuid.uuid4().hex)
    _lent[handle.key] = value
    try:
        yield handle
    finally:
        del _lent[handle.key]


@dataclass(frozen=True, slots=True)
class ProgressHandle:
    """A picklable reference to the driver's progress display.

    Steps that run in the driver's process reach it; on a remote worker it does nothing.
    """

    key: str

    @classmethod
    def to(cls, progress: Progress) -> ProgressHandle:
        """A handle to `progress`, valid while the caller keeps it alive."""
        key = uuid.uuid4().hex
        _progress[key] = progress
        return cls(key)

    def advance(self, count: int) -> None:
        """Report `count` finished items."""
        progress = _progress.get(self.key)
        if progress is not None:
            progress.advance(count)


def runs_locally(beam_args: Sequence[str]) -> bool:
    """Whether the Beam options leave the runner at the local default."""
    runners = [arg.partition("=")[2] for arg in beam_args if arg.startswith("--runner=")]
    runners += [value for flag, value in pairwise(beam_args) if flag == "--runner"]
    return not runners or runners[-1] == LOCAL_RUNNER


def check_running_mode(beam_args: Sequence[str]) -> None:
    """Refuse Beam's own worker processes on this machine.

    Its local runner waits for ever for one that was killed. `--workers` starts processes as well,
    and those are watched.

    Raises:
        ConfigError: the options ask for them.
    """
    text = " ".join(beam_args).replace("=", " ")
    if runs_locally(beam_args) and "--direct_running_mode multi_processing" in text:
        raise ConfigError(
            "--direct_running_mode=multi_processing is not supported: Beam's local runner never "
            "ends when one of its worker processes is killed. Use `--workers N` before the `--`: "
            "it starts N processes that are watched and replaced"
        )


def run_pipeline(build: Callable[[beam.Pipeline], Any], options: RunOptions) -> None:
    """Build a pipeline, run it and wait for its end.

    Raises:
        MissingExtra: Beam is not installed.
        TerminalError: the runner reported a state other than DONE.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.runner import PipelineState
    except ImportError as error:
        raise MissingExtra(
            "this stage needs Apache Beam; install the stage's extra, for example "
            "pip install 'gristmill[ingest]'"
        ) from error
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    check_running_mode(options.beam_args)
    if runs_locally(options.beam_args):
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        rest = [arg for arg in options.beam_args if not arg.startswith("--runner")]
        pipeline = beam.Pipeline(
            runner=FnApiRunner(),
            options=PipelineOptions([arg for arg in rest if arg != LOCAL_RUNNER]),
        )
    else:
        pipeline = beam.Pipeline(options=PipelineOptions(list(options.beam_args)))
    build(pipeline)
    result = pipeline.run()
    state = result.wait_until_finish() or result.state
    if state not in (None, PipelineState.DONE):
        raise TerminalError(f"the Beam pipeline ended as {state}; see the runner's log")
