"""Profiles over the API: what is read in a hit's place is trimmed to the caller, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from load_tables import Doc, World, key, rows
from oidc_issuer import AUDIENCE, Issuer, issuer

from lineage import Acl, Principal
from lineage.schemas import CHUNKS
from pipelines.config import ServeConfig
from pipelines.load.lance_search import readable_rows
from pipelines.load.lancedb import LanceSink
from pipelines.load.sink import Replace
from pipelines.serve.app import create_app
from pipelines.serve.tokens import OidcTokens

HR = Acl("explicit", ("amy",), ("hr",))
SECTION = "tides of the harbour and all that is around them"


@pytest.fixture(scope="module")
def entra() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def api(tmp_path: Path, entra: Issuer) -> TestClient:
    """A passage for everybody, in a section that only hr may read; and one in no section.

    No document has chunks with different rights. An index whose rights are wrong, or that a
    third-party sink keeps, may: so the parent is of another document here.
    """
    world = World(tmp_path)
    sink = LanceSink.from_config(world.config.sinks[0], "test")
    section = _row("hr.md", SECTION, level=1, granularity="analysis")
    passage = _row("open.md", "tides of the harbour") | {"parent_chunk_id": section["chunk_id"]}
    alone = _row("alone.md", "tides alone")
    public = Acl.public()
    sink.apply(
        [
            Replace(key(name), pa.Table.from_pylist([row], schema=CHUNKS), acl, {})
            for name, row, acl in (
                ("hr.md", section, HR), ("open.md", passage, public), ("alone.md", alone, public)
            )
        ]
    )  # fmt: skip
    sink.commit(1)
    settings = ServeConfig(issuer=entra.address, audience=AUDIENCE)
    app = create_app(world.config, settings, OidcTokens(settings))
    return TestClient(app, raise_server_exceptions=False)


def _row(name: str, text: str, **values: Any) -> dict[str, Any]:
    return rows(Doc(name, texts=(text,)), 1, "s")[1] | values


def ask(api: TestClient, entra: Issuer, user: str, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {entra.token(user)}"}
    return api.post("/v1/search", json={"query": "tides"} | body, headers=headers)


def texts(answer: Any) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {hit["text"] for hit in answer.json()["hits"]}


def test_a_section_is_read_by_those_who_may_read_it(api: TestClient, entra: Issuer) -> None:
    passages = {"tides of the harbour", "tides alone"}
    assert texts(ask(api, entra, "zoe", profile="lookup")) == passages
    assert texts(ask(api, entra, "amy", profile="lookup")) == passages
    assert texts(ask(api, entra, "amy", profile="analysis")) == {SECTION, "tides alone"}
    assert texts(ask(api, entra, "zoe", profile="analysis")) == passages
    around = [hit["parent"] for hit in ask(api, entra, "zoe", parents=True).json()["hits"]]
    assert around == [None, None]
    around = [hit["parent"] for hit in ask(api, entra, "amy", parents=True).json()["hits"]]
    assert {parent["text"] for parent in around if parent} == {SECTION}


def test_a_section_that_a_sink_lets_through_is_withheld(
    api: TestClient, entra: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaky(table: Any, chunk_ids: Any, principal: Any) -> Any:
        return readable_rows(table, chunk_ids, Principal("amy"))

    monkeypatch.setattr("pipelines.load.lancedb.readable_rows", leaky)
    answer = ask(api, entra, "zoe", profile="analysis")
    assert texts(answer) == {"tides of the harbour", "tides alone"}
    assert "around them" not in answer.text
    assert "gristmill_withheld_total 1" in api.get("/metrics").text
    assert "gristmill_hits_total 2" in api.get("/metrics").text


def test_auto_says_what_it_took_the_question_for(api: TestClient, entra: Issuer) -> None:
    why = ask(api, entra, "amy", query="Why are there tides?", profile="auto").json()
    assert why["profile"] == "analysis"
    assert why["reasons"][0] == "asks for reasons or connections: 'why'"
    assert why["note"] is None
    assert SECTION in {hit["text"] for hit in why["hits"]}
    who = ask(api, entra, "amy", query="Who knows the tides?", profile="auto").json()
    assert who["profile"] == "lookup"
    assert who["reasons"] == ["asks for one fact: 'who'", "is short: 4 words"]
    named = ask(api, entra, "zoe", profile="analysis").json()
    assert named["reasons"] == []
    assert "no larger chunks" in named["note"]
    plain = ask(api, entra, "zoe").json()
    assert (plain["profile"], plain["reasons"], plain["note"]) == (None, [], None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"profile": "deep"}, "'lookup', 'analysis' or 'auto'"),
        ({"profile": "auto", "parents": True}, "leave granularity and parents"),
        ({"profile": "lookup", "granularity": "lookup"}, "leave granularity and parents"),
        ({"profile": "analysis", "limit": 51}, "at most 50"),
    ],
)
def test_what_cannot_be_asked(
    api: TestClient, entra: Issuer, body: dict[str, Any], words: str
) -> None:
    answer = ask(api, entra, "amy", **body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]["message"]


def test_the_description_names_it(api: TestClient) -> None:
    query = api.get("/openapi.json").json()["components"]["schemas"]["Query"]["properties"]
    assert query["profile"]["anyOf"][0]["enum"] == ["lookup", "analysis", "auto"]
    page = api.get("/docs").text
    assert "<code>profile</code></td><td>lookup, analysis, auto or null, optional" in page
    assert "<code>reasons</code>" in page
