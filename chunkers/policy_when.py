"""Reading the `when:` of a policy rule, with errors that say where and what to write instead."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from chunkers.policy_conditions import (
    CONDITIONS,
    DATA_TYPES,
    Condition,
    KeyPath,
    Labelled,
    OneOf,
    PathLike,
    PolicyError,
    SizeBetween,
    Structured,
)
from chunkers.shape import COUNTS, SHARES
from chunkers.suggest import nearest, unknown

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
