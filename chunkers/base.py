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
from chunkers.spans import Span, keep_indent, new_span, trim
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


_NEAR = 64
"""Code points within which a character that does not fit by the map may end and fit after all."""


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
    reads_blocks: ClassVar[bool] = True
    """Whether it looks at more than the text, so that the text has to be scanned for it."""

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
            if part.end <= reached:
                continue  # inside the last character of the part before
            begin = reached
            reached = graphemes.floor(text, part.end, begin)
            if reached <= begin:
                reached = graphemes.ceiling(text, part.end, begin)
            start, end = trim(text, begin, reached)
            if start == end:
                continue
            if part.indent:
                start = keep_indent(text, start, spans[-1].end if spans else 0)
            context, _ = contexts.fit(part.headings, part.extras)
            prefix = f"{context}\n\n" if context else ""
            path = part.path
            if self._fits(tokens, start, end, prefix):
                pieces = [(start, end)]
            else:
                pieces = self._pieces(tokens, start, end, prefix)
            for left, right in pieces:
                overlap = 0
                if self.overlap_tokens and spans and spans[-1].heading_path == path:
                    left, overlap = self._overlapping(tokens, spans[-1], left, right, prefix)
                spans.append(new_span(left, right, context, path, overlap))
        return spans

    def _fits(self, tokens: TokenMap, start: int, end: int, prefix: str) -> bool:
        """Whether the range is within the cap, counted exactly, or but one character."""
        # What is over by far is not counted: for each piece again, that would be quadratic.
        return (
            end - start <= 8 * self.max_tokens
            or tokens.estimate(start, end) <= 2 * self.max_tokens + 64
        ) and (tokens.count_joined(prefix, start, end) <= self.max_tokens or end - start == 1)

    def _pieces(self, tokens: TokenMap, start: int, end: int, prefix: str) -> list[tuple[int, int]]:
        """A range over the cap in as few pieces as need be."""
        text = tokens.text
        pieces: list[tuple[int, int]] = []
        while start < end:
            if self._fits(tokens, start, end, prefix):
                pieces.append((start, end))
                break
            cut = self._cut(tokens, start, end, prefix)
            left, right = trim(text, start, cut)
            if left < right:
                pieces.append((left, right))
            start, end = trim(text, cut, end)
        return pieces

    def _cut(self, tokens: TokenMap, start: int, end: int, prefix: str) -> int:
        """The best place to end a chunk that begins at `start` and cannot reach `end`."""
        text = tokens.text
        budget = self.max_tokens - tokens.count_joined(prefix, start, start)
        while True:
            limit = min(tokens.advance(start, max(budget, 1)), end - 1)
            cut = boundaries.last_cut(text, start, max(limit, start + 1))
            left, right = trim(text, start, cut)
            if budget <= 1 or right - left <= 1:
                break
            if tokens.count_joined(prefix, left, right) <= self.max_tokens:
                break
            budget -= 1
        if graphemes.floor(text, cut, start) < cut:
            # Tokens end elsewhere when the character stands alone, and then it may fit after all.
            whole = graphemes.ceiling(text, cut, start, _NEAR)
            fits = tokens.count_joined(prefix, start, whole) <= self.max_tokens
            if fits and whole <= end and graphemes.floor(text, whole, start) == whole:
                return whole
        return cut

    def _overlapping(
        self, tokens: TokenMap, before: Span, start: int, end: int, prefix: str
    ) -> tuple[int, int]:
        """The start moved back over the end of the span before, and by how many characters.

        To the start of a sentence or line when there is one within reach, else of a word.
        """
        text = tokens.text
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
