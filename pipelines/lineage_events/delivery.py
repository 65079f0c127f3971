"""Where events go: into a file, or to an endpoint with a spool for when it is away.

Nothing here takes more than seconds, and nothing here fails a run.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from openlineage.client import OpenLineageClient
from openlineage.client.serde import Serde
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport
from openlineage.client.transport.http import TokenProvider as NoToken

from pipelines.storage import Storage

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

    from pipelines.config import LineageConfig

API_KEY = "OPENLINEAGE_API_KEY"
MAX_FILE_BYTES = 16 << 20
"""A larger file of events is set aside, under the same name with `.1`; one such is kept."""
MAX_PENDING = 1_000
"""Events that wait for an endpoint; beyond, the oldest are dropped."""

_TIMEOUT_SECONDS = 3.0
_LONGEST_SECONDS = 8.0
_FLUSH_SECONDS = 5.0
_RETRIED = frozenset({401, 403, 404, 408, 425, 429})


class Delivery(Protocol):
    """Takes events, in order."""

    notes: list[str]
    """What a reader of the run should know."""

    def send(self, event: RunEvent) -> None:
        """Deliver, or keep; never raises."""

    def close(self) -> None:
        """Nothing more will come."""


class FileDelivery:
    """One line of JSON an event."""

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        self._path = path
        self._client: OpenLineageClient | None = None

    def send(self, event: RunEvent) -> None:
        """See `Delivery.send`."""
        try:
            if self._client is None:
                self._client = self._open()
            self._client.emit(event)
        except (OSError, RuntimeError) as error:
            if not self.notes:
                self.notes.append(f"lineage events cannot be written to {self._path}: {error}")

    def close(self) -> None:
        """See `Delivery.close`."""
        if self._client is not None:
            self._client.close()

    def _open(self) -> OpenLineageClient:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size > MAX_FILE_BYTES:
            os.replace(self._path, self._path.with_name(f"{self._path.name}.1"))
        return OpenLineageClient(
            transport=FileTransport(FileConfig(log_file_path=str(self._path), append=True))
        )


class HttpDelivery:
    """An endpoint, and a folder of the lake for events that it did not take."""

    def __init__(self, config: LineageConfig, spool: Storage) -> None:
        self.notes: list[str] = []
        self._url = config.url or ""
        self._spool = spool
        self._away = False
        self._kept = 0
        self._dropped = 0
        self._refused = 0
        self._flushed = False
        key = os.environ.get(API_KEY)
        self._transport = HttpTransport(
            HttpConfig(
                url=self._url if self._url.endswith("/") else f"{self._url}/",
                endpoint=config.endpoint,
                timeout=_TIMEOUT_SECONDS,
                auth=ApiKeyTokenProvider({"api_key": key}) if key else NoToken({}),
                retry={"total": 0},
            )
        )
        self._client = OpenLineageClient(transport=self._transport)

    def send(self, event: RunEvent) -> None:
        """See `Delivery.send`. What waits from earlier runs goes first."""
        if not self._flushed:
            self._flushed = True
            self._flush()
        if self._away or not self._deliver(lambda: self._client.emit(event)):
            self._keep(Serde.to_json(event))

    def close(self) -> None:
        """See `Delivery.close`."""
        if self._kept:
            self.notes.append(
                f"{self._url} does not take lineage events; {self._kept} of this run wait in "
                f"{self._spool.uri} for the next one"
            )
        if self._dropped:
            self.notes.append(
                f"{self._spool.uri} holds no more than {MAX_PENDING} lineage events; the oldest "
                f"{self._dropped} were dropped"
            )
        if self._refused:
            self.notes.append(f"{self._url} refused {self._refused} lineage events for good")
        if not self._away:
            self._client.close()

    def _flush(self) -> None:
        try:
            names = self._spool.list()
            until = time.monotonic() + _FLUSH_SECONDS
            for name in names:
                if self._away or time.monotonic() > until:
                    return
                value: Any = json.loads(self._spool.read_bytes(name))
                if self._deliver(lambda value=value: self._transport.emit(value)):  # type: ignore[misc]
                    self._spool.delete(name)
        except (OSError, ValueError) as error:
            self.notes.append(f"lineage events that wait in {self._spool.uri}: {error}")

    def _deliver(self, call: Callable[[], Any]) -> bool:
        """Whether the event need not be kept; an endpoint that fails once is away for this run."""
        problem = bounded(call, _LONGEST_SECONDS)
        if problem is None:
            return True
        status = getattr(getattr(problem, "response", None), "status_code", 0)
        if 400 <= status < 500 and status not in _RETRIED:
            self._refused += 1
            return True
        self._away = True
        return False

    def _keep(self, text: str) -> None:
        try:
            waiting = self._spool.list()
            for name in waiting[: max(0, len(waiting) - MAX_PENDING + 1)]:
                self._spool.delete(name)
                self._dropped += 1
            self._spool.write_bytes(f"{time.time_ns():020d}.json", text.encode())
            self._kept += 1
        except OSError as error:
            self.notes.append(f"lineage events cannot be kept in {self._spool.uri}: {error}")


def bounded(call: Callable[[], Any], seconds: float) -> Exception | None:
    """What `call` raised, null when it returned; a TimeoutError when it takes longer.

    Then it goes on in a thread that nobody waits for: a server that answers byte by byte stays
    within every limit on single reads.
    """
    outcome: list[Exception | None] = []

    def run() -> None:
        try:
            call()
        except Exception as error:
            outcome.append(error)
        else:
            outcome.append(None)

    thread = threading.Thread(target=run, daemon=True, name="openlineage")
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else TimeoutError(f"no answer within {seconds:g} s")
