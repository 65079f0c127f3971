"""Kill it anywhere, run it again: the same rows as an uninterrupted run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lineage import CommitConflict
from pipelines.tables import Table
from pipelines.tables.batches import Manifests
from pipelines.tables.parts import PartWriter


class Crash(BaseException):
    """Not an Exception, so that nothing on the way may handle it."""


def fill(project: Any, count: int = 6) -> None:
    for n in range(count):
        project.write(f"{n}.md", f"# Number {n}\n\n" + f"Words of document {n}. " * 30)


def expected(project: Any, tmp_path: Path) -> dict[str, Any]:
    """The state of an uninterrupted run over the same folder."""
    other = type(project)(tmp_path / "undisturbed")
    other.root.mkdir()
    os.symlink(project.root / "docs", other.root / "docs")
    other.settings = project.settings | {
        "sources": [
            {"name": "docs", "uri": str(project.root / "docs"), "acl": {"default": "public"}}
        ]
    }
    other.run()
    return other.state()


def crash_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    """The first call of `owner.name` crashes, before or after doing its work."""
    original: Callable[..., Any] = getattr(owner, name)

    def crashing(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(owner, name, original)
        if after:
            original(*args, **kwargs)
        raise Crash

    monkeypatch.setattr(owner, name, crashing)


POINTS = [
    (PartWriter, "write", False),
    (PartWriter, "close", True),
    (Manifests, "write", False),
    (Manifests, "write", True),
    (Table, "commit", False),
    (Table, "commit", True),
]


@pytest.mark.parametrize(("owner", "name", "after"), POINTS)
def test_a_crash_of_ingest_changes_nothing_in_the_end(
    project: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    after: bool,
) -> None:
    fill(project)
    crash_at(monkeypatch, owner, name, after=after)
    with pytest.raises((Crash, RuntimeError)):
        project.ingest(batch=3)
    project.run(batch=3)
    assert project.state() == expected(project, tmp_path)
    documents = project.lake.documents
    assert sum(file.rows for file in documents.files) == 6
    assert project.ingest().rows_written == 0


@pytest.mark.parametrize(("owner", "name", "after"), POINTS[2:])
def test_a_crash_of_transform_changes_nothing_in_the_end(
    project: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    after: bool,
) -> None:
    fill(project)
    project.ingest()
    crash_at(monkeypatch, owner, name, after=after)
    with pytest.raises((Crash, RuntimeError)):
        project.transform(batch=3)
    project.transform(batch=3)
    project.load()
    assert project.state() == expected(project, tmp_path)
    assert project.transform().as_dict()["rows_written"] == 0


def overtaken_at(monkeypatch: pytest.MonkeyPatch, project: Any, owner: Any, name: str) -> None:
    """Another run does all its work just before the first call of `owner.name`."""
    original: Callable[..., Any] = getattr(owner, name)

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(owner, name, original)
        project.ingest(run_id="the-faster-one")
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, overtaken)


def test_of_two_runs_one_wins_and_the_other_says_who(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    overtaken_at(monkeypatch, project, Manifests, "write")
    with pytest.raises(CommitConflict, match="the-faster-one"):
        project.ingest(run_id="the-slower-one")
    rows = project.documents().values()
    assert {row["run_id"] for row in rows} == {"the-faster-one"}
    assert len(rows) == 6
    assert project.ingest().as_dict()["rows_written"] == 0


def test_a_batch_adopted_by_another_run_is_committed_once(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(project)
    overtaken_at(monkeypatch, project, Table, "commit")
    project.ingest(run_id="the-slower-one")
    rows = project.documents().values()
    assert {row["run_id"] for row in rows} == {"the-slower-one"}
    assert project.lake.documents.seq == 1
    assert len(rows) == 6
    assert project.ingest().as_dict()["rows_written"] == 0


@pytest.mark.slow
def test_kill_9_of_the_driver_at_any_moment(project: Any, tmp_path: Path) -> None:
    fill(project, 40)
    config = project.config_path
    command = [sys.executable, "-m", "pipelines.cli.main", "run", str(config), "--json"]
    command += ["--workers", "2", "--batch", "10"]
    killed = 0
    for moment in (1.5, 3.0, 5.0):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    assert killed
    time.sleep(1)
    code, _, errors = project.command("run", str(config), "--json")
    assert code == 0, errors
    assert project.state() == expected(project, tmp_path)
    assert project.ingest().rows_written == 0
    assert project.transform().as_dict()["rows_written"] == 0
