from __future__ import annotations

import pytest

from chunkers import TokenMap, build, count_with_context
from lineage import Document, Quality
from pipelines.transform.figures import Figures, merge_by_type

DOCUMENT = Document(text="One sentence of the text, and then some more words. " * 60)


def figures(**parameters: int) -> Figures:
    tokens = TokenMap(DOCUMENT.text)
    spans = build("fixed", parameters, max_tokens=64).spans(DOCUMENT, tokens)
    made = Figures()
    made.add(Quality(), [count_with_context(tokens, span) for span in spans])
    return made


def test_tokens_of_a_document_rise_with_what_is_repeated() -> None:
    bare, repeated = figures().means(), figures(overlap_tokens=24).means()
    assert bare["tokens_per_document"] == pytest.approx(len(TokenMap(DOCUMENT.text)), rel=0.02)
    assert repeated["tokens_per_document"] > 1.3 * bare["tokens_per_document"]


def test_a_mean_is_over_the_documents_that_have_the_figure() -> None:
    left, right = Figures(), Figures()
    left.add(Quality(cohesion=0.2, coverage=1.0), [10, 20])
    left.add(Quality(coverage=1.0), [30])
    right.add(Quality(cohesion=0.6, coverage=0.5), [60])
    merged = merge_by_type({"prose": left}, {"prose": right})["prose"]
    means = merged.means()
    assert means["cohesion"] == pytest.approx(0.4)
    assert means["coverage"] == pytest.approx(2.5 / 3)
    assert (means["tokens_per_document"], means["tokens_per_chunk"]) == (40, 30)
    assert merged.largest == 60
