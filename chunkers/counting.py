"""Counting the tokens of loose strings: encoders of a process, and what they remember."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING

from chunkers.fast import Encode, fast_encoder
from chunkers.pretokens import SafePoints, encode_pieces
from chunkers.vocabularies import DEFAULT_ENCODING, Vocabulary, vocabulary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_REMEMBERED = 256
"""Strings up to this many characters are counted once a process."""
_CACHE_SIZE = 1 << 15
_WORD = 4
"""Letters of a Latin token that is taken for a word."""
_STEM = 6
"""Letters of a word that are its stem."""

FAST_FROM = 4_000_000
"""Characters after which a process loads the faster encoder: loading it takes about a second."""


class Counter:
    """Counts the tokens of loose strings in one encoding, and remembers the short ones."""

    def __init__(self, name: str) -> None:
        self.vocabulary: Vocabulary = vocabulary(name)
        self.safe = SafePoints(self.vocabulary.family)
        self._encode = self.vocabulary.encoding._core_bpe.encode_ordinary
        self._known: dict[str, int] = {}
        self._alone = threading.Lock()
        self._seen = 0
        self._stems: npt.NDArray[np.int32] | None = None
        self._stem_numbers: dict[str, int] = {}

    @functools.cached_property
    def fast(self) -> Encode | None:
        """The faster encoder, when it is installed."""
        return fast_encoder(self.vocabulary)

    def hurry(self) -> None:
        """Load the faster encoder now, where it is installed, and use it from here on."""
        self._seen = FAST_FROM + 1
        self.fast  # noqa: B018 - loading it is the point

    def encode(self, text: str) -> npt.NDArray[np.uint32]:
        """The tokens of `encode_ordinary(text)`. Never raises: lone surrogates count as U+FFFD."""
        self._seen += len(text)
        if self._seen > FAST_FROM and self.fast is not None:
            # It raises when two threads are in it. Lone surrogates it takes for no text.
            with contextlib.suppress(TypeError), self._alone:
                return self.fast(text)
        try:
            return encode_pieces(text, self.vocabulary.encoding, self.vocabulary.family)
        except UnicodeEncodeError:
            clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            return encode_pieces(clean, self.vocabulary.encoding, self.vocabulary.family)

    def forget(self) -> None:
        """Counts all strings afresh from now on."""
        self._known.clear()

    def stems(self, tokens: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
        """For each token a number that tokens of the same stem share; -1 for what is no word.

        A stem is the first letters of a token of letters, case aside. The numbers are this
        process's own.
        """
        import numpy as np

        if self._stems is None:
            self._stems = np.zeros(len(self.vocabulary.lengths), np.int32)
        known = self._stems
        fresh = tokens[known[tokens] == 0]
        if len(fresh):
            numbers = self._stem_numbers
            decode = self.vocabulary.encoding.decode_single_token_bytes
            for token in np.unique(fresh).tolist():
                word = decode(token).decode("utf-8", "ignore").strip()
                if word.isalpha() and (len(word) >= _WORD or not word.isascii()):
                    stem = word[:_STEM].lower()
                    known[token] = numbers.setdefault(stem, len(numbers) + 1)
                else:
                    known[token] = -1
        return known[tokens]

    def count(self, text: str) -> int:
        """How many tokens `text` has."""
        if len(text) > _REMEMBERED:
            return len(self.encode(text))
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= _CACHE_SIZE:
                self._known.clear()
            try:
                # For a few characters, a list of tokens is made faster than an array.
                known = len(self._encode(text))
            except UnicodeEncodeError:
                known = len(self.encode(text))
            self._known[text] = known
        return known


@functools.cache
def counter(encoding: str = DEFAULT_ENCODING) -> Counter:
    """The counter of an encoding, one a process.

    Raises:
        ConfigError: the encoding is not known or not available.
    """
    return Counter(encoding)


def make_ready(encoding: str, characters: int = 0) -> None:
    """Load what it takes to count so many characters in an encoding."""
    ready = counter(encoding)
    if characters > FAST_FROM:
        ready.hurry()


def count_tokens(text: str, encoding: str = DEFAULT_ENCODING) -> int:
    """How many tokens `text` has; special tokens in it are text like any other."""
    return counter(encoding).count(text)
