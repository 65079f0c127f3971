"""Sentences for a name that is none of the known ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHORTEST_PART = 3


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of `known` that `word` is most likely a slip for, if any.

    `cutoff` is difflib's ratio of likeness, from 0 to 1. Where none is that alike, the shortest
    one that contains the word, as in `uri` for `tracking_uri`.
    """
    word, names = word.lower(), sorted(known)
    found = difflib.get_close_matches(word, names, n=1, cutoff=cutoff)
    if not found and len(word) >= _SHORTEST_PART:
        found = sorted((name for name in names if word in name.lower()), key=len)
    return found[0] if found else None


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """The sentence for an unknown `kind` of thing: the nearest known one, and all of them."""
    names = sorted(known)
    close = nearest(word, names)
    hint = f"; did you mean {close!r}?" if close else "."
    return f"unknown {kind} {word!r}{hint} Known: {', '.join(names) or 'none'}."
