"""Nests the list items of formats that only give each paragraph a list level."""

from __future__ import annotations

from pipelines.ingest.parsers.textbuild import BLANK_LINE, TextBuilder

_DEEPEST = 12


class FlatList:
    """Opens and closes `list` and `list_item` blocks as levels come and go.

    Call `item` for each list paragraph and `end` before anything that is none.
    """

    def __init__(self, build: TextBuilder) -> None:
        self._build = build
        self._open: list[int] = []
        """The source's level of each open list; in each of them an item is open."""

    def item(
        self,
        level: int,
        text: str,
        locator: str | None = None,
        bbox: tuple[float, float, float, float] | None = None,
    ) -> None:
        """Add an item; `level` only counts against the levels of the items before."""
        if not text:
            return
        build = self._build
        while self._open and (self._open[-1] > level or len(self._open) > _DEEPEST):
            self._pop("\n")
        if self._open and self._open[-1] == level:
            build.close("\n")
        else:
            build.open("list", "\n" if self._open else BLANK_LINE, level=len(self._open) + 1)
            self._open.append(level)
        build.open("list_item", "\n", level=len(self._open), locator=locator, bbox=bbox)
        build.write(text)

    def end(self) -> None:
        """Close all that is open."""
        while self._open:
            self._pop(BLANK_LINE if len(self._open) == 1 else "\n")

    def _pop(self, separator: str) -> None:
        self._open.pop()
        self._build.close("\n")
        self._build.close(separator)
