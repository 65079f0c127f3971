"""`trace` and `impact`: from a chunk to its bytes, and from a document to all of its chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_tools import answer, chunks_of, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.queries.passage import byte_span, passage, places

SLOW = [HealthCheck.too_slow]
"""What a busy machine may trip."""


def test_the_bytes_of_a_chunk_are_its_text_in_the_file(config: Path, made: Path) -> None:
    for name in ("leave.md", "notes.txt", "people.csv"):
        for chunk in chunks_of(made, name):
            value = answer("trace", config, chunk["chunk_id"])
            data = Path(value["source"]["uri"].removeprefix("file://")).read_bytes()
            first, last = value["source"]["bytes"]
            assert data[first:last].decode() == value["text"]


ENCODINGS = [
    ("utf-8", b"\xef\xbb\xbf"),
    ("utf-16-le", b"\xff\xfe"),
    ("latin-1", b""),
    ("utf-8", b""),
]


@settings(deadline=None, suppress_health_check=SLOW)
@given(st.text(st.characters(max_codepoint=255), max_size=40), st.data())
def test_byte_spans_are_exact_in_any_encoding(text: str, data: st.DataObject) -> None:
    encoding, bom = data.draw(st.sampled_from(ENCODINGS))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    source = bom + text.encode(encoding)
    document = {
        "text_is_source": True, "source_encoding": encoding, "bom_bytes": len(bom),
        "size_bytes": len(source),
    }  # fmt: skip
    found = byte_span(document, text, start, end)
    assert found is not None
    assert source[slice(*found)].decode(encoding) == text[start:end]


@pytest.mark.parametrize(
    "change",
    [
        {"text_is_source": False},
        {"source_encoding": None},
        {"source_encoding": "no-such-encoding"},
        {"source_encoding": "ascii"},
        {"source_encoding": "utf-16"},
        {"size_bytes": 7},
    ],
)
def test_no_bytes_are_named_where_they_are_not_known(change: dict[str, Any]) -> None:
    text = "café"
    document = {"text_is_source": True, "source_encoding": "utf-8", "bom_bytes": 0, "size_bytes": 5}
    assert byte_span(document, text, 0, 4) == (0, 5)
    assert byte_span(document | change, text, 0, 4) is None


def test_boxes_are_those_of_the_innermost_blocks() -> None:
    def block(start: int, end: int, left: float | None, **more: Any) -> dict[str, Any]:
        box = None if left is None else dict(left=left, top=0.0, right=9.0, bottom=9.0)
        return {"kind": "paragraph", "start": start, "end": end, "page": 1, "bbox": box,
                "locator": None} | more  # fmt: skip

    blocks = [block(0, 30, 1.0), block(0, 10, 2.0), block(10, 20, 3.0), block(20, 30, None),
              block(40, 50, 4.0, locator="Sheet1!A1")]  # fmt: skip
    assert [spot["bbox"][0] for spot in places(blocks, 5, 25)] == [2.0, 3.0]
    assert places(blocks, 45, 46)[0]["locator"] == "Sheet1!A1"
    assert places(blocks, 31, 39) == []


@settings(deadline=None, suppress_health_check=SLOW)
@given(st.text("ab\n", max_size=60), st.data())
def test_a_passage_stands_at_its_lines(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = passage(text, start, end)
    assert found["before"] + found["text"] + found["after"] in text
    assert found["text"] == text[start:end]
    first, last = found["lines"]
    lines = text.split("\n")
    assert text[start:end].strip("\n") in "\n".join(lines[first - 1 : last + 1])
    assert found["before"].count("\n") <= min(4, first - 1)


def test_open_shows_the_passage_among_its_lines(config: Path, made: Path) -> None:
    chunk = chunks_of(made, "leave.md")[1]
    value = answer("trace", config, chunk["chunk_id"])
    first, last = value["passage"]["lines"]
    lines = Path(value["source"]["uri"].removeprefix("file://")).read_text().splitlines()
    shown = run("trace", config, chunk["chunk_id"], "--open").stdout
    assert f"lines {first} to {last} of the file" in shown
    assert f"bytes {value['source']['bytes'][0]} to" in shown
    marked = [line for line in shown.splitlines() if line.startswith(">")]
    assert len(marked) == sum(bool(line.strip()) for line in lines[first - 1 : last])
    assert marked[0].split(maxsplit=2)[:2] == [">", str(first)]
    assert lines[first - 2].strip() in shown


def test_trace_knows_the_parameters_and_the_sinks(config: Path, made: Path) -> None:
    value = answer("trace", config, chunks_of(made, "leave.md")[0]["chunk_id"])
    assert value["chunker"]["parameters"]["chunker"] == "sentence"
    assert value["sinks"] == {"index": True}
    assert [(run["stage"], run["did"]) for run in value["history"]] == [
        ("ingest", "read the content"),
        ("transform", "made it"),
        ("load", "loaded it into index"),
    ]
    runs = {run["stage"]: run["run_id"] for run in value["history"]}
    assert value["runs"]["load"] == {"index": runs["load"]}
    assert len(set(runs.values())) == 1  # `gristmill run` is one run of all stages
    assert runs["load"] in run("trace", config, value["chunk_id"]).stdout


def test_every_run_that_touched_a_chunk(project: Any) -> None:
    first = "The first sentence stands here and is long enough for a chunk of its own. " * 3
    project.write("a.txt", first + "\n\n" + "The second one. " * 30)
    project.write("a.txt.acl.yaml", "allow_groups: [hr]\n")
    config = project.config_path
    project.run()
    chunk = project.chunks()[0]["chunk_id"]
    project.write("a.txt.acl.yaml", "allow_groups: [hr, it]\n")
    project.run()
    project.write("a.txt", first + "\n\n" + "Another second one. " * 30)
    project.run()
    assert project.chunks()[0]["chunk_id"] == chunk
    value = answer("trace", config, chunk)
    assert [(run["stage"], run["did"]) for run in value["history"]] == [
        ("ingest", "read the content"),
        ("transform", "made it"),
        ("load", "loaded it into index"),
        ("ingest", "changed rights or labels"),
        ("transform", "passed rights or labels on"),
        ("load", "set rights or labels in index"),
        ("ingest", "read the content"),
        ("transform", "kept it"),
        ("load", "loaded it into index"),
    ]
    assert len({run["run_id"] for run in value["history"]}) == 9

    impact = answer("impact", config, "a.txt")
    assert [row["op"] for row in impact["versions"]] == ["upsert", "acl", "upsert"]
    strategy = impact["strategies"]["default"]
    assert [row["op"] for row in strategy["commits"]] == ["upsert", "acl", "upsert"]
    assert chunk in [row["chunk_id"] for row in strategy["chunks"]]
    assert len(strategy["chunks"]) == len(project.chunks())
    assert strategy["up_to_date"]
    assert impact["sinks"]["index"]["up_to_date"]
    assert impact["sinks"]["index"]["run_id"] == value["history"][-1]["run_id"]
    assert set(impact["runs"]) <= {run["run_id"] for run in value["history"]}

    # What has not been passed on yet is said to be behind.
    project.write("a.txt", "Short.")
    project.ingest()
    behind = answer("impact", config, impact["uri"])
    assert not behind["strategies"]["default"]["up_to_date"]
    project.transform()
    behind = answer("impact", config, impact["uri"])
    assert behind["strategies"]["default"]["up_to_date"]
    assert not behind["sinks"]["index"]["up_to_date"]
    assert behind["sinks"]["index"]["run_id"] is None


def test_impact_before_anything_was_chunked(project: Any) -> None:
    project.write("a.txt", "Alpha is first.")
    project.settings = {"sinks": [{"name": "index", "kind": "lancedb", "uri": "index"}]}
    project.ingest()
    value = answer("impact", project.config_path, "a.txt")
    assert value["strategies"] == {}
    sink = value["sinks"]["index"]
    assert (sink["up_to_date"], sink["run_id"], sink["loaded_at"]) == (False, None, None)


def test_an_index_that_is_built_anew_was_loaded_by_the_run_that_did_it(project: Any) -> None:
    project.write("a.txt", "Some words.")
    project.run()
    chunk = project.chunks()[0]["chunk_id"]
    (project.root / "state/index/_position.json").unlink()
    project.write("b.txt", "Other words.")
    project.run()
    before, after = (
        run for run in answer("trace", project.config_path, chunk)["history"]
        if run["stage"] == "load"
    )  # fmt: skip
    assert (before["did"], after["did"]) == ("loaded it into index", "loaded it into index again")
    assert before["run_id"] != after["run_id"]


def test_a_load_that_dies_before_its_position_moves_is_told_with_the_one_that_follows(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines import steps
    from pipelines.upkeep import loads

    project.write("a.txt", "Some words.")
    project.ingest()
    project.transform()

    def crash(name: str, moment: str) -> None:
        if (name, moment) == ("sink-position", "before"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps, "hook", crash)
        with pytest.raises(KeyboardInterrupt):
            project.load()
    project.load()
    lake = project.config.lake
    assert [(load.after, load.to) for load in loads.of(lake, "index")] == [(None, 1), (None, 1)]
    assert project.load().documents == 0
    assert len(loads.of(lake, "index")) == 2
    for number in range(loads.MOST + 5):
        loads.record(lake, "other", f"run-{number}", "table", number, number + 1)
    kept = loads.of(lake, "other")
    assert (len(kept), kept[-1].to) == (loads.MOST, loads.MOST + 5)


def test_impact_of_a_document_that_is_gone(project: Any) -> None:
    project.write("a.md", "words of a")
    project.write("b.md", "words of b")
    project.run()
    (project.root / "docs" / "a.md").unlink()
    project.run()
    value = answer("impact", project.config_path, "a.md")
    assert value["state"] == "delete"
    assert value["strategies"]["default"]["chunks"] == []
    assert [row["op"] for row in value["versions"]] == ["upsert", "delete"]
    text = run("impact", project.config_path, "a.md").stdout
    assert "deleted" in text
    missing = run("impact", project.config_path, "nothing.md")
    assert missing.exit_code == 1
    assert "knows no document 'nothing.md'" in missing.stderr


def test_impact_for_people(config: Path, made: Path) -> None:
    text = run("impact", config, "hr/leave.md", "--limit", "1").stdout
    assert "strategy default" in text
    assert "the first 1 of" in text
    assert "lancedb" in text
    rejected = answer("impact", config, "broken.bin")
    assert rejected["state"] == "reject"


def test_impact_of_a_file_of_rights(config: Path, made: Path) -> None:
    for target in ("hr/_acl.yaml", str(made / "docs" / "hr" / "_acl.yaml")):
        value = answer("impact", config, target)
        assert [one["uri"].rpartition("/")[2] for one in value["documents"]] == ["leave.md"]
    text = run("impact", config, "people.csv.acl.yaml").stdout
    assert "people.csv" in text
    assert "leave.md" not in text
    assert run("impact", config, "nowhere/_acl.yaml").exit_code == 1
