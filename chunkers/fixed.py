"""Chunks of equal size in tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from chunkers import graphemes
from chunkers.base import BaseChunker, Part
from chunkers.boundaries import word_floor
from chunkers.context import ContextFitter
from chunkers.spans import trim
from chunkers.tokens import TokenMap
from lineage.records import Document


@dataclass(frozen=True, kw_only=True)
class FixedChunker(BaseChunker):
    """Cuts every `target_tokens`, at the end of a word, or of a character in a longer word.

    Good for: a baseline to compare with, and text without any structure.
    Costs: one pass of the encoding. Gives no context.
    Comes from: every tokenizer's own splitter; here no character is lost at the cuts.
    """

    name: ClassVar[str] = "fixed"
    version: ClassVar[str] = "1"
    reads_blocks: ClassVar[bool] = False

    def parts(
        self, document: Document, tokens: TokenMap, contexts: ContextFitter
    ) -> Iterator[Part]:
        """One part after the other, each as long as the target allows."""
        text = document.text
        start, end = trim(text, 0, len(text))
        while start < end:
            limit = min(max(tokens.advance(start, self.target), start + 1), end)
            if limit < end:
                cut = graphemes.floor(text, word_floor(text, start, limit), start)
                if cut <= start:
                    cut = graphemes.floor(text, limit, start)
                limit = cut if cut > start else min(graphemes.ceiling(text, limit, start), end)
            yield Part(start, limit)
            start = trim(text, limit, end)[0]
