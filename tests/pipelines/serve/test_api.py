"""The API in one process, over a real index and with tokens of a local issuer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from load_tables import Doc, World
from oidc_issuer import AUDIENCE, Issuer, issuer

from lineage import Acl, ConfigError, Principal, TransientError
from pipelines.config import ServeConfig
from pipelines.load.lance_search import readable_rows
from pipelines.load.lancedb import LanceSink
from pipelines.serve.app import create_app
from pipelines.serve.tokens import OidcTokens


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("serve"))
    made.commit(
        Doc("public.md", texts=("words for everybody",), acl=Acl.public()),
        Doc("hr.md", texts=("words of hr",), acl=Acl("explicit", (), ("hr",), ("mallory",))),
        Doc("amy.md", texts=("words for amy",), acl=Acl("explicit", ("amy",))),
        Doc("lost.md", texts=("words for nobody",), acl=Acl.unknown("none found")),
    )
    made.load()
    return made


@pytest.fixture(scope="module")
def entra() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


def client(world: World, entra: Issuer, **values: Any) -> TestClient:
    settings = ServeConfig(
        issuer=entra.address, audience=AUDIENCE, **{"requests_per_minute": 100_000} | values
    )
    app = create_app(world.config, settings, OidcTokens(settings))
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def api(world: World, entra: Issuer) -> TestClient:
    return client(world, entra)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def names(answer: Any) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {hit["source_uri"].rpartition("/")[2] for hit in answer.json()["hits"]}


def ask(api: TestClient, token: str, **body: Any) -> Any:
    return api.post("/v1/search", json={"query": "words"} | body, headers=bearer(token))


def test_two_callers_find_what_each_may_read(api: TestClient, entra: Issuer) -> None:
    amy, mallory = entra.token("amy", ("hr",)), entra.token("mallory", ("hr",))
    assert names(ask(api, amy)) == {"public.md", "hr.md", "amy.md"}
    assert names(ask(api, mallory)) == {"public.md"}
    assert names(ask(api, entra.token("zoe"))) == {"public.md"}


def test_a_chunk_by_its_id(api: TestClient, entra: Issuer) -> None:
    amy, mallory = entra.token("amy", ("hr",)), entra.token("mallory", ("hr",))
    hits = {hit["source_uri"][-5:]: hit for hit in ask(api, amy).json()["hits"]}
    path = f"/v1/chunks/{hits['hr.md']['chunk_id']}"
    fetched = api.get(path, headers=bearer(amy))
    assert fetched.json() == hits["hr.md"] | {"score": 0.0}
    refused = api.get(path, headers=bearer(mallory))
    missing = api.get(f"/v1/chunks/{'0' * 32}", headers=bearer(mallory))
    assert (refused.status_code, refused.json()) == (missing.status_code, missing.json())
    assert refused.status_code == 404
    odd = api.get("/v1/chunks/' OR 1=1 --", headers=bearer(amy))
    assert odd.status_code == 422


@pytest.mark.parametrize(
    "extra",
    [{"user": "amy"}, {"groups": ["hr"]}, {"principal": {"user": "amy"}}, {"where": "true"}],
)
def test_a_request_cannot_say_who_asks(
    api: TestClient, entra: Issuer, extra: dict[str, Any]
) -> None:
    token = entra.token("zoe")
    assert ask(api, token, **extra).status_code == 422
    headers = bearer(token) | {"X-User": "amy", "X-Groups": "hr", "X-MS-CLIENT-PRINCIPAL-ID": "amy"}
    asked = api.post("/v1/search?user=amy&groups=hr", json={"query": "words"}, headers=headers)
    assert names(asked) == {"public.md"}


def test_no_answer_tells_the_rights_of_others(api: TestClient, entra: Issuer) -> None:
    text = ask(api, entra.token("amy", ("hr",))).text
    assert "acl" not in text
    assert "mallory" not in text


def test_without_a_token_there_is_nothing(api: TestClient, entra: Issuer) -> None:
    answer = api.post("/v1/search", json={"query": "words"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "no_token"
    assert api.get(f"/v1/chunks/{'0' * 32}").status_code == 401
    expired = ask(api, entra.token(exp=1))
    assert expired.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    overage = ask(api, entra.token(groups=None, hasgroups=True))
    assert (overage.status_code, overage.json()["error"]["code"]) == (403, "group_overage")


def test_the_check_has_the_last_word(
    api: TestClient, entra: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = Principal("amy", frozenset({"hr"}))

    def leaky(table: Any, chunk_ids: Any, principal: Any) -> Any:
        return readable_rows(table, chunk_ids, everybody)

    monkeypatch.setattr("pipelines.load.lancedb.readable_rows", leaky)
    monkeypatch.setattr(
        "pipelines.load.lancedb.best_chunks", lambda table, query, where, limit: _all(table, limit)
    )
    assert names(ask(api, entra.token("zoe"))) == {"public.md"}
    assert "gristmill_withheld_total 2" in api.get("/metrics").text


def _all(table: Any, limit: int) -> dict[str, float]:
    rows = table.search().select(["chunk_id"]).limit(limit).to_list()
    return {row["chunk_id"]: 1.0 for row in rows}


def test_a_sink_that_gives_no_rights_gives_nothing(
    api: TestClient, entra: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LanceSink.search
    monkeypatch.setattr(
        LanceSink,
        "search",
        lambda self, *asked: [replace(hit, acl=Acl()) for hit in original(self, *asked)],
    )
    assert names(ask(api, entra.token("amy", ("hr",)))) == set()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"query": ""}, 422, "query"),
        ({"query": "x" * 3_000}, 422, "at most 2000"),
        ({"query": "words", "limit": 0}, 422, "limit"),
        ({"query": "words", "limit": 51}, 422, "at most 50"),
        ({"query": 7}, 422, "query"),
        ({}, 422, "query"),
    ],
)
def test_requests_have_limits(
    api: TestClient, entra: Issuer, body: Any, status: int, words: str
) -> None:
    answer = api.post("/v1/search", json=body, headers=bearer(entra.token()))
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_large_requests_are_not_read(api: TestClient, entra: Issuer) -> None:
    headers = bearer(entra.token()) | {"Content-Type": "application/json"}
    answer = api.post("/v1/search", content=b'{"query": "' + b"x" * 70_000, headers=headers)
    assert answer.status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1_000

    assert api.post("/v1/search", content=pieces(), headers=headers).status_code == 413
    assert api.post("/v1/search", content=b"{", headers=headers).status_code == 422


def test_each_caller_has_a_rate_of_their_own(world: World, entra: Issuer) -> None:
    api = client(world, entra, requests_per_minute=12)
    amy, bob = entra.token("amy"), entra.token("bob")
    assert [ask(api, amy).status_code for _ in range(4)] == [200, 200, 429, 429]
    assert ask(api, bob).status_code == 200
    slow = ask(api, amy)
    assert 1 <= int(slow.headers["Retry-After"]) <= 5
    assert slow.json()["error"]["code"] == "too_many_requests"
    assert [ask(api, "bad").status_code for _ in range(4)] == [401, 401, 429, 429]


def test_what_goes_wrong_inside_stays_inside(
    api: TestClient, entra: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("secret.md is broken")

    monkeypatch.setattr(LanceSink, "search", fail)
    answer = ask(api, entra.token())
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "secret.md" not in answer.text


def test_a_service_that_is_away_is_told_without_its_name(
    api: TestClient, entra: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise TransientError("https://models.corp gave no vectors")

    monkeypatch.setattr(LanceSink, "search", away)
    answer = ask(api, entra.token())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "10"
    assert "models.corp" not in answer.text


def test_health_metrics_and_description(api: TestClient, entra: Issuer) -> None:
    ask(api, entra.token("amy"))
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/readyz").json() == {"status": "ok"}
    assert api.get("/v2").status_code == 404
    metrics = api.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'gristmill_requests_total{route="/v1/search",status="200"} 1' in metrics.text
    assert "amy" not in metrics.text
    description = api.get("/openapi.json").json()
    assert description["paths"]["/v1/search"]["post"]["security"] == [{"bearer": []}]
    page = api.get("/docs").text
    assert "/v1/chunks/{chunk_id}" in page
    assert "-d &#x27;{&quot;query&quot;: &quot;parental leave&quot;}&#x27;" in page
    assert "<script" not in page
    for path in ("/docs", "/healthz", "/v2"):
        assert api.get(path).headers["Cache-Control"] == "no-store"


def test_an_index_that_is_not_there_yet(tmp_path: Path, entra: Issuer) -> None:
    api = client(World(tmp_path), entra)
    assert api.get("/readyz").status_code == 503
    answer = ask(api, entra.token())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_index")


def test_a_revocation_holds_at_once(tmp_path: Path, entra: Issuer) -> None:
    world = World(tmp_path)
    world.commit(Doc("a.md", texts=("words",), acl=Acl("explicit", ("amy",))))
    world.load()
    api = client(world, entra)
    assert names(ask(api, entra.token("amy"))) == {"a.md"}
    world.commit(Doc("a.md", op="acl", acl=Acl("explicit", ("bob",))))
    world.load()
    assert names(ask(api, entra.token("amy"))) == set()
    assert names(ask(api, entra.token("bob"))) == {"a.md"}


def test_many_callers_at_once(api: TestClient, entra: Issuer) -> None:
    expected = {
        entra.token("amy", ("hr",)): {"public.md", "hr.md", "amy.md"},
        entra.token("mallory", ("hr",)): {"public.md"},
        entra.token("zoe"): {"public.md"},
        entra.token("bob", ("hr",)): {"public.md", "hr.md"},
    }
    asked = [*expected] * 15
    with ThreadPoolExecutor(12) as executor:
        for token, answer in zip(asked, executor.map(partial(ask, api), asked), strict=True):
            assert names(answer) == expected[token]


def test_there_must_be_something_to_search(tmp_path: Path, entra: Issuer) -> None:
    config = replace(World(tmp_path).config, sinks=())
    settings = ServeConfig(issuer=entra.address, audience=AUDIENCE)
    with pytest.raises(ConfigError, match="no sink that can be searched"):
        create_app(config, settings, OidcTokens(settings))
