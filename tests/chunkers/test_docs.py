"""What the page about chunking says is so."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
import yaml

from chunkers import names
from chunkers.policy import DEFAULT_POLICY, Policy
from chunkers.policy_conditions import CONDITIONS, DATA_TYPES
from chunkers.profiles import AUDIENCES, QUERIES
from lineage import MissingExtra

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/chunking.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks("yaml"))))
def test_every_policy_on_the_page_is_valid(number: int) -> None:
    policy = Policy.from_value(yaml.safe_load(blocks("yaml")[number]))
    try:
        policy.check(1024)
    except MissingExtra as error:
        pytest.skip(str(error))


def test_every_session_on_the_page_gives_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    session = "\n".join(block for block in blocks("python") if ">>>" in block)
    session = re.sub(r"^>>> show\(.*\n", "", session, flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(session, {}, "docs/chunking.md", None, 0)
    assert len(test.examples) >= 5
    failed, _ = doctest.DocTestRunner(verbose=False).run(test)
    assert failed == 0


def test_every_chunker_condition_and_profile_word_is_on_the_page() -> None:
    for word in (*names(), *CONDITIONS, *QUERIES, *AUDIENCES):
        assert f"`{word}`" in PAGE, word


def test_the_table_of_the_built_in_policy_is_what_it_does() -> None:
    policy = Policy.from_value(DEFAULT_POLICY)
    table = PAGE.partition("## The built-in policy")[2].partition("## ")[0]
    said = dict(re.findall(r"^\| (\w+)[^|]*\| `(\w+)` \|", table, re.MULTILINE))
    assert set(said) == set(DATA_TYPES)
    from chunkers.policy import Facts

    assert said == {name: policy.route(Facts(name)).chunker for name in DATA_TYPES}
