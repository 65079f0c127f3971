"""The files of a table of records: which ones, with which rights, and what changes meanwhile."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from record_tools import KINDS, refusal, texts, write
from source_tools import records, unprivileged

from lineage.errors import ConfigError
from pipelines.ingest.sources import SourceUnavailable


def test_a_folder_is_one_table(tmp_path: Path) -> None:
    write(tmp_path / "a/2025.parquet", [{"id": n, "text": f"p{n}"} for n in range(700)])
    write(tmp_path / "a/2026.jsonl", [{"id": n, "text": f"j{n}"} for n in range(698, 900)])
    write(tmp_path / "b/bad.jsonl", [{"id": None, "text": "x"}])
    write(tmp_path / "c/bad.jsonl", [{"id": None, "text": "x"}])
    write(tmp_path / ".hidden/x.csv", [{"id": "h", "text": "x"}])
    (tmp_path / "a/readme.md").write_text("no table")
    listed = list(records(tmp_path).list())
    problems = {one.key: one.problem[1] for one in listed if one.problem}
    assert sorted(problems) == [
        "#a/2026.jsonl-row-1", "#a/2026.jsonl-row-2", "#b/bad.jsonl-row-1", "#c/bad.jsonl-row-1",
    ]  # fmt: skip
    found = texts(tmp_path)
    assert len(found) == 900
    assert (found["699"], found["700"]) == ("p699", "j700")
    assert len(texts(tmp_path, include=["a/*.parquet"])) == 700


def test_a_pattern(tmp_path: Path) -> None:
    for name in ("a/x.jsonl", "b/x.jsonl", "b/y.csv"):
        write(tmp_path / name, [{"id": name, "text": name}])
    pattern = tmp_path / "*/x.*"
    assert texts(pattern) == {"a/x.jsonl": "a/x.jsonl", "b/x.jsonl": "b/x.jsonl"}
    with pytest.raises(ConfigError, match=r"holds no table of records; supported are \.parquet"):
        list(records(tmp_path / "*.nothing").list())


def test_an_odd_name_is_no_pattern(tmp_path: Path) -> None:
    path = write(tmp_path / "t[1]*.jsonl", [{"id": 1, "text": "x"}])
    assert texts(path) == {"1": "x"}


# Places and rights


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.jsonl")
    with pytest.raises(ConfigError, match="is not a regular file"):
        list(records(tmp_path / "t.jsonl").list())
    with pytest.raises(ConfigError, match="does not exist; create it, or correct the path"):
        list(records(tmp_path / "gone.jsonl").list())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no table of records"):
        list(records(tmp_path / "empty").list())


def test_links_in_a_folder_are_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "outside.jsonl", [{"id": "secret", "text": "x"}])
    write(tmp_path / "in/a.jsonl", [{"id": "a", "text": "x"}])
    (tmp_path / "in/b.jsonl").symlink_to("../outside.jsonl")
    (tmp_path / "in/c.jsonl").symlink_to("nothing")
    (tmp_path / "in/d").symlink_to("..")
    assert list(texts(tmp_path / "in")) == ["a"]
    assert "is a symbolic link, which is not followed" in caplog.text
    assert list(texts(tmp_path / "in/b.jsonl")) == ["secret"]  # named by the user


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_may_not_be_read(shared_path: Path, kind: str) -> None:
    path = write(shared_path / "in" / f"t.{kind}", [{"id": 1, "text": "x"}])
    path.chmod(0)
    with unprivileged(), pytest.raises(SourceUnavailable, match="cannot be read: Permission"):
        list(records(path).list())
    path.parent.chmod(0)
    with unprivileged(), pytest.raises(SourceUnavailable, match="Permission denied"):
        list(records(shared_path).list())


# Changes


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_changes_or_goes_after_it_was_listed(tmp_path: Path, kind: str) -> None:
    rows = [{"id": str(n), "text": f"text {n}"} for n in range(1000)]
    path = write(tmp_path / f"t.{kind}", rows)
    source = records(path)
    versions = {one.key: one.version for one in source.list()}
    assert source.fetch("999", versions["999"]).data == b"text 999"
    write(path, [{"id": "7", "text": "other"}, *rows[8:], {"id": "new", "text": "new"}])
    assert refusal(path, "7", versions["7"]) == "changed_during_read"
    assert refusal(path, "6", versions["6"]) == "not_found"
    assert source.fetch("999", versions["999"]).data == b"text 999"
    assert texts(path)["new"] == "new"
    path.unlink()
    assert refusal(path, "3", versions["3"]) in ("transient_io", "not_found")


def test_a_table_that_is_written_to_while_it_is_listed_deletes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{"id": n, "text": "x"} for n in range(5)])
    listing = records(path).list()
    next(listing)
    with path.open("a") as file:
        file.write('{"id": "half')
    with pytest.raises(SourceUnavailable, match="was written to while it was read"):
        list(listing)


def test_fetching_does_not_look_at_every_file_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(20):
        write(tmp_path / f"{n}.jsonl", [{"id": f"{n}-{m}", "text": "x"} for m in range(20)])
    source = records(tmp_path)
    listed = list(source.list())
    looked = []
    real = os.walk
    monkeypatch.setattr(os, "walk", lambda *a, **k: looked.append(a) or real(*a, **k))
    for one in listed:
        source.fetch(one.key, one.version)
    assert len(looked) <= 2


def test_a_source_is_a_picklable_value(tmp_path: Path) -> None:
    source = records(tmp_path / "nowhere.jsonl")
    assert pickle.loads(pickle.dumps(source)) == source
