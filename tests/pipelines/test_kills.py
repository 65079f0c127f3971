"""Real processes, really killed; a real disk, really full; readers that never stop looking."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from change_tools import State, chunks_of, documents_of, everything, index_of

from pipelines import steps

pytestmark = pytest.mark.slow

PATIENCE = 240.0


def fill(project: Any, count: int, words: int = 200) -> None:
    for n in range(count):
        project.write(f"{n}.md", f"# Number {n}\n\n" + f"Words of document {n}. " * words)


def undisturbed(project: Any, tmp_path: Path) -> dict[str, State]:
    other = type(project)(tmp_path / "undisturbed")
    other.root.mkdir()
    source = {"name": "docs", "uri": str(project.root / "docs"), "acl": {"default": "public"}}
    other.settings = project.settings | {"sources": [source]}
    other.run()
    return everything(other)


@contextmanager
def started(project: Any, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "pipelines.cli.main", "run", str(project.config_path)]
    process = subprocess.Popen(
        [*command, "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "moment",
    ["part-write:before:1", "manifest-write:after:1", "commit:after:2", "sink-replace:after:1"],
)
def test_kill_9_of_the_driver_at_a_step(project: Any, tmp_path: Path, moment: str) -> None:
    fill(project, 8)
    with started(project, "--batch", "4", **{steps.VARIABLE: moment}) as process:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL
    project.run()
    assert everything(project) == undisturbed(project, tmp_path)
    assert project.ingest().rows_written == 0


def descendants(pid: int) -> list[int]:
    """Processes below `pid`, the deepest last."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, IndexError):
                text = (entry / "stat").read_text()
                parent = int(text.rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        below = parents.get(queue.pop(0), [])
        found += below
        queue += below
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("which", ["worker", "server"])
def test_a_killed_worker_does_not_hang_the_run(project: Any, tmp_path: Path, which: str) -> None:
    fill(project, 60, words=300)
    with started(project, "--workers", "2") as process:
        until = time.monotonic() + PATIENCE
        victims: list[int] = []
        while time.monotonic() < until and process.poll() is None and len(victims) < 2:
            victims = descendants(process.pid)
            time.sleep(0.02)
        assert victims, "no worker was ever seen"
        # The server forks the workers, so it comes first.
        os.kill(victims[-1] if which == "worker" else victims[0], signal.SIGKILL)
        out, errors = process.communicate(timeout=PATIENCE)
    if which == "worker":
        assert process.returncode == 0, (out, errors)
    else:
        assert process.returncode in (0, 1), (out, errors)
    project.run()
    assert everything(project) == undisturbed(project, tmp_path)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_disk_that_is_really_full(project: Any) -> None:
    fill(project, 40)
    project.settings = {
        "lake": "disk/lake",
        "sinks": [{"name": "index", "kind": "lancedb", "uri": "disk/index", "strategy": "default"}],
    }
    path = str(project.config_path)
    with small_disk(project.root / "disk", "1500k"):
        ballast = project.root / "disk" / "ballast"
        ballast.write_bytes(os.urandom(1_400_000))
        code, value, errors = project.command("run", path, "--json")
        assert code == 1
        assert "No space left" in errors or "storage full" in errors.lower(), errors
        assert "fault in gristmill" not in errors
        assert value["error"]["exit_code"] == 1
        ballast.unlink()
        fuller = project.command("run", path, "--json")
        assert fuller[0] in (0, 1)
        subprocess.run(["mount", "-o", "remount,size=64m", str(project.root / "disk")], check=True)
        code, value, errors = project.command("run", path, "--json")
        assert code == 0, errors
        code, value, errors = project.command("verify", path, "--json")
        assert code == 0, errors


def test_stages_that_were_away_for_ten_runs_catch_up(project: Any, tmp_path: Path) -> None:
    fill(project, 6, words=20)
    project.run()
    for run in range(10):
        project.write(f"{run % 4}.md", f"# Number {run}\n\nWritten in run {run}.")
        project.write(f"new-{run}.md", f"Run {run} brought this.")
        if run % 3 == 0:
            (project.root / "docs" / f"new-{run}.md").unlink()
        if run == 5:
            (project.root / "docs" / "5.md").unlink()
            project.write("4.md.acl.yaml", "allow_groups: [hr]\n")
        project.ingest()
    project.transform()
    for run in range(10):
        project.write("0.md", f"# Number 0\n\nWritten once more, {run}.")
        project.ingest()
        project.transform()
    project.load()
    assert everything(project) == undisturbed(project, tmp_path)


def test_a_reader_that_never_stops_sees_old_or_new(project: Any) -> None:
    fill(project, 12, words=60)
    project.run()
    versions: dict[str, list[State]] = {
        "documents": [documents_of(project)],
        "chunks": [chunks_of(project)],
        "index": [index_of(project)],
    }
    readers = {"documents": documents_of, "chunks": chunks_of, "index": index_of}
    looked: list[tuple[str, State]] = []
    stop = threading.Event()
    failures: list[BaseException] = []

    def look() -> None:
        while not stop.is_set():
            for name, read in readers.items():
                try:
                    looked.append((name, read(project)))
                except BaseException as error:
                    failures.append(error)
                    return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    for version in range(3):
        for n in range(12):
            project.write(f"{n}.md", f"# Number {n}\n\n" + f"Version {version} of {n}. " * 60)
        project.run(batch=4)
        for name, read in readers.items():
            versions[name].append(read(project))
        enough = len(looked) + 2 * len(readers)
        while len(looked) < enough and not failures:
            time.sleep(0.01)
    stop.set()
    thread.join(PATIENCE)
    assert not failures
    for name, state in looked:
        assert state.keys() == versions[name][0].keys(), name
        for key, value in state.items():
            assert value in [each[key] for each in versions[name]], (name, key)
