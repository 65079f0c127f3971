"""The conditions of policy rules: what they match, why not, and which covers which."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chunkers.globs import glob_matches as glob_matches
from chunkers.shape import COUNTS, SHARES, Shape
from chunkers.suggest import nearest, unknown
from lineage.errors import ConfigError

KeyPath = tuple[str | int, ...]

CONDITIONS = ("data_type", "media_type", "path", "size", "structure", "language", "labels")

DATA_TYPES = (
    "prose", "markdown", "html", "pdf", "code", "table", "spreadsheet", "structured", "slides",
    "email", "transcript", "log", "notebook",
)  # fmt: skip
"""What the built-in parsers give, to catch slips; a third-party parser may give others."""

_FORMATS = {
    "prose": ("text", "txt", "docx", "doc", "odt", "rtf", "epub", "org", "rst"),
    "markdown": ("md",),
    "table": ("csv", "tsv"),
    "spreadsheet": ("xlsx", "xls", "ods"),
    "structured": ("json", "jsonl", "xml", "yaml", "yml"),
    "slides": ("pptx", "ppt", "odp"),
    "email": ("eml", "msg", "mbox"),
    "transcript": ("vtt", "srt"),
    "notebook": ("ipynb",),
    "code": ("python", "java", "javascript", "typescript", "go", "rust", "sql"),
}
"""Words that look like data types and are formats, by the type that documents of them have."""

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9,
          "kib": 2**10, "mib": 2**20, "gib": 2**30}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\Z")


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


def read_conditions(when: Mapping[str, Any], path: KeyPath) -> tuple[Condition, ...]:
    """The conditions of a `when:` mapping that stands at `path`.

    Raises:
        PolicyError: an unknown key, a wrong type, or a condition that nothing can meet.
    """
    conditions: list[Condition] = []
    for key, value in when.items():
        here = (*path, key)
        if key not in CONDITIONS:
            raise PolicyError(here, unknown("condition", str(key), CONDITIONS))
        if key == "size":
            conditions.append(_size(value, here))
        elif key == "structure":
            conditions.append(_structure(value, here))
        elif key == "labels":
            conditions.append(_labels(value, here))
        elif key == "path":
            conditions.append(PathLike(_words(value, here, "handbook/**")))
        else:
            example = {"data_type": "code", "media_type": "text/*", "language": "de"}[key]
            words = tuple(word.lower() for word in _words(value, here, example))
            if key == "data_type":
                _refuse_slips(words, here)
            conditions.append(OneOf(key, words))
    return tuple(sorted(conditions, key=lambda condition: CONDITIONS.index(condition.key)))


def _refuse_slips(words: tuple[str, ...], path: KeyPath) -> None:
    """A slip would never match anything, in silence."""
    for word in words:
        if word in DATA_TYPES:
            continue
        for data_type, formats in _FORMATS.items():
            if word in formats:
                raise PolicyError(
                    path,
                    f"{word!r} is a format, and the data type of such documents is {data_type!r}; "
                    f'to tell them apart, add for example `path: "*.{word}"`',
                )
        if nearest(word, DATA_TYPES, cutoff=0.75):
            raise PolicyError(path, unknown("data type", word, DATA_TYPES))


def _words(value: object, path: KeyPath, example: str) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    if not items or any(not isinstance(item, str) or not item for item in items):
        key = path[-1]
        raise PolicyError(
            path, f"must be text or a list of texts, for example `{key}: {example}`, not {value!r}"
        )
    return tuple(dict.fromkeys(items))


def _size(value: object, path: KeyPath) -> SizeBetween:
    example = "for example `size: {min: 10 MB}` or `size: {min: 1 KB, max: 2 MB}`"
    if not isinstance(value, Mapping) or not value:
        raise PolicyError(path, f"must be a mapping with min and max, {example}, not {value!r}")
    for key in value:
        if key not in ("min", "max"):
            raise PolicyError((*path, key), unknown("key", str(key), ("min", "max")))
    low = _bytes(value["min"], (*path, "min"), example) if value.get("min") is not None else 0
    high = _bytes(value["max"], (*path, "max"), example) if value.get("max") is not None else None
    if high is not None and high < low:
        raise PolicyError(path, f"min ({low} bytes) is above max ({high} bytes)")
    return SizeBetween(low, high)


def _bytes(value: object, path: KeyPath, example: str) -> int:
    match = _SIZE.match(str(value).strip()) if isinstance(value, int | float | str) else None
    if isinstance(value, bool) or match is None or match[2].lower() not in _UNITS:
        raise PolicyError(
            path,
            f"must be a size in bytes, or with one of B, KB, MB, GB (powers of 1000), KiB, MiB, "
            f"GiB (powers of 1024), {example}, not {value!r}",
        )
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _structure(value: object, path: KeyPath) -> Structured:
    example = "for example `structure: {headings: {min: 3}, table_share: {max: 0.5}}`"
    if not isinstance(value, Mapping) or not value:
        raise PolicyError(path, f"must be a mapping of bounds, {example}, not {value!r}")
    known = (*COUNTS, *SHARES)
    bounds: dict[str, tuple[float, float | None]] = {}
    for name, each in sorted(value.items()):
        here = (*path, str(name))
        if name not in known:
            raise PolicyError(here, unknown("figure", str(name), known))
        if not isinstance(each, Mapping) or not each or not set(each) <= {"min", "max"}:
            raise PolicyError(here, f"must be a mapping with min and max, {example}, not {each!r}")
        for key, number in each.items():
            most = 1 if name in SHARES else math.inf
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise PolicyError((*here, key), f"must be a number, {example}, not {number!r}")
            if not 0 <= number <= most:
                top = "from 0 to 1" if name in SHARES else "from 0 up"
                raise PolicyError((*here, key), f"must be {top}, {example}, not {number!r}")
        low, high = each.get("min", 0), each.get("max")
        if high is not None and high < low:
            raise PolicyError(here, f"min ({low:g}) is above max ({high:g})")
        bounds[str(name)] = (low, high)
    return Structured(bounds)


def _labels(value: object, path: KeyPath) -> Labelled:
    if not isinstance(value, Mapping) or not value:
        raise PolicyError(
            path, f"must be a mapping, for example `labels: {{owner: hr}}`, not {value!r}"
        )
    return Labelled({str(k): _words(v, (*path, str(k)), "hr") for k, v in sorted(value.items())})


def _either(values: tuple[str, ...]) -> str:
    quoted = [f'"{value}"' for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
