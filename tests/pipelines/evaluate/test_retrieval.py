"""Rankings are deterministic and trimmed to the asker; figures on ranks fall with the damage."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pipelines.evaluate import spanmetrics as sm
from pipelines.evaluate.intervals import bootstrap, holm, paired
from pipelines.evaluate.rankmetrics import RankFigures, negative_rate
from pipelines.evaluate.retrieve import (
    Bm25Retriever,
    HybridRetriever,
    rank,
    read_parents,
    top,
)

TEXTS = ["the quay of stone", "the quay of wood", "a stone", "the quay of stone", ""]
IDS = ["d", "c", "b", "a", "e"]


class Fixed:
    """A retriever with given scores."""

    def __init__(self, scores: list[list[float]]) -> None:
        self.given = np.array(scores, np.float32)

    def scores(self, questions: object) -> npt.NDArray[np.float32]:
        return self.given


def test_bm25_finds_rare_words_first_and_breaks_ties_by_id() -> None:
    ranked = rank(Bm25Retriever(TEXTS), ["Stone quay?", "nothing of the kind at all"], IDS, 5)
    assert ranked.chunks[0].tolist() == [3, 0, 2, 1, -1]
    assert ranked.best[0] > 0
    unknown = rank(Bm25Retriever(TEXTS), ["zebra"], IDS, 3)
    assert unknown.chunks.tolist() == [[-1, -1, -1]]
    assert unknown.best.tolist() == [0]
    assert rank(Bm25Retriever(["", " "]), ["zebra"], ["a", "b"], 3).chunks.tolist() == [[-1] * 3]


def test_bm25_scores_are_those_of_the_formula() -> None:
    from math import log

    words = [text.split() for text in TEXTS]
    mean = sum(map(len, words)) / len(words)

    def score(query: list[str], document: list[str]) -> float:
        total = 0.0
        for term in query:
            n = sum(term in other for other in words)
            idf = log(1 + (len(words) - n + 0.5) / (n + 0.5))
            tf = document.count(term)
            total += idf * tf / (tf + 1.2 * (1 - 0.75 + 0.75 * len(document) / mean))
        return total / len(query)

    found = Bm25Retriever(TEXTS).scores(["stone quay"])[0]
    expected = [score(["stone", "quay"], document) for document in words]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_the_first_ranks_are_those_of_a_full_sort() -> None:
    generator = np.random.default_rng(1)
    scores = generator.integers(0, 6, (20, 300)).astype(np.float32)
    order = generator.permutation(300)
    found = top(scores, order, 10)
    for row in range(20):
        full = sorted(range(300), key=lambda i: (-scores[row, i], order[i]))[:10]
        assert found[row].tolist() == full


def test_what_an_asker_may_not_read_is_out_before_the_ranking() -> None:
    readable = np.array([[True, True, True, False, True]])
    ranked = rank(Bm25Retriever(TEXTS), ["stone quay"], IDS, 2, readable)
    assert ranked.chunks.tolist() == [[0, 2]]


def test_fusion_goes_by_ranks() -> None:
    first, second = Fixed([[9, 1, 0.5, 0]]), Fixed([[0, 5, 4, 6]])
    ids = ["a", "b", "c", "d"]
    scores = HybridRetriever([first, second], ids, 4).scores(["?"])[0]
    expected = [1 / 61, 1 / 62 + 1 / 62, 1 / 63 + 1 / 63, 1 / 61]
    assert scores.tolist() == pytest.approx(expected)
    assert rank(HybridRetriever([first, second], ids, 4), ["?"], ids, 4).chunks.tolist() == [
        [1, 2, 0, 3]
    ]


def test_parents_are_read_once_each_at_the_rank_of_their_first_child() -> None:
    parents = np.array([5, 5, 6, -1, 6, -1, -1])
    ranking = np.array([[1, 3, 2, 0, 4], [4, -1, -1, -1, -1]])
    assert read_parents(ranking, parents).tolist() == [[5, 3, 6, -1, -1], [6, -1, -1, -1, -1]]


CHUNKS = sm.Spans.of([(0, 0, 10), (0, 10, 20), (0, 20, 30), (1, 0, 10)])
EVIDENCE = sm.Grouped.of([(0, 0, 2, 8), (0, 0, 22, 28), (1, 1, 0, 40)])
GRADES = np.array([2.0, 1.0, 1.0])


def figures(*rows: list[int]) -> RankFigures:
    return RankFigures(EVIDENCE, GRADES, CHUNKS, np.array(rows))


def test_figures_on_ranks_are_those_of_the_definitions() -> None:
    made = figures([1, 0, 2, -1], [0, 3, -1, -1])
    assert made.mrr(4).tolist() == [0.5, 0.5]
    assert made.mrr(1).tolist() == [0, 0]
    assert made.recall(2).tolist() == [0.5, 0]
    assert made.recall(3).tolist() == [1, 0]
    assert made.first_hits().tolist() == [2, 2]
    ideal = 2 / np.log2(2) + 1 / np.log2(3)
    assert made.ndcg(4)[0] == pytest.approx((2 / np.log2(3) + 1 / np.log2(4)) / ideal)
    assert made.ndcg(4)[1] == pytest.approx(0.25 / np.log2(3))


def test_better_grades_first_is_better_and_a_passage_gains_once() -> None:
    best = figures([0, 2, 1, 3], [3, 0, 1, 2])
    worse = figures([2, 0, 1, 3], [0, 3, 1, 2])
    assert best.ndcg(4)[0] == pytest.approx(1)
    assert worse.ndcg(4)[0] < 1
    overlapping = sm.Spans.of([(0, 0, 10), (0, 2, 12)])
    one = sm.Grouped.of([(0, 0, 2, 8)])
    twice = RankFigures(one, np.ones(1), overlapping, np.array([[0, 1]]))
    assert twice.ndcg(2).tolist() == [1]


def test_a_question_without_evidence_has_no_figures() -> None:
    made = RankFigures(EVIDENCE, GRADES, CHUNKS, np.array([[0], [0], [0]]))
    for values in (made.mrr(1), made.recall(1), made.ndcg(1)):
        assert np.isnan(values[2])


def test_the_rate_of_unanswerable_questions_that_a_threshold_turns_away() -> None:
    best = np.array([5.0, 6, 7, 8, 9, 1, 8, 2, 3])
    unanswerable = np.array([False] * 5 + [True] * 4)
    assert negative_rate(best, unanswerable) == 0.75
    assert negative_rate(np.array([5.0, 5, 5]), np.array([False, False, True])) == 0
    assert np.isnan(negative_rate(best[:5], unanswerable[:5]))


def test_intervals_hold_the_mean_and_are_the_same_every_time() -> None:
    generator = np.random.default_rng(3)
    values = generator.random(200)
    values[::10] = np.nan
    found = bootstrap(values)
    assert found == bootstrap(values)
    assert found.number == 180
    assert found.low < found.mean < found.high
    deviation = np.nanstd(values) / np.sqrt(180)
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.15)
    assert bootstrap(np.array([np.nan])).number == 0


def test_pairs_see_what_the_single_intervals_do_not() -> None:
    generator = np.random.default_rng(4)
    first = generator.random(200)
    second = first - 0.02 + generator.normal(0, 0.03, 200)
    assert bootstrap(first).low < bootstrap(second).high
    better = paired(first, second)
    assert better.difference.excludes_zero
    assert better.p_value < 0.01
    same = paired(first, first + generator.normal(0, 0.03, 200))
    assert not same.difference.excludes_zero
    assert same.p_value > 0.05
    assert paired(first, first).p_value == 1
    with pytest.raises(ValueError, match="paired"):
        paired(first, second[:3])


def test_several_tests_are_adjusted_for_their_number() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
