from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from lineage import CommitConflict, ConfigError
from pipelines.config import load_config
from pipelines.policies import Overtaken, PolicyStore

FIXED = {"default": {"chunker": "fixed", "target_tokens": 20}, "rules": []}
SENTENCE = {"default": {"chunker": "sentence"}, "rules": []}
ALIAS = {"alias": "promoted", "otherwise": {"default": "structure"}}


def follow(project: Any, policy: Any = None) -> None:
    project.settings = {
        "strategies": [{"name": "default", "max_tokens": 64, "policy": policy or ALIAS}]
    }


def test_versions_are_numbered_and_moves_are_remembered(tmp_path: Path) -> None:
    store = PolicyStore(str(tmp_path), "default")
    assert (store.current, store.policy(), store.numbers()) == (0, None, [])
    with pytest.raises(ConfigError, match="no promoted policy in force to roll back"):
        store.previous()
    store.promote(FIXED, {"before": 0.1}, replaces=0)
    store.promote(SENTENCE, {"before": 0.2}, replaces=1)
    assert (store.current, store.policy(), store.numbers()) == (2, SENTENCE, [1, 2])
    assert store.read(2).facts["replaces"] == 1
    store.move(store.previous(), "rollback")
    assert (store.current, store.previous()) == (1, 0)
    store.move(0, "rollback")
    assert store.policy() is None
    # After a rollback the next one gets a number of its own.
    assert store.promote(FIXED, {}, replaces=0).number == 3
    assert [(m["version"], m["by"]) for m in store.moves] == [
        (1, "tune"), (2, "tune"), (1, "rollback"), (0, "rollback"), (3, "tune"),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="no promoted policy 9; there is 1, 2, 3"):
        store.move(9, "rollback")


def test_a_policy_replaces_only_what_it_was_compared_with(tmp_path: Path) -> None:
    store = PolicyStore(str(tmp_path), "default")
    store.promote(FIXED, {}, replaces=0)
    with pytest.raises(Overtaken, match="version 1 has been put in force meanwhile, in place of"):
        store.promote(SENTENCE, {}, replaces=0)
    assert (store.current, store.numbers()) == (1, [1])
    # Rolled back meanwhile.
    store.move(0, "rollback", replaces=1)
    with pytest.raises(Overtaken, match="version 0 has been put in force meanwhile"):
        store.promote(SENTENCE, {}, replaces=1)
    with pytest.raises(Overtaken):
        store.move(0, "rollback", replaces=1)
    assert (store.current, store.policy()) == (0, None)


def test_of_many_at_once_one_is_promoted_and_is_what_is_in_force(tmp_path: Path) -> None:
    def promote(size: int) -> int | None:
        policy = {"default": {"chunker": "fixed", "target_tokens": size}, "rules": []}
        try:
            return PolicyStore(str(tmp_path), "default").promote(policy, {}, replaces=0).number
        except CommitConflict:
            return None

    with ThreadPoolExecutor(8) as executor:
        numbers = list(executor.map(promote, range(20, 28)))
    (won,) = [(n, 20 + place) for place, n in enumerate(numbers) if n is not None]
    store = PolicyStore(str(tmp_path), "default")
    assert (store.current, len(store.moves), store.numbers()) == (won[0], 1, [won[0]])
    policy = store.policy()
    assert policy is not None
    assert policy["default"]["target_tokens"] == won[1]


def test_transform_follows_what_is_promoted_and_goes_back(project: Any) -> None:
    follow(project)
    project.write("a.md", "# A\n\n" + "One sentence stands here. " * 30)
    project.write("b.py", "def f():\n    return 1\n")
    project.ingest()
    project.transform()
    first = project.state()["chunks"]
    assert {c["lineage"]["chunker"] for c in project.chunks()} == {"structure"}
    store = PolicyStore(str(project.root / "state" / "lake"), "default")
    store.promote(FIXED, {}, replaces=0)
    assert project.config.strategy("default").policy.as_value() == FIXED
    assert project.config.strategy("default").configured.default.chunker == "structure"
    assert project.transform().as_dict()["documents"] == 2
    assert {c["lineage"]["chunker"] for c in project.chunks()} == {"fixed"}
    assert project.transform().as_dict()["documents"] == 0
    store.move(0, "rollback")
    project.transform()
    assert project.state()["chunks"] == first


def test_a_strategy_that_follows_nothing_stays_as_it_is(project: Any) -> None:
    follow(project, {"default": "sentence"})
    PolicyStore(str(project.root / "state" / "lake"), "default").promote(FIXED, {}, replaces=0)
    assert project.config.strategy("default").policy.default.chunker == "sentence"


def test_what_is_wrong_is_said(project: Any) -> None:
    follow(project, {"alias": "champion"})
    with pytest.raises(ConfigError, match="there is one alias, promoted, not 'champion'") as told:
        _ = project.config
    # What it says to write can be written.
    follow(project, yaml.safe_load(str(told.value).split("`")[1])["policy"])
    assert project.config.strategy("default").promoted
    follow(project, {"alias": "promoted", "other": {}})
    with pytest.raises(ConfigError, match="unknown key"):
        _ = project.config
    follow(project, {"alias": "promoted"})
    assert project.config.strategy("default").promoted
    store = PolicyStore(str(project.root / "state" / "lake"), "default")
    store.promote({"default": {"chunker": "vanished"}}, {}, replaces=0)
    with pytest.raises(ConfigError, match="promoted policy 1 cannot be used here"):
        _ = project.config


def test_the_verbs(project: Any) -> None:
    follow(project)
    project.write("a.txt", "One sentence stands here. " * 30)
    project.ingest()
    store = PolicyStore(str(project.root / "state" / "lake"), "default")
    figures = {"objective": "recall", "before": 0.5, "after": 0.7, "low": 0.1, "high": 0.3}
    store.promote(FIXED, figures, replaces=0)
    config = str(project.config_path)
    code, value, errors = project.call("policy", config, "history", "--json")
    assert (code, errors) == (0, "")
    assert (value["in_force"], value["versions"][0]["after"]) == (1, 0.7)
    code, value, _ = project.call("policy", config, "diff", "--json")
    assert (value["from"], value["to"]) == (0, 1)
    assert "-  chunker: structure" in value["diff"]
    assert "+  chunker: fixed" in value["diff"]
    code, value, _ = project.call("policy", config, "rollback", "--json")
    assert (code, value) == (0, {"strategy": "default", "from": 1, "to": 0})
    code, _, errors = project.call("policy", config, "rollback", "--json")
    assert (code, "no promoted policy in force" in errors) == (2, True)
    assert load_config(config).strategy("default").policy.default.chunker == "structure"
    assert store.moves[-1]["by"] == "rollback"
