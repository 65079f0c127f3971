"""Profiles become parameters, and sizes fit documents, each with its reasons."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkers import TokenMap, build
from chunkers.adaptive import TYPE_FACTORS, AdaptiveChunker, Sizing
from chunkers.blocks import scan
from chunkers.conformance import check
from chunkers.policy import Facts, Policy, PolicyError
from chunkers.policy_conditions import DATA_TYPES
from chunkers.shape import Shape, shape_of
from lineage import Block, ConfigError, Document

PROSE = "Every sentence of this paragraph is about as long as the last one was. "


def policy(use: Any, *rules: Any, **profiles: Any) -> Policy:
    return Policy.from_value({"default": use, "rules": list(rules), "profiles": profiles})


def target_of(text: str, sizing: Any = "auto", cap: int = 4096, data_type: str = "prose") -> int:
    document = Document(text=text, data_type=data_type)
    return Sizing.read(sizing).steps(document, TokenMap(text), cap)[-1].tokens


def test_a_query_gives_a_size_that_fits_the_document() -> None:
    made = policy({"chunker": "optimal", "profile": "lookup"}, lookup={"query": "lookup"})
    route = made.route(Facts())
    assert (route.chunker, dict(route.parameters)) == ("optimal", {"target_tokens": {"base": 128}})
    assert route.profiles == ("lookup",)
    assert isinstance(build(route.chunker, route.parameters, max_tokens=512), AdaptiveChunker)


def test_a_target_gives_a_fixed_size() -> None:
    made = policy({"chunker": "optimal", "profile": "p"}, p={"target_tokens": 200})
    assert made.route(Facts()).parameters == {"target_tokens": 200}


@pytest.mark.parametrize(
    ("profile", "parameters", "reason"),
    [
        ({"query": "answer", "audience": "expert"}, {"base": 240}, "knows the field"),
        ({"query": "answer", "audience": "newcomer"}, {"base": 480}, "needs what is around"),
        (
            {"query": "lookup", "cost_ceiling": {"vectors": 5}},
            {"base": 200, "least": 200},
            "at most 5 vectors per 1,000 tokens: at least 200 tokens",
        ),
        ({"target_tokens": {"base": 90, "most": 120}}, {"base": 90, "most": 120}, "90 tokens"),
    ],
)
def test_what_a_profile_asks_for_is_in_the_parameters(
    profile: dict[str, Any], parameters: dict[str, int], reason: str
) -> None:
    made = policy({"chunker": "optimal", "profile": "p"}, p=profile)
    assert made.route(Facts()).parameters == {"target_tokens": parameters}
    assert reason in "; ".join(made.profiles["p"].reasons)


def test_a_ceiling_on_tokens_limits_the_overlap() -> None:
    made = policy(
        {"chunker": "optimal", "profile": "p"},
        p={"query": "answer", "overlap_tokens": 64, "cost_ceiling": {"tokens": 1.1}},
    )
    assert made.route(Facts()).parameters["overlap_tokens"] == 32


def test_a_rules_own_parameters_win() -> None:
    made = policy(
        {"chunker": "optimal", "profile": "p", "target_tokens": 77, "size_weight": 2.0},
        p={"query": "answer", "context": False},
    )
    assert made.route(Facts()).parameters == {
        "target_tokens": 77, "size_weight": 2.0, "context": False,
    }  # fmt: skip


def test_several_profiles_make_one_tree_from_small_to_large() -> None:
    made = policy(
        {"chunker": "optimal", "profile": ["analysis", "lookup"], "size_weight": 2.0},
        lookup={"query": "lookup", "overlap_tokens": 8},
        analysis={"query": "analysis", "max_tokens": 1500},
    )
    route = made.route(Facts())
    assert route.chunker == "hierarchical"
    assert dict(route.parameters) == {
        "chunker": "optimal",
        "target_tokens": {"most": 768, "base": 128},
        "overlap_tokens": 8,
        "granularity": "lookup",
        "parents": [{"granularity": "analysis", "target_tokens": 768, "max_tokens": 1500}],
        "parameters": {"size_weight": 2.0},
    }
    made.check(512)
    chunker = build(route.chunker, route.parameters, max_tokens=512)
    text = "".join(f"# Part {i}\n\n{(PROSE * 6 + chr(10) * 2) * 6}" for i in range(4))
    document = Document(text=text, blocks=scan(text, "markdown"), data_type="markdown")
    spans = check(chunker, document)
    assert {(span.level, span.granularity) for span in spans} == {(0, "lookup"), (1, "analysis")}


def test_a_profile_changes_the_hash_of_just_the_rules_that_use_it() -> None:
    rules = [
        {
            "name": "a",
            "when": {"data_type": "pdf"},
            "use": {"chunker": "structure", "profile": "p"},
        },
        {
            "name": "b",
            "when": {"data_type": "html"},
            "use": {"chunker": "structure", "profile": "q"},
        },
    ]
    sides = [
        policy("optimal", *rules, p={"target_tokens": size}, q={"target_tokens": 90})
        for size in (100, 120)
    ]
    for data_type, same in (("pdf", False), ("html", True), ("prose", True)):
        hashes = {
            made.route(Facts(data_type)).parameters_hash("o200k_base", 512, "1") for made in sides
        }
        assert (len(hashes) == 1) is same, data_type
    assert sides[0].fingerprint() != sides[1].fingerprint()
    again = Policy.from_value(sides[0].as_value())
    assert again == sides[0]
    assert again.fingerprint() == sides[0].fingerprint()


@pytest.mark.parametrize(
    ("use", "profiles", "path", "says"),
    [
        ({"profile": "p"}, {}, ("default", "profile"), "unknown profile 'p'"),
        (
            {"profile": "lookup"},
            {},
            ("default", "profile"),
            "Define it beside `default`: `profiles: {lookup: {query: lookup}}`",
        ),
        ({"profile": []}, {}, ("default", "profile"), "name of a profile or a list"),
        ({}, {"p": {"query": "loopkup"}}, ("profiles", "p", "query"), "did you mean 'lookup'"),
        ({}, {"p": {"qeury": "lookup"}}, ("profiles", "p", "qeury"), "did you mean 'query'"),
        ({}, {"p": {"audience": "expert"}}, ("profiles", "p"), "one of `query`"),
        (
            {},
            {"p": {"query": "lookup", "target_tokens": 9}},
            ("profiles", "p"),
            "one of `query`",
        ),
        (
            {},
            {"p": {"query": "lookup", "audience": "expret"}},
            ("profiles", "p", "audience"),
            "'expert'",
        ),
        (
            {},
            {"p": {"query": "lookup", "cost_ceiling": {"vector": 3}}},
            ("profiles", "p", "cost_ceiling", "vector"),
            "did you mean 'vectors'",
        ),
        (
            {},
            {"p": {"query": "lookup", "cost_ceiling": {"tokens": 0.5}}},
            ("profiles", "p", "cost_ceiling", "tokens"),
            "from 1 up",
        ),
        (
            {},
            {"p": {"target_tokens": 100, "cost_ceiling": {"vectors": 5}}},
            ("profiles", "p", "target_tokens"),
            "needs at least 200",
        ),
        (
            {"profile": ["p", "q"]},
            {"p": {"target_tokens": 9}, "q": {"target_tokens": 9}},
            ("default", "profile"),
            "both come to 9 tokens",
        ),
        (
            {"profile": ["p", "q"], "chunker": "hierarchical"},
            {"p": {"target_tokens": 9}, "q": {"target_tokens": 10}},
            ("default", "profile"),
            "make a hierarchy by themselves",
        ),
    ],
)
def test_mistakes_name_their_place(
    use: dict[str, Any], profiles: dict[str, Any], path: tuple[str, ...], says: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        policy({"chunker": "optimal", **use}, **profiles)
    assert caught.value.path == path
    assert says in caught.value.message


def test_a_ceiling_that_the_cap_breaks_is_refused_before_a_run() -> None:
    made = policy(
        {"chunker": "optimal", "profile": "p"},
        p={"query": "answer", "cost_ceiling": {"vectors": 2}},
    )
    made.check(512)
    with pytest.raises(PolicyError, match="500"):
        made.check(256)


def test_sizes_move_with_type_density_and_length() -> None:
    assert target_of(PROSE * 40) == 320
    for data_type, (factor, _) in TYPE_FACTORS.items():
        assert target_of(PROSE * 200, data_type=data_type) == round(320 * factor)
    numbers = "".join(f"{i * 7919 % 100000} {i * 31 % 977}.{i % 89}, " for i in range(2000))
    assert target_of(numbers) == 480
    assert target_of(PROSE * 2000) == 400
    assert target_of(PROSE * 8000) == 480


def test_a_document_a_little_over_the_target_stays_whole() -> None:
    text = PROSE * 26
    size = len(TokenMap(text))
    assert 320 < size < 400
    chunker = build("optimal", {"target_tokens": "auto"}, max_tokens=512)
    assert len(check(chunker, Document(text=text, blocks=[Block("paragraph", 0, len(text))]))) == 1


def test_bounds_hold() -> None:
    assert target_of(PROSE * 200, "auto", cap=100) == 100
    assert target_of(PROSE * 200, {"base": 50, "least": 90}) == 90
    assert target_of(PROSE * 8000, {"base": 300, "most": 310}) == 310


@given(
    st.text(max_size=300),
    st.integers(1, 900),
    st.integers(8, 700),
    st.sampled_from(DATA_TYPES),
)
def test_a_target_is_never_over_the_cap(text: str, base: int, cap: int, data_type: str) -> None:
    assert 1 <= target_of(text, {"base": base}, cap, data_type) <= cap


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("big", "`auto`"),
        ({"bas": 3}, "did you mean 'base'"),
        ({"base": 0}, "from 1 up"),
        ({"least": 90, "most": 80}, "from 90 up"),
    ],
)
def test_a_wrong_size_is_refused(target: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build("optimal", {"target_tokens": target}, max_tokens=512)


def test_spans_say_the_size_they_were_cut_for() -> None:
    text = PROSE * 100
    document = Document(text=text, blocks=scan(text, "text"))
    spans = check(build("optimal", {"target_tokens": {"base": 100}}, max_tokens=512), document)
    assert {span.target_tokens for span in spans} == {100}


def test_shape_counts_nested_blocks_once() -> None:
    blocks = [
        Block("heading", 0, 10, page=1),
        Block("table", 10, 60, page=1),
        Block("table_row", 10, 30, page=1),
        Block("table", 12, 20, page=1),
        Block("paragraph", 60, 100, page=2),
    ]
    assert shape_of(blocks) == Shape(100, 1, 2, 2, 0.5, 0.0, 0.0)
    assert shape_of([]) == Shape()


def test_rules_can_ask_for_structure() -> None:
    made = policy(
        "optimal",
        {"name": "t", "when": {"structure": {"table_share": {"min": 0.5}}}, "use": "table"},
        {
            "name": "h",
            "when": {"structure": {"headings": {"min": 3, "max": 9}}},
            "use": "structure",
        },
    )
    assert made.needs_shape
    assert made.route(Facts(shape=Shape(table_share=0.6, headings=4))).rule == "t"
    assert made.route(Facts(shape=Shape(headings=4))).rule == "h"
    assert made.route(Facts(shape=Shape(headings=10))).rule == "default"
    first, second, _ = made.explain(Facts(shape=Shape(headings=4)))
    assert first.reason == "structure: table_share is 0, not at least 0.5"
    assert second.reason == "structure: headings is 4, 3 to 9"
    assert made.explain(Facts())[0].reason == "structure is unknown"
    assert Policy.from_value(made.as_value()) == made


def test_a_rule_that_several_earlier_ones_cover_together_is_refused() -> None:
    rules = [
        {"name": "one", "when": {"data_type": ["pdf", "html"]}, "use": "fixed"},
        {"name": "two", "when": {"data_type": "code"}, "use": "fixed"},
        {"name": "late", "when": {"data_type": ["code", "pdf"], "language": "de"}, "use": "fixed"},
    ]
    with pytest.raises(PolicyError, match="rules 'two' and 'one' before it match"):
        policy("optimal", *rules)
    rules[2]["when"] = {"data_type": ["code", "prose"]}
    policy("optimal", *rules)
    narrow = [
        {"name": "t", "when": {"structure": {"tables": {"min": 1}}}, "use": "table"},
        {"name": "u", "when": {"structure": {"tables": {"min": 4, "max": 5}}}, "use": "table"},
    ]
    with pytest.raises(PolicyError, match="rule 't' before it matches"):
        policy("optimal", *narrow)
