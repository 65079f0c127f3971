"""Typed reading of one mapping of a config: unknown keys and wrong types become `ConfigError`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

from chunkers.suggest import nearest
from lineage.errors import ConfigError
from pipelines.config.yaml_file import KeyPath, YamlFile

T = TypeVar("T")


def type_name(value: object) -> str:
    """What a reader of YAML calls the type of `value`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true/false"
    names = {str: "text", int: "a whole number", float: "a number", dict: "a mapping"}
    return "a list" if isinstance(value, list) else names.get(type(value), type(value).__name__)


class Section:
    """A mapping in a YAML file, read key by key.

    Raises:
        ConfigError: from the constructor for a value that is no mapping, for a reserved key and
            for an unknown one; from the readers for a missing value or one of the wrong type.
    """

    def __init__(
        self,
        file: YamlFile,
        path: KeyPath,
        value: object,
        known: Collection[str],
        *,
        reserved: Collection[str] = (),
        example: str = "",
    ) -> None:
        self.file = file
        self.path = path
        if not isinstance(value, Mapping):
            raise file.error(path, _wrong("a mapping", value, example))
        self.value = value
        for key in value:
            if key in reserved:
                raise self.error(key, "not supported yet; take it out")
            if key not in known:
                close = nearest(key, known)
                hint = f"; did you mean `{close}`?" if close else "."
                raise self.error(key, f"unknown key{hint} Known here: {', '.join(sorted(known))}.")

    def error(self, key: str | None, message: str) -> ConfigError:
        """An error at `key` of this mapping, or at the mapping itself."""
        return self.file.error(self.path if key is None else (*self.path, key), message)

    def __contains__(self, key: str) -> bool:
        return self.value.get(key) is not None

    def _read(self, key: str, default: Any, example: str) -> Any:
        value = self.value.get(key)
        if value is None:
            if default is ...:
                what = "has no value" if key in self.value else "is missing"
                raise self.error(key, f"{what}; for example `{key}: {example}`")
            return default
        return value

    def text(self, key: str, default: Any = ..., *, example: str) -> Any:
        """Non-empty text; without a `default` the key is required."""
        value = self._read(key, default, example)
        if value is default and key not in self:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, _wrong("text", value, f"{key}: {example}"))
        return value

    def number(
        self, key: str, default: float, *, example: str, low: float, high: float, whole: bool
    ) -> Any:
        """A number from `low` to `high`, both included."""
        value = self._read(key, default, example)
        if isinstance(value, str) and (*self.path, key) in self.file.expanded:
            with contextlib.suppress(ValueError):  # the check below tells
                value = int(value) if whole else float(value)
        kind = "a whole number" if whole else "a number"
        wanted = f"{kind} from {low:g} to {high:g}" if high < 1e9 else f"{kind} of at least {low:g}"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise self.error(key, _wrong(wanted, value, f"{key}: {example}"))
        if not low <= value <= high:
            raise self.error(key, f"must be {wanted}, not {value}; for example `{key}: {example}`")
        return value

    def texts(self, key: str, default: tuple[str, ...], *, example: str) -> tuple[str, ...]:
        """A list of non-empty texts; a single text counts as a list of one."""
        value = self._read(key, list(default), example)
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise self.error(key, _wrong("a list of texts", value, f"{key}: {example}"))
        for n, item in enumerate(items):
            if not isinstance(item, str) or not item:
                wrong = _wrong("text", item, f"{key}: {example}")
                raise self.file.error((*self.path, key, n), wrong)
        return tuple(items)

    def text_map(self, key: str, *, example: str) -> dict[str, str]:
        """A mapping of texts to texts; whole numbers are taken as text."""
        value = self._read(key, {}, example)
        if not isinstance(value, Mapping):
            raise self.error(key, _wrong("a mapping", value, f"{key}: {example}"))
        result = {}
        for name, item in value.items():
            if isinstance(item, int) and not isinstance(item, bool):
                item = str(item)
            if not isinstance(item, str):
                wrong = _wrong("text", item, f"{key}: {example}")
                raise self.file.error((*self.path, key, name), wrong)
            result[name] = item
        return result

    def each(self, key: str, build: Callable[[KeyPath, object], T], *, example: str) -> Iterator[T]:
        """What `build(path, value)` makes of each item of a list."""
        value = self._read(key, [], example)
        if not isinstance(value, list):
            raise self.error(key, _wrong("a list", value, f"{key}: {example}"))
        for n, item in enumerate(value):
            yield build((*self.path, key, n), item)


def _wrong(wanted: str, value: object, example: str) -> str:
    shown = "" if value is None else f" {value!r}"
    if len(shown) > 80:
        shown = f"{shown[:77]}…"
    hint = f"; for example `{example}`" if example else ""
    quote = ""
    if isinstance(value, bool) and "text" in wanted:
        quote = "; YAML reads bare yes, no, on and off as true/false, so put quotes around text"
    return f"must be {wanted}, not {type_name(value)}{shown}{quote}{hint}"
