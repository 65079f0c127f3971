"""The search: Optuna proposes policies, and they are scored on the documents to tune on."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkers.policy import Policy
from lineage import fingerprint
from lineage.errors import ConfigError, GristmillError
from pipelines.config import StrategyConfig
from pipelines.evaluate.corpus import Corpus
from pipelines.evaluate.resolve import Resolved
from pipelines.evaluate.spanmetrics import Floats
from pipelines.evaluate.strategy import Evaluation, Settings, evaluate_strategy
from pipelines.evaluate.tune_outcome import Tried
from pipelines.evaluate.tune_space import Space
from pipelines.evaluate.tune_split import Split
from pipelines.evaluate.tune_trials import what_is_wrong

if TYPE_CHECKING:
    import optuna

    from pipelines.embedding import Embedder

FIRST_RUNG = 0.4
"""The share of the documents to tune on that every trial sees; what does badly there ends there."""
_BEFORE_PRUNING = 5
_BY_CHANCE = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """When a search ends: at the first of these."""

    trials: int
    """Of the whole study, those of earlier runs included."""
    deadline: float | None = None
    """Of `time.monotonic()`."""
    tokens: int | None = None


@dataclass(frozen=True)
class Best:
    """What a search found."""

    strategy: StrategyConfig
    """The one in force when no trial was better."""
    before: float
    """The objective of the policy in force, on what the search is scored on."""
    after: float
    trials: tuple[Tried, ...]
    importances: Mapping[str, float]
    stopped_by: str
    tokens: int
    """That its trials of this run chunked."""


@dataclass
class Search:
    """Scores policies on the documents to tune on, in two steps, and on those held out."""

    corpus: Corpus
    strategy: StrategyConfig
    split: Split
    settings: Settings
    space: Space
    embedder: Embedder | None = None
    fold: int = 0
    tokens: int = 0

    @cached_property
    def rungs(self) -> list[tuple[Corpus, list[Resolved]]]:
        """Some of the documents to tune on, then all, each with its questions."""
        names = self.split.train_documents
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
            for question in self.split.train
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
        for step, (corpus, questions) in enumerate(self.rungs):
            if not questions:
                continue
            measured = evaluate_strategy(
                corpus, strategy, questions, self.settings, embedder=self.embedder
            )
            self.tokens += int(measured.chunked.tokens.sum())
            value = float(np.nanmean(objective_of(measured, self.settings.objective)))
            if trial is not None:
                trial.report(value, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return value

    def held_out(self, strategy: StrategyConfig) -> Evaluation:
        """All documents indexed, the held-out questions asked."""
        return evaluate_strategy(
            self.corpus, strategy, self.split.held_out, self.settings, embedder=self.embedder
        )

    def identity(self) -> str:
        """Changes when trials of another study say nothing about this one."""
        return fingerprint(
            [
                self.corpus.fingerprint,
                [r.question.as_value() for r in (*self.split.train, *self.split.held_out)],
                list(self.split.train_documents),
                self.settings.as_value(),
                self.settings.objective,
                self.strategy.fingerprint(),
                self.embedder.name if self.embedder else None,
            ]
        )

    def run(
        self,
        limits: Limits,
        *,
        seed: int = 0,
        storage: Path | None = None,
        progress: Callable[[Tried], None] | None = None,
    ) -> Best:
        """Try until a limit is reached, going on where an earlier run was.

        Args:
            limits: when to end.
            seed: of the proposals.
            storage: SQLite file of the trials; null keeps them in memory.
            progress: told after each trial.

        Raises:
            ConfigError: the trials cannot be kept, or the objective is not computed.
        """
        study = self._study(storage, seed)
        base = self.score(self.strategy)
        # What one policy takes: no trial is begun that would go beyond the tokens.
        once, self.tokens = self.tokens, 0
        stopped_by = self._try(study, limits, once, progress)
        best, after = self._best(study, base)
        return Best(
            strategy=best,
            before=base,
            after=after,
            trials=tuple(self._tried(t) for t in study.trials if t.state.is_finished()),
            importances=importances(study),
            stopped_by=stopped_by,
            tokens=self.tokens,
        )

    def _study(self, storage: Path | None, seed: int) -> optuna.Study:
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
                    f"{storage}: trials cannot be kept there ({error.strerror}); name another "
                    "place with --storage"
                ) from error
            if why := what_is_wrong(storage):
                raise ConfigError(
                    f"{storage}: no trials can be kept there, it is not a database that can be "
                    f"read ({why}). Name another file with --storage, or move this one away"
                )
            place = f"sqlite:///{storage}"
        study = optuna.create_study(
            storage=place,
            study_name=f"{self.strategy.name}-{self.identity()[:16]}",
            load_if_exists=True,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # The same seed again would propose again what an interrupted run has tried.
            study.sampler = optuna.samplers.TPESampler(
                seed=seed + len(study.trials), multivariate=True, group=True,
                n_startup_trials=_BY_CHANCE,
            )  # fmt: skip
        waiting = optuna.trial.TrialState.WAITING
        if not any(t.state.is_finished() or t.state is waiting for t in study.trials):
            study.enqueue_trial(self.space.present())
        return study

    def _try(
        self,
        study: optuna.Study,
        limits: Limits,
        once: int,
        progress: Callable[[Tried], None] | None,
    ) -> str:
        """Try until a limit is reached; returns which."""
        import optuna

        while True:
            if sum(trial.state.is_finished() for trial in study.trials) >= limits.trials:
                return "trials"
            if limits.deadline is not None and time.monotonic() >= limits.deadline:
                return "minutes"
            if limits.tokens is not None and self.tokens + once > limits.tokens:
                return "tokens"
            trial = study.ask()
            before, began = self.tokens, time.monotonic()
            strategy = self.of(self.space.suggest(trial))
            trial.set_user_attr("policy", strategy.policy.as_value())
            try:
                value = self.score(strategy, trial)
                state = optuna.trial.TrialState.COMPLETE
            except optuna.TrialPruned:
                value, state = None, optuna.trial.TrialState.PRUNED
            except GristmillError:
                value, state = None, optuna.trial.TrialState.FAIL
            trial.set_user_attr("tokens", self.tokens - before)
            trial.set_user_attr("seconds", time.monotonic() - began)
            if state is optuna.trial.TrialState.COMPLETE:
                study.tell(trial, value)
            else:
                study.tell(trial, state=state)
            if progress is not None:
                progress(self._tried(study.trials[trial.number]))

    def _best(self, study: optuna.Study, base: float) -> tuple[StrategyConfig, float]:
        complete = [t for t in study.trials if t.state.name == "COMPLETE"]
        if not complete:
            return self.strategy, base
        best = max(complete, key=lambda t: (t.value, -t.number))
        assert best.value is not None
        if best.value <= base:
            return self.strategy, base
        policy = Policy.from_value(best.user_attrs["policy"])
        return replace(self.strategy, policy=policy), best.value

    def _tried(self, trial: Any) -> Tried:
        states = {"COMPLETE": "complete", "PRUNED": "pruned"}
        return Tried(
            number=trial.number,
            state=states.get(trial.state.name, "failed"),
            value=trial.value if trial.state.name == "COMPLETE" else None,
            parameters=dict(trial.params),
            tokens=int(trial.user_attrs.get("tokens", 0)),
            seconds=float(trial.user_attrs.get("seconds", 0.0)),
            fold=self.fold,
        )


def objective_of(measured: Evaluation, name: str) -> Floats:
    """The objective for each question.

    Raises:
        ConfigError: there is no such figure.
    """
    values = measured.main.values.get(name)
    if values is None:
        known = ", ".join(sorted(measured.main.values))
        raise ConfigError(f"evaluation.objective: there is no figure {name!r}; there are {known}")
    return values


def importances(study: optuna.Study) -> dict[str, float]:
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
