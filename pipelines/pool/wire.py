"""What parent, fork server and workers say to each other, and the values they share.

Between parent and worker: frames of one type byte, a length and a body. From parent to fork
server: fixed-size commands; back: one JSON object a line.
"""

from __future__ import annotations

import importlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from lineage.errors import TransientError

# Frames from worker to parent.
READY, BROKEN, STARTED, RESULT, FAILURE, RETIRING = b"I", b"E", b"S", b"R", b"F", b"Q"
# Commands from parent to fork server.
SPAWN, KILL = b"S", b"K"

HEADER = struct.Struct(">cQ")
COMMAND = struct.Struct(">cq")

MAX_FRAME_BYTES = 1 << 30
"""A result larger than this is refused: the parent would have to hold it whole."""

MAX_MESSAGE_CHARS = 2000


class PoolError(TransientError):
    """The worker processes cannot be started or kept running."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A task without a result.

    `kind` says how it ended: past its time, past its memory, with its process dead, or with an
    exception. `error_class` is the reject class: that of the exception when it has one.
    """

    kind: Literal["timeout", "memory", "crash", "error"]
    message: str
    error_class: str | None = None


def describe(error: BaseException) -> str:
    """One short, printable text for an exception, whatever its own `str` does."""
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be shown)"
    if getattr(error, "error_class", None) is None:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= MAX_MESSAGE_CHARS else text[: MAX_MESSAGE_CHARS - 1] + "…"


def failure_of(error: BaseException) -> Failure:
    """The `Failure` for an exception that the pool's function raised."""
    if isinstance(error, MemoryError):
        return Failure("memory", "the memory limit was reached", "memory")
    error_class = getattr(error, "error_class", None)
    return Failure("error", describe(error), error_class if isinstance(error_class, str) else None)


def resolve(name: str) -> Callable[..., Any]:
    """The function at `package.module:function`.

    Raises:
        ValueError: the name is not of that form, or names something that cannot be called.
        ImportError, AttributeError: there is no such module or function.
    """
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise ValueError(f"{name!r} does not name a function as 'package.module:function'")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{name!r} is not a function but {type(found).__name__}")
    return found


class FrameReader:
    """Puts frames together from a non-blocking socket, whatever pieces they arrive in."""

    def __init__(self) -> None:
        self._header = bytearray(HEADER.size)
        self._body: bytearray | None = None
        self._kind = b""
        self._have = 0

    @property
    def receiving(self) -> bool:
        """Whether a frame has begun to arrive and is not yet complete."""
        return self._body is not None or self._have > 0

    def read(self, connection: socket.socket) -> Iterator[tuple[bytes, bytearray]]:
        """Yield the frames that are complete by now.

        Raises:
            EOFError: the other end has closed.
            OverflowError: a frame announces more than `MAX_FRAME_BYTES`.
        """
        while True:
            target = self._header if self._body is None else self._body
            if self._have < len(target):
                try:
                    count = connection.recv_into(memoryview(target)[self._have :])
                except BlockingIOError:
                    return
                except ConnectionError as error:
                    raise EOFError("the worker closed its connection") from error
                if not count:
                    raise EOFError("the worker closed its connection")
                self._have += count
                if self._have < len(target):
                    continue
            self._have = 0
            if self._body is None:
                self._kind, length = HEADER.unpack(self._header)
                if length > MAX_FRAME_BYTES:
                    raise OverflowError(
                        f"a result of {length} bytes, the limit is {MAX_FRAME_BYTES}"
                    )
                self._body = bytearray(length)
                continue
            body, self._body = self._body, None
            yield self._kind, body
