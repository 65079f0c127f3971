"""Which run loaded which commits into a sink, remembered in the lake: one small file for a sink.

A chunk needs no row of its own for that. Its document's rows carry the number of their commit in
the chunk table, and every load brings a sink from one such number to another.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from pipelines.steps import step
from pipelines.storage import Storage

FOLDER = "_sinks"
"""Where a lake remembers its sinks; their loads are in a folder of it."""
MOST = 1000
"""Loads to remember of a sink; the oldest are dropped."""


@dataclass(frozen=True, slots=True)
class Load:
    """A load that applied the commits after `after` up to `to` to a sink."""

    run_id: str
    at: str
    """When it was done, in ISO 8601."""
    origin: str
    """The chunk table, as `Table.identity` names it."""
    after: int | None
    """Null for one that filled the sink from the beginning."""
    to: int

    def covers(self, seq: int) -> bool:
        """Whether it applied commit `seq`."""
        return (self.after or 0) < seq <= self.to


def record(lake: str, sink: str, run_id: str, origin: str, after: int | None, to: int) -> None:
    """Record a load that has applied everything up to `to`; whoever calls has the sink's lease.

    It is called before the sink's own position moves: what is recorded is in the sink, and a load
    that dies in between is done once more by the next, which is recorded as well.
    """
    load = Load(run_id, datetime.now(UTC).isoformat(), origin, after, to)
    kept = [*of(lake, sink), load][-MOST:]
    with step("sink-record"):
        folder = _folder(lake)
        folder.write_bytes(file_name(sink), json.dumps([asdict(each) for each in kept]).encode())


def of(lake: str, sink: str) -> list[Load]:
    """The loads of a sink, oldest first; those of before they were recorded are not there."""
    try:
        data = _folder(lake).read_bytes(file_name(sink))
    except FileNotFoundError:
        return []
    return [Load(**value) for value in json.loads(data)]


def of_commit(loads: Sequence[Load], origin: str, seq: int) -> list[Load]:
    """Of `loads` those that applied commit `seq` of the chunk table `origin`, oldest first."""
    return [load for load in loads if load.origin == origin and load.covers(seq)]


def forget(lake: str, sink: str) -> None:
    """Remove what is remembered of a sink that was dropped."""
    _folder(lake).delete(file_name(sink))


def file_name(sink: str) -> str:
    """The file about a sink, whatever its name."""
    return f"{quote(sink, safe='')}.json"


def _folder(lake: str) -> Storage:
    return Storage.from_uri(lake) / FOLDER / "loads"
