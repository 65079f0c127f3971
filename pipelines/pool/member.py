"""One worker as its parent sees it, and what its end means for the task it had."""

from __future__ import annotations

import signal
import socket
import time
from collections import deque
from dataclasses import dataclass, field

from pipelines.pool import wire
from pipelines.pool.slot import Slot
from pipelines.pool.wire import Failure, FrameReader

_MEMORY_SIGNALS = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL, signal.SIGTRAP}


@dataclass(eq=False, slots=True)
class Member:
    """A worker process: the socket to it, what it is doing, and until when it may."""

    connection: socket.socket
    reader: FrameReader = field(default_factory=FrameReader)
    outgoing: deque[memoryview] = field(default_factory=deque)
    pid: int | None = None
    ready: bool = False
    retiring: bool = False
    doomed: bool = False
    started: bool = False
    """Whether the worker has begun with `slot`; a death before that is not the task's fault."""
    slot: Slot | None = None
    deadline: float | None = None

    @property
    def idle(self) -> bool:
        """Whether it can take a task now."""
        return self.ready and self.slot is None and not (self.retiring or self.doomed)

    def give(self, slot: Slot, seconds: float | None) -> None:
        """Put a task on its way; `flush` sends it."""
        payload = slot.payload or b""
        slot.attempts += 1
        self.slot, self.started = slot, False
        self.deadline = time.monotonic() + seconds if seconds else None
        self.outgoing.append(memoryview(wire.HEADER.pack(b"T", len(payload)) + payload))

    def flush(self) -> bool:
        """Send what the socket takes; whether something is left for later."""
        try:
            while self.outgoing:
                piece = self.outgoing[0]
                sent = self.connection.send(piece)
                if sent == len(piece):
                    self.outgoing.popleft()
                else:
                    self.outgoing[0] = piece[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self.outgoing.clear()  # it is dead; reading finds out and tells why
        return bool(self.outgoing)


def cause(
    code: int, grown_bytes: int, *, seconds: float | None, memory_bytes: int | None
) -> Failure:
    """What a worker's exit means for its task.

    Args:
        code: its exit status, negative for a signal.
        grown_bytes: how far its resident memory grew at most.
        seconds: the limit that it had, if any.
        memory_bytes: likewise.
    """
    if code == -signal.SIGALRM and seconds:
        return timeout(seconds)
    if memory_bytes and -code in _MEMORY_SIGNALS and grown_bytes > memory_bytes // 2:
        message = f"{ending(code)} after growing by {grown_bytes >> 20} MiB"
        return Failure("memory", message, "memory")
    return Failure("crash", ending(code), "crash")


def timeout(seconds: float) -> Failure:
    """The failure of a task that took longer than `seconds`."""
    return Failure(
        "timeout", f"not finished after {seconds:g} s; its process was killed", "timeout"
    )


def ending(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"the worker process exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "; the system may have run out of memory" if -code == signal.SIGKILL else ""
    return f"the worker process was killed by {name}{hint}"
