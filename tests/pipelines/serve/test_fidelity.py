"""More than 10,000 pairs of rights and a caller: readable exactly where `permits` says so.

A made-up directory of users and nested groups, among them names that are made to break out of a
filter. Each case goes through the sink's own filter and through the API.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from load_tables import Doc, World, key, rows
from oidc_issuer import AUDIENCE, Issuer, issuer

from lineage import Acl, Principal
from lineage.schemas import CHUNKS
from pipelines.config import EmbedderConfig, ServeConfig
from pipelines.embedding.base import unit
from pipelines.load.access import literal, permitted
from pipelines.load.lance_search import nearest_chunks
from pipelines.load.lancedb import LanceSink
from pipelines.load.open import kinds, open_sink
from pipelines.load.sink import Replace, SearchableSink
from pipelines.serve.app import create_app
from pipelines.serve.tokens import OidcTokens

SLOW = [HealthCheck.too_slow]
"""What a busy machine may trip."""

DOCUMENTS = 340
CALLERS = 36

ODD = [
    "o'brien", "a,b", 'say "hi"', "x' OR '1'='1", "'; DROP TABLE chunks; --", "'] OR true --",
    "a\\", "\\'", "''", "%", "_", "*", "$1", "{x}", "é", "e\u0301", "名前", "🙂", "\u202eabc",
    "\x00nul", "tab\t", "new\nline", " lead", "trail ", "Admin", "admin", "ADMIN", "null", "true",
    "public", "unknown", "explicit", "acl_state", "[]", "a" * 300, "array_has_any(deny_users, [])",
    "CAST(1 AS STRING)", "$anonymous", "0", "-1", "ﬁ", "fi", "ß", "SS", "\u0131", "I",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    acls: dict[str, Acl]
    """By document id."""
    callers: list[Principal]


def made_up(seed: int) -> Case:
    rng = random.Random(seed)
    users = [f"user-{n}" for n in range(30)] + ODD
    groups = [f"group-{n}" for n in range(50)] + ODD
    many = [f"many-{n:04}" for n in range(1_500)]
    # A group may hold groups that come after it: nested, without circles.
    nested = {
        g: rng.sample(groups[n + 1 :], min(2, len(groups) - n - 1)) for n, g in enumerate(groups)
    }
    above: dict[str, list[str]] = {}
    for outer, inner in nested.items():
        for group in inner:
            above.setdefault(group, []).append(outer)

    def expanded(direct: list[str]) -> frozenset[str]:
        found: set[str] = set()
        left = list(direct)
        while left:
            group = left.pop()
            if group not in found:
                found.add(group)
                left += above.get(group, [])
        return frozenset(found)

    def few(names: list[str], most: int) -> tuple[str, ...]:
        return tuple(rng.sample(names, rng.randint(0, most)))

    def acl() -> Acl:
        state = rng.choices(["explicit", "public", "unknown"], [8, 2, 1])[0]
        deny = (few(users, 2), few(groups, 1)) if rng.random() < 0.6 else ((), ())
        if state != "explicit":
            return Acl(state, (), (), *deny)
        allow = few(users, 4), few(groups, 3)
        if rng.random() < 0.05:
            allow = allow[0], (*allow[1], *rng.sample(many, 1_100))
        if rng.random() < 0.03:
            deny = deny[0], (*deny[1], *rng.sample(many, 1_100))
        return Acl("explicit", *allow, *deny)

    def caller() -> Principal:
        member = list(expanded(list(few(groups, 3))))
        if rng.random() < 0.15:
            member += rng.sample(many, 1_200)
        return Principal(rng.choice(users), frozenset(member))

    acls = {key(f"d{n}"): acl() for n in range(DOCUMENTS)}
    callers = [Principal(name, frozenset({name})) for name in rng.sample(ODD, 8)]
    callers += [Principal("\ud800", frozenset({"\udfff"})), Principal("user-0")]
    callers += [caller() for _ in range(CALLERS - len(callers))]
    return Case(acls, callers)


@pytest.fixture(scope="module")
def case() -> Case:
    return made_up(20)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, case: Case) -> World:
    made = World(tmp_path_factory.mktemp("fidelity"))
    made.commit(
        *(Doc(f"d{n}", texts=("the words",), acl=case.acls[key(f"d{n}")]) for n in range(DOCUMENTS))
    )
    made.load()
    return made


@pytest.fixture(scope="module")
def sink(world: World) -> SearchableSink:
    opened: Any = open_sink(world.config.sinks[0], world.table.identity)
    return opened


def compare(case: Case, principal: Principal, found: set[str]) -> tuple[int, int]:
    """Leaks and wrongful denials."""
    expected = {document for document, acl in case.acls.items() if acl.permits(principal)}
    return len(found - expected), len(expected - found)


def test_the_cases_are_many_and_of_every_kind(case: Case) -> None:
    assert len(case.acls) * len(case.callers) > 10_000
    answers = [acl.permits(caller) for acl in case.acls.values() for caller in case.callers]
    assert 0.1 < sum(answers) / len(answers) < 0.5
    assert any(len(acl.allow_groups) > 1_000 for acl in case.acls.values())
    assert any(len(acl.deny_groups) > 1_000 for acl in case.acls.values())
    assert any(len(caller.groups) > 1_000 for caller in case.callers)


def test_every_kind_of_sink_is_tested_here() -> None:
    assert kinds() == ["lancedb"]


def test_the_sinks_own_filter(case: Case, sink: LanceSink) -> None:
    table = sink._existing()
    assert table is not None
    wrong = [0, 0]
    for principal in [*case.callers, Principal(), Principal(None, frozenset({"group-1"}))]:
        scan = table.search().where(permitted(principal)).select(["document_id"])
        found = {row["document_id"] for row in scan.limit(2 * DOCUMENTS).to_list()}
        ranked = {hit.document_id for hit in sink.search("words", principal, 2 * DOCUMENTS)}
        assert ranked == found
        leaks, denials = compare(case, principal, found)
        wrong[0] += leaks
        wrong[1] += denials
    assert wrong == [0, 0]


class Eight:
    """Vectors of eight numbers that depend on the text alone."""

    name = "eight"
    dimensions = 8
    max_tokens = 512

    def embed(self, texts: Sequence[str]) -> Any:
        seeds = [random.Random(text) for text in texts]
        return unit(np.array([[seed.gauss(0, 1) for _ in range(8)] for seed in seeds], "f4"))


def test_the_filter_of_vectors(case: Case, world: World) -> None:
    config = replace(
        world.config.sinks[0],
        uri=str(world.folder / "vectors"),
        embedder=EmbedderConfig("onnx", "none"),
    )
    sink = LanceSink.from_config(config, "test")
    sink._opened = Eight()
    changes = []
    for n in range(DOCUMENTS):
        doc = Doc(f"d{n}", texts=(f"the words {n}",))
        chunks = pa.Table.from_pylist(rows(doc, 1, "s")[1:], schema=CHUNKS)
        vectors = Eight().embed(doc.texts)
        changes.append(Replace(key(doc.name), chunks, case.acls[key(doc.name)], {}, vectors))
    sink.apply(changes)
    sink.commit(1)
    table = sink._existing()
    assert table is not None
    held = table.search().select(["chunk_id", "document_id"]).limit(2 * DOCUMENTS).to_list()
    documents = {row["chunk_id"]: row["document_id"] for row in held}
    wrong = [0, 0]
    for principal in case.callers:
        nearest = nearest_chunks(table, "words", permitted(principal), 2 * DOCUMENTS, sink._model)
        leaks, denials = compare(case, principal, {documents[chunk] for chunk in nearest})
        fused = sink.search("words", principal, 2 * DOCUMENTS)
        more = compare(case, principal, {hit.document_id for hit in fused})
        wrong[0] += leaks + more[0]
        wrong[1] += denials + more[1]
    assert wrong == [0, 0]


@pytest.fixture(scope="module")
def entra() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


def test_the_api(case: Case, world: World, sink: LanceSink, entra: Issuer) -> None:
    settings_ = ServeConfig(
        issuer=entra.address, audience=AUDIENCE, max_limit=1_000, requests_per_minute=1_000_000
    )
    api = TestClient(create_app(world.config, settings_, OidcTokens(settings_)))
    chunks = {hit.document_id: hit.chunk_id for hit in all_chunks(sink)}
    wrong = [0, 0]
    for number, principal in enumerate(case.callers):
        token = entra.token(principal.user, tuple(principal.groups))
        headers = {"Authorization": f"Bearer {token}"}
        body = {"query": "words", "limit": 1_000}
        body |= {"profile": "analysis"} if number % 2 else {}
        answer = api.post("/v1/search", json=body, headers=headers)
        found = {hit["document_id"] for hit in answer.json()["hits"]}
        leaks, denials = compare(case, principal, found)
        wrong[0] += leaks
        wrong[1] += denials
        for document in list(case.acls)[number::CALLERS]:
            fetched = api.get(f"/v1/chunks/{chunks[document]}", headers=headers).status_code
            allowed = case.acls[document].permits(principal)
            assert fetched == (200 if allowed else 404)
    assert wrong == [0, 0]
    assert "gristmill_withheld_total 0" in api.get("/metrics").text


def all_chunks(sink: LanceSink) -> list[Any]:
    table: Any = sink._existing()
    rows_ = table.search().select(["chunk_id", "document_id"]).limit(2 * DOCUMENTS).to_list()
    return [type("Row", (), row) for row in rows_]


# A fuzzer of the filter: names, queries and ids that try to become something else.

PIECES = [
    "'", "''", '"', "`", "\\", "\\'", ";", "--", "/*", "*/", "#", "(", ")", "[", "]", "{", "}", ",",
    " OR ", " AND ", " NOT ", "1=1", "true", "false", "NULL", "IS NOT NULL", " UNION SELECT ",
    "acl_state", "acl_denies", "allow_users", "deny_groups", "'public'", "array_has_any(", "x'41'",
    "U&'\\0027'", "$$", "?", ":p", "@v", "\x00", "\n", "\r", "\u2028", "\ufeff", "\u02bc", "\uff07",
    "E'\\x27'", "a", "hr", " ", "",
]  # fmt: skip
NAMES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join) | st.text(
    max_size=12
)
TARGETS = {
    "mine": Acl("explicit", ("me",)),
    "denied": Acl("public", deny_users=("me",)),
    "other": Acl("explicit", ("somebody-else",), ("some-group",)),
    "lost": Acl.unknown(),
    "open": Acl.public(),
    "known": Acl("public", deny_groups=("some-group",)),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> LanceSink:
    made = World(tmp_path_factory.mktemp("fuzz"))
    sink = LanceSink.from_config(made.config.sinks[0], "test")
    changes = []
    for name, acl in TARGETS.items():
        values = rows(Doc(name, texts=("the words",)), 1, "s")[1:]
        table = pa.Table.from_pylist(values, schema=CHUNKS)
        changes.append(Replace(key(name), table, acl, {}))
    sink.apply(changes)
    sink.commit(1)
    return sink


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(NAMES | st.none() | st.just("me"), st.frozensets(NAMES, max_size=4), NAMES)
def test_no_name_and_no_query_becomes_part_of_the_filter(
    target: LanceSink, user: str | None, groups: frozenset[str], query: str
) -> None:
    principal = Principal(user, groups)
    expected = {key(name) for name, acl in TARGETS.items() if acl.permits(principal)}
    table = target._existing()
    assert table is not None
    scan = table.search().where(permitted(principal)).select(["document_id"]).limit(50)
    assert {row["document_id"] for row in scan.to_list()} == expected
    hits = target.search(f"words {query}", principal, 50)
    assert {hit.document_id for hit in hits} == expected
    assert target.fetch([query, "' OR true --", "0" * 31 + "'"], principal) == {}


@settings(deadline=None, suppress_health_check=SLOW)
@given(NAMES)
def test_a_literal_is_one_token(text: str) -> None:
    quoted = literal(text)
    assert quoted[0] == quoted[-1] == "'"
    inside = quoted[1:-1]
    assert inside.replace("''", "") == text.replace("'", "")
    assert inside.count("'") == 2 * text.count("'")
