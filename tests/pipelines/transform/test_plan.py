from __future__ import annotations

from typing import Any

from chunkers.policy import Facts, Policy
from pipelines.transform.plan import Router, decide

POLICY = Policy.from_value(
    {
        "default": {"chunker": "fixed", "target_tokens": 100},
        "rules": [
            {"name": "code", "when": {"data_type": "code"}, "use": {"chunker": "recursive"}},
            {"name": "gold", "when": {"labels": {"tier": "gold"}}, "use": {"chunker": "sentence"}},
        ],
    }
)
RIGHTS = {"fingerprint": "a"}


def router(policy: Policy = POLICY, version: str = "1") -> Router:
    return Router(policy, "o200k_base", 512, lambda name, parameters: version)


def route(row: Any, by: Router | None = None) -> Any:
    facts = Facts(data_type=row["data_type"], labels=dict(row["labels"] or ()))
    return (by or router()).route(facts)


def document(**values: Any) -> dict[str, Any]:
    row = {
        "document_id": "d",
        "op": "upsert",
        "content_seq": 3,
        "data_type": "prose",
        "labels": {},
        "acl": RIGHTS,
    }
    return row | values


def header(of: dict[str, Any], **values: Any) -> dict[str, Any]:
    row = {
        "op": "upsert",
        "acl": of["acl"],
        "labels": of["labels"],
        "lineage": {
            "content_seq": of["content_seq"],
            "parameters_hash": route(of).parameters_hash,
        },
    }
    return row | values


def kind(row: dict[str, Any], head: dict[str, Any] | None, by: Router | None = None) -> str | None:
    action = decide(row, head, lambda r: route(r, by))
    return None if action is None else action.kind


def test_what_is_up_to_date_needs_nothing() -> None:
    row = document()
    assert kind(row, header(row)) is None
    assert kind(document(op="touch"), header(row)) is None


def test_new_and_changed_content_is_chunked() -> None:
    row = document()
    assert kind(row, None) == "chunk"
    assert kind(document(content_seq=4), header(row)) == "chunk"
    assert kind(row, header(row, op="delete")) == "chunk"


def test_changed_rights_or_labels_do_not_chunk() -> None:
    row = document()
    assert kind(document(op="acl", acl={"fingerprint": "b"}), header(row)) == "acl"
    assert kind(document(op="acl", labels={"owner": "x"}), header(row)) == "acl"


def test_a_label_that_changes_the_route_chunks_again() -> None:
    row = document()
    assert kind(document(op="acl", labels={"tier": "gold"}), header(row)) == "chunk"


def test_one_changed_rule_chunks_exactly_its_documents() -> None:
    value = POLICY.as_value()
    value["rules"][0]["use"]["target_tokens"] = 77
    changed = router(Policy.from_value(value))
    prose, code = document(), document(data_type="code")
    assert kind(prose, header(prose), changed) is None
    assert kind(code, header(code), changed) == "chunk"


def test_a_renamed_rule_chunks_nothing() -> None:
    value = POLICY.as_value()
    value["rules"][0]["name"] = "source code"
    code = document(data_type="code")
    assert kind(code, header(code), router(Policy.from_value(value))) is None


def test_a_new_chunker_version_chunks_again() -> None:
    row = document()
    assert kind(row, header(row), router(version="2")) == "chunk"


def test_content_that_is_gone_is_withdrawn_once() -> None:
    row = document()
    gone = document(op="delete", content_seq=None)
    broken = document(op="reject", content_seq=None)
    assert kind(gone, header(row)) == "delete"
    assert kind(broken, header(row)) == "reject"
    assert kind(gone, None) is None
    assert kind(gone, header(row, op="delete")) is None
    assert kind(broken, header(row, op="reject")) is None


def test_a_transient_reject_keeps_its_chunks_and_takes_the_new_rights() -> None:
    row = document()
    assert kind(document(op="reject"), header(row)) is None
    assert kind(document(op="reject", acl={"fingerprint": "b"}), header(row)) == "acl"


def test_what_the_chunker_rejected_is_not_tried_again_until_something_changes() -> None:
    row = document()
    assert kind(row, header(row, op="reject")) is None
    assert kind(document(content_seq=9), header(row, op="reject")) == "chunk"
