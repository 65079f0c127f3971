"""Where a text can be cut without changing the tokens on either side.

An encoding first splits the text by a pattern into pretokens and then merges bytes inside each of
them, so tokens depend on no text beyond their pretoken. A *safe point* is a position that is a
boundary of pretokens whatever stands around it, and before which the pattern does not look ahead.
At two safe points a token count is a difference of two lookups; only the pretokens between a cut
and its nearest safe point have to be encoded again.

Read off the patterns in `chunkers.vocabularies`:

- after a letter or digit and before a blank, a control character or punctuation other than the
  apostrophe (contractions). Letters and digits end every alternative that takes them, no
  alternative goes on from one into such a character, and only the alternatives for white space
  look ahead. Combining marks are left out: `o200k_base` takes them for letters.
- after a line break and before a character that is neither white space nor a slash (which
  `o200k_base` lets follow punctuation and line breaks).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from chunkers.vocabularies import Family

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tiktoken

_AFTER_WORD = (
    r"\x00-&(-/:-@\[-`{-\x7f"  # ASCII without letters, digits and the apostrophe
    "\u00ab\u00b7\u00bb\u060c\u061f\u0964\u2013\u2014\u2018\u2019\u201c\u201d\u2026"
    "\u3000-\u3003\u3008-\u3011\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"
)
_WORD_END = rf"[^\W_](?=[{_AFTER_WORD}])"
_LINE_START = r"[\r\n](?=[^\s/])"

_SAFE: dict[Family, str] = {
    "cl100k": f"{_WORD_END}|{_LINE_START}",
    "o200k": f"{_WORD_END}|{_LINE_START}",
}

RUN_LIMIT = 1 << 17
"""White space longer than this, in characters, is taken out of tiktoken's hands: its pattern engine
keeps a stack entry per character of such a run and overflows somewhere below a million."""

_RUNS: dict[Family, str] = {
    "cl100k": r"[\t\x0b\x0c \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+",
    "o200k": r"[\t\x0b\x0c \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+",
}


class SafePoints:
    """Finds the safe points of one family of encodings."""

    def __init__(self, family: Family) -> None:
        safe = _SAFE[family]
        self._first = re.compile(safe)
        self._last = re.compile(rf"(?s:.*)(?:{safe})")

    def first(self, text: str, start: int, end: int) -> int | None:
        """The first safe point in `(start, end)`, given only the characters in between."""
        match = self._first.search(text, start, end)
        return match.end() if match else None

    def last(self, text: str, start: int, end: int) -> int | None:
        """The last safe point in `(start, end)`; searched backwards in growing windows."""
        reach = 48
        while True:
            low = max(start, end - reach)
            match = self._last.match(text, low, end)
            if match:
                return match.end()
            if low == start:
                return None
            reach *= 8

    def is_safe(self, text: str, position: int) -> bool:
        """Whether `position` is a safe point of the whole text, or one of its ends."""
        if position == 0 or position == len(text):
            return True
        return self._first.match(text, position - 1, position + 1) is not None


def encode_pieces(text: str, encoding: tiktoken.Encoding, family: Family) -> npt.NDArray[np.uint32]:
    """The tokens of `encode_ordinary(text)`, for any text that can be encoded as UTF-8.

    Runs of white space beyond `RUN_LIMIT` are pretokens of their own, but for the last character
    when a non-space follows, and are merged by themselves; the rest goes to tiktoken.
    """
    import numpy as np

    if len(text) <= RUN_LIMIT:
        return encoding.encode_to_numpy(text, disallowed_special=())
    parts: list[npt.NDArray[np.uint32]] = []
    position = 0
    for start, end in _long_runs(text, family):
        if start > position:
            parts.append(encoding.encode_to_numpy(text[position:start], disallowed_special=()))
        piece = encoding._core_bpe.encode_single_piece(text[start:end].encode())
        parts.append(np.array(piece, np.uint32))
        position = end
    if position < len(text):
        parts.append(encoding.encode_to_numpy(text[position:], disallowed_special=()))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _long_runs(text: str, family: Family) -> Iterator[tuple[int, int]]:
    """The pretokens that long runs of white space make, as ranges of characters.

    A run longer than `RUN_LIMIT` covers a whole stride of half that length, so that looking at one
    character a stride finds it.
    """
    stride = RUN_LIMIT // 2
    run = re.compile(_RUNS[family])
    probe = stride
    done = 0
    while probe < len(text):
        if not run.match(text, probe, probe + 1):
            probe += stride
            continue
        start = probe
        while start > done and run.match(text, start - 1, start):
            start -= 1
        match = run.match(text, probe)
        end = match.end() if match else probe + 1
        at_end = end == len(text)
        if at_end and family != "o200k":
            return  # "\s++$" takes the whole run, and needs no stack
        # Before a line break it is no pretoken of its own but part of the line break's.
        if end - start > RUN_LIMIT and (at_end or text[end] not in "\r\n"):
            yield start, end if at_end else end - 1
        done = end
        probe = max(end, probe + stride)
