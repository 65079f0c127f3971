"""`ProcessPool`: maps a function over tasks in worker processes that may fail."""

from __future__ import annotations

import os
import pickle
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

from pipelines.pool import wire
from pipelines.pool.launch import Settings
from pipelines.pool.slot import Slot, load, pack
from pipelines.pool.supervisor import Supervisor
from pipelines.pool.wire import Failure, PoolError

_END = object()


class NoPool:
    """Stands in for a pool where there is nothing to map, and starts nothing."""

    def imap(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Nothing.

        Raises:
            PoolError: there is a task after all.
        """
        for task in tasks:
            raise PoolError(f"there are no processes for {type(task).__name__}")
        yield from ()


class ProcessPool:
    """Worker processes, each with a time limit and a memory limit for every task.

    Workers are forked from a fresh interpreter that has `function` and `preload` imported, so
    replacing one takes milliseconds, and nothing of the caller's main module runs again. They
    have their own process group, no terminal output, no core files and their own temporary
    folder; on Linux they also die when the caller is killed outright (elsewhere as soon as
    their task ends). They start with the first task and end with `close`.

    Args:
        workers: How many. 0 runs the function in the calling process, without any limit.
        function: `"package.module:function"`, imported in the workers; takes one task.
        preload: Modules to import before forking. One that cannot be imported is ignored.
        prepare: Functions to call before forking, as `"package.module:function"` with arguments
            that JSON can hold: workers share what they load. One that fails is ignored.
        seconds: Wall-clock limit for one task; its process group is killed.
        memory_bytes: How much a worker's address space may grow over what it is at its start.
            Best effort where the system does not offer such a limit.
        network: False refuses internet sockets in the workers.
        initializer: `"package.module:function"`, called once in each worker with `initargs`.
        initargs: Its arguments; they must be picklable.
    """

    def __init__(
        self,
        workers: int,
        *,
        function: str,
        preload: Sequence[str] = (),
        prepare: Sequence[tuple[str, tuple[Any, ...]]] = (),
        seconds: float | None = None,
        memory_bytes: int | None = None,
        network: bool = True,
        initializer: str | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        if workers < 0:
            raise ValueError(f"workers must be 0 or more, got {workers}")
        if seconds is not None and seconds <= 0:
            raise ValueError(f"seconds must be more than 0, got {seconds}")
        if memory_bytes is not None and memory_bytes <= 0:
            raise ValueError(f"memory_bytes must be more than 0, got {memory_bytes}")
        self._workers = workers
        self._initargs = initargs
        self._settings = Settings(
            function=function,
            preload=tuple(preload),
            prepare=tuple(prepare),
            seconds=seconds,
            memory_bytes=memory_bytes,
            network=network,
            initializer=initializer,
            initargs=pickle.dumps(initargs) if workers else b"",
        )
        self._supervisor: Supervisor | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._mapping = False
        self._initialized = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the workers and wait until they are gone. A later `imap` starts new ones."""
        if self._finalizer is not None:
            self._finalizer()
        self._supervisor = self._finalizer = None

    def imap(
        self, tasks: Iterable[Any], *, window: int | None = None
    ) -> Iterator[tuple[Any, Any | Failure]]:
        """Yield each task with its result or its `Failure`, in the order of `tasks`.

        Tasks are taken from the iterable only as workers become free, in the caller's thread.
        Leaving the loop early kills what is still running.

        Args:
            tasks: Picklable values; one that is not becomes a `Failure`.
            window: How many tasks may be taken and not yet yielded; it bounds how much is held
                while a slow one blocks the front. By default 4 for each worker, and at least 8.

        Raises:
            PoolError: the function cannot be imported, or workers cannot be kept alive.
        """
        if self._workers == 0:
            return self._inline(tasks)
        if window is not None and window < 1:
            raise ValueError(f"window must be 1 or more, got {window}")
        return self._map(tasks, window or max(8, 4 * self._workers))

    def _inline(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any | Failure]]:
        function = wire.resolve(self._settings.function)
        if self._settings.initializer and not self._initialized:
            wire.resolve(self._settings.initializer)(*self._initargs)
        self._initialized = True
        for task in tasks:
            result: Any
            try:
                result = function(task)
            except Exception as error:
                result = wire.failure_of(error)
            yield task, result

    def _map(self, tasks: Iterable[Any], window: int) -> Iterator[tuple[Any, Any | Failure]]:
        if self._mapping:
            raise PoolError("this pool is already mapping; use one pool for each loop")
        self._mapping = True
        waiting: deque[tuple[Any, Slot]] = deque()
        supervisor = self._started()
        iterator = iter(tasks)
        exhausted = False

        def wanting() -> bool:
            return not exhausted and len(waiting) < window and supervisor.hungry()

        try:
            while True:
                while wanting():
                    task = next(iterator, _END)
                    if task is _END:
                        exhausted = True
                        break
                    slot = pack(task)
                    waiting.append((task, slot))
                    if not slot.done:
                        supervisor.submit(slot)
                    if waiting[0][1].done:
                        break  # what is finished is passed on before more is taken in
                if not waiting:
                    return
                supervisor.wait(lambda: waiting[0][1].done or wanting())
                if waiting[0][1].done:
                    task, slot = waiting.popleft()
                    outcome = load(slot)
                    del slot
                    yield task, outcome
        finally:
            self._mapping = False
            if waiting:
                supervisor.abandon([slot for _, slot in waiting])

    def _started(self) -> Supervisor:
        if self._supervisor is None or self._owner != os.getpid():
            self._supervisor = Supervisor(self._workers, self._settings)
            self._owner = os.getpid()
            self._finalizer = weakref.finalize(self, self._supervisor.close)
        return self._supervisor

    _owner = -1
