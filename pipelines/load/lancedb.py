"""The embedded default sink: a LanceDB table in a local folder, with a full-text index."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lineage import Acl, ConfigError, Principal, TerminalError
from lineage.schemas import CHUNKS
from pipelines.config.place import ConfigPlace
from pipelines.load import lease, position
from pipelines.load.access import literal, permitted
from pipelines.load.fusion import fuse
from pipelines.load.lance_open import connect
from pipelines.load.lance_options import index_keys, make_indexes, read_options
from pipelines.load.lance_search import (
    ACL_COLUMNS,
    acl_of,
    among,
    best_chunks,
    hit_of,
    nearest_chunks,
    readable_rows,
)
from pipelines.load.rows import (
    index_schema,
    layout_fingerprint,
    replacement_rows,
    rights_rows,
)
from pipelines.load.sink import (
    Change,
    Delete,
    Hit,
    LeaseLike,
    Narrow,
    Replace,
    SetAcl,
)
from pipelines.steps import step

if TYPE_CHECKING:
    from lancedb.table import Table

    from pipelines.config import EmbedderConfig, SinkConfig
    from pipelines.embedding import Embedder

TABLE = "chunks"
_ID = re.compile(r"[0-9a-f]{32}")
_IDS_PER_FILTER = 2_000
_FUSED_DEPTH = 100
"""Ranks of each ranking that are fused, at least."""
_QUERY_SECONDS = 10.0
"""How long a search waits for the vector of its question."""
_KEEP_VERSIONS = timedelta(hours=1)
"""How long a replaced version stays readable, for searches that are under way."""


@dataclass(slots=True)
class LanceSink:
    """A LanceDB index. `folder` holds the Lance table, the position and the lease."""

    name: str
    folder: Path
    options: Mapping[str, Any]
    origin: str
    embedder: EmbedderConfig | None = None
    place: ConfigPlace = field(default=ConfigPlace("sinks[]"), compare=False, repr=False)
    _table: Table | None = None
    _opened: Embedder | None = None

    @classmethod
    def from_config(cls, config: SinkConfig, origin: str) -> LanceSink:
        """Validate the options.

        Raises:
            ConfigError: an unknown option, a wrong value, or a place that is not a folder.
        """
        if "://" in config.uri and not config.uri.startswith("file://"):
            raise ConfigError(
                f"{config.place.at('uri')}: {config.uri!r} is not a local folder, and a lancedb "
                "index has to be in one: its lease and its position need a file system. "
                "Write for example `uri: .gristmill/index`"
            )
        folder = Path(config.uri.removeprefix("file://"))
        options = read_options(config)
        return cls(config.name, folder, options, origin, config.embedder, place=config.place)

    @property
    def schema(self) -> pa.Schema:
        """The columns of the index."""
        dimensions = None if self.embedder is None else self._model.dimensions
        return index_schema(CHUNKS, dimensions)

    @property
    def _model(self) -> Embedder:
        """What makes the vectors, of chunks and of queries."""
        if self._opened is None:
            from pipelines.embedding import open_configured

            assert self.embedder is not None
            self._opened = open_configured(self.embedder, patience=_QUERY_SECONDS)
        return self._opened

    @property
    def _layout(self) -> str:
        """Changes when the index has to be built anew; found out without loading a model."""
        values = dict(self.options)
        if self.embedder is not None:
            values["embedder"] = self.embedder.fingerprint()
        return layout_fingerprint(index_schema(CHUNKS), values)

    def position(self) -> int | None:
        """See `Sink.position`; reads one small file and a folder listing."""
        return position.read(self.folder, origin=self.origin, options=self._layout)

    def check(self) -> None:
        """See `Sink`: the folder, and the model."""
        self._check_folder()
        if self.embedder is not None:
            from pipelines.embedding import check_configured

            check_configured(self.embedder, load=not self.folder.exists())

    def _check_folder(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(
                f"{self.place.at('uri')}: {str(self.folder)!r} is a file, where an index has a "
                "folder; name another one, for example `uri: .gristmill/index`"
            )

    def lease(self) -> AbstractContextManager[LeaseLike]:
        """See `Sink.lease`."""
        self._check_folder()
        return lease.hold(self.folder / "_lease.json")

    def document_ids(self) -> Iterator[str]:
        """See `Sink.document_ids`."""
        table = self._existing()
        if table is None:
            return
        seen: set[str] = set()
        for batch in table.search().select(["document_id"]).to_batches():
            fresh = set(batch.column("document_id").to_pylist()) - seen
            seen |= fresh
            yield from sorted(fresh)

    def apply(self, batch: Sequence[Change]) -> None:
        """See `Sink.apply`: one Lance commit for the deletes, one for the ACLs, one merge."""
        gone = [change.document_id for change in batch if isinstance(change, Delete)]
        rights = [change for change in batch if isinstance(change, SetAcl)]
        replaced = [change for change in batch if isinstance(change, Replace)]
        ids = [change.document_id for change in batch]
        _check_ids(ids)
        table = self._existing()
        if table is None:
            if not replaced:
                return
            table = self._create()
        for start in range(0, len(gone), _IDS_PER_FILTER):
            with step("sink-delete"):
                table.delete(among(gone[start : start + _IDS_PER_FILTER]))
        rights += _narrowed(table, [change for change in batch if isinstance(change, Narrow)])
        if rights:
            with step("sink-rights"):
                index_keys(table)
                merge = table.merge_insert("document_id").when_matched_update_all()
                merge.execute(rights_rows(rights))
        if replaced:
            self._replace(table, replaced)

    def _replace(self, table: Table, replaced: Sequence[Replace]) -> None:
        with step("sink-replace"):
            model = None if self.embedder is None else self._model.name
            rows = replacement_rows(replaced, self.schema, model)
            these = among([change.document_id for change in replaced])
            if not table.count_rows(these):
                # Nothing to join with: a plain append takes less time and memory.
                table.add(rows)
                return
            merge = table.merge_insert("chunk_id").when_matched_update_all()
            merge = merge.when_not_matched_insert_all()
            merge.when_not_matched_by_source_delete(these).execute(rows)

    def commit(self, position_: int) -> None:
        """See `Sink.commit`: brings the indexes up to date, then writes the position."""
        table = self._existing()
        if table is None:
            table = self._create()
        # Small files are joined before an index is made, not after: making it once is enough.
        with step("sink-optimize"):
            table.optimize(cleanup_older_than=_KEEP_VERSIONS)
        with step("sink-index"):
            make_indexes(table, self.options)
        self._move(table, position_)

    def _move(self, table: Table, seq: int) -> None:
        table.checkout_latest()
        reached = position.Position(
            seq=seq,
            origin=self.origin,
            options=self._layout,
            table=TABLE,
            version=table.version,
        )
        with step("sink-position"):
            position.write(self.folder, reached)

    def erase(self, document_ids: Sequence[str]) -> None:
        """Remove documents for good: their rows, all former versions and the text index of them."""
        _check_ids(document_ids)
        with self.lease():
            table = self._existing()
            if table is None:
                return
            reached = self.position()
            with step("sink-delete"):
                table.delete(among(document_ids))
            with step("erase"), warnings.catch_warnings():
                # It warns that readers of former versions will fail: they are to.
                warnings.simplefilter("ignore", UserWarning)
                # An index remembers words of rows that are gone until it is made anew.
                for index in list(table.list_indices()):
                    table.drop_index(index.name)
                table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
                make_indexes(table, self.options)
                table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
            if reached is not None:
                self._move(table, reached)

    def drop(self) -> None:
        """Remove everything that this sink holds."""
        with self.lease():
            position.forget(self.folder)
            if self._existing() is not None:
                connect(self.name, self.folder).drop_table(TABLE)
            self._table = None

    def search(
        self, query: str, principal: Principal, limit: int, granularity: str | None = None
    ) -> list[Hit]:
        """The best `limit` chunks for `query` that `principal` may read.

        By BM25; with an embedder by BM25 and by vectors, fused by their ranks. Both rankings are
        of what the caller may read, nothing else.

        Raises:
            ConfigError: there is no index yet.
        """
        table = self._existing()
        if table is None:
            raise ConfigError(
                f"sink {self.name!r}: there is no index at {self.folder} yet; "
                "run `gristmill load CONFIG` first"
            )
        size = "level = 0" if granularity is None else f"granularity = {literal(granularity)}"
        where = f"({permitted(principal)}) AND {size}"
        with self._readable():
            if self.embedder is None:
                scores = best_chunks(table, query, where, limit)
            else:
                depth = max(_FUSED_DEPTH, 2 * limit)
                words = best_chunks(table, query, where, depth)
                meaning = nearest_chunks(table, query, where, depth, self._model)
                scores = fuse([list(words), meaning], limit)
            rows = readable_rows(table, list(scores), principal)
            return [hit_of(rows[chunk], score) for chunk, score in scores.items() if chunk in rows]

    def fetch(self, chunk_ids: Sequence[str], principal: Principal) -> dict[str, Hit]:
        """See `SearchableSink.fetch`."""
        table = self._existing()
        if table is None:
            return {}
        with self._readable():
            rows = readable_rows(table, chunk_ids, principal)
        return {identifier: hit_of(row, 0.0) for identifier, row in rows.items()}

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Raises TerminalError with what to do when LanceDB cannot read its own files."""
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            if "lance error" not in str(error).lower():
                raise
            cause = str(error).partition("\n")[0].partition(", /rustc")[0]
            raise TerminalError(
                f"{self.place.at('uri')}: the index in {self.folder} cannot be read ({cause}). "
                "Remove this folder and run `gristmill load CONFIG`, which makes it anew from the "
                "lake."
            ) from error

    def _existing(self) -> Table | None:
        if self._table is None and position.newest_version(self.folder / f"{TABLE}.lance"):
            self._table = connect(self.name, self.folder).open_table(TABLE)
        if self._table is not None:
            self._table.checkout_latest()
        return self._table

    def _create(self) -> Table:
        self._table = connect(self.name, self.folder).create_table(TABLE, schema=self.schema)
        return self._table

    def begin_rebuild(self) -> None:
        """See `Sink.begin_rebuild`: an index with other columns cannot be filled, and goes."""
        with step("rebuild"):
            self._begin_rebuild()

    def _begin_rebuild(self) -> None:
        position.forget(self.folder)
        table = self._existing()
        if table is None:
            return
        if table.schema != self.schema:
            connect(self.name, self.folder).drop_table(TABLE)
            self._table = None
            return
        for index in list(table.list_indices()):
            if index.index_type == "FTS":
                # Its options may have changed; `commit` makes it anew.
                table.drop_index(index.name)


