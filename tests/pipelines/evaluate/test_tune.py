from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunkers.policy import Policy
from lineage import Block, Document
from lineage.errors import ConfigError, TerminalError
from pipelines.config import Config, EvaluationConfig, SourceConfig, StrategyConfig
from pipelines.evaluate.corpus import Corpus, corpus_of
from pipelines.evaluate.evidence import Passage, Question
from pipelines.evaluate.intervals import Interval, paired
from pipelines.evaluate.resolve import Found, Resolved
from pipelines.evaluate.tune import PARTS, TuneOptions, tune
from pipelines.evaluate.tune_judge import judge
from pipelines.evaluate.tune_outcome import Outcome
from pipelines.evaluate.tune_space import space_of
from pipelines.evaluate.tune_split import everything, folds, split
from pipelines.evaluate.tune_trials import set_aside
from pipelines.policies import PolicyStore

pytest.importorskip("optuna")
pytestmark = pytest.mark.xdist_group("tune")

BASE = {"default": {"chunker": "optimal", "target_tokens": 300}}
NAMES = [f"d{n}" for n in range(10)]
PER_DOCUMENT = 6


def word(random_: random.Random) -> str:
    return "".join(random_.choice("bdfgklmnprstvz") + random_.choice("aeiou") for _ in range(3))


