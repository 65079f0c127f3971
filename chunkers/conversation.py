"""Chunks of whole turns and messages: transcripts, chats, mail threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from chunkers import boundaries
from chunkers.layout import Layout
from chunkers.structure import StructureChunker

_SAME_SPEAKER = boundaries.LINE
_TURN = boundaries.BLOCK


class _Turns(Layout):
    """A layout that knows who speaks."""

    __slots__ = ()

    def _after(self, i: int, following: int, last: int, inner: int) -> int:
        blocks = self.index.blocks
        if following < last and blocks[i].kind == blocks[following].kind == "turn":
            same = _speaker(blocks[i].locator) == _speaker(blocks[following].locator)
            return _SAME_SPEAKER if same else _TURN
        return super()._after(i, following, last, inner)


@dataclass(frozen=True, kw_only=True)
class ConversationChunker(StructureChunker):
    """Keeps turns, messages and quoted parts whole; cuts where the speaker changes, if it can.

    A message is a section under its subject, sender and date, which are the context of what
    continues it; quoted parts stay whole while they fit. Turns are packed to the target, and a cut
    between two speakers is better than one inside what one of them says. What continues a long turn
    has its speaker and time as context.

    Good for: transcripts, chats, mail with quoted replies.
    Costs: one pass of the encoding, and a look at each turn.
    Comes from: utterance-wise splitting of meeting transcripts, with speakers as in WebVTT.
    """

    name: ClassVar[str] = "conversation"
    version: ClassVar[str] = "2"
    layout_type: ClassVar[type[Layout]] = _Turns

    def layout_options(self) -> dict[str, Any]:
        """Speaker and time are context."""
        return {"labelled": frozenset({"turn"})}


def _speaker(locator: str | None) -> str:
    """Who speaks, from `Ada @ 00:01:02.000` or `Ada`; empty where there is but a time."""
    name, separator, _ = (locator or "").partition(" @ ")
    return name if separator or not name[:1].isdigit() else ""
