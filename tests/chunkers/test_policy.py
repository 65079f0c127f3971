from __future__ import annotations

import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chunkers.globs import glob_matches
from chunkers.policy import DEFAULT_POLICY, Facts, Policy, PolicyError, Route
from chunkers.policy_conditions import DATA_TYPES

ROOT = Path(__file__).parents[2]


def policy(*rules: dict[str, Any], default: Any = "structure") -> Policy:
    return Policy.from_value({"default": default, "rules": list(rules)})


def rule(name: str, chunker: str = "fixed", **when: Any) -> dict[str, Any]:
    return {"name": name, "when": when, "use": {"chunker": chunker}}


# Random policies over a small world, so that rules and facts meet often.

_types = st.sampled_from(["code", "pdf", "table", "prose"])
_sizes = st.integers(0, 40)
_labels = st.dictionaries(
    st.sampled_from(["owner", "level"]), st.sampled_from(["a", "b"]), max_size=2
)
_facts = st.builds(
    Facts,
    data_type=_types,
    media_type=st.sampled_from([None, "text/html", "text/plain", "application/pdf"]),
    path=st.sampled_from(["a.md", "hr/a.md", "hr/b/c.txt", ""]),
    size_bytes=st.none() | _sizes,
    language=st.sampled_from([None, "de", "en"]),
    labels=_labels,
)
_when = st.fixed_dictionaries(
    {},
    optional={
        "data_type": st.lists(_types, min_size=1, max_size=3) | _types,
        "media_type": st.sampled_from(["text/*", "text/html", "application/pdf"]),
        "path": st.sampled_from(["*.md", "hr/**", "**/*.txt"]),
        "size": st.builds(lambda a, b: {"min": min(a, b), "max": max(a, b)}, _sizes, _sizes),
        "language": st.sampled_from(["de", "en"]),
        "labels": st.dictionaries(
            st.sampled_from(["owner", "level"]),
            st.sampled_from(["a", "b", "*"]),
            min_size=1,
            max_size=2,
        ),
    },
).filter(bool)


@st.composite
def _policies(draw: st.DrawFn) -> Policy:
    """A policy none of whose rules is covered: each one that would be is left out."""
    kept: list[dict[str, Any]] = []
    for n, when in enumerate(draw(st.lists(_when, max_size=6))):
        wanted = [*kept, {"name": f"r{n}", "when": when, "use": f"chunker-{n}"}]
        with suppress(PolicyError):
            Policy.from_value({"default": "d", "rules": wanted})
            kept = wanted
    return Policy.from_value({"default": "d", "rules": kept})


@given(_policies(), _facts)
def test_first_matching_rule_wins_and_explain_agrees(policy: Policy, facts: Facts) -> None:
    matching = [r for r in policy.rules if not r.failed(facts)]
    expected = matching[0].route() if matching else policy.default.route()
    assert policy.route(facts) == expected
    verdicts = policy.explain(facts)
    assert [v.rule for v in verdicts] == [*(r.name for r in policy.rules), "default"]
    assert [v.rule for v in verdicts if v.fired] == [expected.rule]
    assert all(v.reason for v in verdicts)


@given(_policies())
def test_the_written_form_reads_back_equal(policy: Policy) -> None:
    again = Policy.from_value(policy.as_value())
    assert again == policy
    assert again.fingerprint() == policy.fingerprint()
    assert pickle.loads(pickle.dumps(policy)) == policy


@given(_when, _when, _facts)
def test_a_covered_rule_never_matches_alone(
    first: dict[str, Any], second: dict[str, Any], facts: Facts
) -> None:
    """`covers` is what forbids a rule, so it must never be wrong: facts are the counter-example."""
    one = policy({"name": "a", "when": first, "use": "fixed"}).rules[0]
    two = policy({"name": "b", "when": second, "use": "fixed"}).rules[0]
    if one.covers(two.conditions) and not two.failed(facts):
        assert not one.failed(facts)
    assert one.covers(one.conditions)


@given(st.permutations(["data_type", "language", "path"]))
def test_order_of_keys_does_not_matter(order: list[str]) -> None:
    values = {"data_type": "pdf", "language": "de", "path": "a/**"}
    written = policy({"name": "x", "when": {key: values[key] for key in order}, "use": "fixed"})
    plain = policy({"name": "x", "when": values, "use": "fixed"})
    assert written.fingerprint() == plain.fingerprint()


def test_fingerprint_changes_with_rule_order_default_and_parameters() -> None:
    a, b = rule("a", data_type="pdf"), rule("b", language="de")
    prints = {
        policy(a, b).fingerprint(),
        policy(b, a).fingerprint(),
        policy(a).fingerprint(),
        policy(a, b, default="fixed").fingerprint(),
        policy({**a, "use": {"chunker": "fixed", "target_tokens": 9}}, b).fingerprint(),
    }
    assert len(prints) == 5


