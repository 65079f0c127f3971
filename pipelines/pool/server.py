"""The fork server: a process that has imported what the workers need and forks them off.

It is started as a fresh interpreter rather than by `multiprocessing`, so the caller's main
module is never imported again, and the workers inherit no thread and no lock of the caller's.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from pipelines.pool import wire, worker
from pipelines.pool.offline import forbid_network

_CLONE_NEWNET = 0x40000000


def main(settings: dict[str, Any]) -> None:
    """Import, report, serve. Ends the process."""
    control = socket.socket(fileno=settings["control"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings["initargs"] = base64.b64decode(settings["initargs"])
    try:
        if not settings["network"]:
            _leave_network()
            forbid_network()
        for name in settings["preload"]:
            # Only a head start: a worker that really needs the module says so itself.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        function = wire.resolve(settings["function"])
        for name, arguments in settings["prepare"]:
            with contextlib.suppress(Exception):
                wire.resolve(name)(*arguments)
    except BaseException as error:
        message = f"{settings['function']} cannot be imported: {wire.describe(error)}"
        _tell(control, event="failed", message=message)
        return
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, the shared pages
    gc.set_threshold(50_000, 20, 50)  # tasks make many small records and few cycles
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _tell(control, event="ready", resident=resident * (1 if sys.platform == "darwin" else 1024))
    _Server(control, function, settings).serve()


def _leave_network() -> None:
    """An empty network namespace, where the process is privileged enough to have one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).unshare(_CLONE_NEWNET)


def _tell(control: socket.socket, **event: Any) -> None:
    with contextlib.suppress(OSError):  # a closed end shows at the next read
        control.sendall(json.dumps(event).encode() + b"\n")


class _Server:
    def __init__(
        self, control: socket.socket, function: Callable[[Any], Any], settings: dict[str, Any]
    ) -> None:
        self._control = control
        self._function = function
        self._settings = settings
        self._children: set[int] = set()
        self._private: tuple[int, ...] = ()

    def serve(self) -> None:
        """Fork, kill and reap until the parent's end closes."""
        wake, bell = os.pipe()
        os.set_blocking(bell, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        self._private = (wake, bell)
        try:
            while True:
                # The pause only matters when another process holds a copy of the parent's end.
                readable, _, _ = select.select([self._control.fileno(), wake], [], [], 1.0)
                if wake in readable:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 4096)
                self._reap()
                if os.getppid() != self._settings["parent"]:
                    return
                if self._control.fileno() in readable and not self._command():
                    return
        finally:
            self._end()

    def _command(self) -> bool:
        data, descriptors = b"", []
        while len(data) < wire.COMMAND.size:
            piece, received, _, _ = socket.recv_fds(self._control, wire.COMMAND.size - len(data), 1)
            if not piece:
                return False
            data += piece
            descriptors += received
        kind, pid = wire.COMMAND.unpack(data)
        if kind == wire.SPAWN:
            self._spawn(descriptors[0])
        elif kind == wire.KILL and pid in self._children:
            _kill_group(pid)
        return True

    def _spawn(self, descriptor: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            os.close(descriptor)
            _tell(self._control, event="unforked", message=wire.describe(error))
            return
        if pid == 0:
            status = 1
            try:
                signal.set_wakeup_fd(-1)
                self._control.close()
                for private in self._private:
                    os.close(private)
                worker.work(socket.socket(fileno=descriptor), self._function, self._settings)
                status = 0
            finally:
                os._exit(status)
        os.close(descriptor)
        self._children.add(pid)
        _tell(self._control, event="forked", pid=pid)

    def _reap(self) -> None:
        for pid in list(self._children):
            if hasattr(os, "waitid"):
                # Look first, reap later: while the dead leader is not reaped its group's number
                # cannot be given to anyone else, so what it left running can be killed safely.
                seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if seen is None:
                    continue
                _kill_group(pid)
            found, status, usage = os.wait4(pid, os.WNOHANG)
            if not found:
                continue
            self._children.discard(pid)
            shutil.rmtree(os.path.join(self._settings["scratch"], str(pid)), ignore_errors=True)
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            code = os.waitstatus_to_exitcode(status)
            _tell(self._control, event="exit", pid=pid, code=code, peak=peak)

    def _end(self) -> None:
        for pid in self._children:
            _kill_group(pid)
        for pid in self._children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        shutil.rmtree(self._settings["scratch"], ignore_errors=True)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may not have made its group yet
