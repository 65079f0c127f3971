"""What is kept of an evaluation: a summary, a table of its questions, a table of its chunks.

They are files in the lake, under a key of everything that decides about them, so that a strategy
that was evaluated before on the same documents and questions is not evaluated again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chunkers.policy import Policy
from chunkers.registry import build
from lineage import fingerprint
from pipelines.config import StrategyConfig
from pipelines.evaluate.evidence import EvidenceSet
from pipelines.evaluate.strategy import Evaluation, Settings, Variant
from pipelines.storage import Storage

FOLDER = "_evaluations"
_FILES = ("questions.parquet", "chunks.parquet", "summary.json")
_FORMAT = 2
_BINS = 24


@dataclass(frozen=True)
class Result:
    """A strategy's figures, ready for JSON."""

    key: str
    """Of everything that decides about them."""
    name: str
    encoding: str
    max_tokens: int
    policy: Mapping[str, Any]
    strategy_fingerprint: str
    main: str | None
    """The variant that a ranking goes by; null without questions."""
    metrics: Mapping[str, float]
    by_type: Mapping[str, Mapping[str, float]]
    variants: Mapping[str, Mapping[str, Any]]
    """Variant → `metrics` and `by_class`."""
    series: Mapping[str, list[tuple[int, float]]]
    rejected: Mapping[str, str]
    sizes: Mapping[str, list[float]]
    """A histogram of tokens of the smallest chunks: `edges` and `counts`."""
    code_version: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
    stability: Mapping[str, Any] = field(default_factory=dict)

    @property
    def strategy(self) -> StrategyConfig:
        """What was evaluated, rebuilt."""
        return StrategyConfig(
            self.name, self.encoding, self.max_tokens, Policy.from_value(self.policy)
        )


def code_version(strategy: StrategyConfig) -> str:
    """Which code cuts: gristmill's version, and that of each chunker that the policy names."""
    policy = strategy.policy
    names = {rule.chunker: rule.parameters for rule in (policy.default, *policy.rules)}
    versions = [
        f"{name} {build(name, parameters, max_tokens=strategy.max_tokens).version}"
        for name, parameters in sorted(names.items())
    ]
    return f"gristmill {version('gristmill')}; {', '.join(versions)}"


def evaluation_key(
    strategy: StrategyConfig,
    corpus: str,
    evidence: EvidenceSet,
    settings: Settings,
    embedder: Mapping[str, Any] | None,
) -> str:
    """The key of an evaluation; `corpus` is the snapshot's fingerprint.

    The name is part of it because chunk ids are made of it.
    """
    return fingerprint(
        [
            _FORMAT,
            strategy.name,
            strategy.fingerprint(),
            corpus,
            evidence.fingerprint,
            settings.as_value(),
            None if embedder is None else dict(embedder),
            code_version(strategy),
        ]
    )


def result_of(key: str, evaluation: Evaluation, started_at: float, ended_at: float) -> Result:
    """The summary of an evaluation."""
    strategy = evaluation.strategy
    return Result(
        key=key,
        name=strategy.name,
        encoding=strategy.encoding,
        max_tokens=strategy.max_tokens,
        policy=strategy.policy.as_value(),
        strategy_fingerprint=strategy.fingerprint(),
        main=evaluation.main.name if evaluation.variants else None,
        metrics=evaluation.metrics(),
        by_type=evaluation.metrics_by_type(),
        variants={
            name: {
                "metrics": evaluation.metrics(name),
                "by_class": evaluation.metrics_by_class(name),
            }
            for name in evaluation.variants
        },
        series=evaluation.series(),
        rejected=dict(evaluation.chunked.rejected),
        sizes=_histogram(evaluation),
        code_version=code_version(strategy),
        started_at=started_at,
        ended_at=ended_at,
    )


def _histogram(evaluation: Evaluation) -> dict[str, list[float]]:
    chunked = evaluation.chunked
    sizes = chunked.tokens[chunked.levels == 0]
    edges = np.linspace(0, evaluation.strategy.max_tokens, _BINS + 1)
    counts, _ = np.histogram(sizes, edges)
    return {"edges": edges.tolist(), "counts": counts.astype(float).tolist()}


def questions_table(evaluation: Evaluation) -> pa.Table:
    """A row for each question and variant: its figures, and what was found at which rank."""
    ids = evaluation.chunked.ids
    rows: list[dict[str, Any]] = []
    documents = evaluation.chunked.corpus.documents
    for variant in evaluation.variants.values():
        for number, resolved in enumerate(evaluation.questions):
            question = resolved.question
            found = [int(n) for n in variant.ranking[number] if n >= 0]
            rows.append(
                {
                    "variant": variant.name,
                    "question_id": question.id,
                    "question": question.text,
                    "query_class": question.query_class,
                    "data_type": evaluation.data_types[number],
                    "unanswerable": question.unanswerable,
                    "best_score": float(variant.best[number]),
                    **_figures(variant, number),
                    "found": [ids[n] for n in found],
                    "evidence": [
                        {
                            "document_id": documents[f.document].document.document_id,
                            "start": f.start,
                            "end": f.end,
                            "grade": f.grade,
                        }
                        for f in resolved.found
                    ],
                }
            )
    return pa.Table.from_pylist(rows) if rows else pa.table({})


