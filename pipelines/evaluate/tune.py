"""A better policy, searched on some documents and believed only on others.

    outcome = tune(config, "default", TuneOptions(trials=40))    # doctest: +SKIP
    outcome.promoted, outcome.difference.low                     # doctest: +SKIP

Optuna proposes chunkers and parameters for each rule and data type in use; each proposal is scored
on the questions about the documents to tune on. The best one then meets the questions about the
documents held out, beside the policy in force: it is promoted only if the interval of the paired
difference lies above zero, and the policy that it was compared with is still in force.

With evidence in few documents one part of them would be too little to judge by, or to tune on.
Then every part is held out in turn (cross-fitting): a policy is tuned without it and judged on it,
and the differences of all questions are pooled. What is judged that way is the search; the policy
that is promoted is found by the same search on all documents. (Stone 1974; Varma and Simon 2006 on
choosing inside the folds; the interval is `tune_judge.judge`.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lineage.errors import ConfigError
from pipelines.config import Config, StrategyConfig
from pipelines.evaluate.corpus import Corpus
from pipelines.evaluate.intervals import bootstrap
from pipelines.evaluate.resolve import Resolved
from pipelines.evaluate.spanmetrics import Floats
from pipelines.evaluate.strategy import Settings, evaluate_strategy
from pipelines.evaluate.tune_judge import judge
from pipelines.evaluate.tune_outcome import Fold, Outcome, Tried, facts_of
from pipelines.evaluate.tune_search import Best, Limits, Search, objective_of
from pipelines.evaluate.tune_space import space_of
from pipelines.evaluate.tune_split import (
    Split,
    TooLittleEvidence,
    documents_of,
    everything,
    folds,
    split,
)
from pipelines.policies import Overtaken, PolicyStore

if TYPE_CHECKING:
    from pipelines.embedding import Embedder

FEW_DOCUMENTS = 10
"""With evidence in fewer, every part of them is held out in turn."""
PARTS = 3
"""That many. More would tune on more documents, and take longer; with five, intervals exclude zero
without cause twice as often."""
COSTS = ("chunks", "stored_tokens", "tokens_per_chunk", "context_overhead")


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """How long to search, and how to judge. A search ends at the first limit it comes to."""

    trials: int = 40
    """Of each search, those of earlier runs included."""
    minutes: float | None = None
    """Of all searches."""
    tokens: int | None = None
    """Tokens of the chunks made for trials of this run, in all searches."""
    share: float = 0.3
    """Share of the questions that are held out, whole documents at a time."""
    seed: int = 0
    promote: bool = True
    """False judges without promoting."""
    folds: int | None = None
    """Parts of the documents, each of which is held out in turn; 0 holds out once. By default
    `PARTS` for evidence in fewer than `FEW_DOCUMENTS` documents, or two where questions join them
    to fewer groups than that, and 0 for others."""


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
        TooLittleEvidence: the evidence does not allow a split.
        ConfigError: nothing in the policy can be tuned, or the objective is not computed.
        MissingExtra: a library for evaluation is not installed.
    """
    options = options or TuneOptions()
    store = PolicyStore(config.lake, strategy.name)
    replaces = strategy.version if strategy.promoted else store.current
    parts = _parts(corpus, questions, options)
    settings = Settings.of(config.evaluation)
    work = _Tuning(corpus, strategy, settings, options, parts, storage, embedder, progress)
    outcome = work.outcome()
    if not outcome.better or not options.promote or outcome.best.policy == strategy.policy:
        return outcome
    try:
        version = store.promote(
            outcome.best.policy.as_value(), facts_of(outcome), replaces=replaces
        )
    except Overtaken as error:
        return replace(outcome, overtaken=str(error))
    return replace(outcome, promoted=version)


def _parts(
    corpus: Corpus, questions: Sequence[Resolved], options: TuneOptions
) -> tuple[Split, ...]:
    number = options.folds
    if number is None:
        documents = len(documents_of(questions))
        number = min(PARTS, documents) if documents < FEW_DOCUMENTS else 0
    if number < 2:
        return (split(corpus, questions, share=options.share, seed=options.seed),)
    try:
        return folds(corpus, questions, number, seed=options.seed)
    except TooLittleEvidence:
        if options.folds is not None or number == 2:
            raise
    return folds(corpus, questions, 2, seed=options.seed)


