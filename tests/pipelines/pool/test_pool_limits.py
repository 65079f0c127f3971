"""Tasks past their time, past their memory, or dead: one failure each, and the pool goes on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pool_tools import OpenPool, alive, eventually, linux_only, results

from pipelines.pool import Failure

MIB = 1 << 20
LONG = 3_600
"""Seconds that nobody waits for: a test that had to would end at its time limit."""


@pytest.mark.parametrize("verb", ["sleep", "loop", "spin", "stop"])
def test_a_task_that_hangs_is_killed_at_its_limit(open_pool: OpenPool, verb: str) -> None:
    pool = open_pool(1, seconds=1)
    results(pool, [("echo", 0)])
    before, hung, after = results(pool, [("echo", 1), (verb, LONG), ("echo", 2)])
    assert (before, after) == (1, 2)
    assert hung == Failure("timeout", "not finished after 1 s; its process was killed", "timeout")


def test_the_limit_is_each_tasks_own(open_pool: OpenPool) -> None:
    assert results(open_pool(1, seconds=4), [("sleep", 1.2)] * 4) == ["slept 1.2"] * 4


def test_many_hanging_tasks_are_killed_side_by_side(open_pool: OpenPool) -> None:
    pool = open_pool(4, seconds=1)
    kinds = [
        getattr(r, "kind", r) for r in results(pool, [("sleep", LONG)] * 8 + [("echo", "end")])
    ]
    assert kinds == ["timeout"] * 8 + ["end"]


def test_a_consumer_that_dawdles_does_not_delay_the_killing(
    open_pool: OpenPool, tmp_path: Path
) -> None:
    pool = open_pool(1, seconds=1)
    file = tmp_path / "pid"
    loop = pool.imap([("echo", 1), ("report_pid", str(file))])
    next(loop)
    assert eventually(file.exists)
    pid = int(file.read_text())
    assert eventually(lambda: not alive(pid))
    assert next(loop)[1].kind == "timeout"


@linux_only
def test_what_a_killed_task_started_is_killed_with_it(open_pool: OpenPool, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    (failed,) = results(open_pool(1, seconds=2), [("grandchild", str(file))])
    assert failed.kind == "timeout"
    pids = [int(pid) for pid in file.read_text().split()]
    assert len(pids) == 2
    assert eventually(lambda: not any(alive(pid) for pid in pids))


@linux_only
@pytest.mark.parametrize("verb", ["hoard", "hoard_in_disguise"])
def test_a_task_that_eats_its_memory_fails_with_memory(open_pool: OpenPool, verb: str) -> None:
    pool = open_pool(1, memory_bytes=256 * MIB)
    before, eaten, after = results(pool, [("hoard", 64 * MIB), (verb, 4096 * MIB), ("echo", 2)])
    assert (before, after) == (4, 2)
    assert (eaten.kind, eaten.error_class) == ("memory", "memory")


@linux_only
def test_every_task_has_the_whole_budget(open_pool: OpenPool) -> None:
    # A worker that came near its limit is replaced, whatever it still holds.
    assert results(open_pool(1, memory_bytes=256 * MIB), [("hoard", 176 * MIB)] * 5) == [11] * 5


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (("kill_self", signal.SIGKILL), "SIGKILL"),
        (("kill_self", signal.SIGTERM), "SIGTERM"),
        (("segfault", None), "SIGSEGV"),
        (("exit", 0), "exited with status 0"),
        (("exit", 9), "exited with status 9"),
    ],
)
def test_a_death_costs_one_task_only(open_pool: OpenPool, task: Any, said: str) -> None:
    tasks = [("echo", 0), task, *[("echo", n) for n in range(1, 10)]]
    found = results(open_pool(2, seconds=30), tasks)
    assert [found[0], *found[2:]] == list(range(10))
    assert (found[1].kind, found[1].error_class) == ("crash", "crash")
    assert said in found[1].message


def test_every_second_task_dies(open_pool: OpenPool) -> None:
    tasks = [("echo", n) if n % 2 else ("segfault", None) for n in range(24)]
    found = results(open_pool(3), tasks)
    assert [getattr(r, "kind", r) for r in found] == [n if n % 2 else "crash" for n in range(24)]


@linux_only
def test_workers_killed_from_outside_while_idle_cost_nothing(open_pool: OpenPool) -> None:
    pool = open_pool(2)
    for _ in range(3):
        pids = set(results(pool, [("pid", None)] * 6))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert results(pool, [("echo", n) for n in range(6)]) == list(range(6))


@linux_only
def test_the_fork_servers_death_costs_nothing(open_pool: OpenPool, tmp_path: Path) -> None:
    pool = open_pool(2)
    (worker,) = results(pool, [("pid", None)])
    server = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    threading.Timer(0.3, lambda: os.kill(server, signal.SIGKILL)).start()
    tasks = [("sleep", 0.8), ("sleep", 0.8), ("echo", 3)]
    assert results(pool, tasks) == ["slept 0.8", "slept 0.8", 3]


@linux_only
def test_a_task_that_kills_the_fork_server_is_given_up(open_pool: OpenPool) -> None:
    failed, after = results(open_pool(1), [("kill_parent", None), ("echo", 1)])
    assert (failed.kind, after) == ("crash", 1)


@linux_only
def test_a_worker_killed_while_a_large_task_is_on_its_way(open_pool: OpenPool) -> None:
    pool = open_pool(1)
    payload = b"x" * (192 * MIB)
    (worker,) = results(pool, [("pid", None)])
    # It is stopped, so the socket fills up and the rest waits for it to be writable.
    os.kill(worker, signal.SIGSTOP)
    threading.Timer(0.5, lambda: os.kill(worker, signal.SIGKILL)).start()
    assert [len(r) for r in results(pool, [("echo", payload)])] == [len(payload)]


def test_a_result_beyond_the_limit_is_a_failure(
    open_pool: OpenPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.pool.wire.MAX_FRAME_BYTES", MIB)
    failed, after = results(open_pool(1), [("big", 2 * MIB), ("echo", 1)])
    assert (failed.kind, after) == ("error", 1)
    assert "the limit is 1048576" in failed.message


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory reliably")
def test_a_bomb_in_every_worker_at_once(open_pool: OpenPool) -> None:
    pool = open_pool(4, seconds=20, memory_bytes=128 * MIB)
    found = results(pool, [("hoard", 2048 * MIB)] * 8 + [("echo", "end")])
    assert [getattr(r, "kind", r) for r in found] == ["memory"] * 8 + ["end"]
