"""Chunks of whole sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from chunkers import boundaries
from chunkers.base import BaseChunker, Part
from chunkers.context import ContextFitter
from chunkers.packing import NO_STEPS, Atoms, text_atoms
from chunkers.recursive import packed
from chunkers.tokens import TokenMap
from lineage.records import Document


@dataclass(frozen=True, kw_only=True)
class SentenceChunker(BaseChunker):
    """Fills chunks with whole sentences, and prefers to stop where a paragraph does.

    Good for: prose in many languages (sentencex has rules for most; Chinese and Japanese are cut
    at their own full stops); `document.language` says which, English rules without.
    Costs: one pass of the encoding, and the segmenter's, about a third of that. Gives no context.
    Comes from: the sentence splitters of LlamaIndex and Haystack, on spans.
    """

    name: ClassVar[str] = "sentence"
    version: ClassVar[str] = "2"
    reads_blocks: ClassVar[bool] = False

    def parts(
        self, document: Document, tokens: TokenMap, contexts: ContextFitter
    ) -> Iterator[Part]:
        """Sentences packed to the target, divided where they are over the cap."""
        text = document.text
        end = len(text)
        if tokens.estimate(0, end) <= self.target:
            yield Part(0, end)
            return
        paragraphs = set(boundaries.paragraph_ends(text, 0, end))
        sentences = boundaries.sentence_starts(text, 0, end, document.language)
        cuts = sorted(paragraphs.union(sentences) - {0, end})
        places = [0, *cuts, end]
        sizes = tokens.indices(places)
        atoms = Atoms()
        for i, place in enumerate(places[:-1]):
            strength = boundaries.BLOCK if place in paragraphs else boundaries.SENTENCE
            if sizes[i + 1] - sizes[i] <= self.target:
                atoms.add(place, strength)
            else:
                text_atoms(
                    tokens, place, places[i + 1], self.target, atoms,
                    strength=strength, steps=NO_STEPS,
                )  # fmt: skip
        yield from packed(tokens, atoms, end, self.room, self.target)