def test_parameters_hash_ignores_the_rules_name_and_nothing_else() -> None:
    route = Route("a", "fixed", {"target_tokens": 9})
    base = route.parameters_hash("o200k_base", 512, "1")
    assert Route("b", "fixed", {"target_tokens": 9}).parameters_hash("o200k_base", 512, "1") == base
    others = {
        Route("a", "sentence", {"target_tokens": 9}).parameters_hash("o200k_base", 512, "1"),
        Route("a", "fixed", {"target_tokens": 8}).parameters_hash("o200k_base", 512, "1"),
        route.parameters_hash("cl100k_base", 512, "1"),
        route.parameters_hash("o200k_base", 256, "1"),
        route.parameters_hash("o200k_base", 512, "2"),
    }
    assert len(others | {base}) == 6


@pytest.mark.parametrize(
    ("when", "facts", "reason"),
    [
        ({"data_type": "code"}, Facts("pdf"), 'data_type is "pdf", not "code"'),
        (
            {"data_type": ["code", "log"]},
            Facts("pdf"),
            'data_type is "pdf", not "code" or "log"',
        ),
        ({"media_type": "text/*"}, Facts(), 'media_type is unknown, not "text/*"'),
        ({"language": "de"}, Facts(language="en"), 'language is "en", not "de"'),
        ({"path": "hr/**"}, Facts(path="it/a.md"), 'path "it/a.md" does not match "hr/**"'),
        (
            {"size": {"min": "1 KB", "max": "2 KiB"}},
            Facts(size_bytes=999),
            "size is 999 bytes, not 1000 to 2048 bytes",
        ),
        ({"size": {"max": 10}}, Facts(), "size is unknown, not at most 10 bytes"),
        ({"labels": {"owner": "hr"}}, Facts(), 'label "owner" is not set'),
        (
            {"labels": {"owner": ["hr", "it"]}},
            Facts(labels={"owner": "x"}),
            'label "owner" is "x", not "hr" or "it"',
        ),
    ],
)
def test_explain_says_why_not(when: dict[str, Any], facts: Facts, reason: str) -> None:
    verdicts = policy({"name": "r", "when": when, "use": "fixed"}).explain(facts)
    assert (verdicts[0].fired, verdicts[0].reason) == (False, reason)
    assert (verdicts[1].rule, verdicts[1].fired) == ("default", True)


@pytest.mark.parametrize(
    ("when", "facts"),
    [
        ({"data_type": "CODE"}, Facts("code")),
        ({"media_type": "text/html"}, Facts(media_type="text/html; charset=utf-8")),
        ({"media_type": "text/*"}, Facts(media_type="text/markdown")),
        ({"size": {"min": "10 MB"}}, Facts(size_bytes=10_000_000)),
        ({"size": {"min": 0.5, "max": "1.5KiB"}}, Facts(size_bytes=1536)),
        ({"labels": {"owner": "*"}}, Facts(labels={"owner": "anyone"})),
        ({"language": ["de", "en"]}, Facts(language="en")),
    ],
)
def test_conditions_that_hold(when: dict[str, Any], facts: Facts) -> None:
    made = policy({"name": "r", "when": when, "use": "fixed"})
    assert made.route(facts).rule == "r"
    assert made.explain(facts)[0].fired


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.md", "a.md", True),
        ("*.md", "deep/down/a.md", True),
        ("*.md", "a.mdx", False),
        ("hr/*.md", "hr/a.md", True),
        ("hr/*.md", "x/hr/a.md", False),
        ("hr/*.md", "hr/b/a.md", False),
        ("hr/**", "hr/b/a.md", True),
        ("hr/**", "hr", False),
        ("**/drafts/*", "drafts/a", True),
        ("**/drafts/*", "a/b/drafts/c", True),
        ("**/*", "a", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("?.txt", "a.txt", True),
        ("?.txt", "ab.txt", False),
        ("[a-c].txt", "b.txt", True),
        ("[!a-c].txt", "b.txt", False),
        ("*.{md,txt}", "x/a.txt", True),
        ("*.{md,txt}", "a.pdf", False),
        ("a.txt", "A.txt", False),
        ("a+b(1).txt", "a+b(1).txt", True),
        ("a[.txt", "a[.txt", True),
        ("**/*.md", "with\nnewline/a.md", True),
    ],
)
def test_globs(pattern: str, path: str, expected: bool) -> None:
    assert glob_matches(pattern, path) is expected


@given(st.text("a*?[]{},!-/.", max_size=12), st.text("ab/.", max_size=8))
def test_no_glob_raises(pattern: str, path: str) -> None:
    assert glob_matches(pattern, path) in (True, False)