def _check_ids(ids: Sequence[str]) -> None:
    for identifier in ids:
        if not _ID.fullmatch(identifier):
            raise TerminalError(
                f"document id {identifier!r} is not one that gristmill made (32 hexadecimal "
                "digits); the chunk table was written by something else"
            )
    if len(set(ids)) != len(ids):
        raise TerminalError("a document is in one batch of changes twice; nothing was applied")


def _narrowed(table: Table, changes: Sequence[Narrow]) -> list[SetAcl]:
    """What the ACLs that the index holds become, of those documents whose rights get fewer."""
    wanted = {change.document_id: change.acl for change in changes}
    ids = list(wanted)
    held: dict[str, tuple[Acl, dict[str, str]]] = {}
    columns = ["document_id", *ACL_COLUMNS, "acl_origin", "labels_json"]
    for start in range(0, len(ids), _IDS_PER_FILTER):
        these = among(ids[start : start + _IDS_PER_FILTER])
        for rows in table.search().where(these).select(columns).to_batches():
            for row in rows.to_pylist():
                if row["document_id"] not in held:
                    labels = json.loads(row["labels_json"] or "{}")
                    held[row["document_id"]] = (acl_of(row).with_origin(row["acl_origin"]), labels)
    changed = []
    for identifier, (acl, labels) in held.items():
        fewer = acl.narrowed(wanted[identifier])
        if fewer.fingerprint != acl.fingerprint:
            changed.append(SetAcl(identifier, fewer, labels))
    return changed
