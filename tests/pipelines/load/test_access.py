"""The filter and `Acl.permits` give the same answer, on a real index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from load_tables import Doc, World, key, rows

from lineage import Acl, Principal
from lineage.schemas import CHUNKS
from pipelines.load.access import permitted
from pipelines.load.lance_search import best_chunks
from pipelines.load.lancedb import LanceSink
from pipelines.load.search import search
from pipelines.load.sink import Replace, SetAcl

# One worker for all: the index is made once.
pytestmark = pytest.mark.xdist_group("load access")

# Names that try to break out of a literal, mixed with some that often meet.
NAMES = st.one_of(
    st.sampled_from(["a", "b", "c", "A", "a ", "o'brien", "'", "''", "\\", "\\'", "a' OR '1'='1"]),
    st.sampled_from(["--", "/*", "%", "_", "$1", "?", ":x", "{a}", "\x00", "\n", "é", "e\u0301"]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
)
LISTS = st.lists(NAMES, max_size=3).map(tuple)
ACLS = st.one_of(
    st.builds(Acl, st.just("explicit"), LISTS, LISTS, LISTS, LISTS),
    st.builds(Acl, st.just("public"), st.just(()), st.just(()), LISTS, LISTS),
    st.builds(Acl, st.just("unknown"), st.just(()), st.just(()), LISTS, LISTS),
)
ANY = st.one_of(NAMES, st.just("\ud800"), st.just(""))
PRINCIPALS = st.builds(
    Principal, st.one_of(st.none(), ANY), st.frozensets(ANY, max_size=3)
)  # fmt: skip

COUNT = 24
"""Rows of the index; each trial gives all of them new ACLs."""


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> LanceSink:
    world = World(tmp_path_factory.mktemp("access"))
    sink = LanceSink.from_config(world.config.sinks[0], "test")
    changes = []
    for n in range(COUNT):
        doc = Doc(f"d{n}", texts=("the same words",))
        table = pa.Table.from_pylist(rows(doc, 1, "default")[1:], schema=CHUNKS)
        changes.append(Replace(key(doc.name), table, Acl.unknown(), {}))
    sink.apply(changes)
    sink.commit(1)
    return sink


def readable(sink: LanceSink, principal: Principal) -> dict[str, set[str]]:
    """Documents that the filter lets through: in a scan, in a ranking, and in the search."""
    table = sink._existing()
    assert table is not None
    where = permitted(principal)
    scan = table.search().where(where).select(["document_id"]).limit(COUNT * 2)
    ranked = best_chunks(table, "words", where, COUNT * 2)
    documents = {
        row["chunk_id"]: row["document_id"]
        for row in table.search().select(["chunk_id", "document_id"]).limit(COUNT * 2).to_list()
    }
    return {
        "scan": {row["document_id"] for row in scan.to_list()},
        "rank": {documents[chunk] for chunk in ranked},
        "search": {hit.document_id for hit in sink.search("words", principal, COUNT * 2)},
    }


def check(sink: LanceSink, acls: list[Acl], principals: list[Principal], indexed: bool) -> None:
    current = {key(f"d{n}"): acls[n % len(acls)] for n in range(COUNT)}
    sink.apply([SetAcl(identifier, acl, {}) for identifier, acl in current.items()])
    if indexed:
        sink.commit(1)
    for principal in principals:
        expected = {identifier for identifier, acl in current.items() if acl.permits(principal)}
        for way, found in readable(sink, principal).items():
            assert found == expected, (way, permitted(principal))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    acls=st.lists(ACLS, min_size=1, max_size=COUNT),
    principals=st.lists(PRINCIPALS, min_size=1, max_size=4),
    indexed=st.booleans(),
)
@example(
    acls=[
        Acl.public(),
        Acl.unknown(),
        Acl(state="explicit"),
        Acl(state="public", deny_users=("a",)),
        Acl(state="public", deny_groups=("a",)),
        Acl(state="explicit", allow_groups=("a",), deny_users=("a",)),
        Acl(state="explicit", allow_users=("a",), deny_groups=("b",)),
    ],
    principals=[
        Principal(),
        Principal("a"),
        Principal("z"),
        Principal("a", frozenset("b")),
        Principal(None, frozenset("a")),
        Principal("\ud800"),
    ],
    indexed=True,
)
def test_filter_equals_permits(
    sink: LanceSink, acls: list[Acl], principals: list[Principal], indexed: bool
) -> None:
    check(sink, acls, principals, indexed)


def test_very_many_groups(sink: LanceSink) -> None:
    groups = frozenset(f"group-{n}" for n in range(3_000))
    acls = [Acl(state="explicit", allow_groups=("group-2999",)), Acl(state="explicit")]
    check(sink, acls, [Principal("x", groups)], True)


def test_reference_evaluator_has_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.commit(Doc("secret", texts=("the words",)))
    world.load()
    for module in ("lancedb", "lance_search"):
        monkeypatch.setattr(f"pipelines.load.{module}.permitted", lambda principal: "true")
    assert search(world.config, "words", Principal()) == []
    found: list[Any] = search(world.config, "words", Principal(groups=frozenset({"staff"})))
    assert len(found) == 1
