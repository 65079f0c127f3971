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

WINDOW_WORDS = 32
"""Words of a window, about: a long sentence or two."""
_LEAST_WORDS = 8
"""Below so many words a window says nothing about what its text is on."""
_SLICE = 1 << 14
"""Characters looked at in one go."""
_WINDOW_BITS = 20


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text in order: where each begins and ends, and a hash of it."""

    starts: Ints
    ends: Ints
    hashes: Hashes


def words_of(text: str) -> Words:
    """The words of `text`, hashed to 64 bits. Offsets are code points."""
    import numpy as np

    folding, alone = _tables()
    starts, ends, hashes = [], [], []
    for offset, codes in _slices(text):
        wide = codes.dtype.itemsize > 1
        if wide:
            codes = np.minimum(codes, np.uint32(0xFFFF))
        folded = folding[codes]
        inside = folded != 0
        change = np.flatnonzero(inside[1:] != inside[:-1]) + 1
        if inside[0]:
            change = np.append(0, change)
        if inside[-1]:
            change = np.append(change, len(inside))
        left, right = change[::2], change[1::2]
        if wide:
            left, right = _divided(left, right, alone[codes] & inside)
        powers, inverse = _powers()
        sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum(folded * powers[: len(codes)], out=sums[1:])
        values = (sums[right] - sums[left]) * inverse[left]
        # The high bits of a product are the well mixed ones.
        values = (values ^ (values >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
        starts.append(left + offset)
        ends.append(right + offset)
        hashes.append(values)
    if not starts:
        empty = np.zeros(0, np.int64)
        return Words(empty, empty, np.zeros(0, np.uint64))
    return Words(np.concatenate(starts), np.concatenate(ends), np.concatenate(hashes))


def _slices(text: str) -> Iterator[tuple[int, npt.NDArray[np.unsignedinteger]]]:
    """Stretches of the text as code points, each small enough for a processor's cache."""
    import numpy as np

    start = 0
    while start < len(text):
        end = min(start + _SLICE, len(text))
        if end < len(text):
            space = text.rfind(" ", start, end)
            end = space if space > start else end
        part = text[start:end]
        if part.isascii():
            yield start, np.frombuffer(part.encode("ascii"), np.uint8)
        else:
            yield start, np.frombuffer(part.encode("utf-32-le", "surrogatepass"), np.uint32)
        start = end


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
def _tables() -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """Of each character of the basic plane: itself in lower case, 0 for what is in no word; and
    whether it is a word by itself."""
    import numpy as np

    folding = np.zeros(1 << 16, np.uint64)
    for code in range(1 << 16):
        character = chr(code)
        if character.isalnum():
            lower = character.lower()
            folding[code] = ord(lower) if len(lower) == 1 else code
    alone = np.zeros(1 << 16, bool)
    for first, last in ((0x2E80, 0x9FFF), (0xF900, 0xFAFF)):
        alone[first : last + 1] = True
    return folding, alone


@functools.cache
def _powers() -> tuple[Hashes, Hashes]:
    """The powers of an odd number and of its inverse, modulo 2**64."""
    import numpy as np

    base = 0x5851F42D4C957F2D
    return tuple(  # type: ignore[return-value]
        np.cumprod(np.full(_SLICE, factor, np.uint64)) for factor in (base, pow(base, -1, 1 << 64))
    )


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

    def ranges(self, words: Words) -> list[tuple[int, int]]:
        """The text range of each window."""
        left = words.starts[self.first].tolist()
        right = words.ends[self.last].tolist()
        return list(zip(left, right, strict=True))


def windows_of(words: Words, ranges: Sequence[tuple[int, int]]) -> Windows:
    """Divide each of `ranges`, which are in order and do not overlap, into windows.

    A range of at least twice the least words has at least two, so that it has a gap inside.
    """
    import numpy as np

    bounds = np.array(ranges, np.int64).reshape(-1, 2)
    low = np.searchsorted(words.starts, bounds[:, 0])
    high = np.maximum(np.searchsorted(words.starts, bounds[:, 1]), low)
    counts = high - low
    chunks = np.flatnonzero(counts >= _LEAST_WORDS)
    low, counts = low[chunks], counts[chunks]
    size = max(WINDOW_WORDS, int(counts.sum()) >> (_WINDOW_BITS - 1))
    least = np.where(counts >= 2 * _LEAST_WORDS, 2, 1)
    parts = np.maximum(np.rint(counts / size).astype(np.int64), least)
    base = np.cumsum(parts) - parts
    begin = np.cumsum(counts) - counts
    inner = np.arange(int(counts.sum())) - np.repeat(begin, counts)
    of_words = np.repeat(base, counts) + inner * np.repeat(parts, counts) // np.repeat(
        counts, counts
    )
    taken = np.repeat(low, counts) + inner
    edges = np.flatnonzero(np.diff(of_words, prepend=-1))
    return Windows(
        chunks=np.repeat(chunks, parts),
        first=taken[edges],
        last=taken[np.append(edges[1:], len(taken)) - 1] if len(taken) else taken,
        of_words=of_words,
        words=taken,
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
    keys = (words.hashes[windows.words] & ~mask) | windows.of_words.astype(np.uint64)
    keys.sort()
    new = np.flatnonzero(np.diff(keys, prepend=keys[0] ^ np.uint64(1)))
    frequency = np.diff(new, append=len(keys)).astype(np.float64)
    keys = keys[new]
    term = keys & ~mask
    term_new = np.flatnonzero(np.diff(term, prepend=term[0] ^ np.uint64(1 << _WINDOW_BITS)))
    spread = np.diff(term_new, append=len(term))
    weight = frequency * np.repeat(np.log1p(number / spread), spread)
    place = (keys & mask).astype(np.int64)
    norms = np.sqrt(np.bincount(place, weight * weight, number))
    # Sorted by word and then window, a word in two neighbouring windows has neighbouring keys.
    both = np.flatnonzero(np.diff(keys) == 1)
    dots = np.bincount(place[both], weight[both] * weight[both + 1], number)[:-1]
    likeness: Floats = np.minimum(dots / (norms[:-1] * norms[1:]), 1.0)
    return likeness


def vector_likeness(vectors: npt.NDArray[np.floating]) -> Floats:
    """The same for windows that were embedded: the cosine, and 0 where that is negative.

    Args:
        vectors: one row a window, of any length.
    """
    import numpy as np

    if len(vectors) < 2:
        return np.zeros(max(len(vectors) - 1, 0))
    rows = np.asarray(vectors, np.float64)
    norms = np.linalg.norm(rows, axis=1)
    norms[norms == 0] = 1.0
    dots = np.einsum("ij,ij->i", rows[:-1], rows[1:])
    likeness: Floats = np.clip(dots / (norms[:-1] * norms[1:]), 0.0, 1.0)
    return likeness
