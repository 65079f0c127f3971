"""One slice of a transform plan: chunk what needs it, note the rest. No Beam in here."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lineage import ErrorInfo, TransientError
from pipelines.pool import Failure
from pipelines.storage import Storage
from pipelines.tables import Batch, ChunkTable, Part, PartWriter, Place, Table
from pipelines.transform.figures import Figures, merge_by_type
from pipelines.transform.plan import Action
from pipelines.transform.rows import ChunkRows, RowStamp
from pipelines.transform.work import Unit, UnitReply, add_reject
from pipelines.usage import Ledger

UNIT_BYTES = 4 << 20
"""A unit of work holds about this many bytes of source documents."""
UNIT_DOCUMENTS = 500


class Pool(Protocol):
    """What a slice needs of `pipelines.pool.ProcessPool`."""

    def imap(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Results in the order of the tasks."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some actions of a plan, and where the content of those to be chunked is."""

    index: int
    actions: tuple[Action, ...]
    places: Mapping[str, Place]


@dataclass(slots=True)
class SliceResult:
    """Part files, counts, figures by data type, and costs."""

    parts: list[Part] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, Figures] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)

    def merge(self, other: SliceResult) -> SliceResult:
        """Both together."""
        return SliceResult(
            [*self.parts, *other.parts],
            self.counts + other.counts,
            merge_by_type(self.figures, other.figures),
            self.ledger.merge(other.ledger),
        )

    def add(self, reply: UnitReply) -> None:
        """Take in what one unit made."""
        if reply.part is not None:
            self.parts.append(reply.part)
        self.counts.update(reply.counts)
        self.figures = merge_by_type(self.figures, reply.figures)
        self.ledger = self.ledger.merge(reply.ledger)


class SliceTransform:
    """Carries out the actions of one slice."""

    def __init__(
        self,
        documents: Table,
        chunks: ChunkTable,
        vectors: Storage,
        batch: Batch,
        stamp: RowStamp,
        advance: Callable[[int], None],
    ) -> None:
        self._documents = documents
        self._vectors = vectors
        self._chunks = chunks
        self._batch = batch
        self._stamp = stamp
        self._advance = advance

    def run(self, work: Slice, pool: Pool) -> SliceResult:
        """Do it all; the part files are finished, and visible to nobody until committed."""
        result = SliceResult()
        result.add(self._write_headers(work))
        failed: list[Unit] = []
        for unit, reply in pool.imap(self._units(work)):
            if isinstance(reply, Failure):
                if reply.kind == "error":
                    # What one document does wrong is caught where it is chunked. What is left
                    # is the lake: unreadable, full, away. No document is to blame for that.
                    raise TransientError(
                        f"cannot chunk documents of {unit.documents.uri}/{unit.place.file} into "
                        f"{unit.chunks.uri}: {reply.message}"
                    )
                failed.append(unit)
            else:
                result.add(reply)
                self._advance(len(unit.actions))
        singles = [one for unit in failed for one in _singly(unit)]
        lost: list[tuple[Action, Failure]] = []
        for unit, reply in pool.imap(singles):
            if isinstance(reply, Failure):
                lost.append((unit.actions[0], reply))
            else:
                result.add(reply)
            self._advance(1)
        if lost:
            result.add(self._write_lost(work, lost))
        return result

    def _writer(self, suffix: str) -> PartWriter:
        path = self._chunks.part_path(self._batch, suffix)
        return PartWriter(self._chunks.folder, path, self._chunks.schema)

    def _write_headers(self, work: Slice) -> UnitReply:
        """Rights and withdrawals: rows without any chunk."""
        rows, reply = ChunkRows(self._stamp), UnitReply()
        for action in work.actions:
            if action.kind == "chunk":
                continue
            header = action.header or {}
            if action.kind == "acl":
                rows.add_header(
                    action,
                    "acl",
                    chunk_count=header["chunk_count"],
                    token_count=header["token_count"],
                )
                reply.counts.update(acl=1)
            elif action.kind == "delete":
                rows.add_header(action, "delete", chunk_count=0)
                reply.counts.update(deleted=1)
            else:
                error = action.document["error"] or {}
                rows.add_header(action, "reject", chunk_count=0, error=ErrorInfo(**error))
                reply.counts.update(withdrawn=1)
            self._advance(1)
        if len(rows):
            writer = self._writer(f"{work.index:05d}-headers")
            writer.write(rows.table())
            reply.part = writer.close()
        return reply

    def _write_lost(self, work: Slice, lost: Iterable[tuple[Action, Failure]]) -> UnitReply:
        rows, reply = ChunkRows(self._stamp), UnitReply()
        for action, failure in lost:
            error_class = "chunker_error" if failure.kind == "error" else failure.kind
            message = f"while chunking: {failure.message}"
            add_reject(action, error_class, message, rows, reply)
        writer = self._writer(f"{work.index:05d}-lost")
        writer.write(rows.table())
        reply.part = writer.close()
        return reply

    def _units(self, work: Slice) -> Iterator[Unit]:
        by_file: dict[str, list[Action]] = {}
        for action in work.actions:
            if action.kind == "chunk":
                place = work.places[action.document["document_id"]]
                by_file.setdefault(place.file, []).append(action)
        number = 0
        for file in sorted(by_file):
            for members in _portions(by_file[file], work.places):
                groups = {
                    group
                    for action in members
                    for group in work.places[action.document["document_id"]].row_groups
                }
                yield Unit(
                    place=Place(file, tuple(sorted(groups))),
                    actions=tuple(members),
                    documents=self._documents.folder,
                    chunks=self._chunks.folder,
                    vectors=self._vectors,
                    part_path=self._chunks.part_path(self._batch, f"{work.index:05d}-{number:05d}"),
                    stamp=self._stamp,
                    schema=self._chunks.schema,
                )
                number += 1


def _portions(actions: list[Action], places: Mapping[str, Place]) -> Iterator[list[Action]]:
    """Documents of one file in portions, those of one row group next to each other."""
    ordered = sorted(
        actions,
        key=lambda a: (
            places[a.document["document_id"]].row_groups,
            a.document["document_id"],
        ),
    )
    portion: list[Action] = []
    size = 0
    for action in ordered:
        weight = action.document["size_bytes"] or 0
        if portion and (size + weight > UNIT_BYTES or len(portion) >= UNIT_DOCUMENTS):
            yield portion
            portion, size = [], 0
        portion.append(action)
        size += weight
    if portion:
        yield portion


def _singly(unit: Unit) -> Iterator[Unit]:
    for number, action in enumerate(unit.actions):
        yield dataclasses.replace(
            unit,
            actions=(action,),
            part_path=unit.part_path.replace(".parquet", f"-{number:05d}.parquet"),
        )


def finished(batch: Batch, result: SliceResult) -> Batch:
    """The batch with its parts, counts, figures and costs."""
    parts = tuple(sorted(result.parts, key=lambda part: part.path))
    facts = {
        "counts": dict(result.counts),
        "figures": {name: figures.as_dict() for name, figures in sorted(result.figures.items())},
        "usage": result.ledger.as_value(),
    }
    return dataclasses.replace(batch, parts=parts, facts=facts)
