"""The words of a text as numbers, and how alike neighbouring windows of words are.

Everything is done on whole arrays, so that a document costs a few passes over its characters and
one sort of its words. A word is a run of letters and digits, case aside; a Chinese or Japanese
character is a word by itself, and nothing outside the basic plane is one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Hashes = npt.NDArray[np.uint64]
    Floats = npt.NDArray[np.float64]
    Folded = npt.NDArray[np.uint16]
    Lone = npt.NDArray[np.bool_]

WINDOW_WORDS = 32
"""Words of a window, about: a long sentence or two."""
_LEAST_WORDS = 8
"""Below so many words a window says nothing about what its text is on."""
_SLICE = 1 << 15
"""Characters looked at in one go."""
_WINDOW_BITS = 20
_LOADED = 4
"""Characters that are hashed in one go, of 16 bits each."""
_ALONE = ((0x2E80, 0x9FFF), (0xF900, 0xFAFF))
"""Chinese and Japanese characters, by first and last: each is a word by itself."""
_MIX = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text in order: where each begins and ends, and a hash of it."""

    starts: Ints
    ends: Ints
    hashes: Hashes


def words_of(text: str) -> Words:
    """The words of `text`, hashed to 64 bits: equal words, equal hashes, whatever the text.

    Offsets are code points.
    """
    import numpy as np

    parts = [_words_of_slice(text[start:end], start) for start, end in _slices(text)]
    if len(parts) == 1:
        return Words(*parts[0])
    if not parts:
        empty = np.zeros(0, np.int64)
        return Words(empty, empty, np.zeros(0, np.uint64))
    return Words(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _slices(text: str) -> Iterator[tuple[int, int]]:
    """Stretches of the text, each small enough for a processor's cache, cut at spaces."""
    start = 0
    while start < len(text):
        end = min(start + _SLICE, len(text))
        if end < len(text):
            space = text.rfind(" ", start, end)
            end = space if space > start else end
        yield start, end
        start = end


def _words_of_slice(text: str, offset: int) -> tuple[Ints, Ints, Hashes]:
    folded, lone = _folded(text)
    inside = folded[: len(text) + 2] != 0
    change = (inside[1:] != inside[:-1]).nonzero()[0]
    left, right = change[::2], change[1::2]
    if lone is not None:
        left, right = _divided(left, right, lone & inside[1:-1])
    return left + offset, right + offset, _hashes(folded[1:], left, right - left)


def _folded(text: str) -> tuple[Folded, Lone | None]:
    """Each character in lower case, 0 for what is in no word; and which are words by themselves.

    With a 0 more at the start and as many at the end as are loaded at once.
    """
    import numpy as np

    folded = np.zeros(1 + len(text) + _LOADED, np.uint16)
    if text.isascii():
        folded[1 : 1 + len(text)] = np.frombuffer(text.encode().translate(_ascii_table()), np.uint8)
        return folded, None
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    # Clipped, because what is outside the basic plane is in no word, as its last character.
    _folding().take(codes, out=folded[1 : 1 + len(text)], mode="clip")
    if codes.max() < _ALONE[0][0]:
        return folded, None
    lone = np.zeros(len(text), bool)
    for first, last in _ALONE:
        lone |= (codes >= first) & (codes <= last)
    return folded, lone


def _hashes(folded: Folded, left: Ints, lengths: Ints) -> Hashes:
    """A hash of each word, by as many characters in turn as fit into 64 bits."""
    import numpy as np

    loaded: Hashes = np.ndarray((len(folded) - _LOADED + 1,), np.uint64, folded, strides=(2,))
    masks = _masks()
    mix, low = np.uint64(_MIX), np.uint64(32)
    hashes = loaded[left] & masks[np.minimum(lengths, _LOADED)]
    hashes *= mix
    hashes ^= hashes >> low
    longer = (lengths > _LOADED).nonzero()[0]
    position, rest = left[longer], lengths[longer]
    while len(longer):
        position, rest = position + _LOADED, rest - _LOADED
        found = hashes[longer] ^ (loaded[position] & masks[np.minimum(rest, _LOADED)])
        found *= mix
        found ^= found >> low
        hashes[longer] = found
        more = (rest > _LOADED).nonzero()[0]
        longer, position, rest = longer[more], position[more], rest[more]
    # The high bits of a product are the well mixed ones.
    hashes *= mix
    return hashes


def _divided(left: Ints, right: Ints, lone: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Words divided before and after each character that is a word by itself."""
    import numpy as np

    places = np.flatnonzero(lone)
    if not len(places):
        return left, right
    begins = np.unique(np.concatenate([left, places, places + 1]))
    home = np.searchsorted(left, begins, side="right") - 1
    kept = (home >= 0) & (begins < right[home])
    begins, home = begins[kept], home[kept]
    return begins, np.minimum(np.append(begins[1:], right[-1]), right[home])


@functools.cache
def _folding() -> npt.NDArray[np.uint16]:
    """Of each character of the basic plane: itself in lower case, 0 for what is in no word."""
    import numpy as np

    folding = np.zeros(1 << 16, np.uint16)
    for code in range(1 << 16):
        character = chr(code)
        if character.isalnum():
            lower = character.lower()
            folding[code] = ord(lower) if len(lower) == 1 else code
    return folding


@functools.cache
def _ascii_table() -> bytes:
    """The same of the characters of ASCII, for `bytes.translate`."""
    lower = (chr(code).lower() if chr(code).isalnum() else "\0" for code in range(128))
    return "".join(lower).encode("ascii").ljust(256, b"\0")


@functools.cache
def _masks() -> Hashes:
    """What is kept of the characters loaded, by how many of them are the word's."""
    import numpy as np

    kept = np.tri(_LOADED + 1, _LOADED, -1, np.uint16) * np.uint16(0xFFFF)
    return kept.view(np.uint64).ravel()


@dataclass(frozen=True, slots=True)
class Windows:
    """Chunks divided into windows of words, in order; gap g is between windows g and g + 1."""

    chunks: Ints
    """The chunk of each window, by its index in what was given."""
    first: Ints
    """The first word of each window."""
    last: Ints
    """Its last word."""
    of_words: Ints
    """The window of each word in `words`."""
    words: Ints
    """Indices of the words that are in a window, ascending."""


def windows_of(words: Words, ranges: Sequence[tuple[int, int]]) -> Windows:
    """Divide each of `ranges`, which are in order and do not overlap, into windows.

    A range of at least twice the least words has at least two, so that it has a gap inside.
    """
    import numpy as np

    bounds = np.array(ranges, np.int64).reshape(-1, 2)
    low, high = words.starts.searchsorted(bounds).T
    counts = np.maximum(high - low, 0)
    chunks = (counts >= _LEAST_WORDS).nonzero()[0]
    low, counts = low[chunks], counts[chunks]
    total = int(counts.sum())
    size = max(WINDOW_WORDS, total >> (_WINDOW_BITS - 1))
    parts = np.maximum(
        np.rint(counts / size).astype(np.int64), np.where(counts >= 2 * _LEAST_WORDS, 2, 1)
    )
    # Each chunk's words, shared out as evenly as can be: the part p begins at ceil(p * n / parts).
    number = int(parts.sum())
    part = np.arange(number) - (parts.cumsum() - parts).repeat(parts)
    chunk_words, chunk_parts = counts.repeat(parts), parts.repeat(parts)
    begin = -(-part * chunk_words // chunk_parts)
    sizes = -(-(part + 1) * chunk_words // chunk_parts) - begin
    first = low.repeat(parts) + begin
    of_words = np.arange(number).repeat(sizes)
    return Windows(
        chunks=chunks.repeat(parts),
        first=first,
        last=first + sizes - 1,
        of_words=of_words,
        words=(first - (sizes.cumsum() - sizes)).repeat(sizes) + np.arange(total),
    )


def lexical_likeness(words: Words, windows: Windows) -> Floats:
    """For each gap, how alike the windows beside it are: 0 for no word in common, 1 for equal.

    The cosine of their words, weighted by tf * log(1 + windows / windows with the word), as in
    Hearst, "TextTiling" (Computational Linguistics 23, 1997), with windows of a sentence or two.
    """
    import numpy as np

    number = len(windows.chunks)
    if number < 2:
        return np.zeros(max(number - 1, 0))
    mask = np.uint64((1 << _WINDOW_BITS) - 1)
    keys = words.hashes[windows.words]
    keys &= ~mask
    keys |= windows.of_words.view(np.uint64)
    keys.sort()
    new, frequency = _runs(keys)
    keys = keys[new]
    step = keys[1:] - keys[:-1]
    _, spread = _runs(keys >> np.uint64(_WINDOW_BITS))
    weight = frequency * np.log1p(number / spread).repeat(spread)
    keys &= mask
    place = keys.view(np.int64)
    norms = np.sqrt(np.bincount(place, weight * weight, number))
    # Sorted by word and then window, a word in two neighbouring windows has neighbouring keys.
    both = (step == 1).nonzero()[0]
    dots = np.bincount(place[both], weight[both] * weight[both + 1], number)[:-1]
    likeness: Floats = np.minimum(dots / (norms[:-1] * norms[1:]), 1.0)
    return likeness


def _runs(ordered: Hashes) -> tuple[Ints, Ints]:
    """Where each run of equal values begins, and how long it is; there is at least one."""
    import numpy as np

    change = (ordered[1:] != ordered[:-1]).nonzero()[0]
    begin = np.zeros(len(change) + 1, np.int64)
    begin[1:] = change + 1
    length = np.empty_like(begin)
    length[:-1] = begin[1:] - begin[:-1]
    length[-1] = len(ordered) - begin[-1]
    return begin, length
