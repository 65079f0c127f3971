from __future__ import annotations

from typing import Any

import pytest

from lineage import Principal
from pipelines.load.profile import ANALYSIS, AUTO, LOOKUP, classify, read

LOOKUPS = [
    "Who signs travel expenses?", "parental leave", "When does the water rise?",
    "How many days of leave are there?", "phone number of the harbour office", "RFC-7231",
    "Where is the gauge of station 12?", "Which form do I need?", "TG40 voltage",
    "how long is the notice period", "error E1207", "Wann ist Hochwasser?",
    "Wie viele Tage Urlaub gibt es?", "Combien coûte un billet ?", "what is the VAT rate",
    "nadia.ferrant@example.com",
]  # fmt: skip
ANALYSES = [
    "Why did costs rise in the second quarter?", "Compare the two suppliers",
    "Explain how the tide gauge reports its readings to the station",
    "What are the advantages and disadvantages of remote work for the team?",
    "Summarize the audit", "How does the onboarding differ between offices, and why?",
    "What is the impact of the new policy on contractors?", "Describe the approval process",
    "Warum sind die Kosten gestiegen?", "Unterschiede zwischen beiden Verträgen",
    "Pourquoi les coûts ont-ils augmenté ?", "overview of our security strategy",
    "How should we handle a customer who returns a damaged unit after the warranty has ended?",
]  # fmt: skip


@pytest.mark.parametrize("query", LOOKUPS)
def test_a_fact_is_looked_up(query: str) -> None:
    found = classify(query)
    assert (found.profile, found.reasons != ()) == (LOOKUP, True), found


@pytest.mark.parametrize("query", ANALYSES)
def test_connections_are_analysed(query: str) -> None:
    found = classify(query)
    assert (found.profile, found.score > 0) == (ANALYSIS, True), found


def test_an_empty_question_is_a_lookup_with_a_reason() -> None:
    assert classify("").profile == LOOKUP
    assert classify("nothing in here asks for it").reasons == (
        "nothing asks for more than a passage",
    )


@pytest.fixture
def sized(project: Any) -> Any:
    project.settings = {
        "strategies": [
            {
                "name": "default",
                "max_tokens": 512,
                "policy": {
                    "profiles": {
                        "lookup": {"target_tokens": 30},
                        "analysis": {"target_tokens": 200},
                    },
                    "default": {"chunker": "optimal", "profile": ["lookup", "analysis"]},
                    "rules": [
                        {"name": "notes", "when": {"path": "*.txt"}, "use": {"chunker": "sentence"}}
                    ],
                },
            }
        ]
    }
    body = "\n\n".join(
        f"## Part {n}\n\n"
        + " ".join(f"The gauge of part {n} has the mark {n}-{m} at the pier." for m in range(12))
        for n in range(4)
    )
    project.write("gauges.md", f"# Gauges\n\n{body}\n")
    project.write("note.txt", "The gauge was painted.")
    project.write("secret.md", f"# Secret gauge\n\n{body}\n")
    project.write("secret.md.acl.yaml", "allow_groups: [board]\n")
    project.run()
    return project


def test_analysis_reads_the_section_around_what_is_found(sized: Any) -> None:
    asker = Principal("amy")
    small = read(sized.config, "gauge mark 2-5 pier", asker, LOOKUP)
    large = read(sized.config, "gauge mark 2-5 pier", asker, ANALYSIS)
    assert {hit.granularity for hit in small.hits} <= {"lookup", ""}
    assert large.note is None
    assert large.hits[0].granularity == "analysis"
    assert len(large.hits[0].text) > 2 * len(small.hits[0].text)
    assert large.hits[0].start <= small.hits[0].start < small.hits[0].end <= large.hits[0].end
    ids = [hit.chunk_id for hit in large.hits]
    assert len(ids) == len(set(ids))
    # What has one size only is not lost, and what may not be read is not found.
    names = {hit.source_uri.rpartition("/")[2] for hit in large.hits}
    assert names == {"gauges.md", "note.txt"}
    scores = [hit.score for hit in large.hits]
    assert scores == sorted(scores, reverse=True)
    board = Principal("bo", frozenset({"board"}))
    more = read(sized.config, "gauge mark 2-5 pier", board, ANALYSIS)
    assert "secret.md" in {hit.source_uri.rpartition("/")[2] for hit in more.hits}


def test_auto_says_what_it_took_the_question_for(sized: Any) -> None:
    asker = Principal("amy")
    why = read(sized.config, "Why does the gauge have several marks?", asker, AUTO)
    assert (why.profile, why.classified is not None) == (ANALYSIS, True)
    where = read(sized.config, "Where is the gauge?", asker, AUTO)
    assert where.profile == LOOKUP
    config = str(sized.config_path)
    code, value, _ = sized.command(
        "search", config, "Why the gauge?", "--profile", "auto", "--json", "--user", "amy"
    )
    assert (code, value["profile"]) == (0, "analysis")
    assert value["reasons"][0] == "asks for reasons or connections: 'why'"
    assert value["hits"][0]["granularity"] == "analysis"
    code, _, errors = sized.command(
        "search", config, "x", "--profile", "lookup", "--granularity", "lookup"
    )
    assert (code, "--profile" in errors) == (2, True)


def test_without_larger_chunks_it_is_said(project: Any) -> None:
    project.write("a.txt", "The gauge was painted.")
    project.run()
    found = read(project.config, "gauge", Principal("amy"), ANALYSIS)
    assert len(found.hits) == 1
    assert found.note is not None
    assert "no larger chunks" in found.note
