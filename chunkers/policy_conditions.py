"""The conditions of policy rules: what they match, why not, and which covers which."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chunkers.globs import glob_matches
from chunkers.shape import Shape
from lineage.errors import ConfigError

KeyPath = tuple[str | int, ...]

CONDITIONS = ("data_type", "media_type", "path", "size", "structure", "language", "labels")

DATA_TYPES = (
    "prose", "markdown", "html", "pdf", "code", "table", "spreadsheet", "structured", "slides",
    "email", "transcript", "log", "notebook",
)  # fmt: skip
"""What the built-in parsers give, to catch slips; a third-party parser may give others."""


class PolicyError(ConfigError):
    """A mistake in a policy; `path` leads to it from the policy's top."""

    def __init__(self, path: KeyPath, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message

    def __str__(self) -> str:
        place = ""
        for part in self.path:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
        return f"policy {place}: {self.message}" if place else f"policy: {self.message}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a document before it is chunked, and what rules match on."""

    data_type: str = "prose"
    media_type: str | None = None
    path: str = ""
    """The document's key: relative to its source's root, `/` between folders."""
    size_bytes: int | None = None
    language: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    shape: Shape | None = None
    """How much of what it has; only looked at by conditions on structure."""


class Condition(ABC):
    """One condition of a rule, on the fact named `key`."""

    key: str

    @abstractmethod
    def mismatch(self, facts: Facts) -> str | None:
        """Why the condition does not hold for `facts`; null when it does."""

    @abstractmethod
    def match_text(self, facts: Facts) -> str:
        """What made it hold."""

    @abstractmethod
    def covers(self, other: Condition) -> bool:
        """Whether this certainly holds wherever `other` does; false when in doubt."""

    @abstractmethod
    def as_value(self) -> Any:
        """The written form, normalised."""

    def alternatives(self) -> list[Condition]:
        """Narrower conditions, of which one holds exactly where this one does."""
        return [self]


@dataclass(frozen=True)
class OneOf(Condition):
    """The fact is one of some words; a word of the media type may end in `/*`."""

    key: str
    values: tuple[str, ...]

    def _holds(self, fact: str | None) -> bool:
        if fact is None:
            return False
        fact = fact.lower()
        if self.key == "media_type":
            fact = fact.partition(";")[0].strip()
        return any(
            fact == value or (value.endswith("/*") and fact.startswith(value[:-1]))
            for value in self.values
        )

    def mismatch(self, facts: Facts) -> str | None:
        """See `Condition`."""
        fact = getattr(facts, self.key)
        if self._holds(fact):
            return None
        shown = "is unknown" if fact is None else f'is "{fact}"'
        return f"{self.key} {shown}, not {_either(self.values)}"

    def match_text(self, facts: Facts) -> str:
        """See `Condition`."""
        return f'{self.key} is "{getattr(facts, self.key)}"'

    def covers(self, other: Condition) -> bool:
        """See `Condition`."""
        return (
            isinstance(other, OneOf)
            and other.key == self.key
            and all(value in self.values or self._holds(value) for value in other.values)
        )

    def as_value(self) -> Any:
        """See `Condition`."""
        return list(self.values)

    def alternatives(self) -> list[Condition]:
        """See `Condition`."""
        return [OneOf(self.key, (value,)) for value in self.values]


@dataclass(frozen=True)
class PathLike(Condition):
    """The path matches one of some globs; see `glob_matches`."""

    patterns: tuple[str, ...]
    key: str = "path"

    def mismatch(self, facts: Facts) -> str | None:
        """See `Condition`."""
        if any(glob_matches(pattern, facts.path) for pattern in self.patterns):
            return None
        return f'path "{facts.path}" does not match {_either(self.patterns)}'

    def match_text(self, facts: Facts) -> str:
        """See `Condition`."""
        hit = next(p for p in self.patterns if glob_matches(p, facts.path))
        return f'path "{facts.path}" matches "{hit}"'

    def covers(self, other: Condition) -> bool:
        """See `Condition`."""
        if any(pattern in ("*", "**", "**/*") for pattern in self.patterns):
            return True
        return isinstance(other, PathLike) and set(other.patterns) <= set(self.patterns)

    def as_value(self) -> Any:
        """See `Condition`."""
        return list(self.patterns)

    def alternatives(self) -> list[Condition]:
        """See `Condition`."""
        return [PathLike((pattern,)) for pattern in self.patterns]


@dataclass(frozen=True)
class SizeBetween(Condition):
    """The source's size is within bounds, in bytes, both included."""

    low: int
    high: int | None
    key: str = "size"

    def _bounds(self) -> str:
        if self.high is None:
            return f"at least {self.low} bytes"
        return f"at most {self.high} bytes" if self.low == 0 else f"{self.low} to {self.high} bytes"

    def mismatch(self, facts: Facts) -> str | None:
        """See `Condition`."""
        size = facts.size_bytes
        if size is None:
            return f"size is unknown, not {self._bounds()}"
        if size >= self.low and (self.high is None or size <= self.high):
            return None
        return f"size is {size} bytes, not {self._bounds()}"

    def match_text(self, facts: Facts) -> str:
        """See `Condition`."""
        return f"size is {facts.size_bytes} bytes, {self._bounds()}"

    def covers(self, other: Condition) -> bool:
        """See `Condition`."""
        return (
            isinstance(other, SizeBetween)
            and self.low <= other.low
            and (self.high is None or (other.high is not None and other.high <= self.high))
        )

    def as_value(self) -> Any:
        """See `Condition`."""
        value: dict[str, int] = {"min": self.low}
        if self.high is not None:
            value["max"] = self.high
        return value


@dataclass(frozen=True)
class Structured(Condition):
    """Counts and shares of what the document is made of are within bounds, both included."""

    bounds: Mapping[str, tuple[float, float | None]]
    key: str = "structure"

    def mismatch(self, facts: Facts) -> str | None:
        """See `Condition`."""
        if facts.shape is None:
            return "structure is unknown"
        for name, (low, high) in self.bounds.items():
            value = getattr(facts.shape, name)
            if value < low or (high is not None and value > high):
                return f"structure: {name} is {_number(value)}, not {_range(low, high)}"
        return None

    def match_text(self, facts: Facts) -> str:
        """See `Condition`."""
        held = [
            f"{name} is {_number(getattr(facts.shape, name))}, {_range(low, high)}"
            for name, (low, high) in self.bounds.items()
        ]
        return f"structure: {', '.join(held)}"

    def covers(self, other: Condition) -> bool:
        """See `Condition`."""
        return isinstance(other, Structured) and all(
            name in other.bounds
            and low <= other.bounds[name][0]
            and (high is None or _within(other.bounds[name][1], high))
            for name, (low, high) in self.bounds.items()
        )

    def as_value(self) -> Any:
        """See `Condition`."""
        return {
            name: {"min": low} if high is None else {"min": low, "max": high}
            for name, (low, high) in self.bounds.items()
        }


def _within(value: float | None, high: float) -> bool:
    return value is not None and value <= high


def _number(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _range(low: float, high: float | None) -> str:
    if high is None:
        return f"at least {low:g}"
    return f"at most {high:g}" if low == 0 else f"{low:g} to {high:g}"


@dataclass(frozen=True)
class Labelled(Condition):
    """Each named label has one of some values; the value `*` asks only that it is there."""

    labels: Mapping[str, tuple[str, ...]]
    key: str = "labels"

    def mismatch(self, facts: Facts) -> str | None:
        """See `Condition`."""
        for name, values in self.labels.items():
            fact = facts.labels.get(name)
            if fact is None:
                return f'label "{name}" is not set'
            if fact not in values and "*" not in values:
                return f'label "{name}" is "{fact}", not {_either(values)}'
        return None

    def match_text(self, facts: Facts) -> str:
        """See `Condition`."""
        return ", ".join(f'label "{name}" is "{facts.labels[name]}"' for name in self.labels)

    def covers(self, other: Condition) -> bool:
        """See `Condition`."""
        return isinstance(other, Labelled) and all(
            name in other.labels and ("*" in values or set(other.labels[name]) <= set(values))
            for name, values in self.labels.items()
        )

    def as_value(self) -> Any:
        """See `Condition`."""
        return {name: list(values) for name, values in self.labels.items()}


def _either(values: tuple[str, ...]) -> str:
    quoted = [f'"{value}"' for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
