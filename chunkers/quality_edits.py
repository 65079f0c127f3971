"""How much of a chunking an edit leaves alone: what has to be embedded again, in a word."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from chunkers.boundaries import SENTENCES
from chunkers.spans import Span
from chunkers.tokens import TokenMap
from lineage.records import Block, Document

_ADDED = "This sentence was added later. "


class _Cuts(Protocol):
    def spans(self, document: Document, tokens: TokenMap) -> list[Span]:
        """See `chunkers.base.Chunker`."""


def edit_stability(
    document: Document, chunker: _Cuts, encoding: str, *, edits: int = 2, seed: int = 20
) -> float | None:
    """The share of a document's chunks that keep their text and context when it is edited.

    From 0 to 1, higher is better: chunks that stay the same keep their ids and their vectors. An
    edit adds a short sentence at a place drawn by `seed`, among the sentences of paragraphs and
    list items; the chunk that holds it is not counted. The figure is the mean over `edits` places.
    Null for a document of fewer than three chunks, and for one without such a place.

    Args:
        document: with its text and blocks.
        chunker: what cuts it; called once more for each edit.
        encoding: of the token map.
        edits: how many edits to try, each on the document as it is.
        seed: decides about the places.
    """
    before = _said(document, chunker.spans(document, TokenMap(document.text, encoding)))
    places = list(_places(document))
    if len(before) < 3 or not places:
        return None
    kept = []
    for place in random.Random(seed).sample(places, min(edits, len(places))):
        edited = with_sentence(document, place)
        after = _said(edited, chunker.spans(edited, TokenMap(edited.text, encoding)))
        same = (Counter(before) & Counter(after)).total()
        kept.append(min(same / (len(before) - 1), 1.0))
    return sum(kept) / len(kept)


def with_sentence(document: Document, place: int) -> Document:
    """The document with a sentence more at `place`, and its blocks moved along."""
    size = len(_ADDED)

    def moved(block: Block) -> Block:
        start = block.start + size if block.start > place else block.start
        return replace(block, start=start, end=block.end + size if block.end > place else block.end)

    return replace(
        document,
        text=document.text[:place] + _ADDED + document.text[place:],
        blocks=[moved(block) for block in document.blocks],
    )


def _said(document: Document, spans: Sequence[Span]) -> list[tuple[str, str]]:
    """What the smallest chunks would be embedded as."""
    return [
        (span.context, document.text[span.start : span.end]) for span in spans if span.level == 0
    ]


def _places(document: Document) -> Iterator[int]:
    """Starts of the sentences after the first, in blocks of running text."""
    blocks = document.blocks or [Block("paragraph", 0, len(document.text))]
    for block in blocks:
        if block.kind in ("paragraph", "list_item", "quote", "message", "turn"):
            for match in SENTENCES.finditer(document.text, block.start, block.end):
                if match.end() < block.end:
                    yield match.end()
