"""A better policy, searched on some documents and believed only on others.

    outcome = tune(config, "default", TuneOptions(trials=40))    # doctest: +SKIP
    outcome.promoted, outcome.difference.low                     # doctest: +SKIP

Optuna proposes chunkers and parameters for each rule and data type in use; each proposal is scored
on the questions about the documents to tune on. The best one then meets the questions about the
documents held out, beside the policy in force: it is promoted only if the interval of the paired
difference lies above zero. Trials are kept in a SQLite file, so that a search that was interrupted
goes on where it was.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkers.policy import Policy
from lineage import fingerprint
from lineage.errors import ConfigError, GristmillError
from pipelines.config import Config, StrategyConfig
from pipelines.evaluate.corpus import Corpus
from pipelines.evaluate.intervals import Interval, bootstrap, paired
from pipelines.evaluate.resolve import Resolved
from pipelines.evaluate.strategy import Evaluation, Settings, evaluate_strategy
from pipelines.evaluate.tune_space import Space, space_of
from pipelines.evaluate.tune_split import Split, split
from pipelines.policies import PolicyStore, Version

if TYPE_CHECKING:
    import optuna

    from pipelines.embedding import Embedder

FIRST_RUNG = 0.4
"""The share of the documents to tune on that every trial sees; what does badly there ends there."""
_BEFORE_PRUNING = 5
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """How long to search, and how to judge. A search ends at the first limit it comes to."""

    trials: int = 40
    """Of the whole study, those of earlier runs included."""
    minutes: float | None = None
    tokens: int | None = None
    """Tokens of the chunks made for trials of this run."""
    share: float = 0.3
    """Share of the questions that are held out, whole documents at a time."""
    seed: int = 0
    promote: bool = True
    """False judges without promoting."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial."""

    number: int
    state: str
    """`complete`, `pruned` or `failed`."""
    value: float | None
    parameters: Mapping[str, Any]
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a tuning came to."""

    strategy: StrategyConfig
    best: StrategyConfig
    """The best policy found; the strategy itself when none was better on what it was tuned on."""
    objective: str
    before: Interval
    after: Interval
    difference: Interval
    """Held-out, question by question."""
    p_value: float
    train_before: float
    train_after: float
    split: Split
    trials: tuple[Tried, ...]
    importances: Mapping[str, float]
    costs: Mapping[str, tuple[float, float]]
    """Figures of what it costs, before and after: chunks, stored tokens."""
    by_type: Mapping[str, tuple[float, float]]
    """The objective on held-out questions by data type, before and after."""
    skipped: tuple[str, ...] = ()
    promoted: Version | None = None
    stopped_by: str = "trials"
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def better(self) -> bool:
        """Whether the held-out interval lies above zero."""
        return self.difference.low > 0

    @property
    def verdict(self) -> str:
        """What was decided, and on which figures."""
        d = self.difference
        figures = (
            f"held-out {self.objective} {self.before.mean:.4f} → {self.after.mean:.4f}, difference "
            f"{d.mean:+.4f} (95 % interval {d.low:+.4f} … {d.high:+.4f}, {d.number} questions)"
        )
        if self.best.policy == self.strategy.policy:
            return f"kept: no trial was better on what it was tuned on; {figures}"
        if not self.better:
            return f"kept: the interval does not lie above zero; {figures}"
        if self.promoted is None:
            return f"better, and not promoted because that was not asked for; {figures}"
        return f"promoted as version {self.promoted.number}; {figures}"


def tune(
    config: Config,
    strategy: StrategyConfig,
    corpus: Corpus,
    questions: Sequence[Resolved],
    options: TuneOptions | None = None,
    *,
    storage: Path | None = None,
    embedder: Embedder | None = None,
    progress: Callable[[Tried], None] | None = None,
) -> Outcome:
    """Search, judge, and promote what is proven better.

    Args:
        config: whose lake gets the promoted policy, and whose evaluation settings hold.
        strategy: the strategy with the policy to improve.
        corpus: the documents; all are indexed when held-out questions are asked.
        questions: with their evidence in the corpus.
        options: limits and the split.
        storage: SQLite file of the trials; null keeps them in memory.
        embedder: for `dense` and `hybrid`.
        progress: told after each trial.

    Raises:
        TerminalError: the evidence does not allow a split.
        ConfigError: nothing in the policy can be tuned, or the objective is not computed.
        MissingExtra: a library for evaluation is not installed.
    """
    options = options or TuneOptions()
    started = time.monotonic()
    settings = Settings.of(config.evaluation)
    parts = split(corpus, questions, share=options.share, seed=options.seed)
    asked = [corpus.documents[f.document] for r in parts.train for f in r.found]
    space = space_of(strategy, asked)
    if not space.slots:
        raise ConfigError(
            f"strategy {strategy.name!r}: nothing can be tuned ({'; '.join(space.skipped)})"
        )
    search = _Search(corpus, strategy, parts, settings, space, embedder)
    study = _study(search, storage, options)
    base = search.score(strategy)
    stopped_by = _run(study, search, options, started, progress)
    best, train_after = _best(study, search, strategy, base)

    before, after = (search.held_out(each) for each in (strategy, best))
    values = [_objective(each, settings.objective) for each in (before, after)]
    compared = paired(values[1], values[0])
    outcome = Outcome(
        strategy=strategy,
        best=best,
        objective=settings.objective,
        before=bootstrap(values[0]),
        after=bootstrap(values[1]),
        difference=compared.difference,
        p_value=compared.p_value,
        train_before=base,
        train_after=train_after,
        split=parts,
        trials=tuple(_tried(trial) for trial in study.trials if trial.state.is_finished()),
        importances=_importances(study),
        costs={
            name: (before.metrics().get(name, 0.0), after.metrics().get(name, 0.0))
            for name in ("chunks", "stored_tokens", "tokens_per_chunk", "context_overhead")
        },
        by_type=_by_type(before, after, settings.objective),
        skipped=space.skipped,
        stopped_by=stopped_by,
        seconds=time.monotonic() - started,
    )
    if outcome.better and options.promote and best.policy != strategy.policy:
        version = PolicyStore(config.lake, strategy.name).promote(
            best.policy.as_value(), facts_of(outcome)
        )
        outcome = replace(outcome, promoted=version)
    return outcome


def facts_of(outcome: Outcome) -> dict[str, Any]:
    """The figures on which a policy is promoted, plain."""
    return {
        "objective": outcome.objective,
        "before": outcome.before.mean,
        "after": outcome.after.mean,
        "difference": outcome.difference.mean,
        "low": outcome.difference.low,
        "high": outcome.difference.high,
        "p_value": outcome.p_value,
        "questions": outcome.difference.number,
        "train_questions": len(outcome.split.train),
        "train_before": outcome.train_before,
        "train_after": outcome.train_after,
        "held_out_documents": list(outcome.split.held_out_documents),
        "trials": len(outcome.trials),
        "policy_before": outcome.strategy.policy.fingerprint(),
        "policy_after": outcome.best.policy.fingerprint(),
        "costs": {name: list(pair) for name, pair in outcome.costs.items()},
    }


@dataclass
class _Search:
    """Scores policies on the documents to tune on, in two steps, and on those held out."""

    corpus: Corpus
    strategy: StrategyConfig
    parts: Split
    settings: Settings
    space: Space
    embedder: Embedder | None
    tokens: int = 0

    def rungs(self) -> list[tuple[Corpus, list[Resolved]]]:
        """Some of the documents to tune on, then all, each with its questions."""
        names = self.parts.train_documents
        some = max(1, round(FIRST_RUNG * len(names)))
        sizes = [some, len(names)] if some < len(names) else [len(names)]
        return [self._part(names[:size]) for size in sizes]

    def _part(self, names: Sequence[str]) -> tuple[Corpus, list[Resolved]]:
        part = self.corpus.only(set(names))
        places = {
            self.corpus.index(item.document.document_id): place
            for place, item in enumerate(part.documents)
        }
        questions = [
            replace(
                question,
                found=tuple(
                    replace(found, document=places[found.document]) for found in question.found
                ),
            )
            for question in self.parts.train
            if all(found.document in places for found in question.found)
        ]
        return part, questions

    def of(self, uses: Mapping[str, Mapping[str, Any]]) -> StrategyConfig:
        """The strategy with the policy that `uses` make."""
        return replace(self.strategy, policy=Policy.from_value(self.space.with_uses(uses)))

    def score(self, strategy: StrategyConfig, trial: optuna.Trial | None = None) -> float:
        """The objective's mean on the documents to tune on; a hopeless trial is pruned."""
        import optuna

        value = float("nan")
        for step, (corpus, questions) in enumerate(self.rungs()):
            if not questions:
                continue
            measured = evaluate_strategy(
                corpus, strategy, questions, self.settings, embedder=self.embedder
            )
            self.tokens += int(measured.chunked.tokens.sum())
            value = float(np.nanmean(_objective(measured, self.settings.objective)))
            if trial is not None:
                trial.report(value, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return value

    def held_out(self, strategy: StrategyConfig) -> Evaluation:
        """All documents indexed, the held-out questions asked."""
        return evaluate_strategy(
            self.corpus, strategy, self.parts.held_out, self.settings, embedder=self.embedder
        )

    def identity(self) -> str:
        """Changes when trials of another study say nothing about this one."""
        return fingerprint(
            [
                self.corpus.fingerprint,
                [r.question.as_value() for r in (*self.parts.train, *self.parts.held_out)],
                list(self.parts.train_documents),
                self.settings.as_value(),
                self.settings.objective,
                self.strategy.fingerprint(),
                self.embedder.name if self.embedder else None,
            ]
        )


def _objective(measured: Evaluation, name: str) -> Floats:
    values = measured.main.values.get(name)
    if values is None:
        known = ", ".join(sorted(measured.main.values))
        raise ConfigError(f"evaluation.objective: there is no figure {name!r}; there are {known}")
    return values


def _study(search: _Search, storage: Path | None, options: TuneOptions) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for name in ("alembic", "bm25s"):
        logging.getLogger(name).setLevel(logging.WARNING)
    place = None
    if storage is not None:
        try:
            storage.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{storage}: trials cannot be kept there ({error.strerror}); name another place "
                "with --storage"
            ) from error
        place = f"sqlite:///{storage}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            storage=place,
            study_name=f"{search.strategy.name}-{search.identity()[:16]}",
            load_if_exists=True,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(
                seed=options.seed, multivariate=True, group=True, n_startup_trials=10
            ),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING),
        )
    if not study.trials:
        study.enqueue_trial(search.space.present())
    return study


