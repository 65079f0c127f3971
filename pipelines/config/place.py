"""Where a part of a configuration stands, for messages about what it leads to later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from lineage.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ConfigPlace:
    """A mapping in a configuration file; made by hand, it has no file and no lines."""

    path: str
    """From the top, as in `sources[0]`."""
    file: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Line of each key, from 1; that of the mapping itself under the empty key."""

    def at(self, key: str = "") -> str:
        """`FILE, line 4: sources[0].uri`; without a key the mapping itself."""
        path = ".".join(filter(None, (self.path, key)))
        if not self.file:
            return path
        line = self.lines.get(key, self.lines.get(""))
        return f"{self.file}{f', line {line}' if line else ''}: {path}"


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put `where` before the message of a `ConfigError`."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
