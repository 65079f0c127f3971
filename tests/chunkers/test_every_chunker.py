"""What all chunkers share besides the promises: overlap, a switch for context, a docstring."""

from __future__ import annotations

import pytest

from chunkers import Span, TokenMap, build, names
from chunkers.blocks import scan
from chunkers.conformance import check
from chunkers.quality import coverage, redundancy
from chunkers.registry import factory
from lineage import Document

SENTENCE = "This sentence is about as long as the last one was. "
PROSE = Document(text=SENTENCE * 60, blocks=scan(SENTENCE * 60, "text"))
GUIDE = "# Guide\n\n" + "".join(f"## Part {i}\n\n{SENTENCE * 20}\n\n" for i in range(3))


@pytest.mark.parametrize("name", names())
def test_overlap_is_on_boundaries_in_tokens_and_flagged(name: str) -> None:
    tokens = TokenMap(PROSE.text)
    spans = check(build(name, {"overlap_tokens": 16}, max_tokens=64), PROSE)
    smallest = [span for span in spans if span.level == 0]
    overlaps = [span for span in smallest if span.overlap_chars]
    assert len(overlaps) >= len(smallest) - 2 > 8
    for span in overlaps:
        assert tokens.count(span.start, span.start + span.overlap_chars) <= 16
        assert PROSE.text.startswith("This sentence", span.start)
    assert coverage(PROSE, smallest) == 1.0
    repeated = sum(span.overlap_chars for span in smallest)
    total = sum(span.end - span.start for span in smallest)
    shares = redundancy(smallest)
    weighted = sum(
        share * (span.end - span.start) for share, span in zip(shares, smallest, strict=True)
    )
    assert weighted == pytest.approx(repeated)
    assert repeated < total / 2


@pytest.mark.parametrize("name", names())
def test_context_is_within_the_cap_and_off_by_a_switch(name: str) -> None:
    document = Document(text=GUIDE, blocks=scan(GUIDE, "markdown"), data_type="markdown")
    check(build(name, {}, max_tokens=64), document)
    bare = check(build(name, {"context": False}, max_tokens=64), document)
    assert {span.context for span in bare} == {""}


def places(spans: list[Span]) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.context) for span in spans]


@pytest.mark.parametrize("name", names())
def test_sizes_that_fit_the_document_go_with_every_chunker(name: str) -> None:
    made = build(name, {"target_tokens": {"base": 40}}, max_tokens=200)
    spans = check(made, PROSE)
    fixed = build(name, {"target_tokens": 40}, max_tokens=200)
    assert places(spans) == places(fixed.spans(PROSE, TokenMap(PROSE.text)))
    assert {span.target_tokens for span in spans if span.level == 0} == {40}


@pytest.mark.parametrize("name", names())
def test_docstrings_say_good_for_costs_and_comes_from(name: str) -> None:
    words = factory(name).__doc__ or ""
    for part in ("Good for:", "Costs:", "Comes from:"):
        assert part in words, part
