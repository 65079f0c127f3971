"""Parameters of chunkers: fields of frozen dataclasses, checked once, where they are given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from chunkers.suggest import unknown
from lineage.errors import ConfigError

T = TypeVar("T")

SMALLEST_CAP = 8
"""Below this many tokens a single character of some scripts would not fit beside anything."""


def from_mapping(cls: type[T], owner: str, values: Mapping[str, Any]) -> T:
    """An instance of the dataclass `cls` with the fields in `values`.

    Raises:
        ConfigError: a key is not a field, or a value is refused by `cls`.
    """
    fields = {field.name for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(f"{owner}: {unknown('parameter', str(key), fields - {'max_tokens'})}")
    return cls(**values)


def check_int(owner: str, key: str, value: object, low: int, high: int | None = None) -> None:
    """Refuses what is not a whole number in `[low, high]`."""
    top = "" if high is None else f" to {high}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(
            f"{owner}: {key} must be a whole number, not {value!r} (for example {key}: {low})"
        )
    if value < low or (high is not None and value > high):
        raise ConfigError(
            f"{owner}: {key} must be from {low}{top or ' up'}, not {value} "
            f"(for example {key}: {low})"
        )


def check_bool(owner: str, key: str, value: object) -> None:
    """Refuses what is not true or false."""
    if not isinstance(value, bool):
        raise ConfigError(
            f"{owner}: {key} must be true or false, not {value!r} (for example {key}: true)"
        )


def check_number(owner: str, key: str, value: object, low: float, high: float) -> None:
    """Refuses what is not a number in `[low, high]`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(
            f"{owner}: {key} must be a number from {low:g} to {high:g}, not {value!r} "
            f"(for example {key}: {low:g})"
        )
