"""For the tests of the pool: what is in its workers, and a look at processes from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.pool import ProcessPool

OpenPool = Callable[..., ProcessPool]

linux_only = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def children(pid: int) -> list[int]:
    """The living processes whose parent is `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            fields = stat.rpartition(")")[2].split()
            if fields[0] not in ("Z", "X") and int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def offspring(pid: int | None = None) -> set[int]:
    """Every living descendant of `pid`, by default of this process."""
    found: set[int] = set()
    waiting = [os.getpid() if pid is None else pid]
    while waiting:
        below = children(waiting.pop())
        found.update(below)
        waiting += below
    return found


def eventually(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether `true()` becomes so within some seconds."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def results(pool: ProcessPool, tasks: Any) -> list[Any]:
    """What became of each task, in order."""
    return [result for _, result in pool.imap(tasks)]
