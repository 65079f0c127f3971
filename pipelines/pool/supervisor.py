"""The parent's side: one thread that hands out tasks, collects answers and enforces limits.

The thread owns all sockets. Whoever wants results talks to it through `submit`, `wait` and
`abandon`, under one condition variable, so a slow consumer delays neither the dispatch of the
next task nor the killing of one that is past its time.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from pipelines.pool import wire
from pipelines.pool.launch import Server, Settings
from pipelines.pool.member import Member, cause, ending, timeout
from pipelines.pool.slot import Slot
from pipelines.pool.wire import Failure, PoolError

_START_SECONDS = 120.0
_ANSWER_GRACE_SECONDS = 30.0
_EXIT_GRACE_SECONDS = 5.0
_MAX_BAD_STARTS = 4


class Supervisor:
    """Keeps up to `workers` workers alive and busy, from the first submitted task until `close`."""

    def __init__(self, workers: int, settings: Settings) -> None:
        self._limit = workers
        self._settings = settings
        self._condition = threading.Condition()
        self._pending: deque[Slot] = deque()
        self._fault: BaseException | None = None
        self._closing = False
        self._abandoning = False
        self._owner = os.getpid()
        self._workers: list[Member] = []
        self._forking: deque[Member] = deque()
        self._bad_starts = 0
        self._bell, self._wake = socket.socketpair()
        self._bell.setblocking(False)
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._run, name="gristmill-pool", daemon=True)
        self._thread.start()

    # Called by the consumer.

    def hungry(self) -> bool:
        """Whether another task in reserve would keep the workers from idling."""
        return len(self._pending) < self._limit

    def submit(self, slot: Slot) -> None:
        """Queue a task."""
        with self._condition:
            self._check()
            self._pending.append(slot)
        self._ring()

    def wait(self, satisfied: Callable[[], bool]) -> None:
        """Block until `satisfied()`, which is asked again whenever something has happened.

        Raises:
            PoolError: the workers cannot be kept running.
        """
        with self._condition:
            while not satisfied():
                self._check()
                self._condition.wait()

    def abandon(self, slots: list[Slot]) -> None:
        """Nobody waits for these any more: forget them, and kill what works on them."""
        with self._condition:
            for slot in slots:
                slot.abandoned = True
            self._pending.clear()
            self._abandoning = True
        self._ring()

    def close(self) -> None:
        """Kill and reap everything. May be called again, and is harmless in a forked copy."""
        if os.getpid() != self._owner:
            return
        with self._condition:
            self._closing = True
        self._ring()
        self._thread.join(timeout=30)

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self._closing:
            raise PoolError("the pool is closed")

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._bell.send(b"!")

    # Everything below runs in the thread.

    def _run(self) -> None:
        try:
            self._selector.register(self._wake, selectors.EVENT_READ, None)
            self._launch()
            while not self._closing:
                self._clear_abandoned()
                self._assign()
                for key, events in self._selector.select(self._patience()):
                    self._handle(key, events)
                self._expire()
        except BaseException as error:
            with self._condition:
                self._fault = error
        finally:
            self._shut_down()
            with self._condition:
                if self._fault is None:
                    self._fault = PoolError("the pool is closed")
                self._condition.notify_all()

    def _launch(self) -> None:
        self._server = Server(self._settings)
        self._server.wait_ready(_START_SECONDS, lambda: self._closing)
        self._selector.register(self._server.control, selectors.EVENT_READ, self._server)

    def _handle(self, key: selectors.SelectorKey, events: int) -> None:
        if isinstance(key.data, Member):
            # What was handled just before may have been the end of this one.
            if events & selectors.EVENT_WRITE and key.data in self._workers:
                self._write(key.data)
            if events & selectors.EVENT_READ and key.data in self._workers:
                self._read(key.data)
        elif isinstance(key.data, Server):
            self._listen(key.data)
        else:
            with contextlib.suppress(BlockingIOError):
                self._wake.recv(4096)

    def _clear_abandoned(self) -> None:
        if not self._abandoning:
            return
        self._abandoning = False
        for worker in list(self._workers):
            if worker.slot is not None and worker.slot.abandoned:
                self._dismiss(worker)

    def _assign(self) -> None:
        while self._pending:
            worker = next((w for w in self._workers if w.idle), None)
            if worker is None:
                break
            with self._condition:
                if not self._pending:
                    break
                slot = self._pending.popleft()
                self._condition.notify_all()
            worker.give(slot, self._settings.seconds)
            self._write(worker)
        starting = sum(not w.ready for w in self._workers)
        if len(self._pending) > starting and len(self._workers) < self._limit:
            self._spawn()

    def _spawn(self) -> None:
        assert self._server is not None
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        worker = Member(ours, deadline=time.monotonic() + _START_SECONDS)
        with theirs:
            self._server.spawn(theirs)
        self._forking.append(worker)
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _write(self, worker: Member) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.flush() else 0)
        self._selector.modify(worker.connection, wanted, worker)

    def _read(self, worker: Member) -> None:
        try:
            for kind, body in worker.reader.read(worker.connection):
                self._frame(worker, kind, body)
        except OverflowError as error:
            self._fail(worker, Failure("error", str(error)))
            self._dismiss(worker)
            return
        except EOFError:
            # How it died comes from the fork server, which has it to reap.
            self._selector.unregister(worker.connection)
            worker.doomed = True
            worker.deadline = time.monotonic() + _EXIT_GRACE_SECONDS
            self._kill(worker)
            return
        if worker.slot is not None and worker.reader.receiving and worker.deadline is not None:
            # The work was done in time; only its answer is still on the way.
            worker.deadline = max(worker.deadline, time.monotonic() + _ANSWER_GRACE_SECONDS)

    def _frame(self, worker: Member, kind: bytes, body: bytearray) -> None:
        if kind == wire.READY:
            worker.ready, worker.deadline = True, None
            self._bad_starts = 0
        elif kind == wire.BROKEN:
            raise PoolError(f"a worker's initializer failed: {body.decode(errors='replace')}")
        elif kind == wire.STARTED:
            worker.started = True
        elif kind == wire.RETIRING:
            worker.retiring = True
        elif worker.slot is not None:
            self._settle(worker.slot, body, failed=kind == wire.FAILURE)
            worker.slot, worker.deadline = None, None

    def _settle(self, slot: Slot, answer: bytearray | Failure, failed: bool = False) -> None:
        with self._condition:
            slot.payload, slot.answer, slot.failed = None, answer, failed
            self._condition.notify_all()

    def _fail(self, worker: Member, failure: Failure) -> None:
        slot, worker.slot = worker.slot, None
        if slot is None:
            return
        if not worker.started and slot.attempts < 3 and failure.kind == "crash":
            with self._condition:
                if not slot.abandoned:
                    self._pending.appendleft(slot)
            return
        self._settle(slot, failure)

    def _listen(self, server: Server) -> None:
        events, alive = server.events()
        for event in events:
            if event["event"] == "forked":
                worker = self._forking.popleft()
                worker.pid = event["pid"]
                if worker.doomed or worker not in self._workers:
                    self._kill(worker)
            elif event["event"] == "unforked":
                worker = self._forking.popleft()
                self._forget(worker)
                self._bad_start(f"no process can be made: {event['message']}")
            elif event["event"] == "exit":
                self._exited(event["pid"], event["code"], event["peak"])
        if not alive:
            self._restart()

    def _exited(self, pid: int, code: int, peak: int) -> None:
        worker = next((w for w in self._workers if w.pid == pid), None)
        if worker is None:
            return
        if not worker.doomed:  # an answer may have been sent just before
            with contextlib.suppress(EOFError, OverflowError):
                for kind, body in worker.reader.read(worker.connection):
                    self._frame(worker, kind, body)
        if not worker.ready:
            self._bad_start(f"a worker died while it started: {ending(code)}")
        grown = peak - self._server.resident_bytes if self._server is not None else 0
        limits = self._settings
        failure = cause(code, grown, seconds=limits.seconds, memory_bytes=limits.memory_bytes)
        self._fail(worker, failure)
        self._forget(worker)

    def _patience(self) -> float | None:
        deadlines = [w.deadline for w in self._workers if w.deadline is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _expire(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.deadline is None or worker.deadline > now:
                continue
            if not worker.ready:
                self._bad_start(f"a worker did not start within {_START_SECONDS:g} s")
            if worker.doomed:
                self._fail(worker, Failure("crash", "the worker closed its connection", "crash"))
            elif self._settings.seconds:
                self._fail(worker, timeout(self._settings.seconds))
            self._dismiss(worker)

    def _bad_start(self, reason: str) -> None:
        self._bad_starts += 1
        if self._bad_starts >= _MAX_BAD_STARTS:
            raise PoolError(f"{self._bad_starts} workers in a row failed to start; {reason}")

    def _restart(self) -> None:
        """The fork server is gone, and its workers with it: what they did is done again."""
        for worker in list(self._workers):
            if worker.pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(worker.pid, signal.SIGKILL)
            worker.started = False
            self._fail(worker, Failure("crash", "the fork server died", "crash"))
            self._forget(worker)
        self._forking.clear()
        if self._server is not None:
            self._selector.unregister(self._server.control)
            self._bad_start(f"the fork server died: {self._server.close()}")
        self._launch()

    def _dismiss(self, worker: Member) -> None:
        """Kill a worker and wait for nothing: one that is stuck in the kernel dies later."""
        worker.doomed = True
        self._kill(worker)
        self._forget(worker)

    def _kill(self, worker: Member) -> None:
        if worker.pid is not None and self._server is not None:
            self._server.kill(worker.pid)

    def _forget(self, worker: Member) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(worker.connection)
        worker.connection.close()
        if worker in self._workers:
            self._workers.remove(worker)

    def _shut_down(self) -> None:
        for worker in list(self._workers):
            self._forget(worker)
        if self._server is not None:
            self._server.close()
        self._selector.close()
        self._bell.close()
        self._wake.close()
