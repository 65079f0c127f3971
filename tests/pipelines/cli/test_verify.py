"""`gristmill verify` sees what is wrong, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from cli_tools import CONFIG, answer

from lineage import Acl
from lineage.schemas import CHUNKS
from pipelines.config import load_config
from pipelines.tables import Lake, read_chunks
from pipelines.tables.parts import PartWriter


def test_verify_finds_nothing_wrong(config: Path) -> None:
    value = answer("verify", config, "--sources")
    assert (value["documents"], value["violations"], value["behind"]) == (4, [], 0)
    assert value["chunks"] == read_chunks(str(config.parent / "lake"), "default").num_rows
    assert value["sources"]["checked"] == 4
    assert value["sources"]["changed"] == value["sources"]["missing"] == 0


Change = Callable[[list[dict[str, Any]]], None]


def rewrite(config: Path, name: str, change: Change) -> None:
    """Commit a document's header and chunk rows once more, changed."""
    loaded = load_config(config)
    table = Lake(loaded.lake).chunks("default")
    heads = table.headers()
    documents = read_chunks(loaded.lake, "default", ["document_id", "lineage"]).to_pylist()
    key = next(d["document_id"] for d in documents if d["lineage"]["source_uri"].endswith(name))
    head = heads.filter(pc.equal(heads["document_id"], key)).to_pylist()[0]
    found = [row for part in table.chunk_batches({key: head["upsert_seq"]})
             for row in part.to_pylist()]  # fmt: skip
    header = {name: head.get(name) for name in CHUNKS.names}
    rows = [header, *found]
    change(rows)
    batch = table.begin(loaded.strategies[0].consumer(), 1, "damage")
    for row in rows:
        row["seq"] = batch.seq
    writer = PartWriter(table.folder, table.part_path(batch, "0"), CHUNKS)
    writer.write(pa.Table.from_pylist(rows, schema=CHUNKS))
    part = writer.close()
    assert part is not None
    batch = type(batch)(**{**{f: getattr(batch, f) for f in batch.__slots__}, "parts": (part,)})
    table.manifests.write(batch)
    table.commit(batch)


def _shift(rows: list[dict[str, Any]]) -> None:
    rows[1]["start"] += 1
    rows[1]["end"] += 1


def _lose(rows: list[dict[str, Any]]) -> None:
    del rows[1]
    rows[0]["chunk_count"] -= 1


def _miscount(rows: list[dict[str, Any]]) -> None:
    del rows[1]


def _exceed(rows: list[dict[str, Any]]) -> None:
    rows[1]["max_tokens"] = 2


def _wrong_tokens(rows: list[dict[str, Any]]) -> None:
    rows[1]["token_count"] += 1


def _forget_acl(rows: list[dict[str, Any]]) -> None:
    rows[1]["acl"] = None


def _open_up(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["acl"] = Acl.public().as_dict()


def _forge(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["acl"] = {**row["acl"], "allow_groups": ["everybody"]}


def _rename(rows: list[dict[str, Any]]) -> None:
    rows[1]["chunk_id"] = "0" * 32


@pytest.mark.parametrize(
    ("change", "promise", "words"),
    [
        (_shift, "P1", "its text is not characters"),
        (_lose, "P2", "are in no chunk"),
        (_miscount, "table", "its header says"),
        (_exceed, "P9", "above its cap of 2"),
        (_wrong_tokens, "P9", "its row says"),
        (_forget_acl, "P3", "has no ACL state"),
        (_open_up, "P3", "carry other rights"),
        (_forge, "P3", "fingerprint does not fit"),
        (_rename, "P5", "should have the id"),
    ],
)
def test_verify_sees_each_kind_of_damage(
    copy: Path, change: Change, promise: str, words: str
) -> None:
    rewrite(copy, "leave.md", lambda rows: None)
    assert answer("verify", copy)["violations"] == []
    rewrite(copy, "leave.md", change)
    found = answer("verify", copy, code=1)["violations"]
    assert any(v["promise"] == promise and words in v["message"] for v in found), found
    assert all(v["source_uri"].endswith("leave.md") for v in found)


def test_verify_of_sources_tells_changed_from_rotten(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "lake", tmp_path / "lake")
    shutil.copytree(made / "docs", tmp_path / "docs")
    path = tmp_path / "gristmill.yaml"
    path.write_text(CONFIG)
    # A copy has other inodes and times: every document counts as changed, none as wrong.
    (tmp_path / "docs/notes.txt").unlink()
    (tmp_path / "docs/more.txt").write_text("more")
    counts = answer("verify", path, "--sources")["sources"]
    assert (counts["changed"], counts["missing"], counts["new"], counts["checked"]) == (3, 1, 1, 0)


def test_verify_of_sources_finds_other_bytes_of_the_same_version(
    made: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.ingest.sources.base import Fetched
    from pipelines.ingest.sources.local import LocalSource

    real = LocalSource.fetch

    def rotten(self: LocalSource, listed_key: str, version: str) -> Fetched:
        fetched = real(self, listed_key, version)
        return Fetched(fetched.data + b"!", version) if listed_key == "notes.txt" else fetched

    monkeypatch.setattr(LocalSource, "fetch", rotten)
    (violation,) = answer("verify", copy, "--sources", code=1)["violations"]
    assert violation["promise"] == "source"
    assert violation["source_uri"].endswith("notes.txt")


def test_verify_counts_what_transform_has_not_reached(copy: Path, made: Path) -> None:
    shutil.rmtree(copy.parent / "lake/chunks")
    value = answer("verify", copy)
    assert (value["behind"], value["chunks"], value["violations"]) == (3, 0, [])
