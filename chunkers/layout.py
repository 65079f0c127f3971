"""Atoms from blocks: what fits stays whole, what does not is divided along its own structure.

A table is divided between rows, and what follows its first row carries the header row as context;
a list between items; a definition of source code between the definitions in it, which carry its
signature; a leaf along its text (`chunkers.packing.text_atoms`).
"""

from __future__ import annotations

from dataclasses import dataclass

from chunkers import boundaries
from chunkers.context import ContextFitter
from chunkers.outline import BlockIndex
from chunkers.packing import (
    LINE_STEP,
    LINE_STEPS,
    PARAGRAPH_STEP,
    PROSE_STEPS,
    TEXT_STEPS,
    Atoms,
    Lines,
    text_atoms,
)
from chunkers.running import running_atoms
from chunkers.signatures import signature
from chunkers.tokens import TokenMap

_DEEPEST = 48
CRUMB = 24
"""An opening of fewer tokens than this is glued to what it opens."""
_GLUED = frozenset({"heading", "caption"})
_ANNOUNCED = 40
"""What is added to the strength of the boundary after a colon."""
_LEADS = frozenset({"list", "table", "code", "formula", "quote", "figure"})
_RUNNING = frozenset({"paragraph", "quote", "turn", "message", "comment", "definition"})
_LINEWISE = frozenset({"table", "table_row", "record", "front_matter", "list_item"})
_CODE_STEPS = (PARAGRAPH_STEP, LINE_STEP)


