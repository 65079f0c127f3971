"""Vectors by model and text, in a Delta table of the lake.

Whoever embeds shares it (`pipelines.embedding.once`): semantic chunking, comparing strategies,
tuning, loading, on any machine. The table holds hashes of texts, never texts, and which document a
text was first seen in, so that its vector can go with it. Rows are only added.
"""

from __future__ import annotations

import functools
import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.embedding.claims import claims_on
from pipelines.storage import Storage
from pipelines.tables import Lake
from pipelines.tables.part_files import damaged, open_log, open_whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from deltalake import DeltaTable

T = TypeVar("T")

SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("text_sha256", pa.string()),
        ("vector", pa.list_(pa.float32())),
        ("written_at", pa.timestamp("us", tz="UTC")),
        ("document_id", pa.string()),
    ]
)
_COMPACT_FILES = 64
"""A table of more files than this is folded before more is added."""
_GROUP_ROWS = 2048
"""Rows in a row group: how much is read for one vector in it."""
_TRIES = 8
"""Of a change to the table that others were quicker with."""


def text_key(text: str) -> str:
    """The hash under which a text's vector is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class VectorCache:
    """The table in `folder`. Opening does no I/O."""

    def __init__(self, folder: Storage) -> None:
        self.folder = folder

    @classmethod
    def of(cls, lake: str) -> VectorCache:
        """The cache of a lake."""
        return cls(Lake(lake).vectors)

    def get(
        self, model: str, keys: Sequence[str], seen: set[str] | None = None
    ) -> dict[str, npt.NDArray[np.float32]]:
        """The vectors of `model` that are there, by the keys of their texts.

        Args:
            model: the embedder's name.
            keys: of the texts; see `text_key`.
            seen: files of the table that need not be looked at; those that were are added.
        """
        import numpy as np

        found: dict[str, npt.NDArray[np.float32]] = {}
        for rows in self._rows(model, keys, ["text_sha256", "vector"], seen):
            vectors = rows["vector"].combine_chunks()
            if not len(vectors):
                continue
            flat = np.asarray(vectors.flatten(), np.float32).reshape(len(vectors), -1)
            found |= dict(zip(rows["text_sha256"].to_pylist(), flat, strict=True))
        return found

    def known(self, model: str, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that have a vector of `model`."""
        return {
            key
            for rows in self._rows(model, keys, ["text_sha256"])
            for key in rows["text_sha256"].to_pylist()
        }

    def put(
        self,
        model: str,
        keys: Sequence[str],
        vectors: npt.NDArray[np.float32],
        documents: Sequence[str | None] | None = None,
    ) -> None:
        """Add vectors, which must not be there yet, in one commit.

        Args:
            model: the embedder's name.
            keys: of the texts; see `text_key`.
            vectors: one row each.
            documents: the id of the document that each text is from; null for a question.
        """
        if not len(keys):
            return
        offsets = pa.array(range(0, vectors.size + 1, vectors.shape[1]), pa.int32())
        now = datetime.now(UTC)
        rows = pa.table(
            [
                pa.array([model] * len(keys), pa.string()),
                pa.array(keys, pa.string()),
                pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel(), pa.float32())),
                pa.array([now] * len(keys), SCHEMA.field("written_at").type),
                pa.array([None] * len(keys) if documents is None else documents, pa.string()),
            ],
            schema=SCHEMA,
        )
        self.folder.make_folder()
        _again(lambda: self._append(rows))

    def _append(self, rows: pa.Table) -> None:
        from deltalake import write_deltalake

        write_deltalake(
            self.folder.uri,
            rows,
            mode="append",
            schema_mode="merge",  # older tables have fewer columns
            storage_options=self.folder.delta_options(),
            writer_properties=_writing(),
        )

    def compact(self) -> None:
        """Fold many small files into few; vectors stay, and so do the old files for readers."""
        from deltalake.exceptions import CommitFailedError

        delta = self._delta()
        if delta is None or len(delta.file_uris()) <= _COMPACT_FILES:
            return
        with (
            claims_on(self.folder) as claims,
            claims.adding(),
            suppress(CommitFailedError),  # somebody else is at it
        ):
            delta.optimize.compact(writer_properties=_writing())

    def sweep(self, retention_hours: int) -> None:
        """Remove files that were folded away so many hours ago."""
        delta = self._delta()
        if delta is not None:
            delta.vacuum(
                retention_hours=retention_hours,
                enforce_retention_duration=False,
                dry_run=False,
                full=True,
            )

    def forget(self, keys: Sequence[str], document_id: str | None = None) -> int:
        """Remove vectors for good, of all models, old files included; returns how many.

        Args:
            keys: of the texts whose vectors go.
            document_id: a document; whatever was embedded for it goes, too.
        """
        terms = [
            f"text_sha256 IN ({', '.join(map(repr, keys[start : start + 1000]))})"
            for start in range(0, len(keys), 1000)
        ]
        delta = self._delta()
        if delta is None:
            return 0
        if document_id and "document_id" in {field.name for field in delta.schema().fields}:
            terms.append(f"document_id = '{document_id}'")
        removed = sum(_again(functools.partial(self._delete, term)) for term in terms)
        with claims_on(self.folder) as claims, claims.sweeping():
            self.sweep(retention_hours=0)
        return removed

    def _delete(self, term: str) -> int:
        delta = self._delta()
        if delta is None:
            return 0
        return int(delta.delete(term, writer_properties=_writing())["num_deleted_rows"])

    def _delta(self) -> DeltaTable | None:
        return open_log(self.folder, self._cure)

    @property
    def _cure(self) -> str:
        return f"Delete the folder {self.folder.uri}: vectors are made anew as they are needed."

    def _rows(
        self, model: str, keys: Sequence[str], columns: list[str], seen: set[str] | None = None
    ) -> Iterator[pa.Table]:
        """The rows asked for, of files that are not in `seen`, which are then added to it."""
        done = set() if seen is None else seen
        wanted = pa.array(sorted(set(keys)), pa.string())
        for attempt in range(_TRIES if keys else 0):
            delta = self._delta()
            if delta is None:
                return
            try:
                yield from self._read(delta, model, wanted, columns, done)
                return
            except FileNotFoundError as error:
                # Folded and swept away under our hands: newer files have what was in it.
                if attempt == _TRIES - 1:
                    lost = f"lacks a file: {error}"
                    raise damaged(self.folder.uri, lost, self._cure) from error

    def _read(
        self, delta: DeltaTable, model: str, wanted: pa.Array, columns: list[str], done: set[str]
    ) -> Iterator[pa.Table]:
        """Hashes are read first, vectors only where there is a hit."""
        actions = pa.table(delta.get_add_actions(flatten=True))
        for path, low, high in zip(
            *(actions[name].to_pylist() for name in ("path", "min.model", "max.model")), strict=True
        ):
            # Statistics may be cut short: the bounds only tell what is surely not there.
            other = low is not None and high is not None and not low[:32] <= model[:32] <= high[:32]
            if other or path in done:
                continue
            with open_whole(self.folder, path, self._cure) as parquet:
                for group in range(parquet.num_row_groups):
                    small = parquet.read_row_group(group, columns=["model", "text_sha256"])
                    # Whoever folded the files may have chosen another type for text.
                    small = small.cast(pa.schema([SCHEMA.field(n) for n in small.schema.names]))
                    mask = pc.and_(
                        pc.equal(small["model"], model),
                        pc.is_in(small["text_sha256"], value_set=wanted),
                    )
                    if pc.any(mask).as_py():
                        rows = parquet.read_row_group(group, columns=columns)
                        rows = rows.cast(pa.schema([SCHEMA.field(n) for n in rows.schema.names]))
                        yield rows.filter(mask)
            done.add(path)


def _again(change: Callable[[], T]) -> T:
    """Make a change to the table, anew when another one came in between."""
    from deltalake.exceptions import DeltaError

    attempt = 1
    while True:
        try:
            return change()
        except DeltaError:
            if attempt == _TRIES:
                raise
            time.sleep(0.05 * 2**attempt * random.random())
            attempt += 1


def _writing() -> Any:
    from deltalake import ColumnProperties, WriterProperties

    return WriterProperties(
        max_row_group_size=_GROUP_ROWS,
        compression="ZSTD",
        # Hardly two numbers of all vectors are the same.
        default_column_properties=ColumnProperties(dictionary_enabled=False),
    )
