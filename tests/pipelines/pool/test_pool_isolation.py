"""What workers may touch, and what they leave behind: nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pool_tools import OpenPool, alive, children, eventually, linux_only, offspring, results

from pipelines.pool import ProcessPool


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    """A local server that would notice any visitor."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test's own, for pools opened in it."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.mark.parametrize("verb", ["connect", "connect_ex", "send", "sendmsg", "bind", "ssl"])
def test_no_network(open_pool: OpenPool, listener: tuple[str, int], verb: str) -> None:
    refused, after = results(open_pool(1, network=False), [(verb, listener), ("echo", 1)])
    assert "parsing workers have no network; refused: " in refused.message
    assert after == 1


def test_no_names_are_looked_up(open_pool: OpenPool) -> None:
    tasks = [(verb, "example.org") for verb in ("resolve_name", "old_resolve_name", "fetch")]
    for refused in results(open_pool(1, network=False), tasks):
        assert "parsing workers have no network" in refused.message


def test_local_sockets_work_without_network(open_pool: OpenPool) -> None:
    assert results(open_pool(1, network=False), [("pair", b"hello")]) == [b"hello"]


@linux_only
def test_native_code_has_no_network_where_the_process_may_leave_it(open_pool: OpenPool) -> None:
    (interfaces,) = results(open_pool(1, network=False), [("interfaces", None)])
    status = Path("/proc/self/status").read_text()
    capabilities = int(status.partition("CapEff:")[2].split()[0], 16)
    if capabilities & 1 << 21:  # CAP_SYS_ADMIN
        assert interfaces <= ["lo"]
    else:
        assert interfaces


def test_network_where_it_was_not_forbidden(open_pool: OpenPool) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert results(open_pool(1), [("connect", server.getsockname())]) == [None]


def test_libraries_are_told_to_keep_quiet(open_pool: OpenPool) -> None:
    names = ("DO_NOT_TRACK", "SCARF_NO_ANALYTICS", "HF_HUB_OFFLINE", "OMP_NUM_THREADS")
    found = results(open_pool(1), [("environment", name) for name in names])
    assert found == ["1", "true", "1", "1"]


def test_output_goes_nowhere(open_pool: OpenPool, capfd: pytest.CaptureFixture[str]) -> None:
    assert results(open_pool(1), [("flood", 100)]) == ["done"]
    assert capfd.readouterr() == ("", "")


def test_nothing_of_the_main_module_runs_again(open_pool: OpenPool) -> None:
    (main,) = results(open_pool(1), [("main", None)])
    assert main == "None"


def test_own_process_group_and_no_core_files(open_pool: OpenPool) -> None:
    (pid, group), core = results(open_pool(1), [("group", None), ("core_limit", None)])
    assert pid == group != os.getpgid(0)
    assert core == (0, 0)


@linux_only
def test_no_descriptor_of_the_caller_is_passed_on(open_pool: OpenPool, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        (names,) = results(open_pool(1), [("descriptors", None)])
    assert not [name for name in names if "secret" in name]


def test_temporary_files_are_gone_at_close(open_pool: OpenPool, scratch: Path) -> None:
    pool = open_pool(2, seconds=1)
    found = results(pool, [("scratch", None)] * 4 + [("scratch_and_die", None)])
    assert all(str(scratch) in folder for folder in found[:4])
    results(pool, [("echo", 1)])
    pool.close()
    assert list(scratch.iterdir()) == []


@linux_only
def test_a_dead_workers_temporary_files_go_with_it(open_pool: OpenPool, scratch: Path) -> None:
    pool = open_pool(1)
    results(pool, [("scratch_and_die", None), ("echo", 1)])
    assert eventually(lambda: len(list(scratch.glob("gristmill-pool-*/*"))) <= 1)


@linux_only
def test_no_process_is_left_at_close(open_pool: OpenPool) -> None:
    before = offspring()
    pool = open_pool(3)
    results(pool, [("echo", n) for n in range(9)])
    assert offspring() > before
    pool.close()
    assert offspring() == before


@linux_only
def test_no_process_or_thread_is_left_when_workers_cannot_start(open_pool: OpenPool) -> None:
    before = offspring()
    pool = open_pool(2, initializer="pool_tasks:die_at_start")
    with pytest.raises(Exception, match="failed to start"):
        results(pool, [("echo", 1)])
    assert eventually(lambda: offspring() == before)


@linux_only
def test_a_pool_that_is_forgotten_ends(open_pool: OpenPool) -> None:
    before = offspring()
    pool = ProcessPool(1, function="pool_tasks:act")
    results(pool, [("echo", 1)])
    del pool
    assert eventually(lambda: offspring() == before)


_DRIVER = textwrap.dedent("""
    import signal, sys
    # Whoever runs the tests in the background may have left it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from pipelines.pool import ProcessPool
    sys.path.insert(0, sys.argv[1])
    pool = ProcessPool(2, function="pool_tasks:act")
    for _ in pool.imap([("report_pid", sys.argv[2])] * 2):
        pass
""")


@linux_only
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_drivers_death_ends_workers_and_files(
    tmp_path: Path, scratch: Path, number: signal.Signals
) -> None:
    file = tmp_path / "pids"
    command = [sys.executable, "-c", _DRIVER, str(Path(__file__).parent), str(file)]
    driver = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(scratch)})
    try:
        assert eventually(lambda: file.exists() and len(file.read_text().split()) == 2)
        pids = [int(pid) for pid in file.read_text().split()]
        (server,) = children(driver.pid)
        driver.send_signal(number)
        driver.wait(20)
        assert eventually(lambda: not any(alive(pid) for pid in (*pids, server)))
        assert eventually(lambda: not list(scratch.iterdir()))
    finally:
        if driver.poll() is None:
            driver.kill()
            driver.wait()


@linux_only
def test_a_stopped_driver_does_not_keep_a_hanging_task_alive(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    code = _DRIVER.replace('"pool_tasks:act")', '"pool_tasks:act", seconds=1)')
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(file)]
    driver = subprocess.Popen(command)
    try:
        assert eventually(lambda: file.exists() and len(file.read_text().split()) == 2)
        pids = [int(pid) for pid in file.read_text().split()]
        driver.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        assert eventually(lambda: not any(alive(pid) for pid in pids))
    finally:
        driver.kill()
        driver.wait()
