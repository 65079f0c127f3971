"""Cohesion and separation by vectors get worse with cuts inside subjects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

import numpy as np
import numpy.typing as npt
import pytest

from chunkers import Span, TokenMap, build
from chunkers.blocks import scan
from chunkers.quality_vectors import sentences_of
from lineage import Document

SUBJECTS = ("harbour", "payroll", "kernel", "orchard", "violin", "glacier")
SENTENCE = "What was said of the {0} that year is told in chapter {1} of the long report. "
PARTS = [
    "".join(SENTENCE.format(subject, n) for n in range(12)).strip() + "\n\n" for subject in SUBJECTS
]
TEXT = "".join(PARTS)
CUTS = [0, *(sum(map(len, PARTS[: n + 1])) for n in range(len(PARTS)))]
DOCUMENT = Document(text=TEXT, blocks=scan(TEXT, "markdown"))


def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """A model that knows subjects and nothing else."""
    rows = [[text.count(subject) for subject in SUBJECTS] for text in texts]
    return np.array(rows, np.float32).reshape(len(texts), len(SUBJECTS))


def spans_at(cuts: list[int]) -> list[Span]:
    return [Span(a, b) for a, b in pairwise(cuts)]


def means(spans: list[Span], document: Document = DOCUMENT) -> tuple[float, float]:
    made = sentences_of(document, spans)
    both = made.figures(embed(made.texts))
    for values in both:
        assert len(values) == len(spans)
        assert all(value is None or 0 <= value <= 1 for value in values)
    cohesion, separation = ([v for v in values if v is not None] for values in both)
    return fmean(cohesion), fmean(separation)


def test_cuts_inside_subjects_lower_both() -> None:
    shift = len(PARTS[0]) // 2
    good = means(spans_at(CUTS))
    bad = means(spans_at([0, *(cut - shift for cut in CUTS[1:-1]), len(TEXT)]))
    assert good == (pytest.approx(1.0), pytest.approx(1.0))
    assert bad[0] < 0.95
    assert bad[1] < 0.1


def test_chunkings_share_their_sentences() -> None:
    """Whole ones are the same texts in every chunking; fixed sizes tear one at each cut."""
    tokens = TokenMap(TEXT)
    texts = {
        name: set(sentences_of(DOCUMENT, chunker.spans(DOCUMENT, tokens)).texts)
        for name in ("sentence", "structure", "optimal", "fixed")
        for chunker in [build(name, {}, max_tokens=90)]
    }
    assert texts["sentence"] == texts["structure"] == texts["optimal"]
    torn = texts["fixed"] - texts["optimal"]
    assert 0 < len(torn) < len(texts["optimal"]) / 2


def test_an_overlap_is_not_embedded_twice() -> None:
    bare = spans_at(CUTS)
    over = [bare[0], *(Span(s.start - 80, s.end, overlap_chars=80) for s in bare[1:])]
    assert sentences_of(DOCUMENT, over).texts == sentences_of(DOCUMENT, bare).texts
    assert means(over) == means(bare)


def test_larger_chunks_and_lone_chunks_say_nothing() -> None:
    whole = Span(0, len(TEXT), level=1, granularity="large")
    made = sentences_of(DOCUMENT, [whole, *spans_at(CUTS)])
    cohesion, _ = made.figures(embed(made.texts))
    assert cohesion[0] is None
    assert cohesion[1] is not None
    lone = sentences_of(DOCUMENT, [Span(0, len(TEXT))])
    assert (lone.texts, lone.figures(embed([]))) == ([], ([None], [None]))
    few = Document(text="One. Two. Three.")
    made = sentences_of(few, [Span(0, 5), Span(5, 16)])
    assert made.figures(embed(made.texts)) == ([None, None], [None, None])


def test_a_vector_of_zeros_is_like_nothing() -> None:
    made = sentences_of(DOCUMENT, spans_at(CUTS))
    cohesion, separation = made.figures(np.zeros((len(made.texts), 3)))
    assert set(cohesion) == {0.0}
    assert set(separation) == {1.0}
