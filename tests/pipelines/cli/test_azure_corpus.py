"""The main job on a container of real documents: the same chunks as from a folder, and cheap runs.

The documents, their ACLs in blob metadata, the lake: everything is in the emulator. Of each kind of
file some are taken; with GRISTMILL_WHOLE_CORPUS=1 all are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from lineage import Acl
from pipelines.tables import read_chunks, read_documents

DATA = os.environ.get("GRISTMILL_TEST_DATA")
pytestmark = [
    pytest.mark.azurite,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # One corpus for all: each test goes on from where the one before has left it.
    pytest.mark.xdist_group("azure corpus"),
    pytest.mark.skipif(not DATA, reason="GRISTMILL_TEST_DATA is not set"),
]

KINDS = (
    {},
    {"acl": "public"},
    {"acl_allow_groups": "staff,hr"},
    {"acl_allow_users": '["ann@example.com"]', "acl_deny_groups": "interns"},
    {"acl": '{"deny_users": ["bob"]}', "owner": "ops"},
    {"acl_allow_group": "misspelt"},
)


@dataclass
class Run:
    """A run of the command line, and what it asked of the emulator."""

    code: int
    counts: dict[str, Any]
    transform: dict[str, Any]
    load: dict[str, Any]
    downloads: list[str] = field(default_factory=list)


@dataclass
class Corpus:
    azurite: Any
    root: Path
    container: Any
    names: list[str]

    def run(self, config: str) -> Run:
        command = [sys.executable, "-m", "pipelines.cli.main", "run", config, "--json", "-w", "2"]
        environment = os.environ | self.azurite.environment
        with self.azurite.requests() as asked:
            done = subprocess.run(
                command, cwd=self.root, env=environment, capture_output=True, text=True
            )
        assert done.stdout, done.stderr
        stages = json.loads(done.stdout.splitlines()[-1])["stages"]
        ours = [r for r in asked if r.container == self.container.container_name]
        return Run(
            done.returncode,
            {k: v for k, v in stages["ingest"].items() if v and isinstance(v, int)},
            stages["transform"],
            stages["load"],
            [r.blob for r in ours if r.is_download],
        )

    def name_of(self, row: dict[str, Any]) -> str:
        """The blob that a document is from."""
        return unquote(row["source_uri"]).partition(f"{self.container.container_name}/")[2]

    def metadata(self, name: str) -> dict[str, str]:
        """The metadata that a blob was given."""
        return KINDS[self.names.index(name) % len(KINDS)]

    @contextmanager
    def reading(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.azurite.environment.items():
                patch.setenv(name, value)
            yield

    def documents(self, lake: str) -> dict[str, dict[str, Any]]:
        columns = ["document_id", "source_uri", "op", "content_sha256", "error", "acl", "labels",
                   "text", "data_type", "title"]  # fmt: skip
        with self.reading():
            rows = read_documents(lake, columns).to_pylist()
        return {row["document_id"]: row for row in rows}

    def chunks(self, lake: str) -> dict[str, dict[str, Any]]:
        columns = ["chunk_id", "document_id", "ordinal", "text", "context", "start", "end", "acl"]
        with self.reading():
            rows = read_chunks(lake, "default", columns).to_pylist()
        return {row["chunk_id"]: row for row in rows}


def chosen(folder: Path) -> list[str]:
    """Every sixth file of each suffix in each folder, and three at the least."""
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    names = [name for name in names if not name.startswith(".") and "/." not in name]
    if os.environ.get("GRISTMILL_WHOLE_CORPUS"):
        return names
    kinds: dict[tuple[str, str], list[str]] = {}
    for name in names:
        kinds.setdefault((name.partition("/")[0], Path(name).suffix), []).append(name)
    return sorted(name for each in kinds.values() for name in each[:: min(6, len(each) // 3 or 1)])


@pytest.fixture(scope="module")
def corpus(azurite_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Real files in a folder and in a container, an ACL of some kind in the metadata of each."""
    root = tmp_path_factory.mktemp("corpus")
    folder = root / "files"
    container = azurite_server.container()
    lake = azurite_server.container()
    origin = Path(str(DATA)) / "corpus"
    names = chosen(origin)

    def upload(number: int) -> None:
        data = (origin / names[number]).read_bytes()
        path = folder / names[number]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        container.upload_blob(names[number], data, metadata=KINDS[number % len(KINDS)])

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(upload, range(len(names))))
    for name, uri, where in (
        ("local", str(folder), "state/local"),
        ("azure", f"az://{container.container_name}", f"az://{lake.container_name}/the lake"),
    ):
        config = {
            "name": "corpus",
            "lake": where,
            "sources": [{"name": "corpus", "uri": uri, "acl": {"default": "unknown"}}],
            "strategies": [{"name": "default"}],
            "sinks": [{"name": "index", "kind": "lancedb", "uri": f"state/index-{name}"}],
        }
        (root / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return Corpus(azurite_server, root, container, names)


def lake_of(corpus: Corpus, name: str) -> str:
    where = yaml.safe_load((corpus.root / f"{name}.yaml").read_text())["lake"]
    return where if "://" in where else str(corpus.root / where)


def expected(metadata: dict[str, str]) -> tuple[str, ...]:
    if not metadata or "acl_allow_group" in metadata:
        return ("unknown",)
    lists = {
        "public": ("public",),
        "staff,hr": ("explicit", "hr", "staff"),
        '["ann@example.com"]': ("explicit", "ann@example.com", "-interns"),
    }
    return lists.get(next(iter(metadata.values())), ("public", "-bob"))


def written(acl: dict[str, Any]) -> tuple[str, ...]:
    found = Acl.from_dict(acl)
    denied = [f"-{name}" for name in (*found.deny_users, *found.deny_groups)]
    return (found.state, *found.allow_users, *found.allow_groups, *denied)


def test_a_container_gives_what_a_folder_gives(corpus: Corpus) -> None:
    total = len(corpus.names)
    local, azure = corpus.run("local.yaml"), corpus.run("azure.yaml")
    assert local.code == azure.code
    ignored = ("version", "unknown_acl", "rows_written")
    counts = [{k: v for k, v in r.counts.items() if k not in ignored} for r in (local, azure)]
    assert counts[0] == counts[1]
    assert counts[0]["listed"] == total
    assert sorted(azure.downloads) == corpus.names

    here, there = (corpus.documents(lake_of(corpus, name)) for name in ("local", "azure"))
    assert len(here) == total
    assert here.keys() == there.keys()
    for identifier, row in here.items():
        other = there[identifier]
        same = ("op", "content_sha256", "text", "data_type", "title")
        assert [row[name] for name in same] == [other[name] for name in same], row["source_uri"]
        assert (row["error"] or {}).get("error_class") == (other["error"] or {}).get("error_class")
        name = corpus.name_of(other)
        assert written(other["acl"]) == expected(corpus.metadata(name)), name

    chunks, others = (corpus.chunks(lake_of(corpus, name)) for name in ("local", "azure"))
    assert len(chunks) > 5 * total
    assert chunks.keys() == others.keys()
    for identifier, row in chunks.items():
        other = others[identifier]
        same = ("document_id", "ordinal", "text", "context", "start", "end")
        assert [row[name] for name in same] == [other[name] for name in same]
        assert other["acl"] == there[row["document_id"]]["acl"]


def test_a_second_run_is_free(corpus: Corpus) -> None:
    run = corpus.run("azure.yaml")
    assert (run.code, run.downloads) == (0, [])
    total = len(corpus.names)
    assert {k: v for k, v in run.counts.items() if k not in ("version", "unknown_acl")} == {
        "listed": total, "unchanged": total,
    }  # fmt: skip
    assert (run.transform["documents"], run.load["documents"]) == (0, 0)


def test_exactly_what_changed_is_done_again(corpus: Corpus) -> None:
    lake = lake_of(corpus, "azure")
    before = corpus.chunks(lake)
    chunked = {row["document_id"] for row in before.values()}
    rows = corpus.documents(lake)
    by_name = {
        corpus.name_of(row): identifier
        for identifier, row in rows.items()
        if identifier in chunked and row["data_type"] == "markdown"
    }
    content, metadata, tags, gone = sorted(by_name)[:4]
    text = "# New\n\nOnly this is new.\n"
    corpus.container.upload_blob(content, text, overwrite=True, metadata=corpus.metadata(content))
    corpus.container.get_blob_client(metadata).set_blob_metadata({"acl_allow_groups": "board"})
    corpus.container.get_blob_client(tags).set_blob_tags({"team": "x"})
    corpus.container.delete_blob(gone)

    run = corpus.run("azure.yaml")
    assert run.code == 0
    # A blob's metadata are part of its version, so that one is fetched, and found to be the same.
    assert sorted(run.downloads) == sorted([content, metadata])
    wanted = {"changed": 1, "acl": 2, "deleted": 1, "parsed": 1, "rows_written": 4}
    assert {k: v for k, v in run.counts.items() if k in (*wanted, "touched", "new")} == wanted

    after = corpus.chunks(lake)
    lost, new = before.keys() - after.keys(), after.keys() - before.keys()
    assert {before[i]["document_id"] for i in lost} == {by_name[content], by_name[gone]}
    assert [after[i]["text"].strip() for i in new] == [text.strip()]
    for identifier, row in after.items():
        if row["document_id"] == by_name[metadata]:
            assert written(row["acl"]) == ("explicit", "board")
            assert before[identifier]["text"] == row["text"]
    found = corpus.documents(lake)
    assert dict(found[by_name[tags]]["labels"])["team"] == "x"
    assert by_name[gone] not in found

    again = corpus.run("azure.yaml")
    assert (again.code, again.downloads) == (0, [])
    assert again.counts["unchanged"] == len(corpus.names) - 1
