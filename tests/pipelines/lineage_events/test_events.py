"""OpenLineage events of real runs: complete, as specified, and without names of people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from http_service import Answering, serving
from openlineage_schema import check_event

from lineage import ConfigError, TransientError
from pipelines.config import Config, LineageConfig, load_config
from pipelines.lineage_events import delivery
from pipelines.lineage_events.watch import RunEvents
from pipelines.options import RunOptions

Event = dict[str, Any]


def run(project: Any, *stages: str, **options: Any) -> tuple[list[str], RunOptions]:
    """Run stages as the command line does; notes, and the options of the run."""
    given = RunOptions(workers=1, **options)
    config = project.config
    events = RunEvents(config, given)
    from functools import partial

    from pipelines.cli.stages import run_stage

    try:
        for stage in stages or ("ingest", "transform", "load"):
            events.watch(stage, partial(run_stage, stage, config))
    except BaseException as error:
        events.close(error)
        raise
    events.close()
    return events.notes, given


def file_of(project: Any) -> Path:
    path: Path = project.root / "state" / "lake" / "_lineage" / "openlineage.jsonl"
    return path


def written(project: Any) -> list[Event]:
    path = file_of(project)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def short(events: list[Event]) -> list[str]:
    return [f"{event['eventType']} {event['job']['name']}" for event in events]


WHOLE_RUN = [
    "START test",
    "START test.ingest", "COMPLETE test.ingest",
    "START test.transform", "COMPLETE test.transform",
    "START test.load", "COMPLETE test.load",
    "COMPLETE test",
]  # fmt: skip


def test_a_run_and_its_stages(project: Any) -> None:
    project.write("a.md", "# A\n\nwords of a")
    project.write("b.pdf", b"%PDF-1.4 broken")
    notes, options = run(project)
    events = written(project)
    assert notes == []
    assert short(events) == WHOLE_RUN
    for event in events:
        check_event(event)
    by_job = {(e["job"]["name"], e["eventType"]): e for e in events}
    for name, state in by_job:
        pair = by_job[name, "START"]["run"]["runId"], by_job[name, state]["run"]["runId"]
        assert pair[0] == pair[1]
        if name != "test":
            parent = by_job[name, state]["run"]["facets"]["parent"]
            assert parent["run"]["runId"] == options.run_id
            assert parent["job"]["name"] == "test"
    assert len({UUID(e["run"]["runId"]) for e in events}) == 4
    times = [event["eventTime"] for event in events]
    assert times == sorted(times)

    ingest = by_job["test.ingest", "COMPLETE"]
    (source,), (documents,) = ingest["inputs"], ingest["outputs"]
    assert source["namespace"] == "file"
    assert source["name"] == str(project.root / "docs")
    assert source["inputFacets"]["inputStatistics"]["fileCount"] == 2
    checks = {
        a["assertion"]: (a["success"], a["actual"])
        for a in source["inputFacets"]["dataQualityAssertions"]["assertions"]
    }
    assert checks == {
        "every listed document is accounted for": (True, "2"),
        "no document is rejected": (False, "1"),
        "no deletion is held back": (True, "0"),
    }
    assert documents["outputFacets"]["outputStatistics"]["rowCount"] == 2
    columns = [column["name"] for column in documents["facets"]["schema"]["fields"]]
    assert {"document_id", "text", "acl"} <= set(columns)
    # What one stage writes is what the next one reads, in the version that it wrote.
    transform, load = by_job["test.transform", "COMPLETE"], by_job["test.load", "COMPLETE"]
    for before, after in ((ingest, transform), (transform, load)):
        out, into = before["outputs"][0], after["inputs"][0]
        assert (out["namespace"], out["name"]) == (into["namespace"], into["name"])
        assert out["facets"]["version"] == into["facets"]["version"]
    assert load["outputs"][0]["name"] == str(project.root / "state" / "index")


def test_nothing_to_do_sends_nothing(project: Any) -> None:
    project.write("a.md", "words")
    run(project)
    before = written(project)
    assert run(project)[0] == []
    assert written(project) == before
    project.write("a.md", "other words")
    run(project, "ingest")
    assert short(written(project)[len(before) :]) == [
        "START test", "START test.ingest", "COMPLETE test.ingest", "COMPLETE test",
    ]  # fmt: skip


def test_nothing_to_do_imports_nothing_for_it(project: Any) -> None:
    project.write("a.md", "words")
    assert project.call("run", str(project.config_path))[0] == 0
    code = (
        "import sys; from pipelines.cli.main import load_verb; "
        f"load_verb('run').main(['{project.config_path}', '-q'], standalone_mode=False); "
        "print([m for m in sys.modules if m.partition('.')[0] in ('openlineage', 'requests')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_stage_that_fails(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("a.md", "words")
    project.write("a.md.acl.yaml", "allow_users: [nadia.ferrant]\n")
    run(project, "ingest")
    done = len(written(project))

    def fail(*_: Any) -> Any:
        raise TransientError("the store of nadia.ferrant does not answer: key=hunter2")

    monkeypatch.setattr("pipelines.transform.stage.Lake", fail)
    with pytest.raises(TransientError, match="nadia"):
        run(project, "transform")
    events = written(project)[done:]
    assert short(events) == [
        "START test", "START test.transform", "FAIL test.transform", "FAIL test",
    ]  # fmt: skip
    for event in events:
        check_event(event)
    assert events[2]["run"]["facets"]["errorMessage"]["message"] == (
        "TransientError: Trying again later may succeed."
    )


def test_no_principal_no_text_and_no_secret_gets_out(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0a2V5")
    project.write("a.md", "confidential words of the body")
    project.write("a.md.acl.yaml", "allow_users: [nadia.ferrant]\ndeny_groups: [interns]\n")
    run(project)
    text = file_of(project).read_text()
    for secret in ("nadia", "interns", "confidential", "c2VjcmV0a2V5", "a.md"):
        assert secret not in text


def test_the_schemas_refuse_what_is_not_as_specified(project: Any) -> None:
    project.write("a.md", "words")
    run(project, "ingest")
    event = written(project)[2]
    for damage in (
        lambda e: e.pop("eventTime"),
        lambda e: e.update(eventType="ENDED"),
        lambda e: e.update(more=1),
        lambda e: e["run"].update(runId="7"),
        lambda e: e["run"]["facets"]["parent"].pop("job"),
        lambda e: e["outputs"][0]["outputFacets"]["outputStatistics"].update(rowCount="2"),
        lambda e: e["outputs"][0]["facets"]["schema"]["fields"][0].pop("name"),
    ):  # fmt: skip
        copy = json.loads(json.dumps(event))
        damage(copy)
        with pytest.raises(jsonschema.ValidationError):
            check_event(copy)


# An endpoint


@dataclass
class Endpoint:
    url: str = ""
    answer: Callable[[], int] = lambda: 201
    got: list[Event] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    running = Endpoint()

    class Handler(Answering):
        def do_POST(self) -> None:
            body = json.loads(self.body())
            status = running.answer()
            running.paths.append(self.path)
            running.keys.append(self.headers.get("Authorization"))
            if status < 300:
                check_event(body)
                running.got.append(body)
            self.say(status)

    with serving(Handler) as address:
        running.url = f"{address}/lineage"
        yield running


@pytest.fixture
def marquez() -> Iterator[Endpoint]:
    with endpoint() as running:
        yield running


def pending(project: Any) -> list[Path]:
    return sorted((project.root / "state" / "lake" / "_lineage" / "pending").glob("*.json"))


def test_an_endpoint_gets_them(
    project: Any, marquez: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(delivery.API_KEY, "k")
    project.settings["lineage"] = {"url": marquez.url, "namespace": "production"}
    project.write("a.md", "words")
    assert run(project)[0] == []
    assert short(marquez.got) == WHOLE_RUN
    assert {event["job"]["namespace"] for event in marquez.got} == {"production"}
    assert set(marquez.paths) == {"/lineage/api/v1/lineage"}
    assert set(marquez.keys) == {"Bearer k"}
    assert not file_of(project).exists()


def test_events_wait_for_an_endpoint_that_is_away(project: Any, marquez: Endpoint) -> None:
    project.settings["lineage"] = {"url": marquez.url}
    project.write("a.md", "words")
    marquez.answer = lambda: 503
    notes, _ = run(project)
    assert len(marquez.paths) == 1  # once it is away it is left alone
    assert len(pending(project)) == 8
    assert "8 of this run wait" in notes[0]
    marquez.answer = lambda: 201
    project.write("a.md", "other words")
    assert run(project, "ingest")[0] == []
    assert short(marquez.got) == [
        *WHOLE_RUN, "START test", "START test.ingest", "COMPLETE test.ingest", "COMPLETE test",
    ]  # fmt: skip
    assert pending(project) == []


def test_what_is_refused_for_good_does_not_wait(project: Any, marquez: Endpoint) -> None:
    project.settings["lineage"] = {"url": marquez.url}
    project.write("a.md", "words")
    marquez.answer = lambda: 422
    notes, _ = run(project, "ingest")
    assert pending(project) == []
    assert "refused 4 lineage events for good" in notes[0]


def test_the_spool_is_bounded(
    project: Any, marquez: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_PENDING", 5)
    project.settings["lineage"] = {"url": marquez.url}
    project.write("a.md", "words")
    marquez.answer = lambda: 503
    notes, _ = run(project)
    kept = [json.loads(path.read_text()) for path in pending(project)]
    assert short(kept) == WHOLE_RUN[-5:]
    assert any("the oldest 3 were dropped" in note for note in notes)


def test_a_hanging_endpoint_is_not_waited_for(
    project: Any, marquez: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LONGEST_SECONDS", 0.2)
    released = threading.Event()

    def hang() -> int:
        released.wait(3_600)
        return 201

    marquez.answer = hang
    project.settings["lineage"] = {"url": marquez.url}
    project.write("a.md", "words")
    given = RunOptions(workers=1)
    events = RunEvents(project.config, given)
    assert events.watch("ingest", lambda options: options.progress.stage("x", 1)) is None
    events.close()
    released.set()
    assert len(pending(project)) == 4
    assert "4 of this run wait" in events.notes[0]


def test_a_file_that_cannot_be_written_is_a_note(project: Any) -> None:
    project.settings["lineage"] = {"file": "docs/a.md/events.jsonl"}
    project.write("a.md", "words")
    notes, _ = run(project, "ingest")
    assert len(notes) == 1
    assert "cannot be written" in notes[0]


def test_a_file_is_set_aside_when_it_is_large(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_FILE_BYTES", 100)
    for text in ("words", "other words"):
        project.write("a.md", text)
        run(project, "ingest")
    assert len(written(project)) == 4
    assert file_of(project).with_name("openlineage.jsonl.1").exists()


def test_events_can_be_switched_off(project: Any) -> None:
    project.settings["lineage"] = {"enabled": False}
    project.write("a.md", "words")
    run(project, "ingest")
    assert not file_of(project).exists()


def lineage(folder: Path, value: Any) -> LineageConfig:
    path = folder / "gristmill.yaml"
    text = f"name: t\nlake: lake\nsources: [{{uri: docs}}]\nlineage: {json.dumps(value)}\n"
    path.write_text(text)
    config: Config = load_config(path)
    return config.lineage


def test_a_config(tmp_path: Path) -> None:
    assert lineage(tmp_path, {"file": "x/e.jsonl"}).file == os.path.join(tmp_path, "x/e.jsonl")
    read = lineage(tmp_path, {"url": "https://m.example", "endpoint": "v2", "namespace": "p"})
    assert (read.url, read.endpoint, read.namespace) == ("https://m.example", "v2", "p")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"url": "m.example"}, "must be an http"),
        ({"url": "https://amy@m.example"}, "without a login"),
        ({"url": "https://m.example", "file": "x"}, "take one out"),
        ({"file": "az://c/x"}, "must be a local file"),
        ({"enabled": "no"}, "must be true or false"),
        ({"urls": "x"}, "did you mean `url`"),
    ],
)
def test_configs_that_are_refused(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lineage(tmp_path, value)
