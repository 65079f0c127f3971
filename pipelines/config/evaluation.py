"""The `evaluation` section of a configuration: what strategies are compared by."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chunkers.policy import Policy
from chunkers.suggest import unknown
from chunkers.vocabularies import encoding_names
from lineage.errors import ConfigError
from lineage.ids import fingerprint
from pipelines.config.section import Section
from pipelines.config.settings import (
    DEFAULT_ENCODING,
    EmbedderConfig,
    EvaluationConfig,
    StrategyConfig,
)
from pipelines.config.sources import resolve
from pipelines.config.yaml_file import KeyPath, YamlFile

KEYS = (
    "evidence", "strategies", "grid", "retrievers", "k", "budgets", "encoding",
    "max_documents", "objective", "report",
)  # fmt: skip
RETRIEVERS = ("bm25", "dense", "hybrid")
_EXAMPLE = "evaluation: {evidence: evidence.jsonl, grid: {max_tokens: [256, 512]}}"
_DEFAULTS = EvaluationConfig()
_MOST = 64
_LONGEST_NAME = 64


def read_evaluation(
    file: YamlFile,
    top: Section,
    folder: Path,
    own: Sequence[StrategyConfig],
    strategy: Callable[[KeyPath, object], StrategyConfig],
    embedder: EmbedderConfig | None,
) -> EvaluationConfig:
    """The section, or its defaults where there is none.

    Args:
        file: the configuration's.
        top: its mapping.
        folder: from which relative paths start.
        own: the pipeline's strategies; the grid varies the first.
        strategy: reads a strategy at a place of the file.
        embedder: the configuration's.

    Raises:
        ConfigError: anything wrong in it, with its place and a valid example.
    """
    if "evaluation" not in top:
        return EvaluationConfig()
    section = Section(file, ("evaluation",), top.value["evaluation"], KEYS, example=_EXAMPLE)
    more = tuple(section.each("strategies", strategy, example="[{name: small, max_tokens: 256}]"))
    grid, skipped = _grid(section, own[0])
    _unique(section, own, more, grid)
    retrievers = section.texts("retrievers", ("bm25",), example="[bm25, dense]")
    for name in retrievers:
        if name not in RETRIEVERS:
            raise section.error("retrievers", unknown("retriever", name, RETRIEVERS))
    if embedder is None and set(retrievers) & {"dense", "hybrid"}:
        raise section.error(
            "retrievers",
            f"{', '.join(retrievers)}: dense and hybrid retrieval need vectors, and the "
            "configuration has no `embedder`; for example "
            "`embedder: {kind: onnx, model: models/all-MiniLM-L6-v2}` beside `evaluation`",
        )
    encoding = section.text("encoding", DEFAULT_ENCODING, example=DEFAULT_ENCODING)
    if encoding not in encoding_names():
        raise section.error("encoding", unknown("encoding", encoding, encoding_names()))
    report = section.text("report", None, example="reports")
    budgets = _numbers(section, "budgets", _DEFAULTS.budgets)
    k = _numbers(section, "k", _DEFAULTS.k)
    return EvaluationConfig(
        evidence=tuple(
            resolve(path, folder)
            for path in section.texts("evidence", (), example="evidence.jsonl")
        ),
        strategies=(*more, *grid),
        skipped=skipped,
        retrievers=retrievers,
        k=k,
        budgets=budgets,
        encoding=encoding,
        max_documents=section.number(
            "max_documents", 10_000, example="10000", low=0, high=10**7, whole=True
        ),
        objective=_objective(section, k, budgets),
        report=None if report is None else resolve(report, folder),
    )


def objectives(k: Sequence[int], budgets: Sequence[int]) -> list[str]:
    """The metrics that a ranking can go by; of all, more is better."""
    names = [f"recall_at_{budget}_tokens" for budget in budgets]
    for kind in ("recall", "ndcg", "mrr", "token_recall", "token_precision", "token_iou"):
        names += [f"{kind}_at_{number}" for number in k]
    return [*names, "precision_omega"]


def _objective(section: Section, k: Sequence[int], budgets: Sequence[int]) -> str:
    known = objectives(k, budgets)
    default = _DEFAULTS.objective
    name: str = section.text("objective", default if default in known else known[0],
                             example=known[0])  # fmt: skip
    if name not in known:
        raise section.error("objective", unknown("metric", name, known))
    return name


def _numbers(section: Section, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
    value = section.value.get(key)
    if value is None:
        return default
    items = value if isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int) or not 1 <= item <= 1_000_000:
            raise section.error(
                key, f"must be whole numbers from 1, not {value!r}; for example `{key}: [1, 5]`"
            )
    if not items:
        raise section.error(key, f"is empty; for example `{key}: {list(default)}`")
    return tuple(sorted(set(items)))


def _grid(
    section: Section, base: StrategyConfig
) -> tuple[tuple[StrategyConfig, ...], tuple[str, ...]]:
    """Every combination of the grid's values as a variation of `base`.

    `max_tokens` and `encoding` are the strategy's; `chunker` and its parameters replace those of
    the policy's default, while the rules of `base` stay.
    """
    value = section.value.get("grid")
    if value is None:
        return (), ()
    example = "for example `grid: {chunker: [optimal, structure], max_tokens: [256, 512]}`"
    if not isinstance(value, Mapping) or not value:
        raise section.error(
            "grid", f"must be a mapping of lists, not {value!r}; for example {example}"
        )
    axes: dict[str, list[Any]] = {}
    for key, items in value.items():
        axes[key] = items if isinstance(items, list) else [items]
        if not axes[key]:
            raise section.file.error(
                (*section.path, "grid", key), f"is empty; for example {example}"
            )
    number = 1
    for items in axes.values():
        number *= len(items)
    if number > _MOST:
        raise section.error(
            "grid", f"has {number} combinations, more than {_MOST}; leave some out, or let "
            "`gristmill tune` search"
        )  # fmt: skip
    made: list[StrategyConfig] = []
    skipped: list[str] = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        name = grid_name(chosen)
        try:
            made.append(vary(base, name, chosen))
        except ConfigError as error:
            skipped.append(f"{name}: {error}")
    if not made:
        raise section.error("grid", f"no combination is possible: {skipped[0]}")
    return tuple(made), tuple(skipped)


def vary(base: StrategyConfig, name: str, changes: Mapping[str, Any]) -> StrategyConfig:
    """`base` under another name, with another cap, encoding, or default of its policy.

    Args:
        base: what is varied; the rules of its policy stay.
        name: of the new strategy.
        changes: `max_tokens`, `encoding`, `chunker`, and parameters of the chunker.

    Raises:
        ConfigError: there is no such chunker, or it refuses the parameters under the cap.
    """
    written = base.policy.as_value()
    own = {key: item for key, item in changes.items() if key not in ("max_tokens", "encoding")}
    default = dict(written["default"])
    if own.get("chunker", default["chunker"]) != default["chunker"]:
        default = {}
    policy = Policy.from_value({**written, "default": {**default, **own}} if own else written)
    max_tokens = changes.get("max_tokens", base.max_tokens)
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int):
        raise ConfigError(f"max_tokens must be a whole number, not {max_tokens!r}")
    encoding = changes.get("encoding", base.encoding)
    if encoding not in encoding_names():
        raise ConfigError(unknown("encoding", str(encoding), encoding_names()))
    policy.check(max_tokens)
    return StrategyConfig(name, encoding, max_tokens, policy)


def grid_name(values: Mapping[str, Any]) -> str:
    """A name that says what a combination is: `optimal-512-target-200`."""
    parts = []
    for key, value in values.items():
        short = key.removesuffix("_tokens").replace("_", "-")
        text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
        parts.append(text if key in ("chunker", "max_tokens", "encoding") else f"{short}-{text}")
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in "-".join(parts))
    return name if len(name) <= _LONGEST_NAME else f"{name[:55]}-{fingerprint(dict(values))[:8]}"


def _unique(section: Section, *groups: Sequence[StrategyConfig]) -> None:
    seen: set[str] = set()
    for item in itertools.chain(*groups):
        if item.name in seen:
            raise section.error(
                "strategies", f"{item.name!r} is also the name of another strategy; names are "
                "unique among `strategies`, `evaluation.strategies` and the grid"
            )  # fmt: skip
        seen.add(item.name)
