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
    """The hard cap, context included.

    Raises:
        BrokenPromise: `cap_violation`, with the span and its size.
    """
    for number, (span, count) in enumerate(zip(spans, counts, strict=True)):
        if count > max_tokens:
            raise BrokenPromise(
                "cap_violation",
                f"span {number} [{span.start}:{span.end}] has {count} tokens with its context, "
                f"above the cap of {max_tokens}",
            )