def document(name: str, sentences: int) -> tuple[Document, list[tuple[int, int, str]]]:
    """A document of sentences with words of their own, and some of them to be asked for."""
    random_ = random.Random(name)
    parts, facts, position = [], [], 0
    for n in range(sentences):
        words = [word(random_) for _ in range(9)]
        text = " ".join([*words[:4], "is", *words[4:]]).capitalize() + ". "
        if n % max(sentences // PER_DOCUMENT, 1) == 0 and len(facts) < PER_DOCUMENT:
            facts.append((position, position + len(text) - 1, " ".join(words[:3])))
        parts.append(text)
        position += len(text)
    facts = (facts * PER_DOCUMENT)[:PER_DOCUMENT]
    body = "".join(parts)
    made = Document(text=body, blocks=[Block("paragraph", 0, len(body))], document_id=name)
    return made, facts


def evidence(sizes: dict[str, int]) -> tuple[Corpus, list[Resolved]]:
    made = {name: document(name, size) for name, size in sizes.items()}
    corpus = corpus_of([each for each, _ in made.values()])
    questions = []
    for name, (_, facts) in made.items():
        place = corpus.index(name)
        assert place is not None
        for n, (start, end, text) in enumerate(facts):
            question = Question(f"{name}-{n}", text, (Passage(name, start, end),))
            questions.append(Resolved(question, (Found(place, start, end),)))
    return corpus, questions


def config_of(folder: Path) -> Config:
    return Config(
        name="test",
        lake=str(folder / "lake"),
        sources=(SourceConfig("docs", str(folder)),),
        evaluation=EvaluationConfig(budgets=(60,), objective="recall_at_60_tokens"),
        path=folder / "gristmill.yaml",
    )


STRATEGY = StrategyConfig(max_tokens=320, policy=Policy.from_value(BASE))


def tuned(folder: Path, sizes: dict[str, int], **options: Any) -> Outcome:
    corpus, questions = evidence(sizes)
    values = {"trials": 8, "promote": True} | options
    storage = values.pop("storage", None)
    return tune(
        config_of(folder), STRATEGY, corpus, questions, TuneOptions(**values), storage=storage
    )


def assert_refused(outcome: Outcome, folder: Path) -> None:
    """Better where it was tuned, not elsewhere, and not promoted."""
    assert outcome.train_after > outcome.train_before
    assert outcome.difference.low <= 0
    assert outcome.promoted is None
    assert "kept: the interval does not lie above zero" in outcome.verdict
    assert PolicyStore(str(folder / "lake"), "default").current == 0


def test_what_is_better_on_held_out_documents_is_promoted(tmp_path: Path) -> None:
    outcome = tuned(tmp_path, dict.fromkeys(NAMES, 60))
    assert outcome.difference.low > 0
    assert outcome.promoted is not None
    assert "promoted as version 1" in outcome.verdict
    store = PolicyStore(str(tmp_path / "lake"), "default")
    assert store.current == 1
    assert Policy.from_value(store.read(1).policy) == outcome.best.policy
    assert store.read(1).facts["low"] == outcome.difference.low
    assert outcome.costs["chunks"][1] > outcome.costs["chunks"][0]
    held, train = outcome.split.held_out_documents, outcome.split.train_documents
    assert set(held) | set(train) == set(NAMES)
    assert not set(held) & set(train)
    assert outcome.difference.number == len(held) * PER_DOCUMENT
    # The figures are those of anybody who measures the two policies.
    from pipelines.evaluate.strategy import Settings, evaluate_strategy

    corpus, questions = evidence(dict.fromkeys(NAMES, 60))
    own = [q for q in questions if q.question.passages[0].document in held]
    settings = Settings.of(config_of(tmp_path).evaluation)
    again = evaluate_strategy(corpus, outcome.best, own, settings)
    assert again.metrics()["recall_at_60_tokens"] == pytest.approx(outcome.after.mean)


def test_what_was_not_compared_with_the_policy_in_force_is_not_promoted(tmp_path: Path) -> None:
    store = PolicyStore(str(tmp_path / "lake"), "default")
    other = {"default": {"chunker": "sentence"}, "rules": []}

    def meanwhile(_: Any) -> None:
        if not store.current:
            store.promote(other, {}, replaces=0)

    corpus, questions = evidence(dict.fromkeys(NAMES, 60))
    outcome = tune(
        config_of(tmp_path), STRATEGY, corpus, questions, TuneOptions(trials=8), progress=meanwhile
    )
    assert outcome.better
    assert outcome.promoted is None
    assert outcome.verdict.startswith("kept: better than a policy that is not in force any more")
    assert "version 1 has been put in force meanwhile" in outcome.verdict
    assert (store.current, store.policy()) == (1, other)


def test_what_is_better_only_where_it_was_tuned_is_not_promoted(tmp_path: Path) -> None:
    corpus, questions = evidence(dict.fromkeys(NAMES, 60))
    held = split(corpus, questions).held_out_documents
    # Held-out documents are of one short chunk each, whatever the policy.
    sizes = {name: 1 if name in held else 60 for name in NAMES}
    outcome = tuned(tmp_path, sizes)
    assert outcome.split.held_out_documents == held
    assert_refused(outcome, tmp_path)


def test_where_no_policy_is_better_the_one_in_force_is_kept(tmp_path: Path) -> None:
    outcome = tuned(tmp_path, dict.fromkeys(NAMES, 1), trials=4)
    assert outcome.best.policy == STRATEGY.policy
    assert "kept: no trial was better" in outcome.verdict
    assert outcome.promoted is None


def test_judging_without_promoting(tmp_path: Path) -> None:
    outcome = tuned(tmp_path, dict.fromkeys(NAMES, 60), promote=False)
    assert outcome.better
    assert outcome.promoted is None
    assert not (tmp_path / "lake").exists()


def test_an_interrupted_search_goes_on_where_it_was(tmp_path: Path) -> None:
    storage = tmp_path / "deep" / "trials.db"
    sizes = dict.fromkeys(NAMES, 30)
    first = tuned(tmp_path, sizes, storage=storage, trials=3, promote=False)
    assert [trial.number for trial in first.trials] == [0, 1, 2]
    second = tuned(tmp_path, sizes, storage=storage, trials=5, promote=False)
    assert [trial.number for trial in second.trials] == [0, 1, 2, 3, 4]
    assert second.trials[:3] == first.trials
    # Other evidence is another study.
    sizes = dict.fromkeys([*NAMES[:9], "other"], 30)
    other = tuned(tmp_path, sizes, storage=storage, trials=2, promote=False)
    assert len(other.trials) == 2


def test_a_file_of_trials_that_is_broken_is_named_or_set_aside(tmp_path: Path) -> None:
    storage = tmp_path / "trials.db"
    assert set_aside(storage) is None
    tuned(tmp_path, FEW, storage=storage, trials=1, promote=False)
    assert set_aside(storage) is None
    whole = storage.read_bytes()
    for data in (b"no database " * 100, whole[:8192] + b"\xff" * (len(whole) - 8192)):
        storage.write_bytes(data)
        with pytest.raises(ConfigError, match=r"trials\.db: no trials can be kept there"):
            tuned(tmp_path, FEW, storage=storage, trials=1, promote=False)
        assert storage.read_bytes() == data
        journal = tmp_path / "trials.db-journal"
        journal.write_bytes(b"of the broken one")
        note = set_aside(storage)
        assert note is not None
        assert "trials begin anew, and the file is kept as trials.db.broken-" in note
        kept = sorted(tmp_path.glob("trials.db.broken-*"))
        assert any(path.read_bytes() == data for path in kept)
        assert not storage.exists()
        assert not journal.exists()


def test_limits_of_tokens_and_minutes_end_a_search(tmp_path: Path) -> None:
    sizes = dict.fromkeys(NAMES, 30)
    nothing = tuned(tmp_path, sizes, trials=50, tokens=1, promote=False)
    assert (nothing.stopped_by, nothing.trials) == ("tokens", ())
    some = tuned(tmp_path, sizes, trials=2, promote=False)
    limit = sum(trial.tokens for trial in some.trials) + 100
    by_tokens = tuned(tmp_path, sizes, trials=50, tokens=limit, promote=False)
    assert by_tokens.stopped_by == "tokens"
    assert 0 < sum(trial.tokens for trial in by_tokens.trials) <= limit
    by_time = tuned(tmp_path, sizes, trials=50, minutes=0.0, promote=False)
    assert (by_time.stopped_by, len(by_time.trials)) == ("minutes", 0)
    assert by_time.promoted is None


def test_documents_are_held_out_whole_and_always_the_same_ones() -> None:
    corpus, questions = evidence(dict.fromkeys(NAMES, 12))
    parts = split(corpus, questions)
    assert 0.2 <= len(parts.held_out) / len(questions) <= 0.45
    assert split(corpus, list(reversed(questions))).held_out_documents == parts.held_out_documents
    mixed = replace(questions[0], found=(questions[0].found[0], questions[-1].found[0]))
    sides = split(corpus, [*questions, mixed])
    both = {questions[0].question.passages[0].document, questions[-1].question.passages[0].document}
    assert sides.mixed == (len(both & set(sides.held_out_documents)) == 1)
    alone = [q for q in questions if q.found[0].document == 0]
    with pytest.raises(TerminalError, match="at least two documents"):
        split(corpus, alone)


def test_only_what_is_used_is_tuned_and_the_rest_of_the_policy_stays(tmp_path: Path) -> None:
    value = {
        "default": {"chunker": "structure", "target_tokens": 200},
        "rules": [
            {"name": "notes", "when": {"path": "notes/**"}, "use": {"chunker": "optimal"}},
            {"name": "code", "when": {"data_type": "code"}, "use": {"chunker": "code"}},
        ],
    }
    strategy = StrategyConfig(policy=Policy.from_value(value))
    corpus, _ = evidence({"a": 3})
    space = space_of(strategy, corpus.documents)
    assert [slot.name for slot in space.slots] == ["prose"]
    assert space.present()["prose.target_tokens"] == 200
    changed = space.with_uses({"prose": {"chunker": "optimal", "target_tokens": 99}})
    policy = Policy.from_value(changed)
    assert [rule.name for rule in policy.rules] == ["notes", "code", "tuned-prose"]
    assert policy.as_value()["rules"][:2] == strategy.policy.as_value()["rules"]
    again = space_of(replace(strategy, policy=policy), corpus.documents)
    assert [(slot.rule, slot.data_type) for slot in again.slots] == [("tuned-prose", None)]
    once_more = Policy.from_value(
        again.with_uses({"tuned-prose": {"chunker": "optimal", "target_tokens": 77}})
    )
    assert [rule.name for rule in once_more.rules] == ["notes", "code", "tuned-prose"]
    assert STRATEGY.policy.as_value() == Policy.from_value(BASE).as_value()


def test_an_unknown_objective_is_said(tmp_path: Path) -> None:
    corpus, questions = evidence(dict.fromkeys(NAMES[:3], 12))
    config = config_of(tmp_path)
    config = replace(config, evaluation=replace(config.evaluation, objective="recal"))
    with pytest.raises(ConfigError, match="there is no figure 'recal'"):
        tune(config, STRATEGY, corpus, questions, TuneOptions(trials=1))


FEW = dict.fromkeys(["a", "b", "c", "d"], 60)


def test_with_few_documents_each_part_is_held_out_in_turn(tmp_path: Path) -> None:
    outcome = tuned(tmp_path, FEW, trials=6)
    assert [len(fold.split.held_out_documents) for fold in outcome.folds] == [2, 1, 1]
    held = [name for fold in outcome.folds for name in fold.split.held_out_documents]
    assert sorted(held) == sorted(FEW)
    for fold in outcome.folds:
        own = set(fold.split.held_out_documents)
        assert {r.question.passages[0].document for r in fold.split.held_out} == own
        assert not {r.question.passages[0].document for r in fold.split.train} & own
    # Every question counts once, and the best policy is tuned on all.
    assert outcome.difference.number == len(outcome.split.train) == 4 * PER_DOCUMENT
    assert outcome.difference.low > 0
    assert outcome.promoted is not None
    assert "cross-fitted over 3 parts" in outcome.verdict
    assert {trial.fold for trial in outcome.trials} == {0, 1, 2, 3}
    assert len(outcome.searched) == 6
    facts = PolicyStore(str(tmp_path / "lake"), "default").read(1).facts
    assert [fold["questions"] for fold in facts["folds"]] == [12, 6, 6]
    weights = [fold["questions"] for fold in facts["folds"]]
    pooled = sum(f["after"] * n for f, n in zip(facts["folds"], weights, strict=True)) / sum(
        weights
    )
    assert pooled == pytest.approx(outcome.after.mean)


def test_what_is_learned_of_some_documents_and_does_not_hold_for_others_is_refused(
    tmp_path: Path,
) -> None:
    # Where a part is held out in which no policy matters, nothing is gained there; there are few.
    outcome = tuned(tmp_path, {"a": 60, "b": 1, "c": 1, "d": 1}, trials=6)
    assert_refused(outcome, tmp_path)


def test_limits_hold_for_all_searches_together(tmp_path: Path) -> None:
    once = sum(t.tokens for t in tuned(tmp_path, FEW, trials=1, promote=False).trials)
    outcome = tuned(tmp_path, FEW, trials=50, tokens=3 * once, promote=False)
    assert 2 * once < sum(trial.tokens for trial in outcome.trials) <= 3 * once
    assert outcome.stopped_by == "tokens"
    assert tuned(tmp_path, FEW, trials=2, folds=0, promote=False).folds == ()


def test_documents_that_a_question_joins_stay_together() -> None:
    corpus, questions = evidence(dict.fromkeys("abc", 12))
    a, b, c = (next(q for q in questions if q.question.id == f"{name}-0") for name in "abc")
    both = replace(a, found=(a.found[0], b.found[0]))
    for parts in (folds(corpus, [both, b, c], 2), (split(corpus, [both, b, c]),)):
        for part in parts:
            assert part.mixed == 0
            assert sorted([part.held_out_documents, part.train_documents]) == [("a", "b"), ("c",)]
    told = (
        "3 questions have evidence in 3 documents, and 1 of them in several, which must stay "
        "together: that leaves 2 groups of documents for 3 parts, each of which needs questions of "
        "its own. To tune, hold out fewer parts, as with `--folds 2`, or add questions about other"
    )
    with pytest.raises(TerminalError, match=re.escape(told)):
        folds(corpus, [both, b, c], 3)
    joining = replace(c, found=(b.found[0], c.found[0]))
    told = r"leaves 1 group of documents for 2 parts.* To tune, add questions"
    with pytest.raises(TerminalError, match=told):
        split(corpus, [both, joining])
    with pytest.raises(TerminalError, match=told):
        folds(corpus, [both, joining], 2)


def test_few_questions_that_join_documents_are_tuned_by_in_two_parts(tmp_path: Path) -> None:
    corpus, questions = evidence(dict.fromkeys("abc", 12))
    a, b, c = (next(q for q in questions if q.question.id == f"{name}-0") for name in "abc")
    few = [replace(a, found=(a.found[0], b.found[0])), b, c]
    for number in (None, 0):
        options = TuneOptions(trials=1, folds=number)
        outcome = tune(config_of(tmp_path), STRATEGY, corpus, few, options)
        assert len(outcome.folds) == (0 if number == 0 else 2)
        assert outcome.verdict.startswith("kept: ")


def test_questions_about_several_parts_judge_nothing() -> None:
    corpus, questions = evidence(dict.fromkeys("abcd", 12))
    both = replace(
        questions[0],
        question=replace(questions[0].question, id="both"),
        found=(questions[0].found[0], questions[-1].found[0]),
    )
    parts = folds(corpus, [*questions, both], 4)
    assert all(both not in part.held_out for part in parts)
    # It is tuned on where none of its documents is held out.
    assert sum(both in part.train for part in parts) == 2
    whole = everything(parts)
    assert both in whole.train
    assert (len(whole.held_out), whole.mixed) == (len(questions), 1)
    with pytest.raises(TerminalError, match="5 parts need evidence"):
        folds(corpus, questions, 5)


def cross_fitted(
    random_: np.random.Generator, policies: int, questions: int, gain: float
) -> Interval:
    """A search among policies whose true gain is `gain`, on recalls of noisy questions."""
    noise = random_.choice([0, 1, -1, 0.5, -0.5], p=[0.8, 0.05, 0.05, 0.05, 0.05],
                           size=(policies, questions))  # fmt: skip
    differences = noise + gain
    part = np.arange(questions) % PARTS
    before, after = [], []
    for fold in range(PARTS):
        means = differences[:, part != fold].mean(axis=1)
        chosen = differences[means.argmax(), part == fold] * (means.max() > 0)
        before.append(np.zeros(len(chosen)))
        after.append(chosen)
    return judge(before, after).difference


def test_how_often_it_promotes_without_cause_and_with() -> None:
    """Of 300 searches; what two-sided 95 % intervals should leave above zero is 2.5 %."""
    random_ = np.random.default_rng(7)
    null = [cross_fitted(random_, 40, 150, 0.0).low > 0 for _ in range(300)]
    assert sum(null) / 300 <= 0.05
    real = [cross_fitted(random_, 40, 400, 0.1).low > 0 for _ in range(50)]
    assert sum(real) / 50 >= 0.8


def test_one_fold_is_judged_by_the_paired_bootstrap_as_it_is() -> None:
    random_ = np.random.default_rng(1)
    before, after = random_.normal(size=(2, 60))
    assert judge([before], [after]) == paired(after, before)
    several = judge([before[:30], before[30:]], [after[:30], after[30:]])
    plain = paired(after, before).difference
    # Two equal parts: 1 + 1 + 1.
    assert several.difference.high - plain.mean == pytest.approx(3**0.5 * (plain.high - plain.mean))
    assert several.difference.mean == plain.mean
    assert several.p_value > paired(after, before).p_value
