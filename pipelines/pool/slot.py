"""One task on its way through the pool, from its pickled form to its outcome."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

from pipelines.pool import wire
from pipelines.pool.wire import Failure


@dataclass(eq=False, slots=True)
class Slot:
    """One task on its way: what is sent, and what came back."""

    payload: bytes | None
    answer: bytearray | Failure | None = None
    failed: bool = False
    """Whether `answer` is a pickled failure rather than a pickled result."""
    attempts: int = 0
    abandoned: bool = False

    @property
    def done(self) -> bool:
        """Whether the outcome is known."""
        return self.answer is not None


def pack(task: object) -> Slot:
    """A slot for `task`; already done, with a failure, when the task cannot be pickled."""
    try:
        return Slot(pickle.dumps(task, protocol=5))
    except Exception as error:
        message = f"the task cannot be sent to a worker: {wire.describe(error)}"
        return Slot(None, answer=Failure("error", message))


def load(slot: Slot) -> object:
    """The outcome of a slot that is done: the result, or a `Failure`."""
    answer = slot.answer
    if answer is None or isinstance(answer, Failure):
        return answer
    try:
        value = pickle.loads(answer)
        return Failure(*value) if slot.failed else value
    except Exception as error:
        return Failure("error", f"the result cannot be read: {wire.describe(error)}")
