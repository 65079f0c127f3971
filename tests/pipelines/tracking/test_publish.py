from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mlflow_here import TrackingHere
from tracking_tools import config, free_port, needs_mlflow, record, stored

from pipelines import tracking
from pipelines.cli.publish import command
from pipelines.config import Config
from pipelines.tracking import (
    Published,
    Publisher,
    TrackingFailed,
    Unreadable,
    pending,
    publish,
    publish_pending,
    record_run,
)


@pytest.fixture
def logged_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are logged in this process: what is logged counts, and not where."""
    monkeypatch.setattr(tracking, "TrackingProcess", TrackingHere)


@needs_mlflow
@pytest.mark.usefixtures("store", "logged_here")
def test_a_run_is_recorded_then_logged_whole_and_once(tmp_path: Path) -> None:
    settings, run = config(tmp_path), record()
    path = record_run(settings.lake, run)
    assert json.loads(Path(path).read_text())["metrics"]["chunks"] == 12
    assert [entry["run_key"] for entry in pending(settings.lake)] == [run["run_key"]]

    first = publish(settings, run)
    assert isinstance(first, Published), first
    assert not first.already
    assert pending(settings.lake) == []
    kept = json.loads((tmp_path / "lake/_runs" / Path(path).name).read_text())
    assert kept["mlflow_run_id"] == first.mlflow_run_id

    # The driver died before it could mark the record: it is found again, nothing is added.
    record_run(settings.lake, run)
    assert publish_pending(settings) == [Published(run["run_key"], first.mlflow_run_id, True)]
    assert pending(settings.lake) == []

    (logged,) = stored(tmp_path)
    assert logged["id"] == first.mlflow_run_id
    assert logged["name"] == "transform/default/run-1"
    assert (logged["status"], logged["start"], logged["end"]) == (
        "FINISHED", 1_700_000_000_000, 1_700_000_012_500
    )  # fmt: skip
    assert logged["params"] == {
        "max_tokens": "512", "default.chunker": "fixed", "default.rules": '["a", "b"]'
    }  # fmt: skip
    assert logged["metrics"] == {
        "chunks": 12, "coverage": 1, "boundary_cleanliness/markdown": 0.5, "coverage/c__": 1
    }  # fmt: skip
    assert logged["tags"]["gristmill.run_id"] == "run-1"
    assert logged["tags"]["gristmill.input.documents"] == "/lake/documents@7"
    assert logged["tags"]["note"] == "first"
    assert logged["datasets"] == [
        ["documents", "v7", {"uri": "/lake/documents", "delta_version": 7},
         [["mlflow.data.context", "transform"]]]
    ]  # fmt: skip
    assert logged["artifacts"]["configuration.json"] == {"name": "handbook"}
    assert logged["artifacts"]["policy.json"] == {"default": {"chunker": "fixed"}}
    assert logged["artifacts"]["run.json"]["run_id"] == "run-1"
    assert logged["uri"].startswith((tmp_path / "db/mlflow-artifacts").as_uri())


@needs_mlflow
@pytest.mark.usefixtures("store", "logged_here")
def test_pending_runs_are_published_in_one_go(tmp_path: Path) -> None:
    away = config(tmp_path, f"http://127.0.0.1:{free_port()}")
    for n in range(3):
        run = record(f"run-{n}", started_at=100.0 - n, ended_at=101.0)
        record_run(away.lake, run)
        assert isinstance(publish(away, run), TrackingFailed)
    assert [run["run_id"] for run in pending(away.lake)] == ["run-2", "run-1", "run-0"]
    assert all(isinstance(result, TrackingFailed) for result in publish_pending(away))
    back = config(tmp_path)
    assert [type(result) for result in publish_pending(back)] == [Published] * 3
    assert publish_pending(back) == []
    assert len(stored(tmp_path)) == 3


@needs_mlflow
@pytest.mark.usefixtures("store", "logged_here")
def test_a_damaged_record_stops_no_other(tmp_path: Path) -> None:
    settings = config(tmp_path)
    for n in range(2):
        record_run(settings.lake, record(f"run-{n}"))
    folder = tmp_path / "lake/_runs/pending"
    damaged = {
        "a.json": b"\xff\x00\x93", "b.json": b'{"run_key": "x", "st', "c.json": b"[]",
        "d.json": b'{"run_key": "x"}', "e.json": b"",
    }  # fmt: skip
    for name, data in damaged.items():
        (folder / name).write_bytes(data)
    answers = publish_pending(settings)
    assert [type(answer) for answer in answers] == [Published] * 2 + [Unreadable] * 5
    told = [answer for answer in answers if isinstance(answer, Unreadable)]
    assert [answer.name for answer in told] == list(damaged)
    assert all(
        f"{folder}/{answer.name}" in answer.message and "delete it" in answer.message
        for answer in told
    )
    assert sorted(path.name for path in folder.iterdir()) == list(damaged)


def test_the_command_names_what_is_damaged_and_a_cause_once(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    for n in range(3):
        record_run(str(lake), record(f"run-{n}"))
    (lake / "_runs/pending/x.json").write_bytes(b"\xff")
    (tmp_path / "docs").mkdir()
    path = tmp_path / "gristmill.yaml"
    path.write_text(
        f"name: handbook\nlake: {lake}\nsources:\n- {{name: docs, uri: {tmp_path}/docs}}\n"
        f"mlflow: {{tracking_uri: 'http://127.0.0.1:{free_port()}', experiment: handbook}}\n"
    )
    done = CliRunner().invoke(command, [str(path)], standalone_mode=False)
    assert done.return_value == 1, done
    said = " ".join(done.output.split())
    assert said.count("cannot connect") == 1
    assert "3 of the records could not be sent" in said
    assert "x.json: is no record of a run" in said
    assert "0 of 4 kept run records are in MLflow now" in said


def failed(settings: Config, run: dict[str, Any]) -> TrackingFailed:
    """The failure, which comes long before MLflow's own patience ends: 4 minutes at the least."""
    record_run(settings.lake, run)
    result = publish(settings, run)
    assert isinstance(result, TrackingFailed)
    assert "gristmill publish CONFIG" in result.message
    assert [entry["run_key"] for entry in pending(settings.lake)] == [run["run_key"]]
    return result


