"""How much a cut would tear apart what belongs together, by the words alone.

A word that is said again a little later ties the two places together, the more the nearer they
are and the rarer the word. What a cut tears is the sum of the ties across it, as in the lexical
chains of Morris and Hirst (Computational Linguistics 17, 1991) and of Galley et al.'s LCseg (ACL
2003). The tokens that are there already stand for the words, and their rank in the vocabulary,
which orders them by frequency, for how rare they are. So the whole document costs one sort of its
tokens, and what a cut tears depends on the text near it alone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from chunkers.tokens import TokenMap

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

REACH = 100
"""Tokens over which a repeated word ties."""
FULL = 3.0
"""Ties across a cut that count as all there can be: three rare words said again at once."""
_COMMON, _RARE = 9, 14
"""Binary logarithms of the ranks below which a token ties nothing, and from which on fully."""
_UNIT = 256
_BLOCK = 1 << 17
"""Tokens that are looked at together, so that what is needed on the way stays small."""
_MOST = 1 << 18
"""More ranks than any vocabulary has."""


def torn(tokens: TokenMap) -> npt.NDArray[np.float32]:
    """For each number of tokens from the start of the text, what a cut there tears: 0 to 1."""
    import numpy as np

    count = len(tokens)
    found = np.empty(count + 1, np.float32)
    for begin in range(0, count + 1, _BLOCK):
        end = min(begin + _BLOCK, count + 1)
        low = max(begin - REACH, 0)
        ties = _ties(tokens, low, min(end + REACH, count))[begin - low : end - low]
        found[begin:end] = np.minimum(ties / (FULL * REACH * _UNIT), 1.0)
    return found


def _ties(tokens: TokenMap, low: int, high: int) -> npt.NDArray[np.float64]:
    """The ties across a cut after each number of tokens from `low` to `high`, by those between."""
    import numpy as np

    ids, count = tokens.ids[low:high], high - low
    stems = tokens.stems_of(ids)
    places = np.flatnonzero((stems > 0) & (ids >= 1 << _COMMON))
    keys = stems[places].astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= places.astype(np.uint64)
    keys.sort()
    # Neighbours that differ by less than the reach have the same stem.
    gap = np.diff(keys)
    tied = np.flatnonzero(gap <= REACH)
    first = keys[tied].astype(np.uint32)
    gap = gap[tied].astype(np.uint32)
    last = first + gap
    # Whole numbers: sums then do not depend on what is far away, to the last bit.
    weight = _rarity()[ids[last]] * (REACH - gap)
    steps = np.bincount(first + 1, weight, count + 2)
    steps -= np.bincount(last + 1, weight, count + 2)
    return np.cumsum(steps, dtype=np.float64)[: count + 1]


@functools.cache
def _rarity() -> npt.NDArray[np.uint16]:
    """For each rank how rare its token is, in units."""
    import numpy as np

    ranks = np.arange(_MOST)
    logarithms = np.log2(np.maximum(ranks, 1))
    share = np.clip((logarithms - _COMMON) / (_RARE - _COMMON), 0.0, 1.0)
    return np.rint(share * _UNIT).astype(np.uint16)
