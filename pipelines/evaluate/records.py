"""A comparison as MLflow runs: one for the whole, and one in it for each strategy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from chunkers.policy import Policy
from lineage.errors import TerminalError
from pipelines.config import StrategyConfig
from pipelines.evaluate.compare import Comparison
from pipelines.evaluate.results import Results, code_version
from pipelines.tracking import new_record, redacted

STAGE = "compare"
_PART = 5_500
"""Characters of a parameter; MLflow cuts at 6,000."""


def records_of(made: Comparison, report_uri: str | None) -> list[dict[str, Any]]:
    """The records of a comparison, that of the whole first; see `pipelines.tracking`.

    Strategies that failed or were not reached have records too, with everything that rebuilds
    them.

    Args:
        made: the comparison.
        report_uri: of the HTML report, in the lake.
    """
    whole = _whole(made, report_uri)
    return [whole, *(_one(made, strategy, whole["run_key"]) for strategy in made.strategies)]


def _whole(made: Comparison, report_uri: str | None) -> dict[str, Any]:
    best = made.ranking[0] if made.ranking else None
    ranking = [
        {
            "strategy": ranked.name,
            "mean": ranked.interval.mean,
            "low": ranked.interval.low,
            "high": ranked.interval.high,
            "behind_best": None
            if ranked.against_best is None
            else {
                "mean": ranked.against_best.difference.mean,
                "low": ranked.against_best.difference.low,
                "high": ranked.against_best.difference.high,
                "p_value": ranked.p_value,
            },
        }
        for ranked in made.ranking
    ]
    return new_record(
        pipeline=made.config.name,
        stage=STAGE,
        run_id=made.run_id,
        # Before its parts in any order by time.
        started_at=made.started_at - 0.001,
        ended_at=made.ended_at,
        failed=not made.results and not made.interrupted,
        interrupted=made.interrupted,
        parameters={
            **_common(made),
            "strategies": [strategy.name for strategy in made.strategies],
            "failed": dict(made.failed),
            "unfinished": made.unfinished,
            "problems_of_evidence": made.resolution.counts,
            "notes": made.notes,
        },
        metrics={
            "strategies_done": len(made.results),
            "strategies_failed": len(made.failed),
            "strategies_reused": len(made.reused),
            "best_objective": best.interval.mean if best else None,
            "best_objective_low": best.interval.low if best else None,
            "best_objective_high": best.interval.high if best else None,
        },
        tags={
            "best_strategy": best.name if best else "",
            "ranking": json.dumps(ranking),
        },
        inputs=_inputs(made),
        artifacts=[{"path": "report.html", "uri": report_uri}] if report_uri else [],
    )


def _one(made: Comparison, strategy: StrategyConfig, parent: str) -> dict[str, Any]:
    result = made.results.get(strategy.name)
    failed = strategy.name in made.failed
    ranked = next((r for r in made.ranking if r.name == strategy.name), None)
    metrics: dict[str, float | int | None] = {}
    by_type: dict[str, Mapping[str, float]] = {}
    artifacts: list[dict[str, str]] = []
    if result is not None:
        metrics |= result.metrics
        by_type |= result.by_type
        for variant, values in result.variants.items():
            for name, figures in values["by_class"].items():
                by_type[f"{_plain(variant)}/class_{name}"] = figures
        kept = Results(made.config.lake)
        artifacts = [
            {"path": name, "uri": kept.uri(result.key, name)}
            for name in ("questions.json", "questions.parquet", "chunks.parquet")
        ]
        artifacts += [
            {"path": f"plots/{name}", "uri": kept.uri(result.key, name)}
            for name in ("sizes.svg", "recall.svg")
            if (kept.folder / result.key).exists(name)
        ]
    if ranked is not None:
        metrics |= {
            "objective": ranked.interval.mean,
            "objective_low": ranked.interval.low,
            "objective_high": ranked.interval.high,
        }
        if ranked.against_best is not None:
            metrics["objective_behind_best"] = ranked.against_best.difference.mean
            metrics["objective_behind_best_p"] = ranked.p_value
    return new_record(
        pipeline=made.config.name,
        stage=STAGE,
        run_id=made.run_id,
        strategy=strategy.name,
        started_at=made.started_at,
        ended_at=made.ended_at,
        failed=failed,
        interrupted=result is None and not failed,
        parameters={
            **_common(made),
            **strategy_parameters(strategy),
            "strategy_fingerprint": strategy.fingerprint(),
            "policy": strategy.policy.as_value(),
            "code_version": code_version(strategy),
            "variant": result.main if result else None,
        },
        metrics=metrics,
        metrics_by_type=by_type,
        tags={
            "reused": str(strategy.name in made.reused).lower(),
            **({"error": made.failed[strategy.name]} if failed else {}),
            **(
                {
                    "mlflow.loggedArtifacts": json.dumps(
                        [{"path": "questions.json", "type": "table"}]
                    )
                }
                if result is not None
                else {}
            ),
        },
        inputs=_inputs(made),
        policy=strategy.policy.as_value(),
        parent=parent,
        series={} if result is None else result.series,
        artifacts=artifacts,
    )


def _common(made: Comparison) -> dict[str, Any]:
    return {
        "objective": made.settings.objective,
        "corpus_fingerprint": made.corpus.fingerprint,
        "corpus_documents": len(made.corpus),
        "corpus_documents_in_lake": made.corpus.total,
        "evidence_fingerprint": made.evidence.fingerprint,
        "evidence": made.evidence.origin,
        "questions": len(made.resolution.questions),
        "settings": made.settings.as_value(),
        "embedder": made.embedder,
        "gristmill_version": version("gristmill"),
    }


def _inputs(made: Comparison) -> list[dict[str, Any]]:
    if made.corpus.version is None:
        return []
    uri = redacted(made.corpus.uri)
    return [{"name": "documents", "uri": uri, "version": made.corpus.version}]


def _plain(variant: str) -> str:
    return variant.replace("/", "_").replace(">", "_in_")


def strategy_parameters(strategy: StrategyConfig) -> dict[str, Any]:
    """Parameters that rebuild a strategy; `strategy_from_parameters` is the inverse."""
    policy = json.dumps(strategy.policy.as_value(), ensure_ascii=False, sort_keys=True)
    parts = [policy[i : i + _PART] for i in range(0, len(policy), _PART)]
    return {
        "strategy": strategy.name,
        "encoding": strategy.encoding,
        "max_tokens": strategy.max_tokens,
        **{f"policy_json_{n}": part for n, part in enumerate(parts)},
    }


def strategy_from_parameters(parameters: Mapping[str, str]) -> StrategyConfig:
    """The strategy of an MLflow run, from its parameters alone.

        run = mlflow.search_runs(..., output_format="list")[0]
        strategy_from_parameters(run.data.params)

    Raises:
        TerminalError: the run is not one of a strategy.
    """
    try:
        parts: list[str] = []
        while f"policy_json_{len(parts)}" in parameters:
            parts.append(parameters[f"policy_json_{len(parts)}"])
        return StrategyConfig(
            parameters["strategy"],
            parameters["encoding"],
            int(parameters["max_tokens"]),
            Policy.from_value(json.loads("".join(parts))),
        )
    except (KeyError, ValueError) as error:
        raise TerminalError(
            "these are not the parameters of a strategy's run; take those of the runs with the tag "
            "gristmill.stage = 'compare' and a gristmill.strategy"
        ) from error
