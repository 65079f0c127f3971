from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lineage import Acl, ParserInfo, document_id
from lineage.schemas import DOCUMENTS
from pipelines.ingest.plan import SMALL_COLUMNS, Guard, Known, Plan, plan_source
from pipelines.ingest.sources.base import Listed

SCHEMA = pa.schema([DOCUMENTS.field(name) for name in SMALL_COLUMNS])
PUBLIC, PRIVATE = Acl.public(), Acl.from_value({"allow_groups": ["hr"]})


def listed(key: str, version: str = "1", acl: Acl = PUBLIC, **values: Any) -> Listed:
    fields = {"size": 1, "modified_at": None, "labels": {}} | values
    return Listed(key=key, uri=f"file:///{key}", version=version, acl=acl, **fields)


def known(key: str, version: str = "1", op: str = "upsert", **values: Any) -> dict[str, Any]:
    row = {
        "document_id": document_id("s", key),
        "source": "s",
        "op": op,
        "source_version": version,
        "content_seq": None if op in ("reject", "delete") else 1,
        "acl": PUBLIC.as_dict(),
        "labels": {},
    }
    return row | values


def error(name: str) -> dict[str, Any]:
    return {"stage": "ingest", "error_class": name, "message": "", "attempts": 1}


def make(listing: list[Listed], rows: list[dict[str, Any]], **options: Any) -> Plan:
    state = Known.of(pa.Table.from_pylist(rows, schema=SCHEMA), "s")
    options = {"guard": Guard(), "parser_changed": lambda parser: False} | options
    return plan_source("s", listing, state, **options)


def kinds(plan: Plan) -> list[str]:
    return [action.kind for action in plan.actions]


def test_nothing_changed_is_nothing_to_do() -> None:
    plan = make([listed("a"), listed("b")], [known("a"), known("b")])
    assert (plan.actions, plan.listed, plan.unchanged) == ((), 2, 2)


def test_new_and_moved_versions_are_fetched() -> None:
    plan = make([listed("a", "2"), listed("b")], [known("a")])
    assert kinds(plan) == ["fetch", "fetch"]
    assert [action.known for action in plan.actions] == [0, None]


def test_rights_and_labels_alone_are_not_fetched() -> None:
    rows = [known("a"), known("b")]
    plan = make([listed("a", acl=PRIVATE), listed("b", labels={"owner": "x"})], rows)
    assert kinds(plan) == ["acl", "acl"]


def test_rights_come_before_deletes_and_content() -> None:
    rows = [known("a"), known("b"), known("c")]
    plan = make([listed("new"), listed("a", acl=PRIVATE), listed("b")], rows)
    assert kinds(plan) == ["acl", "delete", "fetch"]


def test_verify_hash_trusts_no_version() -> None:
    assert kinds(make([listed("a")], [known("a")], verify_hash=True)) == ["fetch"]


def test_a_deleted_document_that_is_back_is_new() -> None:
    plan = make([listed("a")], [known("a", op="delete")])
    assert kinds(plan) == ["fetch"]
    assert plan.actions[0].known is None


def test_rejects_are_tried_again_when_there_is_a_reason() -> None:
    terminal = known("a", op="reject", error=error("malformed"))
    assert kinds(make([listed("a")], [terminal])) == []
    assert kinds(make([listed("a", "2")], [terminal])) == ["fetch"]
    assert kinds(make([listed("a")], [terminal], retry_rejects=True)) == ["fetch"]
    transient = known("a", op="reject", error=error("transient_io"))
    assert kinds(make([listed("a")], [transient])) == ["fetch"]
    parsed = terminal | {"parser": {"name": "pdf", "version": "1", "options_hash": ""}}
    changed = make([listed("a")], [parsed], parser_changed=lambda p: p == ParserInfo("pdf", "1"))
    assert kinds(changed) == ["fetch"]


