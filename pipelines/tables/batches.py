"""Batches: what a run has written and is about to commit, as a manifest in the lake.

The manifest is there before the commit, so a run that dies in between loses nothing: the next
one finds a finished batch and adopts it, or finds that it can no longer be committed and drops
it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pipelines.steps import step
from pipelines.storage import Storage
from pipelines.tables.parts import Part


@dataclass(frozen=True, slots=True)
class Batch:
    """One commit's worth of output for one table."""

    batch_id: str
    seq: int
    """The commit's number: the rows carry it already."""
    consumer: str
    """Whose position moves with the commit."""
    position: int
    """Up to which `seq` of its input the consumer has read once this is committed."""
    run_id: str
    parts: tuple[Part, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Counts and figures of the batch, for the run's summary."""

    def as_json(self) -> bytes:
        """The manifest's bytes."""
        value = {
            "batch_id": self.batch_id,
            "seq": self.seq,
            "consumer": self.consumer,
            "position": self.position,
            "run_id": self.run_id,
            "parts": [part.as_dict() for part in self.parts],
            "facts": dict(self.facts),
        }
        return json.dumps(value, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Batch:
        """The inverse of `as_json`."""
        value = json.loads(data)
        parts = tuple(Part(**part) for part in value.pop("parts"))
        return cls(parts=parts, **value)


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of one table's uncommitted batches."""

    folder: Storage

    def write(self, batch: Batch) -> None:
        """Record a finished batch."""
        with step("manifest-write"):
            self.folder.write_bytes(f"{batch.batch_id}.json", batch.as_json())

    def read(self, batch_id: str) -> Batch:
        """A recorded batch.

        Raises:
            FileNotFoundError: there is none of that id.
        """
        return Batch.from_json(self.folder.read_bytes(f"{batch_id}.json"))

    def pending(self, consumer: str) -> Iterator[Batch]:
        """The batches of `consumer` that were recorded and not yet dropped, by `seq`."""
        return (batch for batch in self.all() if batch.consumer == consumer)

    def all(self) -> Iterator[Batch]:
        """The recorded batches of all consumers, by `seq`."""
        batches = []
        for name in self.folder.list():
            if not name.endswith(".json") or name.startswith("."):
                continue
            # Its run, or one that adopts it, may remove it at any moment.
            with suppress(FileNotFoundError):
                batches.append(Batch.from_json(self.folder.read_bytes(name)))
        yield from sorted(batches, key=lambda batch: batch.seq)

    def drop(self, batch_id: str) -> None:
        """Forget a batch that was committed, or never can be."""
        with step("manifest-drop"):
            self.folder.delete(f"{batch_id}.json")
