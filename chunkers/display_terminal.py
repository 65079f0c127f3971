"""Chunks in a terminal: a bar in the chunk's colour beside its text."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from chunkers.display import ChunkView, Node, label_of, parts_of, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")
_NARROWEST = 24
_PLAIN_WIDTH = 100


def write(view: ChunkView, file: TextIO, width: int | None) -> None:
    """Writes a view. Without colour, bars are `|`, repetition is in brackets, context is named."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))
    columns = width if width is not None or file.isatty() else _PLAIN_WIDTH
    console = Console(
        file=file,
        width=columns,
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.width = max(console.width, _NARROWEST)
    plain = plain or console.color_system is None
    _Writer(console, plain).view(view)


class _Writer:
    def __init__(self, console: Console, plain: bool) -> None:
        self.console = console
        self.plain = plain

    def view(self, view: ChunkView) -> None:
        from rich.text import Text

        self.console.print(Text(view.summary(), style="bold"))
        for node in view.nodes():
            self.node(node, [])

    def node(self, node: Node, bars: list[tuple[str, str]]) -> None:
        """A chunk under the bars of those around it."""
        from rich.text import Text

        colour = _COLOURS[(node.number - 1 + 3 * node.chunk.level) % len(_COLOURS)]
        here = [*bars, ("|" if self.plain else "\u258c", colour)]
        piece = node.chunk
        head = Text()
        head.append(label_of(node), style=f"bold {colour}")
        head.append(f"  {piece.tokens} tokens  [{piece.start}:{piece.end}]", style="dim")
        self.lines([head], here)
        if node.children:
            for child in node.children:
                self.node(child, here)
            return
        if piece.context:
            name = "context: " if self.plain else ""
            lines = f"{name}{visible(piece.context)}".split("\n")
            self.lines([Text(line, style="dim italic") for line in lines], here)
        repeated, rest = parts_of(piece)
        body = Text()
        if repeated:
            body.append(f"[{repeated}]" if self.plain else repeated, style="dim underline")
        body.append(rest)
        self.lines(body.split("\n", allow_blank=True), here)
        self.lines([Text()], bars)

    def lines(self, texts: Iterable[Text], bars: list[tuple[str, str]]) -> None:
        """Lines folded to the width, each after its bars."""
        from rich.text import Text

        prefix = Text()
        for bar, colour in bars:
            prefix.append(f"{bar} ", style=colour)
        room = max(self.console.width - 2 * len(bars), 8)
        for text in texts:
            text.expand_tabs(4)
            for line in text.wrap(self.console, room, overflow="fold") or [Text()]:
                whole = prefix + line
                whole.rstrip()
                self.console.print(whole, no_wrap=True, overflow="ignore", crop=False)
