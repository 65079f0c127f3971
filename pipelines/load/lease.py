"""One loader at a time: a lock file with a heartbeat.

Two loaders that replace the same document at once would leave both sets of chunks in the index.
The file is created exclusively and says who holds it. A holder that died is found out by its
process id (on the same machine) or by a heartbeat that stopped, and its lease is taken over;
a holder that was only asleep learns at its next `Lease.check` that it has lost it.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lineage import CommitConflict

HEARTBEAT_SECONDS = 10.0
EXPIRY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease."""

    token: str
    host: str
    pid: int
    namespace: str
    """The process id namespace and boot: a pid means nothing outside of it."""
    since: float

    @property
    def described(self) -> str:
        """For messages."""
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.since))
        return f"process {self.pid} on {self.host} since {since} UTC"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was obtained; a plain value, so a worker can check it too."""

    path: Path
    token: str

    def check(self) -> None:
        """Make sure that the lease is still ours.

        Raises:
            CommitConflict: it was taken over; nothing more may be written.
        """
        holder = _read(self.path)
        if holder is None or holder.token != self.token:
            who = holder.described if holder else "nobody (the lease file was removed)"
            raise CommitConflict(
                f"this loader lost its lease {self.path}; it is now held by {who}. Nothing more "
                "was written; run `gristmill load` again when the other one is done"
            )


@contextmanager
def hold(
    path: Path, *, heartbeat: float = HEARTBEAT_SECONDS, expiry: float = EXPIRY_SECONDS
) -> Iterator[Lease]:
    """Hold the lease at `path` for the time of the block; times in seconds.

    Raises:
        CommitConflict: another live loader holds it; the message says which.
    """
    lease = _acquire(path, expiry)
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(heartbeat):
            # A lease that is gone is reported by check(), in the thread that writes.
            with suppress(OSError):
                holder = _read(path)
                if holder is not None and holder.token == lease.token:
                    os.utime(path)

    thread = threading.Thread(target=beat, name="gristmill-lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        stop.set()
        thread.join()
        holder = _read(path)
        if holder is not None and holder.token == lease.token:
            path.unlink(missing_ok=True)


def _acquire(path: Path, expiry: float) -> Lease:
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = Holder(
        token=uuid.uuid4().hex,
        host=socket.gethostname(),
        pid=os.getpid(),
        namespace=_namespace(),
        since=time.time(),
    )
    for _ in range(10):
        if _create(path, asdict(mine)):
            return Lease(path, mine.token)
        stale = _stale(path, expiry)
        if stale is None:
            break
        _remove_stale(path, stale)
    holder = _read(path)
    raise CommitConflict(
        f"another loader is writing to {path.parent}: "
        f"{holder.described if holder else 'the lease file cannot be read'}. Wait for it to end "
        f"and run `gristmill load` again; a loader that died without a trace is replaced after "
        f"{expiry:.0f} seconds"
    )


def _create(path: Path, content: dict[str, Any]) -> bool:
    """Create the lease file with its content in one step; false when there is one."""
    temporary = path.with_name(f"{path.name}.{content['token']}")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    try:
        # A link is exclusive like O_EXCL, and the file is never seen half-written.
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # File systems without hard links.
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _stale(path: Path, expiry: float) -> bytes | None:
    """The content of the lease file when its holder is dead, `None` while it may be alive."""
    try:
        content = path.read_bytes()
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return b""
    holder = _parse(content)
    if age > expiry:
        return content
    here = holder is not None and (holder.host, holder.namespace) == (
        socket.gethostname(),
        _namespace(),
    )
    return content if holder is not None and here and not _alive(holder.pid) else None


def _remove_stale(path: Path, stale: bytes) -> None:
    """Remove the lease file, if it still is the stale one that was looked at."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return
    try:
        if aside.read_bytes() != stale:
            # Somebody else took over in between: give it back. Should a third one have come first,
            # the robbed one finds out in Lease.check.
            with suppress(OSError):
                os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _read(path: Path) -> Holder | None:
    try:
        return _parse(path.read_bytes())
    except FileNotFoundError:
        return None


def _parse(content: bytes) -> Holder | None:
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _namespace() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
