"""One worker process: its limits, and the loop that runs tasks one after another.

Runs in a child that the fork server made. Everything here must also work at the edge of the
memory limit, so the hard limit leaves some room above the soft one for reporting.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from pipelines.pool import wire
from pipelines.pool.wire import Failure

_REPORTING_ROOM = 128 << 20
_PR_SET_PDEATHSIG = 1


def work(
    connection: socket.socket, function: Callable[[Any], Any], settings: dict[str, Any]
) -> None:
    """Serve tasks from `connection` until it closes. Never returns with an exception."""
    _isolate(settings["scratch"])
    try:
        if settings["initializer"]:
            wire.resolve(settings["initializer"])(*pickle.loads(settings["initargs"]))
    except BaseException as error:
        _send(connection, wire.BROKEN, wire.describe(error).encode())
        return
    budget: int | None = settings["memory_bytes"]
    limit = _limit_memory(budget) if budget else None
    _send(connection, wire.READY)
    while True:
        body = _receive(connection)
        if body is None:
            return
        _send(connection, wire.STARTED)
        kind, answer, used = _run(function, body, settings["seconds"], limit)
        del body
        # A worker that has been near its limit may hold on to memory, and the next task would be
        # refused what is rightly its own.
        if used:
            _send(connection, wire.RETIRING)
        _send(connection, kind, answer)
        if used:
            return


def _run(
    function: Callable[[Any], Any], body: bytearray, seconds: float | None, limit: _Limit | None
) -> tuple[bytes, bytes, bool]:
    """Frame type and body of the answer, and whether the worker is used up."""
    try:
        _arm(seconds)
        try:
            answer = pickle.dumps(function(pickle.loads(body)), protocol=5)
        finally:
            _arm(None)
        if len(answer) > wire.MAX_FRAME_BYTES:
            raise OverflowError(
                f"the result has {len(answer)} bytes, the limit is {wire.MAX_FRAME_BYTES}"
            )
        return wire.RESULT, answer, limit is not None and limit.was_near()
    except BaseException as error:
        if limit is not None:
            limit.give_room()
        failure = wire.failure_of(error)
        used = isinstance(error, MemoryError) or (limit is not None and limit.was_near())
        # Libraries dress a failed allocation up as a syntax error, so the peak decides.
        if used and failure.kind == "error":
            failure = Failure("memory", f"near the memory limit: {failure.message}", "memory")
        answer = pickle.dumps((failure.kind, failure.message, failure.error_class))
        return wire.FAILURE, answer, used


def _isolate(scratch: str) -> None:
    """Own process group, death with the fork server, no core files, own temporary folder."""
    os.setsid()
    server = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server:  # it died in between
            os._exit(1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    folder = os.path.join(scratch, str(os.getpid()))
    os.makedirs(folder, exist_ok=True)
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None


def _arm(seconds: float | None) -> None:
    """A second clock, in the kernel, for when the parent is stopped or gone.

    The signal's default action ends the process even while native code holds the interpreter.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds * 1.25 + 2 if seconds else 0)


class _Limit:
    """A limit on the growth of this process's address space, and how near it came."""

    def __init__(self, baseline: int, budget: int, hard: int) -> None:
        self._half = baseline + budget // 2
        self._hard = hard

    def was_near(self) -> bool:
        """Whether more than half of the budget was ever taken: a table that doubles its size
        fails there already."""
        return _status_bytes("VmPeak") > self._half

    def give_room(self) -> None:
        """Raise the soft limit, so that the failure can be reported."""
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (self._hard, self._hard))


def _limit_memory(budget: int) -> _Limit | None:
    """Limit the growth over what is loaded now; None where the system does not offer it."""
    baseline = _status_bytes("VmSize")
    if not baseline:
        return None
    _, ceiling = resource.getrlimit(resource.RLIMIT_AS)
    soft, hard = baseline + budget, baseline + budget + _REPORTING_ROOM
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (OSError, ValueError):
        return None
    return _Limit(baseline, budget, hard)


def _status_bytes(field: str) -> int:
    """A figure of /proc/self/status in bytes, 0 where there is none."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(field.encode()):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _send(connection: socket.socket, kind: bytes, body: bytes = b"") -> None:
    try:
        connection.sendall(wire.HEADER.pack(kind, len(body)))
        if body:
            connection.sendall(body)
    except OSError:
        os._exit(1)  # the parent is gone, and with it whoever wants the answer


def _receive(connection: socket.socket) -> bytearray | None:
    header = _exactly(connection, wire.HEADER.size)
    return None if header is None else _exactly(connection, wire.HEADER.unpack(header)[1])


def _exactly(connection: socket.socket, size: int) -> bytearray | None:
    buffer = bytearray(size)
    have = 0
    while have < size:
        count = connection.recv_into(memoryview(buffer)[have:])
        if not count:
            return None
        have += count
    return buffer
