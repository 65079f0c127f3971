"""Chunks of whole definitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from chunkers.base import Part
from chunkers.context import ContextFitter
from chunkers.outline import BlockIndex, Section
from chunkers.structure import Region, StructureChunker
from chunkers.tokens import TokenMap
from lineage.records import Document


@dataclass(frozen=True, kw_only=True)
class CodeChunker(StructureChunker):
    """Keeps functions, methods and classes whole while they fit.

    A larger one is cut between the definitions in it, then at blank lines, then at lines; what
    follows its first piece has the signatures of the definitions around as context, and their names
    as heading path. Indentation of a chunk's first line belongs to the chunk.

    Good for: source code whose definitions the scanner found (nested `code` blocks).
    Costs: one pass of the encoding, and a look at each definition; the parse came before.
    Comes from: the syntax-tree splitters of LlamaIndex and Chonkie, and cAST (Zhang et al., 2025).
    """

    name: ClassVar[str] = "code"
    version: ClassVar[str] = "2"
    indented: ClassVar[bool] = True

    def parts(
        self, document: Document, tokens: TokenMap, contexts: ContextFitter
    ) -> Iterator[Part]:
        """Definitions packed to the target; source code has no sections."""
        index = BlockIndex(document.text, document.blocks, tokens)
        end = len(document.text)
        root = Section(0, end, 0, len(index), 0)
        if tokens.estimate(0, end) <= self.target:
            yield Part(0, end, indent=True)
            return
        yield from self.divided(
            document, index, tokens, contexts, Region(root, 0, len(index), 0, end, (), len(tokens))
        )
