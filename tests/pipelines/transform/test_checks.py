from __future__ import annotations

import pytest

from chunkers.spans import Span
from lineage import Block, Document, Quality
from pipelines.transform.checks import BrokenPromise, check_cap, check_spans
from pipelines.transform.figures import Figures
from pipelines.transform.rows import Pages, chunk_ids

DOCUMENT = Document(text="one two  three", document_id="d")


def test_spans_that_cover_pass() -> None:
    check_spans(DOCUMENT, [Span(0, 7), Span(9, 14)])
    check_spans(Document(text=" \n"), [])


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([Span(0, 7)], r"\[9:14\] are in no chunk.*three"),
        ([], "in no chunk"),
        ([Span(0, 15)], "outside"),
        ([Span(0, 14), Span(3, 3)], "empty"),
        ([Span(0, 14, granularity="large", level=1), Span(0, 7, granularity="small")], "small"),
    ],
)
def test_a_broken_promise_names_the_span(spans: list[Span], message: str) -> None:
    with pytest.raises(BrokenPromise, match=message):
        check_spans(DOCUMENT, spans)


def test_the_cap_is_hard() -> None:
    check_cap([Span(0, 3)], [512], 512)
    with pytest.raises(BrokenPromise, match="513 tokens"):
        check_cap([Span(0, 3)], [513], 512)


def test_equal_chunks_get_distinct_ids_in_order_of_position() -> None:
    document = Document(text="ab ab ab", document_id="d")
    forward = chunk_ids(document, "s", [Span(0, 2), Span(3, 5), Span(6, 8)])
    backward = chunk_ids(document, "s", [Span(6, 8), Span(3, 5), Span(0, 2)])
    assert len(set(forward)) == 3
    assert backward == forward[::-1]


def test_pages_of_a_span() -> None:
    pages = Pages([Block("paragraph", 0, 5, page=1), Block("paragraph", 6, 9, page=2)])
    assert pages.range(0, 5) == (1, 1)
    assert pages.range(3, 8) == (1, 2)
    assert Pages([Block("paragraph", 0, 5)]).range(0, 5) == (None, None)


def test_figures_merge_in_any_order_and_skip_what_does_not_apply() -> None:
    left, right = Figures(), Figures()
    left.add(Quality(coverage=1.0), [10, 20])
    right.add(Quality(coverage=0.5, redundancy=0.2), [30])
    for merged in (left.merge(right), right.merge(left)):
        assert merged.means() == {
            "coverage": 0.75, "redundancy": 0.2, "tokens_per_chunk": 20.0,
            "tokens_per_document": 30.0,
        }  # fmt: skip
        assert (merged.documents, merged.chunks, merged.tokens, merged.largest) == (2, 3, 60, 30)
    assert left.documents == 1
