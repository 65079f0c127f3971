"""Grapheme clusters: what a reader takes for one character is not torn apart."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

_ZWJ = "\u200d"
_PREPENDED = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e"
    "\U000110bd\U000110cd\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a\U00011d46\U00011f02"
    "\U00011a84\U00011a85\U00011a86\U00011a87\U00011a88\U00011a89"
)


@functools.cache
def _cluster() -> Any:
    import regex  # type: ignore[import-untyped]  # comes with tiktoken

    return regex.compile(r"\X")


def floor(text: str, position: int, start: int = 0) -> int:
    """The last boundary of grapheme clusters at or before `position`, not before `start`.

    `start` counts as a boundary. Clusters by Unicode's extended rules (UAX 29), so CRLF is one.
    Looks back over the cluster that `position` is in, however long: give a `start` to bound that.
    """
    if position <= start:
        return start
    if position >= len(text):
        return len(text)
    before, after = text[position - 1], text[position]
    if ("\n" < after < "\x80" > before) or not _may_join(before, after):
        return position
    low = position - 1
    if _is_flag(text[position - 1]) and _is_flag(text[position]):
        while low > start and _is_flag(text[low - 1]):
            low -= 1
        if (position - low) % 2 == 0:
            return position
        return position - 1 if position - 1 > low else floor(text, low, start)
    while low > start and _may_join(text[low - 1], text[low]):
        low -= 1
    boundary = low
    for match in _cluster().finditer(text, low, position + 1):
        boundary = match.start()
    return boundary


def ceiling(text: str, position: int, start: int = 0, reach: int | None = None) -> int:
    """The first boundary of grapheme clusters at or after `position`.

    `start` counts as a boundary. With `reach`, a cluster that goes on for more than so many code
    points after `position` counts as ending there.
    """
    begin = floor(text, position, start)
    if begin == position:
        return position
    stop = len(text) if reach is None else min(position + reach, len(text))
    match = _cluster().match(text, begin, stop)
    return max(match.end() if match else position, position)


def _may_join(before: str, after: str) -> bool:
    """Whether the two may be in one cluster; when not, there is a boundary for certain.

    Errs on the side of yes: what may join is looked at by the full rules.
    """
    if after < "\x80":
        return (before == "\r" and after == "\n") or before in _PREPENDED
    if before == _ZWJ or before in _PREPENDED:
        return True
    category = unicodedata.category(after)
    if category[0] == "M" or after in "\u200c\u200d\uff9e\uff9f\u0e33\u0eb3":
        return True
    if category == "Lo":
        if "\u1100" <= after <= "\u11ff" or "\ua960" <= after <= "\ua97f" or after >= "\ud7b0":
            return True
        if "\uac00" <= after < "\ud7b0":
            return "\u1100" <= before <= "\u115f" or "\ua960" <= before <= "\ua97f"
        return unicodedata.category(before)[0] == "M"
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    return _is_flag(after) and _is_flag(before)


def _is_flag(character: str) -> bool:
    """Whether it is a regional indicator, two of which make a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"
