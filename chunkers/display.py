"""Chunks to look at: `show` colours the boundaries, in a notebook or in a terminal.

>>> show("# Leave\\n\\nTwenty days a year.", "structure", max_tokens=100)  # doctest: +SKIP
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from chunkers.api import TextChunk, chunk

LIMIT = 40
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Node:
    """A chunk with the smaller ones in it."""

    number: int
    """From 1, among those of its size."""
    chunk: TextChunk
    children: tuple[Node, ...] = ()


@dataclass(frozen=True)
class ChunkView:
    """Chunks that show themselves: as HTML in a notebook, as text elsewhere."""

    chunks: Sequence[TextChunk]
    max_tokens: int
    limit: int = LIMIT

    @property
    def smallest(self) -> int:
        """How many chunks of the smallest size there are."""
        return sum(piece.level == 0 for piece in self.chunks)

    def nodes(self) -> tuple[Node, ...]:
        """The first `limit` of the smallest chunks, with the larger ones around them."""
        inside: dict[int | None, list[int]] = {}
        for i, piece in enumerate(self.chunks):
            inside.setdefault(piece.parent, []).append(i)
        numbers: dict[int, int] = {}
        seen: dict[int, int] = {}
        for i, piece in enumerate(self.chunks):
            numbers[i] = seen[piece.level] = seen.get(piece.level, 0) + 1
        shown = 0

        def build(members: list[int]) -> Iterator[Node]:
            nonlocal shown
            for i in members:
                if shown >= self.limit:
                    return
                children = tuple(build(inside.get(i, [])))
                shown += not children
                yield Node(numbers[i], self.chunks[i], children)

        return tuple(build(inside.get(None, [])))

    def summary(self) -> str:
        """How many chunks there are, how large, and of how many the first are shown."""
        sizes = sorted(piece.tokens for piece in self.chunks if piece.level == 0)
        if not sizes:
            return "no chunks: there is nothing but white space"
        many = f"{len(sizes)} chunks" if len(sizes) > 1 else "1 chunk"
        spread = f"{sizes[0]} to {sizes[-1]}" if sizes[0] < sizes[-1] else f"{sizes[0]}"
        larger = len(self.chunks) - len(sizes)
        around = f", in {larger} larger ones" if larger else ""
        cut = f"; the first {self.limit} are shown" if len(sizes) > self.limit else ""
        return f"{many} of {spread} tokens, cap {self.max_tokens}{around}{cut}"

    def html(self) -> str:
        """A fragment of HTML that needs nothing else, light or dark as its surroundings are."""
        from chunkers.display_html import fragment

        return fragment(self)

    def print(self, file: TextIO | None = None, width: int | None = None) -> None:
        """Writes it to a terminal or file; in colour where that is wanted and can be."""
        from chunkers.display_terminal import write

        write(self, file or sys.stdout, width)

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return f"<{self.summary()}>"


def show(
    source: str | Path,
    chunker: str = "optimal",
    *,
    max_tokens: int = 512,
    limit: int = LIMIT,
    width: int | None = None,
    file: TextIO | None = None,
    **parameters: Any,
) -> None:
    """Chunks a text or file like `chunk`, and shows where it was cut.

    In a notebook as HTML; elsewhere printed, in colour on a terminal unless `NO_COLOR` is set.

    Args:
        source: see `chunk`.
        chunker: a name from `chunkers.names()`.
        max_tokens: hard cap on the tokens of a chunk.
        limit: show at most so many chunks of the smallest size.
        width: columns to print in; the terminal's when not given.
        file: where to print; standard output when not given.
        parameters: see `chunk`.

    Raises:
        ConfigError: a name or parameter is refused.
        TerminalError: the file cannot be read.
    """
    pieces = chunk(source, chunker, max_tokens=max_tokens, **parameters)
    view = ChunkView(pieces, max_tokens, limit)
    if file is None and _in_notebook():
        from IPython.display import display

        display(view)  # type: ignore[no-untyped-call]
        return
    view.print(file, width)


def _in_notebook() -> bool:
    """Whether what runs this shows HTML: a Jupyter kernel, not IPython in a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def visible(text: str) -> str:
    """`text` with what a terminal or page would act on, not show, replaced by pictures of it.

    Control characters would move the cursor, and marks of direction reorder what is around.
    """
    return _UNSEEN.sub(_picture, text.replace("\r\n", "\n").replace("\r", "\n"))


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def parts_of(piece: TextChunk) -> tuple[str, str]:
    """The text of a chunk, made visible: what repeats the chunk before, and the rest."""
    return visible(piece.text[: piece.overlap_chars]), visible(piece.text[piece.overlap_chars :])


def label_of(node: Node) -> str:
    """A chunk's number, with the name of its size where there are several."""
    name = node.chunk.granularity
    return f"{name} {node.number}" if name else str(node.number)
