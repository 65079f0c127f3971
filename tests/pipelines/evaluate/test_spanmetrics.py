"""The figures of retrieval: against an independent evaluator, and against sets of characters."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate import spanmetrics as sm

QUESTIONS, DOCUMENTS, LENGTH = 3, 2, 30

spans = st.tuples(
    st.integers(0, DOCUMENTS - 1), st.integers(0, LENGTH - 1), st.integers(1, 12)
).map(lambda s: (s[0], s[1], s[1] + s[2]))
grouped = st.lists(
    st.tuples(st.integers(0, QUESTIONS - 1), spans).map(lambda row: (row[0], *row[1])), max_size=12
)


def characters(rows: list[tuple[int, int, int, int]], question: int) -> set[tuple[int, int]]:
    return {(d, c) for q, d, start, end in rows if q == question for c in range(start, end)}


@given(evidence=grouped, retrieved=grouped)
def test_figures_are_those_of_sets_of_characters(
    evidence: list[tuple[int, int, int, int]], retrieved: list[tuple[int, int, int, int]]
) -> None:
    figures = sm.coverage_figures(sm.Grouped.of(evidence), sm.Grouped.of(retrieved), QUESTIONS)
    for question in range(QUESTIONS):
        wanted, found = characters(evidence, question), characters(retrieved, question)
        taken = sum(end - start for q, _, start, end in retrieved if q == question)
        covered = len(wanted & found)
        got = (figures.recall[question], figures.precision[question], figures.iou[question])
        if not wanted:
            assert np.isnan(got).all()
            continue
        assert got == pytest.approx(
            (covered / len(wanted), covered / taken if taken else 0.0,
             covered / (taken + len(wanted - found)))
        )  # fmt: skip


@given(evidence=grouped, chunks=st.lists(spans, min_size=1, max_size=12))
def test_omega_is_that_of_sets_of_characters(
    evidence: list[tuple[int, int, int, int]], chunks: list[tuple[int, int, int]]
) -> None:
    omega = sm.precision_omega(sm.Grouped.of(evidence), sm.Spans.of(chunks), QUESTIONS)
    for question in range(QUESTIONS):
        mine = [row[1:] for row in evidence if row[0] == question]
        touching = [
            (question, *chunk)
            for chunk in chunks
            if any(chunk[0] == e[0] and chunk[1] <= e[2] and chunk[2] >= e[1] for e in mine)
        ]
        wanted, found = characters(evidence, question), characters(touching, question)
        if wanted:
            assert omega[question] == pytest.approx(len(wanted & found) / len(wanted | found))
        else:
            assert np.isnan(omega[question])


@given(
    evidence=grouped,
    chunks=st.lists(spans, min_size=1, max_size=8),
    data=st.data(),
)
def test_evidence_in_ranks_is_that_of_each_chunk(
    evidence: list[tuple[int, int, int, int]],
    chunks: list[tuple[int, int, int]],
    data: st.DataObject,
) -> None:
    number = st.integers(-1, len(chunks) - 1)
    row = st.lists(number, min_size=4, max_size=4)
    ranking = np.array(data.draw(st.lists(row, min_size=QUESTIONS, max_size=QUESTIONS)))
    found = sm.evidence_in_ranks(sm.Grouped.of(evidence), sm.Spans.of(chunks), ranking)
    for question in range(QUESTIONS):
        wanted = characters(evidence, question)
        for rank, chunk in enumerate(ranking[question]):
            held = characters([(question, *chunks[chunk])], question) if chunk >= 0 else set()
            assert found[question, rank] == len(wanted & held)


def test_a_budget_cuts_the_last_chunk() -> None:
    chunks = sm.Spans.of([(0, 0, 100), (0, 100, 200), (0, 200, 300)])
    ranking = np.array([[2, 0, 1], [1, -1, -1]])
    found = sm.within_budget(chunks, ranking, np.array([20, 20, 20]), 30)
    assert found.group.tolist() == [0, 0, 1]
    assert found.spans.start.tolist() == [200, 0, 100]
    assert found.spans.end.tolist() == [300, 50, 200]


def test_an_independent_evaluator_agrees_on_omega() -> None:
    """Fixed windows of 800 characters over a public benchmark.

    The figures of what MiniLM retrieves from them: `test_strategy.py`, the whole way.
    """
    root = os.environ.get("GRISTMILL_TEST_DATA")
    if not root:
        pytest.skip("GRISTMILL_TEST_DATA is not set: it names the folder of the benchmark")
    folder = Path(root, "bench", "chroma")
    names = ("state_of_the_union", "wikitexts", "finance")
    texts = [(folder / f"{name}.md").read_bytes().decode() for name in names]
    with (folder / "questions.csv").open(newline="", encoding="utf-8") as file:
        questions = list(csv.DictReader(file))
    evidence = sm.Grouped.of(
        [
            (i, names.index(row["corpus_id"]), span["start_index"], span["end_index"])
            for i, row in enumerate(questions)
            for span in json.loads(row["references"])
        ]
    )
    rows = []
    for document, text in enumerate(texts):
        for start in range(0, len(text), 800):
            piece = text[start : start + 800]
            left = start + len(piece) - len(piece.lstrip())
            if piece.strip():
                rows.append((document, left, left + len(piece.strip())))
    expected = json.loads((folder / "expected.json").read_text())["fixed_800_characters"]
    assert len(rows) == expected["n_chunks"]
    chunks = sm.Spans.of(rows)

    omega = sm.precision_omega(evidence, chunks, len(questions))
    assert omega.mean() == pytest.approx(expected["omega"], abs=1e-9)

    where = np.array([names.index(row["corpus_id"]) for row in questions])
    for number, name in enumerate(names):
        of_corpus = expected["by_corpus"][name]
        assert omega[where == number].mean() == pytest.approx(of_corpus["omega"], abs=1e-9)
