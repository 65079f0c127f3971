"""How far a LanceDB index has come, in a small file beside its table.

Read without LanceDB, so that a run with nothing to do stays light. The file is believed only if
the table that it speaks of is there: a lost or restored index rebuilds by itself.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

_NAME = "_position.json"
_FORMAT = 1
_V2_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Position:
    """The content of the file."""

    seq: int
    """`seq` of the chunk table up to which everything is applied."""
    origin: str
    """Which chunk table that is."""
    options: str
    """Fingerprint of the options and columns that the index was made with."""
    table: str
    version: int
    """The version of the Lance table right after the last change."""
    format: int = _FORMAT


def read(folder: Path, *, origin: str, options: str) -> int | None:
    """The `seq` to go on from, or `None` when the index has to be built from the start."""
    try:
        value = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        position = Position(**value)
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        # No file, or not one that this version wrote: rebuilding is always right.
        return None
    expected = (_FORMAT, origin, options)
    if (position.format, position.origin, position.options) != expected:
        return None
    newest = newest_version(folder / f"{position.table}.lance")
    if newest is None or newest < position.version:
        return None
    return position.seq


def write(folder: Path, position: Position) -> None:
    """Move the position: atomically, and on disk when this returns."""
    temporary = folder / f"{_NAME}.{uuid.uuid4().hex}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(asdict(position), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / _NAME)
    finally:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def forget(folder: Path) -> None:
    """Remove the file: the next load starts from the beginning."""
    (folder / _NAME).unlink(missing_ok=True)


def newest_version(table: Path) -> int | None:
    """The newest version of a Lance table, from the names of its manifests.

    Lance names a manifest `VERSION.manifest`, or, in its second naming scheme, with twenty digits
    of 2**64 - 1 - VERSION so that the newest sorts first.
    """
    try:
        names = os.listdir(table / "_versions")
    except (FileNotFoundError, NotADirectoryError):
        return None
    stems = [name.removesuffix(".manifest") for name in names if name.endswith(".manifest")]
    versions = [
        2**64 - 1 - int(stem) if len(stem) == _V2_DIGITS else int(stem)
        for stem in stems
        if stem.isdecimal()
    ]
    return max(versions, default=None)
