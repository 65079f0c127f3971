"""The promises that every document's chunks are checked against before they are written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from chunkers.spans import Span
from lineage import Document, uncovered


class BrokenPromise(Exception):
    """A document whose chunks would break a promise; it is rejected instead.

    Attributes:
        error_class: the reject's class.
        message: which span, and how.
    """

    def __init__(self, error_class: str, message: str) -> None:
        super().__init__(error_class, message)
        self.error_class = error_class
        self.message = message


def check_spans(document: Document, spans: Sequence[Span]) -> None:
    """Exact spans inside the text, and nothing lost at any level of granularity.

    Raises:
        BrokenPromise: `span_violation`, with the span or the lost stretch of text.
    """
    length = len(document.text)
    levels: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for number, span in enumerate(spans):
        if not 0 <= span.start < span.end <= length:
            raise BrokenPromise(
                "span_violation",
                f"span {number} [{span.start}:{span.end}] is empty or outside the text of "
                f"{length} characters",
            )
        levels[span.granularity, span.level].append((span.start, span.end))
    if not levels:
        levels["", 0] = []
    for (granularity, level), ranges in levels.items():
        for start, end in uncovered(document.text, ranges):
            where = f" at granularity {granularity!r} level {level}" if granularity else ""
            raise BrokenPromise(
                "span_violation",
                f"characters [{start}:{end}] are in no chunk{where}: "
                f"{document.text[start : start + 80]!r}",
            )


def check_cap(spans: Sequence[Span], counts: Sequence[int], max_tokens: int) -> None:
    """The hard cap, context included: the strategy's, and for larger spans around others their own.

    Raises:
        BrokenPromise: `cap_violation`, with the span and its size.
    """
    for number, (span, count) in enumerate(zip(spans, counts, strict=True)):
        cap = cap_of(span, max_tokens)
        if count > cap:
            raise BrokenPromise(
                "cap_violation",
                f"span {number} [{span.start}:{span.end}] has {count} tokens with its context, "
                f"above the cap of {cap}",
            )


def cap_of(span: Span, max_tokens: int) -> int:
    """The cap that a span is held to. Only what is around other spans may have a larger one."""
    if span.max_tokens is None:
        return max_tokens
    return span.max_tokens if span.level else min(span.max_tokens, max_tokens)


def check_parents(spans: Sequence[Span]) -> None:
    """Parents are around their children, and of a higher level.

    Raises:
        BrokenPromise: `span_violation`, with the span and its parent.
    """
    for number, span in enumerate(spans):
        if span.parent is None:
            continue
        parent = spans[span.parent] if 0 <= span.parent < len(spans) else None
        if (
            parent is None
            or parent.level <= span.level
            or not parent.start <= span.start < span.end <= parent.end
        ):
            around = f"[{parent.start}:{parent.end}]" if parent else "which is not there"
            raise BrokenPromise(
                "span_violation",
                f"span {number} [{span.start}:{span.end}] is not inside its parent "
                f"{span.parent}, {around}",
            )
