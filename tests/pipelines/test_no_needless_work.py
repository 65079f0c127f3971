"""What a change must not cost: spies stand where texts are parsed, chunked, counted, embedded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from call_spies import PLACES, spy_on, with_vectors

from lineage import ConfigError
from pipelines.ingest.parsers import registry

PROSE = "# Leave\n\nEveryone has thirty days. They are agreed on with the team.\n\n" * 8

FETCHES = "pipelines.ingest.sources.local.LocalSource.fetch"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    return spy_on(monkeypatch, fetches=FETCHES)


def ids(project: Any) -> list[tuple[str, str]]:
    return [(c["chunk_id"], c["text"]) for c in project.chunks()]


def source(**changes: Any) -> dict[str, Any]:
    return {"name": "docs", "uri": "docs", "acl": {"default": "public"}} | changes


CHANGES: dict[str, Callable[[Any], Any]] = {
    "sidecar": lambda p: p.write("a.md.acl.yaml", "allow_groups: [hr]\n"),
    "folder": lambda p: p.write("_acl.yaml", "allow_groups: [hr]\n"),
    "default": lambda p: p.settings.update(
        sources=[source(acl={"default": {"allow_groups": ["hr"]}})]
    ),
    "label": lambda p: p.settings.update(sources=[source(labels={"owner": "hr"})]),
}


@pytest.mark.parametrize("kind", list(CHANGES))
def test_a_change_of_rights_or_labels_is_rows_and_nothing_else(
    project: Any, calls: Counter[str], kind: str
) -> None:
    project.write("a.md", PROSE)
    project.write("b.md", PROSE.replace("thirty", "twenty"))
    with_vectors(project)
    project.run()
    assert set(calls) == {*PLACES, "fetches"}
    before = ids(project)
    calls.clear()
    CHANGES[kind](project)
    ingested = project.ingest()
    transformed = project.transform().as_dict()
    loaded = project.load()
    changed = 1 if kind == "sidecar" else 2
    assert calls == Counter()
    assert ingested.counts["acl"] == transformed["acl"] == changed
    assert loaded.acl_updated == 2 * changed
    assert (transformed["documents"], transformed["chunks"], loaded.upserted) == (0, 0, 0)
    assert {row["op"] for row in project.documents().values()} <= {"acl", "upsert"}
    assert ids(project) == before
    project.run()
    assert calls == Counter()


def test_a_label_that_changes_the_route_chunks_just_that_document(
    project: Any, calls: Counter[str]
) -> None:
    rule = {"name": "short", "when": {"labels": {"size": "short"}}, "use": {"chunker": "sentence"}}
    policy = {"default": {"chunker": "recursive"}, "rules": [rule]}
    project.settings["strategies"] = [{"name": "default", "max_tokens": 32, "policy": policy}]
    (project.root / "more").mkdir()
    (project.root / "more" / "x.md").write_text(PROSE)
    more = {"name": "more", "uri": "more", "acl": {"default": "public"}}
    project.settings["sources"] = [source(), more]
    project.write("a.md", PROSE)
    project.run()
    calls.clear()
    project.settings["sources"] = [source(), more | {"labels": {"size": "short"}}]
    project.run()
    assert (calls["parses"], calls["chunkings"]) == (0, 1)
    assert {c["lineage"]["rule"] for c in project.chunks()} == {"default", "short"}


def test_nothing_changed_costs_nothing(project: Any, calls: Counter[str]) -> None:
    project.write("a.md", PROSE)
    project.run()
    calls.clear()
    project.run()
    assert calls == Counter()


@pytest.mark.parametrize(
    ("change", "chunked"),
    [
        (lambda policy: policy["rules"][0]["use"].update(target_tokens=20), 1),
        (lambda policy: policy["rules"][0]["when"].update(path="**/*.txt"), 2),
        (lambda policy: policy["default"].update(chunker="sentence"), 2),
        (lambda policy: policy["rules"].append(
            {"name": "c", "when": {"path": "c.csv"}, "use": {"chunker": "fixed"}}), 1),
        (lambda policy: policy["rules"][0].update(name="renamed"), 0),
    ],
)  # fmt: skip
def test_a_changed_policy_chunks_exactly_the_documents_it_concerns(
    project: Any, calls: Counter[str], change: Callable[[Any], Any], chunked: int
) -> None:
    rule = {"name": "md", "when": {"path": "**/*.md"}, "use": {"chunker": "structure"}}
    policy: dict[str, Any] = {"default": {"chunker": "recursive"}, "rules": [rule]}
    project.settings["strategies"] = [{"name": "default", "max_tokens": 64, "policy": policy}]
    project.write("a.md", PROSE)
    project.write("b.txt", PROSE)
    project.write("c.csv", "name,days\nAnn,30\nBob,28\n")
    project.run()
    calls.clear()
    change(policy)
    project.run()
    assert (calls["parses"], calls["fetches"], calls["chunkings"]) == (0, 0, chunked)
    project.run()
    assert calls["chunkings"] == chunked


def test_a_new_strategy_is_built_from_the_stored_parses(project: Any, calls: Counter[str]) -> None:
    project.write("a.md", PROSE)
    project.run()
    before = ids(project)
    calls.clear()
    project.settings["strategies"] = [
        {"name": "default", "max_tokens": 64},
        {"name": "small", "max_tokens": 16},
    ]
    project.run()
    assert (calls["parses"], calls["fetches"], calls["chunkings"]) == (0, 0, 1)
    assert ids(project) == before
    assert len(project.chunks("small")) > len(before)


def test_a_new_parser_version_parses_what_it_parsed_and_only_when_asked(
    project: Any,
    calls: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    project.write("a.md", PROSE)
    project.write("b.csv", "name,days\nAnn,30\n")
    project.write("c.json", '{"days": 30}')
    project.run()
    parser = project.documents()["b.csv"]["parser"]["name"]
    others = {row["parser"]["name"] for row in project.documents().values()} - {parser}
    assert others
    calls.clear()
    monkeypatch.setattr(type(registry.load(parser)), "version", "99")
    registry.info.cache_clear()
    request.addfinalizer(registry.info.cache_clear)
    project.run()
    assert calls == Counter()
    same = sum(row["parser"]["name"] == parser for row in project.documents().values())
    assert project.ingest(reparse="").counts["changed"] == same
    assert calls["parses"] == same
    assert project.documents()["b.csv"]["parser"]["version"] == "99"
    assert project.ingest(reparse="").rows_written == 0
    before = ids(project)
    project.transform()
    assert ids(project) == before
    calls.clear()
    other = sorted(others)[0]
    assert project.ingest(reparse=other).counts["changed"] == calls["parses"] > 0
    with pytest.raises(ConfigError, match="no parser is called 'nonsense'"):
        project.ingest(reparse="nonsense")
