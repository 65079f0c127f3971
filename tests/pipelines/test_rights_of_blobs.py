"""A change of a blob's rights, end to end: what moves is rights, in every table and index."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from call_spies import PLACES, held, spy_on, with_vectors

from lineage import Acl, Principal
from pipelines.load.rows import RIGHTS
from pipelines.load.search import search

pytestmark = [pytest.mark.azurite, pytest.mark.xdist_group("onnx")]

PROSE = "# {0}\n\nEveryone has {1} days of leave. They are agreed on with the team.\n\n" * 4
MAY_MOVE = {*RIGHTS.names, "acl_state", "acl_origin", "labels", "labels_json"}
TEXTS = ("text", "context", "start", "end", "ordinal", "quality", "token_count")


def test_tags_and_metadata_move_rights_and_nothing_else(
    project: Any, azurite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    container = azurite.container()
    for number, name in enumerate(("by-metadata.md", "by-tag.md", "untouched.md")):
        container.upload_blob(
            name, PROSE.format(name, number), metadata={"acl_allow_groups": "staff"}
        )
    uri = f"az://{container.container_name}"
    project.settings["sources"] = [{"name": "docs", "uri": uri}]
    folders = with_vectors(project)
    calls = spy_on(monkeypatch)
    project.run()
    assert set(calls) == set(PLACES)
    before = {folder: held(project, folder) for folder in folders}
    chunks = {chunk["chunk_id"]: chunk for chunk in project.chunks()}
    documents = rows_of(project)

    container.get_blob_client("by-metadata.md").set_blob_metadata({"acl_allow_groups": "board"})
    container.get_blob_client("by-tag.md").set_blob_tags({"team": "x"})
    calls.clear()
    with azurite.requests() as asked:
        ingested = project.ingest()
        transformed = project.transform().as_dict()
        loaded = project.load()

    # Metadata are part of a blob's version: its bytes are compared once. Tags are not.
    assert [request.blob for request in asked if request.is_download] == ["by-metadata.md"]
    assert calls == Counter()
    assert (ingested.counts["acl"], ingested.counts["unchanged"], ingested.rows_written) == (
        2,
        1,
        2,
    )
    assert (transformed["documents"], transformed["chunks"], transformed["tokens"]) == (0, 0, 0)
    assert (transformed["acl"], loaded.acl_updated, loaded.upserted) == (2, 4, 0)
    assert loaded.ledger.total().embedded_tokens == 0

    after = rows_of(project)
    assert after["untouched.md"] == documents["untouched.md"]
    for name in ("by-metadata.md", "by-tag.md"):
        assert after[name]["op"] == "acl"
        same = ("text", "blocks", "content_sha256", "content_seq", "parser", "title")
        assert [after[name][key] for key in same] == [documents[name][key] for key in same]
    assert Acl.from_dict(after["by-metadata.md"]["acl"]).allow_groups == ("board",)
    assert dict(after["by-tag.md"]["labels"]) == {"team": "x"}
    now = {chunk["chunk_id"]: chunk for chunk in project.chunks()}
    assert now.keys() == chunks.keys()
    for identifier, chunk in now.items():
        assert [chunk[key] for key in TEXTS] == [chunks[identifier][key] for key in TEXTS]
        assert (
            chunk["lineage"]["transform_run_id"]
            == chunks[identifier]["lineage"]["transform_run_id"]
        )
    for folder in folders:
        moved = moves(before[folder], held(project, folder))
        assert {row["source_uri"].rpartition("/")[2] for row in moved.values()} == {
            "by-metadata.md", "by-tag.md",
        }  # fmt: skip
    for sink in ("index", "second"):
        assert readable(project, sink, "staff") == {"by-tag.md", "untouched.md"}
        assert readable(project, sink, "board") == {"by-metadata.md"}

    calls.clear()
    with azurite.requests() as asked:
        project.run()
    assert calls == Counter()
    assert not any(request.is_download for request in asked)


def rows_of(project: Any) -> dict[str, dict[str, Any]]:
    return {uri.rpartition("/")[2]: row for uri, row in project.documents().items()}


def moves(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The rows that are not as they were; nothing but rights and labels may have moved in them."""
    assert before.keys() == after.keys()
    found = {}
    for identifier, row in after.items():
        differ = {key for key, value in row.items() if value != before[identifier][key]}
        assert differ <= MAY_MOVE
        if differ:
            found[identifier] = row
    return found


def readable(project: Any, sink: str, group: str) -> set[str]:
    hits = search(
        project.config, "leave", Principal("amy", frozenset({group})), limit=50, sink=sink
    )
    return {hit.source_uri.rpartition("/")[2] for hit in hits}
