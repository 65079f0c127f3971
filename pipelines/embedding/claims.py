"""Who embeds which text, so that no two processes of a machine ever embed the same one.

A claim is a lock on one byte of a file, at the place that the text's hash says. The system gives
it back when its holder ends, however that happens, so there is nothing to clean up and nobody to
wait for in vain. Holders never wait while they hold one, so they cannot wait for each other.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.storage import Storage

_DIGITS = 15
"""Of a hash, as the place of its byte: what fits into the 63 bits that a place has."""
_TABLE, _TABLE_PLACE = "table", 1 << 62
_turns: dict[Path, threading.Lock] = {}
_LOCAL = Path("/tmp")
"""For the claims on a lake that is in no folder; the same for all processes, whatever their
environment says about temporary files."""


class Claims:
    """Claims on the texts of one cache. Made by `claims_on`."""

    def __init__(self, file: int | None) -> None:
        self._file = file

    def take(self, keys: Sequence[str]) -> list[str]:
        """Those of `keys` that nobody else holds; they are ours now."""
        return [key for key in keys if self._lock(key, fcntl.LOCK_EX | fcntl.LOCK_NB)]

    def give_back(self, keys: Sequence[str]) -> None:
        """Let others have them."""
        for key in keys:
            self._lock(key, fcntl.LOCK_UN)

    def wait(self, key: str) -> None:
        """Until nobody holds `key`. Nothing may be held meanwhile."""
        self._lock(key, fcntl.LOCK_SH)
        self._lock(key, fcntl.LOCK_UN)

    @contextmanager
    def adding(self) -> Iterator[None]:
        """While files are added to the table that it does not refer to yet."""
        self._lock(_TABLE, fcntl.LOCK_SH)
        try:
            yield
        finally:
            self._lock(_TABLE, fcntl.LOCK_UN)

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """While files that the table does not refer to are removed, and nobody adds any."""
        self._lock(_TABLE, fcntl.LOCK_EX)
        try:
            yield
        finally:
            self._lock(_TABLE, fcntl.LOCK_UN)

    def _lock(self, key: str, how: int) -> bool:
        if self._file is None:
            return True
        place = _TABLE_PLACE if key == _TABLE else int(key[:_DIGITS], 16)
        try:
            fcntl.lockf(self._file, how, 1, place)
        except OSError as error:
            # A file system without locks gives everybody everything: embedded twice, at worst.
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True


@contextmanager
def claims_on(folder: Storage) -> Iterator[Claims]:
    """Claims on the texts of the cache in `folder`, given back at the end.

    They hold among all processes that see the same file: for a lake in a local folder a file in
    it, else one on this machine. Threads of a process take turns.
    """
    path = _place(folder)
    with _turns.setdefault(path, threading.Lock()):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError:
            file = None
        try:
            yield Claims(file)
        finally:
            if file is not None:
                os.close(file)


def _place(folder: Storage) -> Path:
    if folder.is_local:
        return Path(f"{folder.uri}.lock")
    name = hashlib.sha256(folder.uri.encode()).hexdigest()[:16]
    return _LOCAL / f"gristmill-{os.getuid()}-{name}.lock"