class _Tuning:
    """The searches of one tuning, and what their policies do on what was held out."""

    def __init__(
        self,
        corpus: Corpus,
        strategy: StrategyConfig,
        settings: Settings,
        options: TuneOptions,
        parts: tuple[Split, ...],
        storage: Path | None,
        embedder: Embedder | None,
        progress: Callable[[Tried], None] | None,
    ) -> None:
        self.corpus = corpus
        self.strategy = strategy
        self.settings = settings
        self.options = options
        self.parts = parts
        self.crossed = len(parts) > 1
        self.whole = everything(parts) if self.crossed else parts[0]
        asked = [corpus.documents[f.document] for r in self.whole.train for f in r.found]
        self.space = space_of(strategy, asked)
        if not self.space.slots:
            why = "; ".join(self.space.skipped)
            raise ConfigError(f"strategy {strategy.name!r}: nothing can be tuned ({why})")
        self.storage = storage
        self.embedder = embedder
        self.progress = progress
        self.started = time.monotonic()
        self.tokens = 0
        self.left = len(parts) + self.crossed
        """Searches that are still to come."""

    def outcome(self) -> Outcome:
        searches = [
            self._search(part, number if self.crossed else 0)
            for number, part in enumerate(self.parts, 1)
        ]
        found = [self._run(search) for search in searches]
        values = [self._held_out(s, f) for s, f in zip(searches, found, strict=True)]
        before, after = ([pair[side] for pair in values] for side in (0, 1))
        compared = judge(before, after)
        best = self._run(self._search(self.whole, 0)) if self.crossed else found[0]
        asked = [question for part in self.parts for question in part.held_out]
        return Outcome(
            strategy=self.strategy,
            best=best.strategy,
            objective=self.settings.objective,
            before=bootstrap(np.concatenate(before)),
            after=bootstrap(np.concatenate(after)),
            difference=compared.difference,
            p_value=compared.p_value,
            train_before=best.before,
            train_after=best.after,
            split=self.whole,
            trials=tuple(t for f in ([best, *found] if self.crossed else found) for t in f.trials),
            importances=best.importances,
            costs=self._costs(best.strategy),
            by_type=_by_type(self.corpus, asked, np.concatenate(before), np.concatenate(after)),
            folds=tuple(
                Fold(s.split, f.strategy.policy.fingerprint(), float(np.nanmean(old)),
                     float(np.nanmean(new)))
                for s, f, (old, new) in zip(searches, found, values, strict=True)
            )
            if self.crossed
            else (),
            skipped=self.space.skipped,
            stopped_by=best.stopped_by,
            seconds=time.monotonic() - self.started,
        )  # fmt: skip

    def _search(self, part: Split, fold: int) -> Search:
        return Search(
            self.corpus, self.strategy, part, self.settings, self.space, self.embedder, fold
        )

    def _run(self, search: Search) -> Best:
        """Search within this search's part of what is left of minutes and tokens."""
        options, now = self.options, time.monotonic()
        deadline = tokens = None
        if options.minutes is not None:
            deadline = now + max(self.started + 60 * options.minutes - now, 0) / self.left
        if options.tokens is not None:
            tokens = (options.tokens - self.tokens) // self.left
        found = search.run(
            Limits(options.trials, deadline, tokens),
            seed=options.seed,
            storage=self.storage,
            progress=self.progress,
        )
        self.left -= 1
        self.tokens += found.tokens
        return found

    def _held_out(self, search: Search, found: Best) -> tuple[Floats, Floats]:
        before, after = (
            objective_of(search.held_out(each), self.settings.objective)
            for each in (self.strategy, found.strategy)
        )
        return before, after

    def _costs(self, best: StrategyConfig) -> dict[str, tuple[float, float]]:
        before, after = (
            evaluate_strategy(self.corpus, each, (), self.settings).metrics()
            for each in (self.strategy, best)
        )
        return {name: (before.get(name, 0.0), after.get(name, 0.0)) for name in COSTS}


def _by_type(
    corpus: Corpus, questions: Sequence[Resolved], before: Floats, after: Floats
) -> Mapping[str, tuple[float, float]]:
    """The means by the type of the document with a question's evidence."""
    types = [corpus.documents[q.found[0].document].facts.data_type for q in questions]
    return {
        name: (float(np.nanmean(before[own])), float(np.nanmean(after[own])))
        for name in sorted(set(types))
        if not np.isnan(before[own := np.array([each == name for each in types])]).all()
    }
