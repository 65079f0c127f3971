"""Sending a run's events around its stages, from the moment there is work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lineage import MissingExtra
from pipelines.storage import Storage

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent, RunState

    from pipelines.config import Config
    from pipelines.lineage_events.delivery import Delivery
    from pipelines.lineage_events.events import Events
    from pipelines.options import RunOptions
    from pipelines.progress import Progress

T = TypeVar("T")
FOLDER = "_lineage"
FILE = "openlineage.jsonl"
_EXTRA = "pip install 'gristmill[openlineage]'"


class RunEvents:
    """The events of one run of one or more stages.

    A stage's START is sent when it knows that there is something to do, with the time at which it
    began; a stage without work sends nothing. Whatever goes wrong here is a note, not an error.

    Raises:
        MissingExtra: the configuration asks for events and the library is not installed.
    """

    def __init__(self, config: Config, options: RunOptions) -> None:
        self._config = config
        self._options = options
        self._began = datetime.now(UTC)
        self._events: Events | None = None
        self._delivery: Delivery | None = None
        self._notes: list[str] = []
        self._wanted = _wanted(config)

    @property
    def notes(self) -> list[str]:
        """What a reader of the run should know; complete after `close`."""
        return [*self._notes, *(self._delivery.notes if self._delivery is not None else [])]

    def watch(self, stage: str, run: Callable[[RunOptions], T]) -> T:
        """What `run` returns, called with options that tell when the stage has work."""
        if not self._wanted:
            return run(self._options)
        began = datetime.now(UTC)
        started = False

        def start() -> None:
            nonlocal started
            if not started:
                started = True
                self._send(lambda events: events.stage(stage, _state("START"), began))

        progress = _Noticed(self._options.progress, start)
        try:
            summary = run(replace(self._options, progress=progress))
        except BaseException as error:
            start()
            failure = error
            self._send(
                lambda events: events.stage(stage, _state("FAIL"), datetime.now(UTC), error=failure)
            )
            raise
        if started:
            self._send(
                lambda events: events.stage(
                    stage, _state("COMPLETE"), datetime.now(UTC), summary=summary
                )
            )
        return summary

    def close(self, error: BaseException | None = None) -> None:
        """End the run as a whole."""
        if self._delivery is None:
            return
        state = _state("COMPLETE" if error is None else "FAIL")
        self._send(lambda events: events.whole(state, datetime.now(UTC), error))
        self._delivery.close()

    def _send(self, make: Callable[[Events], RunEvent]) -> None:
        """Make an event and deliver it; the run as a whole has started by then."""
        try:
            events, delivery = self._ready()
            delivery.send(make(events))
        except Exception as error:
            # No lineage is worth a run, nor the error that this event was to tell of.
            if not self._notes:
                self._notes.append(f"lineage events are incomplete: {error!r:.300}")

    def _ready(self) -> tuple[Events, Delivery]:
        if self._events is None or self._delivery is None:
            from pipelines.lineage_events.events import Events

            config = self._config
            self._events = Events(config, self._options.run_id, config.lineage.namespace)
            self._delivery = _delivery(config)
            self._delivery.send(self._events.whole(_state("START"), self._began))
        return self._events, self._delivery


class _Noticed:
    """A progress display that also says when a step with work begins."""

    def __init__(self, progress: Progress, noticed: Callable[[], None]) -> None:
        self._progress = progress
        self._noticed = noticed

    def stage(self, name: str, total: int) -> None:
        """See `Progress.stage`."""
        if total:
            self._noticed()
        self._progress.stage(name, total)

    def advance(self, n: int) -> None:
        """See `Progress.advance`."""
        self._progress.advance(n)

    def note(self, message: str) -> None:
        """See `Progress.note`."""
        self._progress.note(message)

    def close(self) -> None:
        """See `Progress.close`."""
        self._progress.close()


def _wanted(config: Config) -> bool:
    lineage = config.lineage
    if not lineage.enabled:
        return False
    asked = bool(lineage.url or lineage.file)
    if find_spec("openlineage") is None:
        if asked:
            raise MissingExtra(
                f"{config.path}: `lineage` needs the OpenLineage client, which is not installed. "
                f"Install it with: {_EXTRA}"
            )
        return False
    return asked or "://" not in config.lake


def _delivery(config: Config) -> Delivery:
    from pipelines.lineage_events.delivery import FileDelivery, HttpDelivery

    folder = Storage.from_uri(config.lake) / FOLDER
    if config.lineage.url:
        return HttpDelivery(config.lineage, folder / "pending")
    return FileDelivery(Path(config.lineage.file or f"{folder.uri}/{FILE}"))


def _state(name: str) -> RunState:
    from openlineage.client.event_v2 import RunState

    return RunState[name]
