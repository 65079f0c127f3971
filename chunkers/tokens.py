"""The token map: a document is encoded once, and every later question is a lookup.

The one pass of byte-pair encoding is the physical floor of chunking by tokens. From the byte
lengths of the tokens the map knows at which character each token ends. A count between two
characters is then a difference of two positions in that list, except that a cut can change how the
text right beside it is tokenised: there, up to the nearest point where a cut changes nothing
(`chunkers.pretokens`), the few characters are encoded again. So counts are exact, at the price of
a lookup.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chunkers.counting import counter
from chunkers.spans import Span
from chunkers.vocabularies import DEFAULT_ENCODING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SHORT = 32
"""Parts up to this many characters are counted by encoding them."""
_FIRST_HEAD = -64
"""UTF-8 bytes below it, as signed numbers, go on with a character; the others begin one."""
_FEW = 12
"""Up to one in this many bytes, it is faster to look up each that goes on with a character."""
_PIECE = 1 << 20
"""Characters that are encoded at once."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_FEW_PLACES = 24
"""Up to so many positions, bisection one by one is faster than all at once."""


class TokenMap:
    """Where the tokens of a text end, and from that the tokens of any part of it.

    Offsets are code points. Works for every `str`: NUL, `<|endoftext|>`, lone surrogates, one line
    of 50 MB. Memory: 8 bytes a token.
    """

    def __init__(self, text: str, encoding: str = DEFAULT_ENCODING, *, threads: int = 1) -> None:
        """Encodes `text`.

        Args:
            text: any string.
            encoding: a tiktoken encoding.
            threads: how many may encode at once, where the text is long enough for more than one.

        Raises:
            ConfigError: the encoding is not known or not available.
        """
        self.text = text
        self.encoding = encoding
        self._counter = counter(encoding)
        self._safe = self._counter.safe
        self._surrogates = False
        try:
            self._ids, self._view = self._encoded(text, threads)
        except UnicodeEncodeError:
            # One replacement character for each surrogate keeps offsets; counts are taken afresh.
            self._surrogates = True
            self._ids, self._view = self._encoded(_SURROGATE.sub("\ufffd", text), threads)
        self._counts: dict[tuple[str, int, int], int] = {}

    def _encoded(self, text: str, threads: int) -> tuple[array[int], array[int]]:
        """All tokens and their ends, piece by piece: what each needs on the way is given back."""

        import numpy as np

        def encode(
            piece: tuple[int, int],
        ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
            start, end = piece
            part = text if end - start == len(text) else text[start:end]
            data = None if part.isascii() else part.encode()
            ids = self._counter.encode(part)
            ends = self._character_ends(ids, data)
            ends += start
            return ids, ends

        pieces = list(self._pieces(text))
        with _pool(min(threads, len(pieces))) as each:
            encoded = list(each(encode, pieces))
        # Bisection reads single elements, which an array gives out twice as fast as numpy does.
        # Made in one go: arrays that grow by turns leave holes in memory.
        count = sum(len(ids) for ids, _ in encoded)
        tokens, view = array("I", [0]) * count, array("i", [0]) * count
        all_ids, all_ends = np.frombuffer(tokens, np.uint32), np.frombuffer(view, np.int32)
        for ids, ends in reversed(encoded):
            all_ids[count - len(ids) : count] = ids
            all_ends[count - len(ids) : count] = ends
            count -= len(ids)
        return tokens, view

    def _pieces(self, text: str) -> Iterator[tuple[int, int]]:
        """The text in pieces that have the same tokens together as apart."""
        start = 0
        while len(text) - start > _PIECE + _PIECE // 2:
            end = self._safe.first(text, start + _PIECE, len(text))
            if end is None:
                break
            yield start, end
            start = end
        yield start, len(text)

    def _character_ends(
        self, tokens: npt.NDArray[np.uint32], data: bytes | None
    ) -> npt.NDArray[np.int32]:
        """For each token, the code points begun when it ends.

        A token that ends inside a character ends, for us, where that character does: `index` then
        counts the tokens that lie wholly before a position.
        """
        import numpy as np

        ends = np.cumsum(self._counter.vocabulary.lengths[tokens], dtype=np.int32)
        if data is None or not len(ends):
            return ends
        continues = np.frombuffer(data, np.int8) < _FIRST_HEAD
        if np.count_nonzero(continues) * _FEW > len(data):
            begun = np.cumsum(~continues, dtype=np.int32)
            ends -= 1
            return begun[ends]
        places = np.flatnonzero(continues)
        behind = np.bincount(np.searchsorted(ends, places, side="right"), minlength=len(ends))
        ends -= np.cumsum(behind, dtype=np.int32)
        return ends

    def __len__(self) -> int:
        """The tokens of the whole text."""
        return len(self._view)

    def __repr__(self) -> str:
        return f"<TokenMap {len(self)} tokens, {len(self.text)} characters, {self.encoding}>"

    @property
    def ids(self) -> npt.NDArray[np.uint32]:
        """The tokens."""
        import numpy as np

        return np.frombuffer(self._ids, np.uint32)

    @functools.cached_property
    def stems(self) -> npt.NDArray[np.int32]:
        """For each token a number that tokens of the same stem share; -1 for what is no word."""
        return self.stems_of(self.ids)

    def stems_of(self, ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
        """The same for some tokens."""
        return self._counter.stems(ids)

    @functools.cached_property
    def torn(self) -> npt.NDArray[np.float32]:
        """What a cut after so many tokens tears apart (`chunkers.cohesion`): 0 to 1."""
        from chunkers.cohesion import torn

        return torn(self)

    @property
    def ends(self) -> npt.NDArray[np.int32]:
        """For each token the code point at which it ends."""
        import numpy as np

        return np.frombuffer(self._view, np.int32)

    def index(self, position: int) -> int:
        """How many tokens of the whole text end at or before `position`."""
        return bisect_right(self._view, position)

    def indices(self, positions: Sequence[int] | npt.NDArray[np.int32]) -> list[int]:
        """`index` for many positions at once, which are in order."""
        found: list[int] = []
        if len(positions) <= _FEW_PLACES:
            view = self._view
            low = 0
            for position in positions:
                low = bisect_right(view, position, low)
                found.append(low)
            return found
        import numpy as np

        places = np.asarray(positions, np.int32)
        found = np.searchsorted(self.ends, places, side="right").tolist()
        return found

    def estimate(self, start: int, end: int) -> int:
        """About how many tokens `text[start:end]` has: a lookup, off by a token or two a cut."""
        return bisect_right(self._view, end) - bisect_right(self._view, start)

    def position(self, token: int) -> int:
        """The code point at which the first `token` tokens of the text end."""
        if token <= 0:
            return 0
        return self._view[token - 1] if token <= len(self._view) else len(self.text)

    def count(self, start: int, end: int) -> int:
        """Exactly the tokens of `text[start:end]`: `len(encode_ordinary(text[start:end]))`."""
        return self.count_joined("", start, end)

    def _count(self, start: int, end: int) -> int:
        if end - start <= _SHORT or self._surrogates:
            return self._counter.count(self.text[start:end])
        text, safe = self.text, self._safe
        # At a safe point a cut changes no token on either side.
        head_end = start if safe.is_safe(text, start) else safe.first(text, start, end)
        if head_end is None:
            return len(self._counter.encode(text[start:end]))
        head = self._counter.count(text[start:head_end]) if head_end > start else 0
        tail_start = end if safe.is_safe(text, end) else safe.last(text, head_end, end)
        if tail_start is None:
            return head + self._counter.count(text[head_end:end])
        tail = self._counter.count(text[tail_start:end]) if tail_start < end else 0
        middle = bisect_right(self._view, tail_start) - bisect_right(self._view, head_end)
        return head + middle + tail

    def count_joined(self, prefix: str, start: int, end: int) -> int:
        """Exactly the tokens of `prefix + text[start:end]`."""
        key = (prefix, start, end)
        known = self._counts.get(key)
        if known is None:
            if end <= start:
                known = self._counter.count(prefix) if prefix else 0
            elif prefix:
                known = self._count_joined(prefix, start, end)
            else:
                known = self._count(start, end)
            self._counts[key] = known
        return known

    def _count_joined(self, prefix: str, start: int, end: int) -> int:
        joint = prefix[-1] + self.text[start : start + 1]
        if not self._surrogates and len(joint) == 2 and self._safe.is_safe(joint, 1):
            return self._counter.count(prefix) + self._count(start, end)
        head_end = None if self._surrogates else self._safe.first(self.text, start, end)
        if head_end is None:
            return self._counter.count(prefix + self.text[start:end])
        return self._counter.count(prefix + self.text[start:head_end]) + self.count(head_end, end)

    def advance(self, start: int, tokens: int) -> int:
        """The furthest end, at a token's end, with `count(start, end) <= tokens`.

        Inside the first token it looks at each character. Returns `start` when not even one
        character fits.
        """
        length = len(self.text)
        if start >= length or tokens <= 0:
            return start
        first = bisect_right(self._view, start)
        token = first + tokens + _slack(tokens)
        while token > first:
            end = self.position(token)
            surplus = self.count(start, end) - tokens
            if surplus <= 0:
                if end > start:
                    return end
                break
            token = min(token - 1, self.index(self.position(token - surplus)))
        stop = self.position(first + 1)
        for end in range(min(stop, start + 256, length), start, -1):
            if self.count(start, end) <= tokens:
                return end
        return start


def token_maps(
    texts: Sequence[str], encoding: str = DEFAULT_ENCODING, *, threads: int | None = None
) -> list[TokenMap]:
    """The maps of many texts; the encoders work in as many threads as there are cores.

    Raises:
        ConfigError: the encoding is not known or not available.
    """
    threads = threads or os.cpu_count() or 1
    if len(texts) == 1:
        return [TokenMap(texts[0], encoding, threads=threads)]
    counter(encoding)
    with _pool(min(threads, len(texts))) as each:
        return list(each(lambda text: TokenMap(text, encoding), texts))


@contextlib.contextmanager
def _pool(threads: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map` over so many threads; the encoders let go of the interpreter's lock."""
    if threads <= 1:
        yield map
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        yield pool.map


def _slack(tokens: int) -> int:
    """How many tokens more than the map says may fit, because of the cuts."""
    return 4 if tokens > 4 else tokens


def count_with_context(tokens: TokenMap, span: Span) -> int:
    """Exactly the tokens of what is embedded for a span: context, a blank line, text."""
    prefix = f"{span.context}\n\n" if span.context else ""
    return tokens.count_joined(prefix, span.start, span.end)
