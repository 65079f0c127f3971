"""One Delta table that is an append-only change log, and its atomic commit.

A commit carries three application transactions: `("seq", n)`, shared by all writers of the
table and therefore its lock; `(consumer, position)`, which says how far the consumer has read
its input; and `("writer", number of the consumer)`, which says whose rows are the newest. They
and the rows become visible together, or not at all.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lineage import CommitConflict, TerminalError
from lineage.schemas import check_version
from pipelines.steps import step
from pipelines.storage import Storage
from pipelines.tables.batches import Batch, Manifests
from pipelines.tables.part_files import open_log

if TYPE_CHECKING:
    from deltalake import DeltaTable

_SEQ = "seq"
_WRITER = "writer"
HORIZON = "horizon"
"""The transaction of a fold: up to which `seq` the log no longer tells what happened."""
_VERSION_KEY = "gristmill.schema"


@dataclass(frozen=True, slots=True)
class File:
    """A visible part file of a table, and the range of `seq` in it."""

    path: str
    rows: int
    size_bytes: int
    min_seq: int
    max_seq: int


class Table:
    """A change log in a folder or container.

    Opening does no I/O. What is read is the snapshot of the first access, until `refresh`.

    Args:
        name: how messages call it.
        folder: where the Delta table is.
        manifests: where its uncommitted batches are recorded.
        schema: Arrow schema of the rows.
        schema_version: `MAJOR.MINOR` of that schema.
    """

    def __init__(
        self, name: str, folder: Storage, manifests: Storage, schema: pa.Schema, schema_version: str
    ) -> None:
        self.name = name
        self.folder = folder
        self.schema = schema
        self.manifests = Manifests(manifests)
        self._schema_version = schema_version

    @cached_property
    def _delta(self) -> DeltaTable | None:
        delta = open_log(self.folder)
        if delta is None:
            return None
        written = delta.metadata().configuration.get(_VERSION_KEY)
        if written is None:
            raise TerminalError(
                f"{self.folder.uri} holds a Delta table that gristmill did not write; "
                "point `lake` at another folder"
            )
        check_version(self.name, written, self._schema_version)
        return delta

    def refresh(self) -> None:
        """See what has been committed since the first access."""
        self.__dict__.pop("_delta", None)
        self.__dict__.pop("files", None)

    @property
    def exists(self) -> bool:
        """Whether anything was ever committed."""
        return self._delta is not None

    @property
    def version(self) -> int | None:
        """The Delta version of the snapshot; null when there is no table."""
        return self._delta.version() if self._delta is not None else None

    @property
    def identity(self) -> str:
        """Which table this is: one that was deleted and made again is another, at the same path."""
        return f"{self.name}@{self.opened().metadata().id}"

    @property
    def seq(self) -> int:
        """Number of the last commit, 0 before the first."""
        return self.transaction(_SEQ) or 0

    @property
    def horizon(self) -> int:
        """Up to which `seq` history was folded; 0 if it never was.

        Whoever has read less far than this cannot learn from the log what was deleted since.
        """
        return self.transaction(HORIZON) or 0

    def position(self, consumer: str) -> int | None:
        """Up to which `seq` of its input `consumer` has written into this table."""
        return self.transaction(consumer)

    def is_last_writer(self, consumer: str) -> bool:
        """Whether the newest commit of rows is this consumer's."""
        return self.transaction(_WRITER) == _number(consumer)

    def transaction(self, application: str) -> int | None:
        """The version that an application's transaction has in the snapshot."""
        return self._delta.transaction_version(application) if self._delta is not None else None

    @cached_property
    def files(self) -> tuple[File, ...]:
        """The visible part files by `seq`, then path."""
        if self._delta is None:
            return ()
        actions = pa.table(self._delta.get_add_actions(flatten=True))
        columns = ["path", "num_records", "size_bytes", "min.seq", "max.seq"]
        if not actions.num_rows:
            return ()
        rows = zip(*(actions[name].to_pylist() for name in columns), strict=True)
        return tuple(sorted((File(*row) for row in rows), key=lambda f: (f.min_seq, f.path)))

    def create(self) -> None:
        """Create the empty table unless it exists; one of an older minor version gets the columns
        that it lacks, so that readers of the table see them."""
        if self.exists:
            self._widen()
            return
        from deltalake import DeltaTable

        with step("table-create"):
            self.folder.make_folder()
            DeltaTable.create(
                self.folder.uri,
                self.schema,
                mode="ignore",
                name=self.name,
                configuration={_VERSION_KEY: self._schema_version},
                storage_options=self.folder.delta_options(),
                raise_if_key_not_exists=False,
            )
        self.refresh()

    def _widen(self) -> None:
        from deltalake import Schema
        from deltalake.exceptions import CommitFailedError

        if not self._is_older():
            return
        # The version last: whoever is stopped in between leaves an older one, which is widened
        # again to the same.
        try:
            with step("table-widen"):
                self.opened().alter.add_columns(list(Schema.from_arrow(self.schema).fields))
                self.opened().alter.set_table_properties(
                    {_VERSION_KEY: self._schema_version}, raise_if_not_exists=False
                )
        except CommitFailedError as error:
            self.refresh()
            if self._is_older():
                raise CommitConflict(
                    f"another writer committed to table {self.name!r} while it was given the "
                    f"columns of schema version {self._schema_version} ({error}); nothing else "
                    "changed, run the command again"
                ) from error
        self.refresh()

    def _is_older(self) -> bool:
        written = self.opened().metadata().configuration[_VERSION_KEY]
        return _numbers(written) < _numbers(self._schema_version)

    def begin(
        self, consumer: str, position: int, run_id: str, *, after: int | None = None
    ) -> Batch:
        """An empty batch for the next commit; its rows must carry its `seq`.

        Args:
            consumer: whose position moves with it.
            position: where to.
            run_id: the run that writes it.
            after: the commit that the batch's plan is based on; by default the snapshot's last.
                If another one comes in between, the batch cannot be committed.
        """
        return Batch(
            batch_id=uuid.uuid4().hex,
            seq=(self.seq if after is None else after) + 1,
            consumer=consumer,
            position=position,
            run_id=run_id,
        )

    def part_path(self, batch: Batch, suffix: str) -> str:
        """Path of one of a batch's part files, relative to the table."""
        return f"data/{batch.seq:012d}-{batch.batch_id}-{suffix}.parquet"

    def commit(self, batch: Batch) -> int:
        """Make a batch visible, all of it at once.

        The manifest must have been written. A batch whose parts are in the table already is a
        success, so a commit whose answer was lost may be repeated.

        Returns:
            The Delta version after the commit.

        Raises:
            CommitConflict: another writer has taken this `seq`; nothing became visible.
            TerminalError: a part file of the batch is missing.
        """
        from deltalake.exceptions import CommitFailedError
        from deltalake.transaction import AddAction, CommitProperties, Transaction

        self.create()
        self.refresh()
        if self._committed(batch):
            self.manifests.drop(batch.batch_id)
            return self._version()
        if self.seq != batch.seq - 1:
            raise self._conflict(batch)
        for part in batch.parts:
            if self.folder.size(part.path) != part.size_bytes:
                raise TerminalError(
                    f"part {part.path} of table {self.name!r} is missing or incomplete; nothing "
                    "was committed, run the command again"
                )
        now = int(time.time() * 1000)
        actions: list[Any] = [
            AddAction(part.path, part.size_bytes, {}, now, True, part.stats())
            for part in batch.parts
        ]
        properties = CommitProperties(
            app_transactions=[
                Transaction(_SEQ, batch.seq),
                Transaction(batch.consumer, batch.position),
                Transaction(_WRITER, _number(batch.consumer)),
            ],
            custom_metadata={
                "run_id": batch.run_id,
                "consumer": batch.consumer,
                "batch_id": batch.batch_id,
            },
        )
        try:
            with step("commit"):
                self.opened().create_write_transaction(
                    actions, "append", self.schema, commit_properties=properties
                )
        except CommitFailedError as error:
            self.refresh()
            if not self._committed(batch):
                raise self._conflict(batch) from error
        self.refresh()
        self.manifests.drop(batch.batch_id)
        return self._version()

    def finished(self, batch: Batch) -> Batch:
        """The batch as its pipeline has recorded it.

        Raises:
            CommitConflict: the record is gone, so another run has taken over.
        """
        try:
            return self.manifests.read(batch.batch_id)
        except FileNotFoundError:
            self.refresh()
            raise CommitConflict(
                f"another run took over a finished batch of run {batch.run_id} for table "
                f"{self.name!r}, as if that one had died; nothing is lost. Let one run work at a "
                "time, and run the command again once the other one has finished."
            ) from None

    def adopt(self, consumer: str) -> list[Batch]:
        """Commit the finished batches that a dead run of `consumer` left, and drop the stale ones.

        Returns:
            The batches that were committed now.
        """
        adopted = []
        for batch in self.manifests.pending(consumer):
            if self._committed(batch) or batch.seq != self.seq + 1 or not self._complete(batch):
                self.manifests.drop(batch.batch_id)
                continue
            self.commit(batch)
            adopted.append(batch)
        return adopted

    def _complete(self, batch: Batch) -> bool:
        return all(self.folder.size(part.path) == part.size_bytes for part in batch.parts)

    def _committed(self, batch: Batch) -> bool:
        if self.seq < batch.seq:
            return False
        if batch.parts:
            visible = {file.path for file in self.files}
            return all(part.path in visible for part in batch.parts)
        return any(
            entry.get("batch_id") == batch.batch_id for entry in self.opened().history(limit=20)
        )

    def _conflict(self, batch: Batch) -> CommitConflict:
        winner = next(
            (entry for entry in self.opened().history(limit=20) if entry.get("run_id")), {}
        )
        return CommitConflict(
            f"another writer committed to table {self.name!r} first: run "
            f"{winner.get('run_id', 'unknown')} as {winner.get('consumer', 'unknown')!r} took "
            f"seq {self.seq}, which run {batch.run_id} needed. Nothing of this batch became "
            "visible; run the command again once the other one has finished."
        )

    def opened(self) -> DeltaTable:
        """The Delta table of the snapshot.

        Raises:
            TerminalError: there is none.
        """
        if self._delta is None:
            raise TerminalError(f"table {self.name!r} does not exist at {self.folder.uri}")
        return self._delta

    def _version(self) -> int:
        return self.opened().version()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _number(consumer: str) -> int:
    """A consumer's name as the version of a transaction, in 52 bits."""
    return int(hashlib.sha256(consumer.encode()).hexdigest()[:13], 16)
