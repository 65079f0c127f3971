"""Starting the fork server and talking to it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.pool import wire
from pipelines.pool.offline import QUIET_ENVIRONMENT, SINGLE_THREADED
from pipelines.pool.wire import PoolError

# The path comes first: without it the package itself may not be found.
_BOOT = (
    "import json, sys; s = json.loads(sys.argv[1]); sys.path[:] = s['path']; "
    "from pipelines.pool.server import main; main(s)"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the workers are to run, and within which limits."""

    function: str
    preload: tuple[str, ...] = ()
    prepare: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    seconds: float | None = None
    memory_bytes: int | None = None
    network: bool = True
    initializer: str | None = None
    initargs: bytes = b""


class Server:
    """The fork server's process. Its workers die with it, and it dies with us."""

    def __init__(self, settings: Settings) -> None:
        self.control, theirs = socket.socketpair()
        self.resident_bytes = 0
        self._buffer = b""
        self._scratch = tempfile.mkdtemp(prefix="gristmill-pool-")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        told: dict[str, Any] = {
            "control": theirs.fileno(),
            "parent": os.getpid(),
            "path": sys.path,
            "scratch": self._scratch,
            "function": settings.function,
            "preload": settings.preload,
            "prepare": settings.prepare,
            "seconds": settings.seconds,
            "memory_bytes": settings.memory_bytes,
            "network": settings.network,
            "initializer": settings.initializer,
            "initargs": base64.b64encode(settings.initargs).decode(),
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(told)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # an interrupt from the terminal is ours to handle
                env={**os.environ, **SINGLE_THREADED, **QUIET_ENVIRONMENT},
            )

    def wait_ready(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        """Wait until the imports are done.

        Raises:
            PoolError: they failed, or took longer than `seconds`, or the process died.
        """
        deadline = time.monotonic() + seconds
        while not cancelled():
            self.control.settimeout(0.2)
            events, alive = self.events()
            for event in events:
                if event["event"] == "failed":
                    raise PoolError(event["message"])
                if event["event"] == "ready":
                    self.resident_bytes = event["resident"]
                    self.control.setblocking(False)
                    return
            if not alive:
                raise PoolError(f"the worker processes cannot be started: {self.close()}")
            if time.monotonic() > deadline:
                raise PoolError(f"the worker processes did not start within {seconds:g} s")

    def events(self) -> tuple[list[dict[str, Any]], bool]:
        """What the server has said since, and whether it is still there."""
        alive = True
        try:
            piece = self.control.recv(65536)
            alive = bool(piece)
        except (BlockingIOError, TimeoutError):
            piece = b""
        except ConnectionError:
            piece, alive = b"", False
        *lines, self._buffer = (self._buffer + piece).split(b"\n")
        return [json.loads(line) for line in lines], alive

    def spawn(self, connection: socket.socket) -> None:
        """Ask for a worker at the other end of `connection`."""
        with contextlib.suppress(ConnectionError):  # its death shows at the next read
            command = wire.COMMAND.pack(wire.SPAWN, 0)
            socket.send_fds(self.control, [command], [connection.fileno()])

    def kill(self, pid: int) -> None:
        """Have a worker's process group killed, unless it is dead and reaped already."""
        with contextlib.suppress(ConnectionError):
            self.control.sendall(wire.COMMAND.pack(wire.KILL, pid))

    def close(self) -> str:
        """End the server and its workers; returns how it ended."""
        self.control.close()
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        if self._errors.closed:
            return f"status {code}"
        with self._errors as errors:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
        return f"status {code}{': ' + said[-wire.MAX_MESSAGE_CHARS :] if said else ''}"