def _run(
    study: optuna.Study,
    search: _Search,
    options: TuneOptions,
    started: float,
    progress: Callable[[Tried], None] | None,
) -> str:
    """Try until a limit is reached; returns which."""
    import optuna

    search.tokens = 0
    while True:
        done = sum(trial.state.is_finished() for trial in study.trials)
        if done >= options.trials:
            return "trials"
        if options.minutes is not None and time.monotonic() - started >= 60 * options.minutes:
            return "minutes"
        if options.tokens is not None and search.tokens >= options.tokens:
            return "tokens"
        trial = study.ask()
        before, began = search.tokens, time.monotonic()
        strategy = search.of(search.space.suggest(trial))
        trial.set_user_attr("policy", strategy.policy.as_value())
        try:
            value = search.score(strategy, trial)
            state = optuna.trial.TrialState.COMPLETE
        except optuna.TrialPruned:
            value, state = None, optuna.trial.TrialState.PRUNED
        except GristmillError:
            value, state = None, optuna.trial.TrialState.FAIL
        trial.set_user_attr("tokens", search.tokens - before)
        trial.set_user_attr("seconds", time.monotonic() - began)
        if state is optuna.trial.TrialState.COMPLETE:
            study.tell(trial, value)
        else:
            study.tell(trial, state=state)
        if progress is not None:
            progress(_tried(study.trials[trial.number]))


