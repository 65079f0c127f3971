"""Feedback through the API, over a real lake and index, with tokens of a local issuer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from oidc_issuer import AUDIENCE, issuer

from pipelines.config import ServeConfig
from pipelines.feedback import read_feedback
from pipelines.serve.app import create_app
from pipelines.serve.tokens import OidcTokens


@pytest.fixture
def served(project: Any) -> Any:
    project.write("leave.md", "Everybody has twenty days of leave. The manager signs.")
    project.write("board.md", "The board decides about salaries.")
    project.write("board.md.acl.yaml", "allow_groups: [board]\n")
    project.run()
    with issuer() as entra:
        settings = ServeConfig(issuer=entra.address, audience=AUDIENCE, requests_per_minute=1000)
        app = create_app(project.config, settings, OidcTokens(settings))
        client = TestClient(app, raise_server_exceptions=False)

        def post(value: dict[str, Any], user: str, *groups: str) -> Any:
            token = entra.token(user, groups)
            headers = {"Authorization": f"Bearer {token}"}
            return client.post("/v1/feedback", json=value, headers=headers)

        yield project, client, post


def test_feedback_is_kept_for_those_who_may_read_the_chunk(served: Any) -> None:
    project, client, post = served
    ids = {c["text"][:5]: c["chunk_id"] for c in project.chunks()}
    thumb = {"query": "leave", "kind": "thumb", "value": "up", "chunk_id": ids["Every"]}
    assert post(thumb, "amy").json() == {"added": True}
    assert post(thumb, "amy").json() == {"added": False}
    corrected = {**thumb, "kind": "correction", "quote": "twenty days"}
    del corrected["value"]
    assert post(corrected, "amy").json() == {"added": True}
    rows = read_feedback(project.config)
    assert [(r["kind"], r["user"], r["quote"]) for r in rows] == [
        ("thumb", "amy", "Everybody has twenty days of leave. The manager signs."),
        ("correction", "amy", "twenty days"),
    ]
    secret = {**thumb, "chunk_id": ids["The b"]}
    hidden, missing = post(secret, "eve"), post({**thumb, "chunk_id": "0" * 32}, "eve")
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json() == missing.json()
    assert post(secret, "bo", "board").json() == {"added": True}
    assert client.post("/v1/feedback", json=thumb).status_code == 401
    assert post({**thumb, "user": "mallory"}, "eve").status_code == 422
    assert post({**thumb, "kind": "judgement"}, "eve").status_code == 422
    assert post({**corrected, "quote": "no such words"}, "eve").status_code == 422
    assert len(read_feedback(project.config)) == 3


def test_callers_at_the_same_time_are_all_kept_and_nobody_twice(served: Any) -> None:
    project, _, post = served
    key = next(c["chunk_id"] for c in project.chunks() if c["text"].startswith("Every"))
    click = {"query": "leave", "kind": "click", "chunk_id": key}
    assert post(click, "a").json() == {"added": True}
    with ThreadPoolExecutor(8) as executor:
        answers = list(executor.map(lambda user: post(click, user), ["a", "b", "c", "d"] * 2))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sum(answer.json()["added"] for answer in answers) == 3
    assert sorted(row["user"] for row in read_feedback(project.config)) == ["a", "b", "c", "d"]
