"""Every figure gets worse when the chunking is damaged in the way that it measures."""

from __future__ import annotations

import pytest

from chunkers import Span, TokenMap, build, count_with_context
from chunkers.blocks import scan
from chunkers.quality import measure
from lineage import Document, Quality

PARAGRAPH = "The first sentence says one thing. The second one says another, at some length. "
TEXT = "# Guide\n\n" + "".join(
    f"## Part {i}\n\n{PARAGRAPH * 3}\n\n- item one\n- item two\n\n{PARAGRAPH * 2}\n\n"
    for i in range(12)
)
CAP = 160


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(text=TEXT, blocks=scan(TEXT, "markdown"))


@pytest.fixture(scope="module")
def tokens() -> TokenMap:
    return TokenMap(TEXT)


@pytest.fixture(scope="module")
def good(document: Document, tokens: TokenMap) -> list[Span]:
    return build("structure", {}, max_tokens=CAP).spans(document, tokens)


def score(document: Document, tokens: TokenMap, spans: list[Span], cap: int = CAP) -> Quality:
    counts = [count_with_context(tokens, span) for span in spans]
    total, each = measure(document, spans, counts, cap, cap)
    assert len(each) == len(spans)
    for quality in (total, *each):
        for name in quality.__dataclass_fields__:
            value = getattr(quality, name)
            assert value is None or 0 <= value <= 1, (name, value)
    return total


def moved(spans: list[Span], by: int) -> list[Span]:
    """The same chunking with every inner boundary moved."""
    inner = [span.start + by for span in spans[1:]]
    return [
        Span(start, end)
        for start, end in zip([spans[0].start, *inner], [*inner, spans[-1].end], strict=True)
    ]


def test_a_good_chunking_scores_high(
    document: Document, tokens: TokenMap, good: list[Span]
) -> None:
    quality = score(document, tokens, good)
    assert quality.coverage == 1
    assert quality.block_integrity == 1
    assert quality.boundary_cleanliness is not None
    assert quality.boundary_cleanliness > 0.95
    assert quality.size_compliance is not None
    assert quality.size_compliance > 0.9


def test_coverage_falls_with_a_lost_chunk_and_one_lost_word(
    document: Document, tokens: TokenMap, good: list[Span]
) -> None:
    without = score(document, tokens, [*good[:3], *good[4:]])
    word = [*good[:3], Span(good[3].start + 4, good[3].end), *good[4:]]
    lost_word = score(document, tokens, word)
    assert without.coverage is not None
    assert lost_word.coverage is not None
    assert without.coverage < lost_word.coverage < 1


