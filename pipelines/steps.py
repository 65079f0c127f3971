"""The named steps at which a run may be interrupted, so that tests can interrupt it at each one.

Everything that leaves something behind outside of the process happens inside a `step`: a part
file, a manifest, a commit, a change of a sink. A test sets `hook` and is told before and after
each; a process started with `GRISTMILL_KILL_AT=NAME:MOMENT:COUNT` kills itself there with
SIGKILL, as in `commit:after:2`: right after its second commit.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STEPS = {
    "part-open": "a part file is created",
    "part-write": "row groups are written to it",
    "part-close": "it is finished",
    "manifest-write": "a finished batch is recorded",
    "manifest-drop": "the record of a committed batch is removed",
    "table-create": "an empty table is made",
    "table-widen": "a table of an older minor version gets the columns that it lacks",
    "commit": "a batch becomes visible",
    "rebuild": "a sink is prepared for being filled anew",
    "sink-delete": "documents leave a sink",
    "sink-rights": "rights change in a sink",
    "sink-replace": "chunks are replaced in a sink",
    "sink-optimize": "a sink's small files are joined",
    "sink-index": "a sink's indexes are brought up to date",
    "sink-record": "it is recorded which run has loaded what",
    "sink-position": "a sink's position moves",
    "fold": "history is replaced by what is still needed of it",
    "sweep": "a file that nothing refers to is removed",
    "tombstone": "it is recorded that a document is to stay away",
    "erase": "what is left of an erased document is removed",
}
"""Every step and what happens in it."""

WRITES = tuple(name for name in STEPS if name not in ("manifest-drop", "sweep"))
"""The steps that need room on a disk."""

VARIABLE = "GRISTMILL_KILL_AT"

hook: Callable[[str, str], None] | None = None
"""Called with a step's name and `before` or `after`; what it raises ends the step."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Carry out one step of `STEPS`.

    Raises:
        KeyError: no such step is registered.
    """
    STEPS[name]
    _tell(name, "before")
    yield
    _tell(name, "after")


def _tell(name: str, moment: str) -> None:
    if hook is not None:
        hook(name, moment)
    if _killer is not None:
        _killer(name, moment)


class _Killer:
    """Ends this process, without a chance to tidy up, at one occurrence of one step."""

    def __init__(self, text: str) -> None:
        self._name, self._moment, count = text.split(":")
        self._count = int(count)
        self._seen: Counter[tuple[str, str]] = Counter()

    def __call__(self, name: str, moment: str) -> None:
        self._seen[name, moment] += 1
        here = (name, moment) == (self._name, self._moment)
        if here and self._seen[name, moment] == self._count:
            os.kill(os.getpid(), signal.SIGKILL)


_killer = _Killer(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None
