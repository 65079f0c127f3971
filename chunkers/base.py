"""What every chunker is, and the last steps that all of them share.

A chunker decides where parts begin. `BaseChunker.spans` then makes spans of them: trimmed to what
is not white space, counted exactly with their context, divided again where the exact count is over
the cap, and overlapping where asked. So no chunker can break the cap or lose text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from chunkers import boundaries, graphemes
from chunkers.context import ContextFitter
from chunkers.parameters import SMALLEST_CAP, check_bool, check_int
from chunkers.spans import Span, keep_indent, trim
from chunkers.tokens import TokenMap
from lineage.errors import ConfigError
from lineage.records import Document


@runtime_checkable
class Chunker(Protocol):
    """Turns a document into spans. Third parties implement this and register an entry point."""

    @property
    def name(self) -> str:
        """What policies call it."""

    @property
    def version(self) -> str:
        """Moves whenever the same document may give other spans than before."""

    def spans(self, document: Document, tokens: TokenMap) -> list[Span]:
        """The chunks of `document`, in order; `tokens` is the map of its text."""


class Part(NamedTuple):
    """A stretch of a document that becomes a chunk; parts lie end to end."""

    start: int
    end: int
    headings: tuple[str, ...] = ()
    """For the context: titles around, without those that the part itself shows."""
    extras: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    """For the span's `heading_path`."""
    indent: bool = False
    """Whether the blanks before its first line belong to it."""


@dataclass(frozen=True, kw_only=True)
class BaseChunker(ABC):
    """The parameters of every chunker, and the way from parts to spans.

    Raises:
        ConfigError: on construction, when a parameter has a wrong type or range.
    """

    name: ClassVar[str]
    version: ClassVar[str]

    max_tokens: int = 512
    """Hard cap on tokens, context included."""
    target_tokens: int | None = None
    """Tokens that a chunk should have, context not counted; the cap when not given."""
    overlap_tokens: int = 0
    """At most so many tokens of the chunk before are repeated, from a boundary on."""
    context: bool = True
    """Whether chunks carry headings, table headers and signatures as context."""

    def __post_init__(self) -> None:
        owner = f"chunker {self.name!r}"
        check_int(owner, "max_tokens", self.max_tokens, SMALLEST_CAP)
        check_bool(owner, "context", self.context)
        check_int(owner, "overlap_tokens", self.overlap_tokens, 0)
        if self.target_tokens is not None:
            check_int(owner, "target_tokens", self.target_tokens, 1)
            if self.target_tokens > self.max_tokens:
                raise ConfigError(
                    f"{owner}: target_tokens is {self.target_tokens}, more than max_tokens allows "
                    f"({self.max_tokens}): lower it, or raise max_tokens "
                    f"(for example target_tokens: {self.max_tokens})"
                )
        if self.overlap_tokens > self.max_tokens // 2:
            raise ConfigError(
                f"{owner}: overlap_tokens is {self.overlap_tokens}, more than half of max_tokens "
                f"({self.max_tokens}) (for example overlap_tokens: {self.max_tokens // 8})"
            )

    @abstractmethod
    def parts(
        self, document: Document, tokens: TokenMap, contexts: ContextFitter
    ) -> Iterator[Part]:
        """The parts of the document: in order, end to end, from its start to its end."""

    @property
    def room(self) -> int:
        """Tokens that a part without context may have."""
        return self.max_tokens - self.overlap_tokens

    @property
    def target(self) -> int:
        """Tokens that a part should have."""
        return min(self.target_tokens or self.max_tokens, self.room)

    def spans(self, document: Document, tokens: TokenMap) -> list[Span]:
        """The chunks of `document`, in order; `tokens` is the map of its text."""
        text = document.text
        contexts = ContextFitter(tokens, self.max_tokens, self.context)
        spans: list[Span] = []
        reached = 0
        for part in self.parts(document, tokens, contexts):
            begin = part.start if reached == 0 else min(part.start, reached)
            reached = graphemes.floor(text, part.end, part.start)
            if reached <= begin:
                reached = part.end
            start, end = trim(text, begin, reached)
            if start == end:
                continue
            if part.indent:
                start = keep_indent(text, start, spans[-1].end if spans else 0)
            context, _ = contexts.fit(part.headings, part.extras)
            for left, right in self._fitting(tokens, start, end, context):
                overlap = 0
                if self.overlap_tokens and spans and spans[-1].heading_path == part.path:
                    left, overlap = self._overlapping(tokens, spans[-1], left, right, context)
                spans.append(
                    Span(
                        left,
                        right,
                        context=context,
                        heading_path=part.path,
                        overlap_chars=overlap,
                    )
                )
        return spans

    def _fitting(
        self, tokens: TokenMap, start: int, end: int, context: str
    ) -> Iterator[tuple[int, int]]:
        """The range itself, or when its exact count is over the cap, as few pieces as need be."""
        prefix = f"{context}\n\n" if context else ""
        while True:
            total = tokens.count_joined(prefix, start, end)
            if total <= self.max_tokens or end - start == 1:
                yield start, end
                return
            budget = self.max_tokens - (total - tokens.count(start, end))
            while True:
                limit = min(tokens.advance(start, max(budget, 1)), end - 1)
                cut = boundaries.last_cut(tokens.text, start, max(limit, start + 1))
                left, right = trim(tokens.text, start, cut)
                if right - left <= 1 or budget <= 1:
                    break
                if tokens.count_joined(prefix, left, right) <= self.max_tokens:
                    break
                budget -= 1
            if left < right:
                yield left, right
            start, end = trim(tokens.text, cut, end)
            if start == end:
                return

    def _overlapping(
        self, tokens: TokenMap, before: Span, start: int, end: int, context: str
    ) -> tuple[int, int]:
        """The start moved back over the end of the span before, and by how many characters.

        To the start of a sentence or line when there is one within reach, else of a word.
        """
        text = tokens.text
        prefix = f"{context}\n\n" if context else ""
        low = max(
            tokens.position(tokens.index(start) - self.overlap_tokens),
            before.start + before.overlap_chars + 1,
        )
        for pattern in (boundaries.SENTENCES, boundaries.LINES, boundaries.WORDS):
            for match in pattern.finditer(text, low, before.end):
                place = match.end()
                if place >= before.end or text[place].isspace():
                    continue
                if graphemes.floor(text, place, low) != place:
                    continue
                if tokens.count(place, before.end) > self.overlap_tokens:
                    continue
                if tokens.count_joined(prefix, place, end) <= self.max_tokens:
                    return place, before.end - place
        return start, 0