def test_coverage_is_that_of_the_level_that_covers_least(
    document: Document, tokens: TokenMap, good: list[Span]
) -> None:
    parents = [Span(0, len(TEXT) // 2, level=1, granularity="large")]
    quality = score(document, tokens, [*good, *parents])
    assert quality.coverage == pytest.approx(0.5, abs=0.02)


def test_size_compliance_falls_with_crumbs_and_above_the_cap(
    document: Document, tokens: TokenMap, good: list[Span]
) -> None:
    best = score(document, tokens, good).size_compliance
    crumbs = build("recursive", {"target_tokens": 20}, max_tokens=CAP).spans(document, tokens)
    small = score(document, tokens, crumbs).size_compliance
    over = score(document, tokens, [Span(0, len(TEXT) // 2), Span(len(TEXT) // 2, len(TEXT))])
    assert best is not None
    assert small is not None
    assert small < best / 1.5
    assert over.size_compliance == 0


def test_an_only_chunk_is_not_to_blame_for_its_size() -> None:
    document = Document(text="Short.", blocks=scan("Short.", "markdown"))
    quality = score(document, TokenMap("Short."), [Span(0, 6)])
    assert quality.size_compliance == 1


def test_boundary_cleanliness_falls_with_the_place_of_the_cut(
    document: Document, tokens: TokenMap, good: list[Span]
) -> None:
    def cleanliness(spans: list[Span]) -> float:
        value = score(document, tokens, spans).boundary_cleanliness
        assert value is not None
        return value

    paragraphs = [b for b in document.blocks if b.kind == "paragraph"]
    sentence = paragraphs[3].start + PARAGRAPH.index("The second")
    word = paragraphs[3].start + PARAGRAPH.index("sentence")
    letter = word + 3
    line = paragraphs[3].start
    scores = [
        cleanliness([Span(0, cut), Span(cut, len(TEXT))]) for cut in (line, sentence, word, letter)
    ]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4
    assert cleanliness(moved(good, 5)) < cleanliness(good)


def test_block_integrity_falls_with_torn_blocks_and_stranded_headings(
    document: Document, tokens: TokenMap, good: list[Span]
) -> None:
    best = score(document, tokens, good).block_integrity
    torn = score(document, tokens, moved(good, 40)).block_integrity
    headings = [b for b in document.blocks if b.kind == "heading"][2:]
    cuts = [heading.end for heading in headings]
    stranded = [Span(a, b) for a, b in zip([0, *cuts], [*cuts, len(TEXT)], strict=True)]
    apart = score(document, tokens, stranded).block_integrity
    assert best is not None
    assert torn is not None
    assert apart is not None
    assert torn < best
    assert apart < best


BODIES = {
    "table": "| a | b |\n|---|---|\n| one | two |\n| three | four |\n| five | six |\n",
    "code": "```python\nfirst = 1\n\nsecond = 2\n\nthird = 3\n```\n",
    "list": "- the first item\n- the second item\n- the third item\n- the fourth item\n",
    "paragraph": "One sentence of the paragraph. Another one follows it. And a third.\n",
}


@pytest.mark.parametrize("kind", BODIES)
def test_block_integrity_falls_with_a_cut_inside_each_kind(kind: str) -> None:
    body = BODIES[kind]
    text = f"# Title\n\nBefore it.\n\n{body}\nAfter it.\n"
    document = Document(text=text, blocks=scan(text, "markdown"))
    assert kind in {block.kind for block in document.blocks}
    start = text.index(body)
    lines = [start + place + 1 for place, c in enumerate(body) if c == "\n"]
    inside = lines[len(lines) // 2 - 1] if len(lines) > 1 else start + body.index("Another")

    def integrity(cut: int) -> float:
        spans = [Span(0, cut), Span(cut, len(text))]
        value = score(document, TokenMap(text), spans).block_integrity
        assert value is not None
        return value

    assert integrity(start) == integrity(start + len(body)) == 1
    assert integrity(inside) < 1


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_a_heading_is_stranded_whatever_white_space_goes_with_it(gap: int) -> None:
    text = "Before it.\n\n# Title\n\nWhat it heads.\n"
    document = Document(text=text, blocks=scan(text, "markdown"))
    cut = text.index("Title") + len("Title") + gap
    spans = [Span(0, cut), Span(cut, len(text))]
    assert score(document, TokenMap(text), spans).block_integrity == pytest.approx(2 / 3)


def test_redundancy_rises_with_overlap_and_context(
    document: Document, tokens: TokenMap, good: list[Span]
) -> None:
    bare = build("structure", {"context": False}, max_tokens=CAP).spans(document, tokens)
    doubled = [Span(span.start, min(span.end + 100, len(TEXT))) for span in bare]
    none = score(document, tokens, bare).redundancy
    context = score(document, tokens, good).redundancy
    twice = score(document, tokens, doubled).redundancy
    assert none == 0
    assert context is not None
    assert twice is not None
    assert 0 < context < 0.2
    assert twice > 0.1


def test_a_document_without_chunks_or_blocks() -> None:
    assert measure(Document(text=""), [], [], CAP, CAP) == (Quality(coverage=1.0), [])
    assert measure(Document(text="lost"), [], [], CAP, CAP) == (Quality(coverage=0.0), [])
    total, _ = measure(Document(text="kept"), [Span(0, 4)], [1], CAP, CAP)
    assert total.block_integrity is None
    assert total.coverage == 1