def test_refused_costs_nothing(tmp_path: Path) -> None:
    settings = config(tmp_path, f"http://user:secret@127.0.0.1:{free_port()}")
    result = failed(settings, record())
    assert "cannot connect" in result.message
    assert "secret" not in result.message


@needs_mlflow
def test_hanging_server_costs_a_bounded_time(tmp_path: Path, hanging: int) -> None:
    result = failed(config(tmp_path, f"http://127.0.0.1:{hanging}"), record())
    assert "it did not answer within 3 s" in result.message
    assert "HTTPConnectionPool" not in result.message


def test_time_limit_ends_whatever_hangs(
    tmp_path: Path, hanging: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "SERVER_SECONDS", 0.5)
    result = failed(config(tmp_path, f"http://127.0.0.1:{hanging}"), record())
    assert "did not answer within" in result.message


@needs_mlflow
def test_server_that_answers_with_errors(tmp_path: Path, failing: int) -> None:
    result = failed(config(tmp_path, f"http://127.0.0.1:{failing}"), record())
    assert "it answers with HTTP status 500" in result.message


@needs_mlflow
def test_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("a file where a folder should be")
    result = publish(config(tmp_path), record())
    assert isinstance(result, TrackingFailed)
    assert "File exists" in result.message or "Not a directory" in result.message


@needs_mlflow
@pytest.mark.usefixtures("store")
def test_runs_are_logged_while_the_caller_goes_on(tmp_path: Path) -> None:
    settings, runs = config(tmp_path), [record("run-1"), record("run-2")]
    publisher = Publisher(settings)
    publisher.start()
    for run in runs:
        record_run(settings.lake, run)
        publisher.send(run)
    results = publisher.results()
    assert [type(result) for result in results] == [Published] * 2
    assert [result.run_key for result in results] == [run["run_key"] for run in runs]
    assert publisher.results() == []
    assert pending(settings.lake) == []


def test_the_caller_waits_for_nothing_and_what_was_given_up_stays_pending(
    tmp_path: Path, hanging: int
) -> None:
    settings, run = config(tmp_path, f"http://127.0.0.1:{hanging}"), record()
    publisher = Publisher(settings)
    record_run(settings.lake, run)
    publisher.send(run)
    publisher.close()
    (result,) = publisher.results()
    assert isinstance(result, TrackingFailed)
    assert "the command ended before" in result.message
    assert len(pending(settings.lake)) == 1
