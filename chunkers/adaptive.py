"""Sizes that fit the document: a target from its type, its density and its length.

    target_tokens: auto                             # around 320 tokens
    target_tokens: {base: 160, least: 96}           # around 160, never under 96

The base is what running English text should have. Factors move it, in coarse steps, so that an
edit of a document hardly ever moves its target, and with it boundaries far from the edit. They are
first choices from what the types are like, not fitted to any benchmark.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from chunkers.base import Chunker
from chunkers.parameters import check_int
from chunkers.spans import Span
from chunkers.suggest import unknown
from chunkers.tokens import TokenMap
from lineage.errors import ConfigError
from lineage.records import Document

VERSION = "1"
"""Moves whenever a document may get another target than before."""

AUTO = "auto"
BASE = 320
LEAST = 48
"""Tokens below which a chunk says too little to be found by."""

TYPE_FACTORS: Mapping[str, tuple[float, str]] = {
    "code": (1.25, "a definition should stay whole"),
    "transcript": (1.5, "talk says less a word than writing"),
    "email": (0.75, "a message makes one point"),
    "slides": (0.75, "a slide makes one point"),
    "table": (0.75, "every row is a fact of its own"),
    "spreadsheet": (0.75, "every row is a fact of its own"),
    "structured": (0.75, "every record is a fact of its own"),
    "log": (0.75, "every line is a fact of its own"),
    "notebook": (1.25, "a cell belongs to the text that explains it"),
}
"""Factor and reason by data type; 1 for the others."""

PROSE_DENSITY = 0.235
"""Tokens a byte of running English text in o200k_base; other scripts of its vocabulary are near."""
_DENSITIES = ((1.65, 1.5), (1.25, 1.25), (0.8, 1.0))
_DILUTE = 0.75
_LENGTHS = ((100_000, 1.5), (20_000, 1.25))
_WHOLE = 1.25


class Step(NamedTuple):
    """One consideration on the way to a target."""

    name: str
    tokens: int
    """The target after it."""
    why: str


@dataclass(frozen=True, slots=True)
class Sizing:
    """How the target of a document is found."""

    base: int = BASE
    """Tokens for running English text."""
    least: int | None = None
    """Never under so many tokens."""
    most: int | None = None
    """Never over so many tokens, nor over the cap."""

    def __post_init__(self) -> None:
        owner = "target_tokens"
        check_int(owner, "base", self.base, 1)
        if self.least is not None:
            check_int(owner, "least", self.least, 1)
        if self.most is not None:
            check_int(owner, "most", self.most, self.least or 1)

    @classmethod
    def read(cls, value: object) -> Sizing:
        """From the written form: `auto`, or a mapping.

        Raises:
            ConfigError: another word, an unknown key or a wrong value.
        """
        if value == AUTO:
            return cls()
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"target_tokens must be a whole number, `auto`, or a mapping such as "
                f"`{{base: {BASE}}}`, not {value!r}"
            )
        known = ("base", "least", "most")
        for key in value:
            if key not in known:
                raise ConfigError(f"target_tokens: {unknown('key', str(key), known)}")
        return cls(**value)

    def steps(self, document: Document, tokens: TokenMap, max_tokens: int) -> list[Step]:
        """The considerations for a document, one after the other; the last one's is the target.

        Args:
            document: its data type, and its text.
            tokens: the map of its text.
            max_tokens: the cap.
        """
        target = float(self.base)
        steps = [Step("base", self.base, "what running text should have")]

        def times(name: str, factor: float, why: str) -> None:
            nonlocal target
            target *= factor
            steps.append(Step(name, round(target), f"\u00d7{factor:g}: {why}"))

        factor, why = TYPE_FACTORS.get(document.data_type, (1.0, ""))
        if factor != 1.0:
            times("data type", factor, f"{document.data_type}: {why}")
        total = len(tokens)
        density = total / max(_bytes(document.text), 1)
        factor = next((f for low, f in _DENSITIES if density >= low * PROSE_DENSITY), _DILUTE)
        if factor != 1.0 and total:
            says = "less" if factor > 1.0 else "more"
            times(
                "density",
                factor,
                f"{density:.3f} tokens a byte, so each says {says} than in prose "
                f"({PROSE_DENSITY:g})",
            )
        factor = next((f for low, f in _LENGTHS if total > low), 1.0)
        if factor != 1.0:
            times("length", factor, f"{total:,} tokens, so fewer chunks compete with each other")
        least = self.least or min(LEAST, self.base)
        bounded = min(max(round(target), least), self._most(max_tokens))
        if bounded != round(target):
            bound = "its lower bound" if bounded > target else "its upper bound"
            if bounded == max_tokens:
                bound = "the cap"
            steps.append(Step("bounds", bounded, f"held at {bound}"))
        whole = min(round(bounded * _WHOLE), self._most(max_tokens))
        if bounded < total <= whole:
            steps.append(Step("whole", whole, f"all {total} tokens fit into one chunk"))
        return steps

    def _most(self, max_tokens: int) -> int:
        return min(self.most or max_tokens, max_tokens)


@dataclass(frozen=True)
class AdaptiveChunker:
    """A chunker whose target is found for each document anew."""

    inner: Any
    """A `Chunker` and a dataclass with the parameter `target_tokens`."""
    sizing: Sizing
    max_tokens: int

    @property
    def name(self) -> str:
        """That of the chunker itself."""
        return str(self.inner.name)

    @property
    def version(self) -> str:
        """Moves with the chunker's, and with the way to find targets."""
        return f"{self.inner.version}+size.{VERSION}"

    def steps(self, document: Document, tokens: TokenMap) -> list[Step]:
        """See `Sizing.steps`."""
        return self.sizing.steps(document, tokens, self.max_tokens)

    def spans(self, document: Document, tokens: TokenMap) -> list[Span]:
        """The chunks of `document`, in order, for the target that fits it."""
        target = self.steps(document, tokens)[-1].tokens
        sized: Chunker = dataclasses.replace(self.inner, target_tokens=target)
        return [
            span if span.target_tokens else dataclasses.replace(span, target_tokens=target)
            for span in sized.spans(document, tokens)
        ]


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
