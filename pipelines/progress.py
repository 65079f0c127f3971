"""How far a stage is: a protocol that stages report to, and its three forms."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Progress(Protocol):
    """What a stage tells about its progress. Lives in the driver and is never pickled."""

    def stage(self, name: str, total: int) -> None:
        """Begin the step `name` of `total` units; the step before it, if any, has ended."""

    def advance(self, n: int) -> None:
        """`n` more units of the current step are done."""

    def note(self, message: str) -> None:
        """Tell the reader something that is neither a result nor an error."""

    def close(self) -> None:
        """Nothing more will come; may be called more than once."""


class NullProgress:
    """Says nothing: for libraries, tests and `--quiet`."""

    def stage(self, name: str, total: int) -> None:
        """Ignored."""

    def advance(self, n: int) -> None:
        """Ignored."""

    def note(self, message: str) -> None:
        """Ignored."""

    def close(self) -> None:
        """Ignored."""


class LineProgress:
    """One line at the beginning and end of each step: for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._name = ""
        self._total = 0
        self._done = 0

    def stage(self, name: str, total: int) -> None:
        """End the step before and begin `name`."""
        self._end()
        self._name, self._total, self._done = name, total, 0
        if total:
            self._write(f"{name}: {total}")

    def advance(self, n: int) -> None:
        """Count; nothing is written until the step ends."""
        self._done += n

    def note(self, message: str) -> None:
        """Write `message` as a line."""
        self._write(message)

    def close(self) -> None:
        """End the current step."""
        self._end()

    def _end(self) -> None:
        if self._name and self._total:
            self._write(f"{self._name}: {self._done}/{self._total} done")
        self._name = ""

    def _write(self, message: str) -> None:
        print(message, file=self._stream, flush=True)


class TerminalProgress:
    """A bar a step with a fixed total, on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._bars: RichProgress | None = None
        self._task: TaskID | None = None
        self._total = 0

    def stage(self, name: str, total: int) -> None:
        """Fill up the bar before and begin one for `name`."""
        self._finish()
        self._task = None
        if not total:
            return
        bars = self._open()
        self._total = total
        self._task = bars.add_task(name, total=total)

    def advance(self, n: int) -> None:
        """Move the current bar on by `n` units."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, n)

    def note(self, message: str) -> None:
        """Write `message` above the bars."""
        self._open().console.print(message, markup=False, highlight=False)

    def close(self) -> None:
        """Leave the bars as they are and give the terminal back."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = self._task = None

    def _finish(self) -> None:
        """A step that was ended by the next one is done, whatever was counted."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=self._total)

    def _open(self) -> RichProgress:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(file=self._stream),
            )
            self._bars.start()
        return self._bars


def open_progress(*, quiet: bool = False, stream: TextIO | None = None) -> Progress:
    """Bars when `stream` (default: stderr) is a terminal, lines when not, nothing when `quiet`."""
    stream = stream or sys.stderr
    if quiet:
        return NullProgress()
    return TerminalProgress(stream) if stream.isatty() and styled() else LineProgress(stream)


def styled() -> bool:
    """Whether a terminal may be sent more than plain text."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