def _figures(variant: Variant, number: int) -> dict[str, float | None]:
    values = {name: float(each[number]) for name, each in variant.values.items()}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def chunks_table(evaluation: Evaluation) -> pa.Table:
    """A row for each chunk: where it is, how large, and how many questions it was found for."""
    chunked = evaluation.chunked
    found = np.zeros(len(chunked), np.int64)
    if evaluation.variants:
        ranking = evaluation.main.ranking[:, :5]
        np.add.at(found, ranking[ranking >= 0], 1)
    ids = chunked.ids
    spans = [chunked.span(n) for n in range(len(chunked))]
    documents = chunked.corpus.documents
    places = chunked.spans.document.tolist()
    return pa.table(
        {
            "document_id": pa.array(
                [documents[p].document.document_id for p in places], pa.string()
            ),
            "data_type": pa.array([documents[p].document.data_type for p in places], pa.string()),
            "chunk_id": pa.array(ids, pa.string()),
            "start": pa.array(chunked.spans.start),
            "end": pa.array(chunked.spans.end),
            "tokens": pa.array(chunked.tokens),
            "level": pa.array(chunked.levels),
            "granularity": pa.array(chunked.granularities, pa.string()),
            "parent": pa.array(
                [None if p < 0 else ids[p] for p in chunked.parents.tolist()], pa.string()
            ),
            "context_chars": pa.array([len(span.context) for span in spans], pa.int64()),
            "overlap_chars": pa.array([span.overlap_chars for span in spans], pa.int64()),
            "found_in_first_5": pa.array(found),
        }
    )


class Results:
    """The evaluations kept in a lake."""

    def __init__(self, lake_uri: str) -> None:
        self.folder = Storage.from_uri(lake_uri) / FOLDER

    def read(self, key: str) -> Result | None:
        """What is kept under `key`; null when nothing whole is."""
        folder = self.folder / key
        # A document that is forgotten takes the files with it that name it.
        if not all(folder.exists(name) for name in _FILES):
            return None
        try:
            result = Result(**json.loads(folder.read_bytes("summary.json")))
            self.questions(key)
        except (ValueError, TypeError, pa.ArrowException):  # damaged: as good as not there
            return None
        return result

    def write(
        self,
        result: Result,
        questions: pa.Table,
        chunks: pa.Table,
        plots: Mapping[str, str] | None = None,
    ) -> None:
        """Keep an evaluation, with pictures by name. What has a summary is whole: it comes last."""
        folder = self.folder / result.key
        folder.make_folder()
        folder.write_bytes("questions.parquet", _parquet(questions))
        folder.write_bytes("chunks.parquet", _parquet(chunks))
        folder.write_bytes("questions.json", _split(questions).encode("utf-8", "backslashreplace"))
        for name, picture in (plots or {}).items():
            folder.write_bytes(name, picture.encode())
        data = json.dumps(asdict(result), ensure_ascii=False, allow_nan=False)
        folder.write_bytes("summary.json", data.encode("utf-8", "backslashreplace"))

    def questions(self, key: str) -> pa.Table:
        """The table of questions kept under `key`."""
        return pq.read_table(BytesIO((self.folder / key).read_bytes("questions.parquet")))

    def chunks(self, key: str) -> pa.Table:
        """The table of chunks kept under `key`."""
        return pq.read_table(BytesIO((self.folder / key).read_bytes("chunks.parquet")))

    def uri(self, key: str, name: str) -> str:
        """The address of one of its files."""
        return f"{(self.folder / key).uri}/{name}"


def _parquet(table: pa.Table) -> bytes:
    buffer = BytesIO()
    # Plain, so that whoever has to find all traces of a document finds them.
    pq.write_table(table, buffer, compression="none", use_dictionary=False)
    return buffer.getvalue()


_SHOWN_ROWS = 5_000


def _split(table: pa.Table) -> str:
    """A table as MLflow's own tables are: `columns` and `data`; nested columns left out."""
    flat = [f.name for f in table.schema if not pa.types.is_nested(f.type)]
    rows = table.select(flat).slice(0, _SHOWN_ROWS)
    columns: Iterable[Sequence[Any]] = [rows[name].to_pylist() for name in flat]
    return json.dumps(
        {"columns": flat, "data": [list(row) for row in zip(*columns, strict=True)]},
        ensure_ascii=False,
    )