BAD: list[tuple[Any, tuple[str | int, ...], str]] = [
    ([], (), "must be a mapping"),
    ({}, ("default",), "is missing; for example"),
    ({"default": "fixed", "rule": []}, ("rule",), "did you mean 'rules'?"),
    (
        {"default": "fixed", "profile": "lookup"},
        ("profile",),
        "`profiles` defines them, and `default` or the `use` of a rule names them",
    ),
    ({"default": "fixed", "profiles": []}, ("profiles",), "must be a mapping of profiles"),
    (
        {"default": {"chunker": "fixed", "profile": "lokup"}, "profiles": {"lookup": {}}},
        ("profiles", "lookup"),
        "must be a mapping such as",
    ),
    ({"default": {"target_tokens": 3}}, ("default", "chunker"), "for example `chunker: structure`"),
    ({"default": "fixed", "rules": {}}, ("rules",), "must be a list of rules"),
    ({"default": "fixed", "rules": "x"}, ("rules",), "must be a list of rules"),
    ({"default": "fixed", "rules": [{"use": "fixed"}]}, ("rules", 0, "when"), "data_type"),
    (
        {"default": "fixed", "rules": [{"when": {"data_type": "pdf"}}]},
        ("rules", 0, "use"),
        "is missing",
    ),
    (
        {"default": "fixed", "rules": [{"wehn": {}, "use": "fixed"}]},
        ("rules", 0, "wehn"),
        "did you mean 'when'?",
    ),
    (
        {"default": "fixed", "rules": [{"when": {"datatype": "pdf"}, "use": "fixed"}]},
        ("rules", 0, "when", "datatype"),
        "did you mean 'data_type'?",
    ),
    (
        {"default": "fixed", "rules": [{"when": {"data_type": "emails"}, "use": "fixed"}]},
        ("rules", 0, "when", "data_type"),
        "did you mean 'email'?",
    ),
    (
        {"default": "fixed", "rules": [{"when": {"data_type": ["pdf", "docx"]}, "use": "fixed"}]},
        ("rules", 0, "when", "data_type"),
        "the data type of such documents is 'prose'",
    ),
    (
        {"default": "fixed", "rules": [{"when": {"language": False}, "use": "fixed"}]},
        ("rules", 0, "when", "language"),
        "for example `language: de`, not False",
    ),
    (
        {"default": "fixed", "rules": [{"when": {"size": "10 MB"}, "use": "fixed"}]},
        ("rules", 0, "when", "size"),
        "size: {min: 10 MB}",
    ),
    (
        {"default": "fixed", "rules": [{"when": {"size": {"min": "10 XB"}}, "use": "fixed"}]},
        ("rules", 0, "when", "size", "min"),
        "must be a size in bytes",
    ),
    (
        {"default": "fixed", "rules": [{"when": {"size": {"min": 2, "max": 1}}, "use": "fixed"}]},
        ("rules", 0, "when", "size"),
        "min (2 bytes) is above max (1 bytes)",
    ),
    (
        {"default": "fixed", "rules": [rule("a", language="de"), rule("a", language="en")]},
        ("rules", 1, "name"),
        "'a' is also rules[0]'s name",
    ),
    (
        {"default": "fixed", "rules": [rule("default", language="de")]},
        ("rules", 0, "name"),
        "is also the default's name",
    ),
    (
        {
            "default": "fixed",
            "rules": [
                rule("wide", data_type=["pdf", "code"]),
                rule("narrow", data_type="pdf", language="de"),
            ],
        },
        ("rules", 1),
        "rule 'narrow' can never fire: rule 'wide' before it",
    ),
]


@pytest.mark.parametrize(("value", "path", "words"), BAD)
def test_mistakes_name_their_place_and_cure(
    value: Any, path: tuple[str | int, ...], words: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_value(value)
    assert caught.value.path == path
    assert words in caught.value.message
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.path, str(again)) == (caught.value.path, str(caught.value))


def test_a_third_partys_data_type_is_accepted() -> None:
    made = policy({"name": "r", "when": {"data_type": "molecule"}, "use": "fixed"})
    assert made.route(Facts("molecule")).rule == "r"


def test_check_names_unknown_chunkers_and_parameters() -> None:
    with pytest.raises(PolicyError, match="structur") as caught:
        policy(rule("r", "structur", language="de")).check(512)
    assert caught.value.path == ("rules", 0, "use")
    assert "'structure'" in caught.value.message
    with pytest.raises(PolicyError) as caught:
        policy(default={"chunker": "structure", "target_token": 300}).check(512)
    assert caught.value.path == ("default",)
    assert "'target_tokens'" in caught.value.message
    with pytest.raises(PolicyError, match="600"):
        policy(default={"chunker": "structure", "target_tokens": 600}).check(512)


def test_the_built_in_policy_is_sound_and_equals_the_shipped_file() -> None:
    shipped = yaml.safe_load((ROOT / "configs/policies/default.yaml").read_text())
    assert shipped == DEFAULT_POLICY
    built_in = Policy.built_in()
    built_in.check(512)
    routes = {name: built_in.route(Facts(name)).chunker for name in DATA_TYPES}
    assert routes["code"] == "code"
    assert routes["table"] == routes["spreadsheet"] == "table"
    assert routes["log"] == routes["structured"] == "records"
    assert routes["email"] == routes["transcript"] == "conversation"
    assert routes["slides"] == "slides"
    assert routes["markdown"] == routes["pdf"] == routes["html"] == "optimal"
