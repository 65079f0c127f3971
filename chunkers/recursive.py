"""Chunks by a hierarchy of separators: paragraphs, lines, sentences, words, characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from chunkers.base import BaseChunker, Part
from chunkers.context import ContextFitter
from chunkers.packing import Atoms, pack, text_atoms
from chunkers.tokens import TokenMap
from lineage.records import Document


@dataclass(frozen=True, kw_only=True)
class RecursiveChunker(BaseChunker):
    """Keeps paragraphs whole while they fit, then lines, then sentences, then words.

    Good for: plain text, and anything whose blocks are unknown; it looks at the text alone.
    Costs: one pass of the encoding and little else. Gives no context.
    Comes from: LangChain's RecursiveCharacterTextSplitter, made to work on spans, with its second
    weakness mended too: a chunk is cut at the best boundary in its second half, not at the last.
    """

    name: ClassVar[str] = "recursive"
    version: ClassVar[str] = "2"
    reads_blocks: ClassVar[bool] = False

    def parts(
        self, document: Document, tokens: TokenMap, contexts: ContextFitter
    ) -> Iterator[Part]:
        """Paragraphs packed to the target, divided where they are over the cap."""
        end = len(document.text)
        if tokens.estimate(0, end) <= self.target:
            yield Part(0, end)
            return
        atoms = Atoms()
        text_atoms(tokens, 0, end, self.target, atoms, strength=0, language=document.language)
        yield from packed(tokens, atoms, end, self.room, self.target)


def packed(tokens: TokenMap, atoms: Atoms, end: int, room: int, target: int) -> Iterator[Part]:
    """Parts without context, from atoms up to `end`."""
    starts = atoms.starts
    sizes = tokens.indices([*starts, end])
    firsts = pack(sizes, atoms.strengths, [room] * len(starts), target)
    for first, following in zip(firsts, [*firsts[1:], None], strict=True):
        yield Part(starts[first], end if following is None else starts[following])