def _best(
    study: optuna.Study, search: _Search, strategy: StrategyConfig, base: float
) -> tuple[StrategyConfig, float]:
    complete = [t for t in study.trials if t.value is not None and "policy" in t.user_attrs]
    complete = [t for t in complete if t.state.name == "COMPLETE"]
    if not complete:
        return strategy, base
    best = max(complete, key=lambda t: (t.value, -t.number))
    assert best.value is not None
    if best.value <= base:
        return strategy, base
    policy = Policy.from_value(best.user_attrs["policy"])
    return replace(strategy, policy=policy), best.value


def _tried(trial: Any) -> Tried:
    states = {"COMPLETE": "complete", "PRUNED": "pruned"}
    value = trial.value if trial.state.name == "COMPLETE" else None
    return Tried(
        trial.number,
        states.get(trial.state.name, "failed"),
        value,
        dict(trial.params),
        int(trial.user_attrs.get("tokens", 0)),
        float(trial.user_attrs.get("seconds", 0.0)),
    )


def _importances(study: optuna.Study) -> dict[str, float]:
    """How much each parameter decides (PED-ANOVA, Watanabe et al. 2023), most first."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    complete = [t.value for t in study.trials if t.state.name == "COMPLETE"]
    if len(complete) < 4 or len(set(complete)) < 2:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    except (ValueError, RuntimeError):
        # Too few trials have a parameter in common.
        return {}
    return {name: float(value) for name, value in found.items()}


def _by_type(
    before: Evaluation, after: Evaluation, objective: str
) -> dict[str, tuple[float, float]]:
    old, new = before.metrics_by_type(), after.metrics_by_type()
    return {
        name: (old[name][objective], new[name][objective])
        for name in sorted(old)
        if objective in old[name] and objective in new.get(name, {})
    }
