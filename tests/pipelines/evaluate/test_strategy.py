"""A strategy's figures: against a public benchmark, and by type, class and asker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunkers.blocks import scan
from chunkers.policy import Policy
from lineage import Acl, Document
from pipelines.config import StrategyConfig
from pipelines.evaluate.corpus import Corpus, corpus_of
from pipelines.evaluate.evidence import EvidenceSet, Passage, Question
from pipelines.evaluate.evidence_import import read_chroma
from pipelines.evaluate.resolve import Resolved, resolve
from pipelines.evaluate.strategy import Settings, evaluate_strategy

FACTS = [
    ("harbour.md", "# Harbour\n\nThe quay is of granite.\n\n# Boats\n\nThe ferry sails at nine.\n"),
    ("payroll.md", "# Pay\n\nPay day is the 25th.\n\n# Bonus\n\nThe bonus is paid in March.\n"),
    ("notes.txt", "The archive is in the cellar. The key hangs beside the door.\n"),
]
ASKED = EvidenceSet(
    (
        *(
            Question(name, text, (Passage(document, quote=quote),), kind)
            for name, text, document, quote, kind in (
                ("a", "When does the ferry sail?", "harbour", "ferry sails at nine", "lookup"),
                ("b", "When is pay day?", "payroll", "Pay day is the 25th.", "lookup"),
                ("c", "Where is the key of the archive?", "notes", "The key hangs", "analysis"),
            )
        ),
        Question("d", "What do zebras eat?", unanswerable=True),
    )
)


def strategy(name: str = "s", max_tokens: int = 64, **default: Any) -> StrategyConfig:
    policy = Policy.from_value({"default": {"chunker": "structure", **default}})
    return StrategyConfig(name, max_tokens=max_tokens, policy=policy)


def small(acl: Acl | None = None) -> Corpus:
    documents = [
        Document(
            text=text,
            blocks=scan(text, "markdown" if key.endswith("md") else "text"),
            document_id=key,
            data_type="markdown" if key.endswith("md") else "prose",
            acl=acl or Acl.public(),
        )
        for key, text in FACTS
    ]
    return corpus_of(documents, [key for key, _ in FACTS])


def asked(corpus: Corpus) -> tuple[Resolved, ...]:
    resolution = resolve(ASKED, corpus)
    assert not resolution.problems
    return resolution.questions


def test_an_answer_that_is_found_at_once_scores_one() -> None:
    corpus = small()
    made = evaluate_strategy(corpus, strategy(), asked(corpus), Settings(budgets=(20, 1000)))
    metrics = made.metrics()
    for name in ("recall_at_1000_tokens", "recall_at_1", "mrr_at_1", "ndcg_at_1"):
        assert metrics[name] == 1, name
    assert metrics["negative_query_rate"] == 1
    assert metrics["coverage"] == 1
    assert metrics["first_hit_rank"] == 1
    assert np.isnan(made.main.values["recall_at_1"]).tolist() == [False] * 3 + [True]
    assert made.metrics_by_class().keys() == {"-", "lookup", "analysis"}
    assert made.metrics_by_class()["lookup"]["questions"] == 2
    by_type = made.metrics_by_type()
    assert by_type["markdown"]["questions"] == 2
    assert by_type["prose"]["documents"] == 1
    steps = [step for step, _ in made.series()["recall_by_k"]]
    assert steps == [1, 3, 5, 10, 20]


def test_sizes_are_asked_one_by_one_and_parents_read_for_children() -> None:
    corpus = small()
    parents = [{"granularity": "section", "target_tokens": 48, "max_tokens": 64}]
    tree = strategy(
        max_tokens=16, chunker="hierarchical", parameters={}, granularity="line", parents=parents
    )
    made = evaluate_strategy(corpus, tree, asked(corpus), Settings(k=(1,), budgets=(16, 100)))
    assert list(made.variants) == ["bm25/line", "bm25/line>section", "bm25/section"]
    assert made.main.name == "bm25/line"
    line, read = made.variants["bm25/line"], made.variants["bm25/line>section"]
    kept = read.ranking[read.ranking >= 0]
    assert (made.chunked.levels[kept] == 1).all()
    assert (made.chunked.levels[line.ranking[line.ranking >= 0]] == 0).all()
    precise = np.nanmean(line.values["token_precision_at_1"])
    assert np.nanmean(read.values["token_precision_at_1"]) < precise
    by_class = made.metrics_by_class("bm25/section")
    assert by_class.keys() == {"-", "lookup", "analysis"}


def test_cutting_through_answers_costs() -> None:
    corpus = small()
    settings = Settings(k=(1, 3), budgets=(12, 100))
    good = evaluate_strategy(corpus, strategy(), asked(corpus), settings).metrics()
    torn = evaluate_strategy(
        corpus, strategy(max_tokens=8, chunker="fixed", context=False), asked(corpus), settings
    ).metrics()
    assert torn["recall_at_1"] < good["recall_at_1"]
    assert torn["ndcg_at_3"] < good["ndcg_at_3"]
    assert torn["boundary_cleanliness"] < good["boundary_cleanliness"]


def test_chunk_ids_are_those_of_transform(project: Any) -> None:
    for key, text in FACTS:
        project.write(key, text)
    project.ingest()
    project.transform()
    from pipelines.evaluate.corpus import read_corpus

    config = project.config
    corpus = read_corpus(config)
    made = evaluate_strategy(corpus, config.strategies[0])
    assert sorted(made.chunked.ids) == sorted(row["chunk_id"] for row in project.chunks())
    assert corpus.version == project.lake.documents.version
    assert not made.variants
    assert "recall_at_1" not in made.metrics()


def test_an_asker_finds_only_what_they_may_read() -> None:
    corpus = small(Acl("explicit", allow_groups=("staff",)))
    (question, *_) = asked(corpus)
    from dataclasses import replace

    for groups, recall in ((("staff",), 1), (("guests",), 0), ((), 1)):
        asking = replace(question, question=replace(question.question, groups=groups))
        made = evaluate_strategy(corpus, strategy(), [asking])
        assert made.main.values["recall_at_5"].tolist() == [recall], groups


def test_a_document_that_cannot_be_cut_is_rejected_and_the_rest_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from chunkers.structure import StructureChunker

    cut = StructureChunker.spans

    def failing(self: Any, document: Document, tokens: Any) -> Any:
        if document.document_id == "notes.txt":
            raise RuntimeError("no notes")
        return cut(self, document, tokens)

    monkeypatch.setattr(StructureChunker, "spans", failing)
    corpus = small()
    made = evaluate_strategy(corpus, strategy(), asked(corpus))
    assert made.metrics()["rejected"] == 1
    assert "no notes" in made.chunked.rejected["notes.txt"]
    assert made.main.values["recall_at_5"].tolist()[:3] == [1, 1, 0]


def test_a_retriever_without_its_embedder_is_refused() -> None:
    corpus = small()
    with pytest.raises(ValueError, match="needs an embedder"):
        evaluate_strategy(corpus, strategy(), asked(corpus), Settings(retrievers=("dense",)))


class Windows:
    """Fixed windows of characters, as a chunker."""

    name = "windows"
    version = "1"

    def spans(self, document: Document, tokens: Any) -> list[Any]:
        from chunkers import Span
        from chunkers.spans import trim

        ranges = [trim(document.text, i, min(i + 800, len(document.text)))
                  for i in range(0, len(document.text), 800)]  # fmt: skip
        return [Span(a, b) for a, b in ranges if a < b]


@pytest.mark.slow
def test_the_whole_way_agrees_with_an_independent_evaluator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From files to figures: import, resolution, dense retrieval, spans, budgets."""
    import json

    from pipelines.embedding import open_embedder
    from pipelines.evaluate import chunked

    root = os.environ.get("GRISTMILL_TEST_DATA")
    if not root:
        pytest.skip("GRISTMILL_TEST_DATA is not set: it names the folder of the benchmark")
    pytest.importorskip("onnxruntime")
    folder = Path(root, "bench", "chroma")
    names = ["state_of_the_union.md", "wikitexts.md", "finance.md"]
    documents = [
        Document(text=(folder / name).read_bytes().decode(), document_id=name) for name in names
    ]
    corpus = corpus_of(documents, names)
    resolution = resolve(read_chroma(folder), corpus)
    assert (len(resolution.questions), resolution.problems) == (317, ())
    monkeypatch.setattr(chunked, "build", lambda *_, **__: Windows())
    settings = Settings(retrievers=("dense",), k=(5,), encoding="cl100k_base")
    one = StrategyConfig("windows", encoding="cl100k_base", max_tokens=2000)
    embedder = open_embedder(str(Path(root, "models", "all-MiniLM-L6-v2")), threads=2)
    made = evaluate_strategy(corpus, one, resolution.questions, settings, embedder=embedder)
    expected = json.loads((folder / "expected.json").read_text())["fixed_800_characters"]
    metrics = made.metrics()
    assert metrics["chunks"] == expected["n_chunks"]
    assert metrics["precision_omega"] == pytest.approx(expected["omega"], abs=1e-9)
    for ours, theirs in (
        ("token_recall_at_5", "recall"),
        ("token_precision_at_5", "precision"),
        ("token_iou_at_5", "iou"),
        ("recall_at_500_tokens", "R@500"),
        ("recall_at_1000_tokens", "R@1000"),
        ("recall_at_2000_tokens", "R@2000"),
    ):
        assert metrics[ours] == pytest.approx(expected[theirs], abs=0.003), ours