def test_a_missing_dependency_is_waited_for_without_a_fetch() -> None:
    parser = {"name": "office", "version": "1/no-soffice", "options_hash": ""}
    row = known("a", op="reject", error=error("missing_dependency"), parser=parser)
    assert kinds(make([listed("a")], [row])) == []
    assert kinds(make([listed("a")], [row], parser_changed=lambda p: True)) == ["fetch"]
    assert kinds(make([listed("a")], [row | {"parser": None}])) == ["fetch"]


def test_a_listing_problem_is_one_reject_and_not_repeated() -> None:
    problem = ("unsupported", "a FIFO")
    fifo = listed("pipe", problem=problem)
    assert kinds(make([fifo], [])) == ["reject"]
    row = known("pipe", op="reject", error=error("unsupported"))
    assert kinds(make([fifo], [row])) == []


def test_equal_keys_are_each_accounted_for() -> None:
    plan = make([listed("caf\u00e9"), listed("cafe\u0301")], [])
    assert (plan.listed, kinds(plan)) == (2, ["reject", "fetch"])
    assert len({action.document_id for action in plan.actions}) == 2


def test_an_empty_listing_deletes_nothing() -> None:
    plan = make([], [known("a")])
    assert (plan.actions, plan.held) == ((), 1)
    assert "empty" in plan.notes[0]
    assert "--allow-deletes" in plan.notes[0]
    allowed = make([], [known("a")], guard=Guard(allow_deletes=True))
    assert (kinds(allowed), allowed.held) == (["delete"], 0)


def test_a_listing_that_lost_most_documents_deletes_nothing_and_applies_the_rest() -> None:
    rows = [known(str(n)) for n in range(6)]
    plan = make([listed("0"), listed("1", "2")], rows)
    assert (kinds(plan), plan.held) == (["fetch"], 4)
    half = make([listed(str(n)) for n in range(3)], rows)
    assert (kinds(half), half.held) == (["delete"] * 3, 0)


def test_small_sources_are_guarded_only_against_emptiness() -> None:
    plan = make([listed("0")], [known(str(n)) for n in range(4)])
    assert kinds(plan) == ["delete"] * 3


def test_an_incomplete_listing_deletes_nothing_even_when_allowed() -> None:
    plan = make(
        [listed("a")],
        [known("a"), known("b")],
        guard=Guard(allow_deletes=True),
        failure=lambda: "the listing failed",
    )
    assert (plan.actions, plan.held) == ((), 1)


def test_unknown_rights_are_counted() -> None:
    assert make([listed("a", acl=Acl.unknown("none"))], []).unknown_acl == 1


KEYS = st.sampled_from(["a", "b", "c", "d", "e", "f", "g"])


@given(st.dictionaries(KEYS, st.sampled_from("12")), st.dictionaries(KEYS, st.sampled_from("12")))
def test_every_document_is_counted_exactly_once(now: dict[str, str], then: dict[str, str]) -> None:
    rows = [known(key, version) for key, version in then.items()]
    plan = make([listed(key, version) for key, version in now.items()], rows)
    fetches = kinds(plan).count("fetch")
    assert plan.listed == len(now) == fetches + plan.unchanged
    assert kinds(plan).count("delete") + plan.held == len(then.keys() - now.keys())


def test_rights_that_cannot_be_read_or_are_narrowed_are_named() -> None:
    reasons = ["sidecar:x: not valid YAML", "adls: /a: PathNotFound", "none found"]
    rows = [listed(f"{n}.md", acl=Acl.unknown(reason)) for n, reason in enumerate(reasons)]
    narrow = Acl("explicit", origin="adls, narrowed: several groups at once")
    rows += [listed(f"n{n}.md", acl=narrow) for n in range(2)]
    plan = make(rows, [])
    assert plan.unknown_acl == 3
    narrowed, unreadable = plan.notes
    assert "2 documents have narrower rights than the lake gives" in narrowed
    assert "n0.md …" in narrowed
    assert "2 documents cannot be read or said" in unreadable
    assert "0.md (sidecar:x: not valid YAML); 1.md (adls: /a: PathNotFound)" in unreadable
