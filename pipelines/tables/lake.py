"""A lake: the documents table and a chunk table per strategy, and their current state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lineage.schemas import CHUNKS, CHUNKS_VERSION, DOCUMENTS, DOCUMENTS_VERSION
from pipelines.storage import Storage
from pipelines.tables.reading import (
    Place,
    conform,
    content_places,
    newest,
    newest_documents,
    read_rows,
    scan,
)
from pipelines.tables.table import Table

HEADER_COLUMNS = (
    "op", "data_type", "chunk_count", "acl", "labels", "lineage", "quality", "error", "max_tokens",
    "token_count", "written_at",
)  # fmt: skip


class ChunkTable(Table):
    """The chunk table of one strategy."""

    def position(self, consumer: str) -> int | None:
        """See `Table.position`; null when another consumer has written since.

        A policy that was changed and changed back finds the chunks of the one in between: what
        it had done before does not count any more.
        """
        return super().position(consumer) if self.is_last_writer(consumer) else None

    def headers(self, after_seq: int | None = None, columns: Sequence[str] = ()) -> pa.Table:
        """The newest header row of each document that changed after `after_seq` (of all without).

        Besides `HEADER_COLUMNS` and `columns` there is `upsert_seq`: the `seq` of the newest
        `upsert` header *within the rows read*. For a document whose newest header is `acl`, it
        tells whether its chunks changed as well since `after_seq`; null means they did not.
        """
        wanted = list(dict.fromkeys(["document_id", "seq", *HEADER_COLUMNS, *columns]))
        parts = []
        for rows in scan(self, wanted, after_seq=after_seq):
            parts.append(rows.filter(pc.not_equal(rows["op"], "chunk")))
        fields = [self.schema.field(name) for name in wanted]
        empty = pa.schema(
            [*fields, pa.field("row_group", pa.int32()), pa.field("file", pa.string())]
        ).empty_table()
        rows = pa.concat_tables(parts) if parts else empty
        upserts = newest(rows.filter(pc.equal(rows["op"], "upsert"))).select(["document_id", "seq"])
        upsert_seqs = dict(
            zip(upserts["document_id"].to_pylist(), upserts["seq"].to_pylist(), strict=True)
        )
        heads = newest(rows)
        withdrawn = {"delete", "reject"}
        values = [
            None if op in withdrawn else upsert_seqs.get(identifier)
            for identifier, op in zip(
                heads["document_id"].to_pylist(), heads["op"].to_pylist(), strict=True
            )
        ]
        return heads.append_column("upsert_seq", pa.array(values, pa.int64()))

    def chunk_batches(
        self, contents: Mapping[str, int], columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """The chunk rows of documents at given upserts, streamed by row group.

        Args:
            contents: document id → `seq` of the upsert header whose chunks are wanted.
            columns: which columns; all by default. ACL and labels are as they were when the
                document was chunked: take the current ones from `headers`.
        """
        names = list(self.schema.names if columns is None else columns)
        for place, wanted in by_file(content_places(self, contents, op="chunk"), contents):
            yield from (
                conform(rows, self.schema, names).select(names)
                for rows in read_rows(self.folder, place, names, wanted, op="chunk")
            )


class Lake:
    """The tables under one folder or container path."""

    def __init__(self, uri: str | Storage) -> None:
        self.storage = uri if isinstance(uri, Storage) else Storage.from_uri(uri)

    @property
    def documents(self) -> Table:
        """The documents table."""
        return Table(
            "documents",
            self.storage / "documents",
            self.storage / "_batches" / "documents",
            DOCUMENTS,
            DOCUMENTS_VERSION,
        )

    def chunks(self, strategy: str) -> ChunkTable:
        """The chunk table of `strategy`."""
        return ChunkTable(
            f"chunks/{strategy}",
            self.storage / "chunks" / strategy,
            self.storage / "_batches" / f"chunks-{strategy}",
            CHUNKS,
            CHUNKS_VERSION,
        )

    @property
    def vectors(self) -> Storage:
        """The folder of the cache of vectors; see `pipelines.embedding.cache`."""
        return self.storage / "vectors"


def by_file(
    places: Mapping[str, Place], contents: Mapping[str, int]
) -> Iterator[tuple[Place, list[tuple[str, int]]]]:
    """Group documents by the file that holds their content: each file is opened once."""
    files: dict[str, tuple[set[int], list[tuple[str, int]]]] = defaultdict(lambda: (set(), []))
    for identifier, place in places.items():
        groups, wanted = files[place.file]
        groups.update(place.row_groups)
        wanted.append((identifier, contents[identifier]))
    for file in sorted(files):
        groups, wanted = files[file]
        yield Place(file, tuple(sorted(groups))), wanted


def iter_documents(
    lake: str | Lake, columns: Sequence[str] | None = None, *, with_deleted: bool = False
) -> Iterator[pa.Table]:
    """The current documents, streamed: newest state, with the text and blocks that are in force.

    Deleted documents are left out unless asked for; rejected ones are there, with `error`.
    """
    table = (lake if isinstance(lake, Lake) else Lake(lake)).documents
    names = list(DOCUMENTS.names if columns is None else columns)
    large = [name for name in ("text", "blocks") if name in names]
    small = [name for name in names if name not in large]
    needed = list(dict.fromkeys([*small, "op", "content_seq"]))
    state = newest_documents(table, needed)
    if not with_deleted:
        state = state.filter(pc.not_equal(state["op"], "delete"))
    if not large:
        yield state.select(names)
        return
    without = state.filter(pc.is_null(state["content_seq"]))
    blank = without.select(small)
    for name in large:
        blank = blank.append_column(name, pa.nulls(blank.num_rows, DOCUMENTS.field(name).type))
    yield blank.select(names)
    live = state.filter(pc.is_valid(state["content_seq"]))
    ids = live["document_id"].to_pylist()
    contents = dict(zip(ids, live["content_seq"].to_pylist(), strict=True))
    index = {identifier: row for row, identifier in enumerate(ids)}
    for place, wanted in by_file(content_places(table, contents), contents):
        for rows in read_rows(table.folder, place, large, wanted):
            if not rows.num_rows:
                continue
            order = pa.array([index[i] for i in rows["document_id"].to_pylist()], pa.int64())
            joined = live.take(order).select(small)
            for name in large:
                joined = joined.append_column(name, rows[name])
            yield joined.select(names)


def iter_chunks(
    lake: str | Lake, strategy: str, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The current chunks of a strategy, streamed, with their document's current ACL and labels."""
    table = (lake if isinstance(lake, Lake) else Lake(lake)).chunks(strategy)
    names = list(CHUNKS.names if columns is None else columns)
    heads = table.headers()
    live = heads.filter(pc.is_valid(heads["upsert_seq"]))
    ids = live["document_id"].to_pylist()
    contents = dict(zip(ids, live["upsert_seq"].to_pylist(), strict=True))
    index = {identifier: row for row, identifier in enumerate(ids)}
    current = [name for name in ("acl", "labels") if name in names]
    for rows in table.chunk_batches(contents, list(dict.fromkeys([*names, "document_id"]))):
        if not rows.num_rows:
            continue
        order = pa.array([index[i] for i in rows["document_id"].to_pylist()], pa.int64())
        for name in current:
            values = live[name].take(order)
            rows = rows.set_column(rows.schema.get_field_index(name), CHUNKS.field(name), values)
        yield rows.select(names)


def read_documents(lake: str | Lake, columns: Sequence[str] | None = None) -> pa.Table:
    """The current documents as one Arrow table, ordered by `document_id` when that is selected."""
    return _collect(iter_documents(lake, columns), DOCUMENTS, columns, ["document_id"])


def read_chunks(lake: str | Lake, strategy: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The current chunks as one Arrow table, by (`document_id`, `ordinal`) where selected."""
    return _collect(
        iter_chunks(lake, strategy, columns), CHUNKS, columns, ["document_id", "ordinal"]
    )


def _collect(
    tables: Iterator[pa.Table],
    schema: pa.Schema,
    columns: Sequence[str] | None,
    keys: Sequence[str],
) -> pa.Table:
    names = list(schema.names if columns is None else columns)
    parts = list(tables)
    empty = pa.schema([schema.field(name) for name in names]).empty_table()
    rows = pa.concat_tables(parts) if parts else empty
    order = [(key, "ascending") for key in keys if key in names]
    return rows.take(pc.sort_indices(rows, sort_keys=order)) if order else rows