@dataclass(slots=True)
class Layout:
    """Makes the atoms of one document."""

    index: BlockIndex
    tokens: TokenMap
    contexts: ContextFitter
    headings: Lines
    """The headings around, for the size of the context."""
    cap: int
    """Tokens of text and context together."""
    language: str | None
    table_room: int | None = None
    """Tokens up to which a table stays whole, when that is not the cap."""
    fine: int | None = None
    """Running text over so many tokens is cut into sentences and lines, even when it fits."""
    labelled: frozenset[str] = frozenset()
    """Kinds of blocks whose locator is context for what continues them."""

    def room(self, extras: Lines) -> int:
        """Tokens left for text beside the context."""
        return self.cap - self.contexts.fit(self.headings, extras)[1]

    def flow(
        self,
        atoms: Atoms,
        first: int,
        last: int,
        start: int,
        end: int,
        *,
        strength: int = 0,
        extras: Lines = (),
        path: Lines = (),
        depth: int = 0,
        first_extras: Lines | None = None,
    ) -> None:
        """Appends the atoms of sibling blocks `first` to `last`, which share `text[start:end]`.

        Each sibling reaches to the start of the next one, so nothing lies between atoms. What
        comes before the first sibling is an atom of its own.
        """
        index, tokens = self.index, self.tokens
        opening = extras if first_extras is None else first_extras
        room = self.room(extras)
        place = start
        inner = boundaries.BLOCK + min(2 * depth, 18)
        glued = False
        if first < last and index.starts[first] > start:
            head_end = index.starts[first]
            if tokens.text[start:head_end].strip():
                text_atoms(
                    tokens, start, head_end, self.room(opening), atoms,
                    strength=strength, language=self.language, extras=extras, path=path,
                    first_extras=opening,
                )  # fmt: skip
                glued = tokens.estimate(start, head_end) < CRUMB
                strength = boundaries.GLUE if glued else inner
                opening = extras
                place = head_end
        blocks, starts, sizes, siblings = index.blocks, index.starts, index.sizes, index.following
        table_room = room if self.table_room is None else min(room, self.table_room)
        fine_room = room if self.fine is None else min(room, self.fine)
        i = first
        while i < last:
            kind = blocks[i].kind
            following = siblings[i]
            if following < last:
                stop = starts[following]
                size = sizes[following] - sizes[i]
            else:
                following, stop = last, end
                size = tokens.estimate(place, stop)
            if stop > place:
                limit = room
                if kind == "table":
                    limit = table_room
                elif kind in _RUNNING and following == i + 1:
                    limit = fine_room
                if size <= limit:
                    atoms.add(place, strength, opening, path)
                else:
                    self._divide(
                        atoms, i, following, place, stop, strength, opening, extras, path, depth
                    )
                strength = self._after(i, following, last, inner)
                opening = extras
                place = stop
            i = following
        if place < end and place == start:
            text_atoms(
                tokens, start, end, room, atoms,
                strength=strength, language=self.language, extras=extras, path=path,
                first_extras=opening,
            )  # fmt: skip

    def _after(self, i: int, following: int, last: int, inner: int) -> int:
        """The strength of the boundary between a block and its next sibling."""
        blocks = self.index.blocks
        if blocks[i].kind in _GLUED:
            return boundaries.GLUE
        if following < last and blocks[following].kind in _LEADS:
            end = self.index.ends[i]
            if self.index.text[max(end - 3, 0) : end].rstrip().endswith((":", "\uff1a")):
                return inner + _ANNOUNCED
        return inner

    def _divide(
        self,
        atoms: Atoms,
        i: int,
        following: int,
        start: int,
        end: int,
        strength: int,
        opening: Lines,
        extras: Lines,
        path: Lines,
        depth: int,
    ) -> None:
        """Appends the atoms of a block that does not fit."""
        index = self.index
        block = index.blocks[i]
        child = i + 1
        inside, name = extras, path
        if block.kind == "table":
            lines = (self._caption(i, following), self._header(i, following))
            inside = (*extras, *(line for line in lines if line))
        elif block.kind == "code" and block.level is not None and block.locator:
            first = index.starts[child] if child < following else end
            inside = (*extras, signature(index.text, start, min(end, max(first, start + 1))))
            name = (*path, block.locator.rsplit(".", 1)[-1])
        elif block.kind in self.labelled and (block.locator or "$") != "$":
            assert block.locator is not None
            # A nested record's path begins with that of the one around it, and replaces it.
            outer = extras[:-1] if extras and block.locator.startswith(extras[-1]) else extras
            inside = (*outer, block.locator)
        if child < following and depth < _DEEPEST:
            self.flow(
                atoms, child, following, start, end,
                strength=strength, extras=inside, path=name, depth=depth + 1,
                first_extras=opening,
            )  # fmt: skip
        elif self.fine is not None and block.kind in _RUNNING:
            running_atoms(
                self.tokens, start, end, self.room(inside), atoms,
                strength=strength, language=self.language, extras=inside, path=name,
                first_extras=opening,
            )  # fmt: skip
        else:
            self.leaf(atoms, i, start, end, strength, opening, inside, name, depth)

    def leaf(
        self,
        atoms: Atoms,
        i: int,
        start: int,
        end: int,
        strength: int,
        opening: Lines,
        inside: Lines,
        path: Lines,
        depth: int,
    ) -> None:
        """Appends the atoms of a block that does not fit and has no blocks in it."""
        kind = self.index.blocks[i].kind
        text_atoms(
            self.tokens, start, end, self.room(inside), atoms,
            strength=strength, language=self.language, extras=inside, path=path,
            first_extras=opening,
            steps=_steps(kind),
        )  # fmt: skip

    def _caption(self, i: int, following: int) -> str:
        """The caption of a table, in it or right before it, on one line; empty without one."""
        blocks = self.index.blocks
        near = [i + 1] if i + 1 < following else []
        if i and self.index.following[i - 1] == i:
            near.append(i - 1)
        for j in near:
            if blocks[j].kind == "caption":
                return " ".join(self.index.text[blocks[j].start : blocks[j].end].split())
        return ""

    def _header(self, i: int, following: int) -> str:
        """The header row of a table, with the rule below it that Markdown needs; else empty."""
        index = self.index
        row = i + 1
        while row < following and index.blocks[row].kind != "table_row":
            row += 1
        if row >= following or index.following[row] >= following:
            return ""
        if index.blocks[row].locator not in ("header", None):
            return ""
        text = index.text
        begin = index.starts[row]
        end = index.starts[index.following[row]]
        if end - begin > 4000:
            return ""
        return text[begin:end].strip()


def _steps(kind: str) -> tuple[int, ...]:
    """At what a leaf of this kind is divided."""
    if kind in _RUNNING:
        return PROSE_STEPS
    if kind == "code":
        return _CODE_STEPS
    return LINE_STEPS if kind in _LINEWISE else TEXT_STEPS
