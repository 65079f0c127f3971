"""Context: what a chunk says about where it stands, without breaking its span.

Context is embedded and counted before the text, and a blank line, but stored apart. It takes at
most a quarter of the cap; what does not fit goes from the outside in: first the outermost heading,
last the nearest extra line (a table's header row, a definition's signature).
"""

from __future__ import annotations

from chunkers.counting import counter
from chunkers.tokens import TokenMap

CONTEXT_SHARE = 4
"""Context may take one part in this many of the cap."""

_SEPARATOR = " > "


class ContextFitter:
    """Renders contexts for one cap and encoding, and remembers them."""

    def __init__(self, tokens: TokenMap, max_tokens: int, enabled: bool) -> None:
        self._counter = counter(tokens.encoding)
        self._limit = max_tokens // CONTEXT_SHARE if enabled else 0
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[str, int]] = {}

    def fit(self, headings: tuple[str, ...], extras: tuple[str, ...] = ()) -> tuple[str, int]:
        """The context, and the tokens to set aside for it and the blank line after it.

        Args:
            headings: titles of the sections around, outermost first; rendered on one line.
            extras: lines that belong before the text, outermost first.
        """
        if not self._limit or not (headings or extras):
            return "", 0
        key = (headings, extras)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._fit(headings, extras)
        return known

    def _fit(self, headings: tuple[str, ...], extras: tuple[str, ...]) -> tuple[str, int]:
        while headings or extras:
            lines = [_SEPARATOR.join(headings)] if headings else []
            context = "\n".join([*lines, *extras])
            # A context of more characters than its longest possible tokens hold cannot fit.
            if len(context) <= self._limit * 128:
                cost = self._counter.count(f"{context}\n\n")
                # The blank line may merge with the end of the context, so a close call is counted.
                if cost + 2 < self._limit or self._counter.count(context) <= self._limit:
                    return context, cost
            if headings:
                headings = headings[1:]
            else:
                extras = extras[1:]
        return "", 0
