"""What holds for every chunker, as a check that anyone can run on their own.

    from chunkers.conformance import check
    check(my_chunker, document)

The checks take a document and look at the spans alone, so they hold for third parties' chunkers as
for ours. A violation raises `AssertionError` with the chunker, the span and the text around it.
"""

from __future__ import annotations

from collections.abc import Sequence

from chunkers import graphemes
from chunkers.base import Chunker
from chunkers.context import CONTEXT_SHARE
from chunkers.counting import count_tokens
from chunkers.spans import Span
from chunkers.tokens import TokenMap, count_with_context
from lineage.records import Document, embedded_text, uncovered


def check(chunker: Chunker, document: Document, tokens: TokenMap | None = None) -> list[Span]:
    """Asserts all invariants on the chunker's spans of `document`, and returns those.

    Exact spans inside the text, in order; none of white space alone; every non-whitespace character
    covered at every level; the cap kept by an independent count, and the context within its share;
    overlap flagged to the character; parents around their children; no grapheme cluster torn apart
    that fits; the same answer when asked again.

    Raises:
        AssertionError: an invariant does not hold.
    """
    tokens = tokens or TokenMap(document.text)
    spans = chunker.spans(document, tokens)
    again = chunker.spans(document, TokenMap(document.text, tokens.encoding))
    assert spans == again, _message(chunker, document, None, "two calls gave different spans")
    check_places(chunker, document, spans)
    check_tree(chunker, document, spans)
    check_cover(chunker, document, spans)
    check_cap(chunker, document, spans, tokens)
    check_clusters(chunker, document, spans, tokens)
    return spans


def check_places(chunker: Chunker, document: Document, spans: Sequence[Span]) -> None:
    """Asserts bounds, order, overlap and parents."""
    text = document.text
    before: dict[tuple[int, str], Span] = {}
    for span in spans:
        inside = 0 <= span.start < span.end <= len(text)
        assert inside, _message(chunker, document, span, "is outside the text or empty")
        solid = bool(text[span.start : span.end].strip())
        assert solid, _message(chunker, document, span, "is white space alone")
        level = (span.level, span.granularity)
        last = before.get(level)
        shared = 0
        if last is not None:
            ordered = last.start < span.start and last.end < span.end
            assert ordered, _message(chunker, document, span, f"does not come after {last}")
            shared = max(last.end - span.start, 0)
        flagged = span.overlap_chars == shared
        assert flagged, _message(chunker, document, span, f"repeats {shared} characters")
        before[level] = span
        if span.parent is not None:
            assert 0 <= span.parent < len(spans), _message(
                chunker, document, span, "has a parent that is not in the list"
            )
            parent = spans[span.parent]
            holds = parent.start <= span.start and span.end <= parent.end
            assert holds and parent.level > span.level, _message(  # noqa: PT018
                chunker, document, span, f"is not inside its parent {parent}"
            )


def check_tree(chunker: Chunker, document: Document, spans: Sequence[Span]) -> None:
    """Asserts that levels below the highest have a parent for every span."""
    highest = max((span.level for span in spans), default=0)
    for span in spans:
        orphan = span.parent is None and span.level < highest
        assert not orphan, _message(chunker, document, span, "has no parent, and others do")


def check_cover(chunker: Chunker, document: Document, spans: Sequence[Span]) -> None:
    """Asserts that no character but white space is outside all spans, at each level."""
    levels: dict[tuple[int, str], list[tuple[int, int]]] = {(0, ""): []}
    for span in spans:
        levels.setdefault((span.level, span.granularity), []).append((span.start, span.end))
    if len(levels) > 1 and not levels[0, ""]:
        del levels[0, ""]
    for level, ranges in levels.items():
        for start, end in uncovered(document.text, ranges):
            lost = _message(chunker, document, Span(start, end), f"is in no span of level {level}")
            raise AssertionError(lost)


def check_cap(
    chunker: Chunker, document: Document, spans: Sequence[Span], tokens: TokenMap
) -> None:
    """Asserts the cap, counted afresh, the map's count, and the share of the context.

    The cap is the chunker's `max_tokens`, and for larger spans around others their own; without
    either only the counts are compared.
    """
    own: int | None = getattr(chunker, "max_tokens", None)
    for span in spans:
        cap = span.max_tokens if span.level else own
        whole = embedded_text(span.context, document.text[span.start : span.end])
        fresh = count_tokens(whole, tokens.encoding)
        mapped = count_with_context(tokens, span)
        assert mapped == fresh, _message(
            chunker, document, span, f"has {fresh} tokens, and the map says {mapped}"
        )
        if cap is None:
            continue
        assert fresh <= cap, _message(
            chunker, document, span, f"has {fresh} tokens, and the cap is {cap}"
        )
        context = count_tokens(span.context, tokens.encoding)
        assert context <= cap // CONTEXT_SHARE, _message(
            chunker, document, span, f"has {context} tokens of context under a cap of {cap}"
        )


def check_clusters(
    chunker: Chunker, document: Document, spans: Sequence[Span], tokens: TokenMap
) -> None:
    """Asserts that no edge is inside a grapheme cluster (CRLF is one) that the chunk could hold.

    A cluster is too large when alone with the chunk's context it is over the cap.
    """
    cap = getattr(chunker, "max_tokens", None) or 512
    text = document.text
    edges = sorted({(edge, span.context) for span in spans for edge in (span.start, span.end)})
    begin = end = fitting = 0
    known: tuple[int, str] | None = None
    for position, context in edges:
        if position >= end:
            begin = graphemes.floor(text, position, end)
            end = graphemes.ceiling(text, position) if begin < position else position
        if not begin < position < end:
            continue
        if known != (begin, context):
            known = (begin, context)
            fitting = count_tokens(embedded_text(context, text[begin:end]), tokens.encoding)
        assert fitting > cap, _message(
            chunker, document, Span(begin, end), f"is one character, torn apart at {position},"
        )


def _message(chunker: Chunker, document: Document, span: Span | None, what: str) -> str:
    if span is None:
        return f"{chunker!r}: {what} for {document.text[:200]!r}"
    around = document.text[max(span.start - 20, 0) : span.end + 20]
    return f"{chunker!r}: [{span.start}:{span.end}] {what}: …{around[:400]!r}…"
