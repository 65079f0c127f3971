from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lineage import CommitConflict
from pipelines.load.lease import hold


def holder(path: Path) -> dict[str, object]:
    value: dict[str, object] = json.loads(path.read_text())
    return value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index" / "_lease.json"


def test_second_loader_learns_who_holds_it(path: Path) -> None:
    with hold(path) as lease:
        lease.check()
        with pytest.raises(CommitConflict, match=f"process {os.getpid()} on"), hold(path):
            pass
        lease.check()
    assert not path.exists()
    assert list(path.parent.iterdir()) == []
    with hold(path):
        pass


def test_lease_ends_with_an_error(path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"), hold(path):
        raise RuntimeError("boom")
    assert not path.exists()


def test_dead_process_is_replaced_at_once(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from pipelines.load.lease import hold\n"
        "with hold(Path(sys.argv[1])): os._exit(9)"
    )
    died = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert died.returncode == 9
    assert path.exists()
    with hold(path) as lease:
        lease.check()
        assert holder(path)["pid"] == os.getpid()


def test_silent_holder_elsewhere_is_replaced_only_after_expiry(path: Path) -> None:
    path.parent.mkdir()
    content = {"token": "t", "host": "elsewhere", "pid": 1, "namespace": "", "since": 0.0}
    path.write_text(json.dumps(content))
    with pytest.raises(CommitConflict, match="process 1 on elsewhere"), hold(path):
        pass
    long_ago = time.time() - 121
    os.utime(path, (long_ago, long_ago))
    with hold(path):
        assert holder(path)["host"] == socket.gethostname()


def test_damaged_lease_file_holds_until_expiry(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("")
    with pytest.raises(CommitConflict, match="cannot be read"), hold(path):
        pass
    with hold(path, expiry=-1):
        pass


def test_heartbeat_keeps_a_live_lease(path: Path) -> None:
    with hold(path, heartbeat=0.02):
        for _ in range(3):
            os.utime(path, (0, 0))
            while path.stat().st_mtime == 0:
                time.sleep(0.01)
            with pytest.raises(CommitConflict), hold(path):
                pass


def test_holder_that_slept_finds_out(path: Path) -> None:
    with hold(path, heartbeat=60) as lease:
        with hold(path, expiry=-1), pytest.raises(CommitConflict, match="lost its lease"):
            lease.check()
        with pytest.raises(CommitConflict, match="nobody"):
            lease.check()


def test_only_one_of_many_takes_over(path: Path) -> None:
    path.parent.mkdir()
    content = {"token": "t", "host": "elsewhere", "pid": 1, "namespace": "", "since": 0.0}
    for _ in range(20):
        path.write_text(json.dumps(content))
        os.utime(path, (0, 0))
        start = threading.Barrier(4)
        won: list[int] = []
        ended: list[int] = []
        over = threading.Event()

        def contend(n: int) -> None:
            start.wait()  # noqa: B023
            try:
                with hold(path) as lease:
                    # The one who was robbed in the instant of taking over may not write.
                    time.sleep(0.02)
                    lease.check()
                    won.append(n)  # noqa: B023
                    over.wait()  # noqa: B023
            except CommitConflict:
                ended.append(n)  # noqa: B023

        threads = [threading.Thread(target=contend, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        while len(won) + len(ended) < 4:
            time.sleep(0.005)
        over.set()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        path.unlink(missing_ok=True)
