"""What one run was asked to do, apart from its configuration."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field

from lineage.errors import ConfigError
from pipelines.progress import NullProgress, Progress


def new_run_id() -> str:
    """A fresh run id: a UUID of version 7 (RFC 9562), so that ids sort by time."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def cpu_count() -> int:
    """The CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0)) or 1
    except AttributeError:
        return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of one run; all its stages share them.

    Raises:
        ConfigError: fewer than one worker, or a batch of less than one document.
    """

    run_id: str = field(default_factory=new_run_id)
    workers: int = field(default_factory=cpu_count)
    """Processes in all, Beam's and the parse pool's together."""
    beam_args: tuple[str, ...] = ()
    """What stood after `--`, for Beam."""
    verify_hash: bool = False
    """Read every source's bytes and compare hashes, whatever its version says."""
    allow_deletes: bool = False
    """Let deletions through that the guard would hold back."""
    retry_rejects: bool = False
    """Try rejected documents again although nothing about them has changed."""
    reparse: str | None = None
    """Parse again what this parser has parsed; empty for every parser that has changed since."""
    batch: int | None = None
    """Documents in a batch, in place of the configuration's `batch.documents`."""
    progress: Progress = field(default_factory=NullProgress, compare=False)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"--workers must be at least 1, not {self.workers}")
        if self.batch is not None and self.batch < 1:
            raise ConfigError(f"--batch must be at least 1 document, not {self.batch}")
