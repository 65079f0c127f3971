"""Reading the newest state out of a change log, by small columns first.

Every row read carries the file and the row group it came from, so that the large columns can
be fetched later from exactly there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.storage import Storage
from pipelines.tables.part_files import open_part
from pipelines.tables.table import File, Table

_PLACE = ("file", "row_group")


@dataclass(frozen=True, slots=True)
class Place:
    """Some row groups of one part file."""

    file: str
    row_groups: tuple[int, ...]


def scan(
    table: Table,
    columns: Sequence[str],
    *,
    after_seq: int | None = None,
    seqs: tuple[int, int] | None = None,
) -> Iterator[pa.Table]:
    """The rows of a table file by file, with the columns `file` and `row_group` added.

    Args:
        table: what to read.
        columns: which columns.
        after_seq: only rows of later commits; files without such are not opened.
        seqs: only files that overlap this closed range of commits.
    """
    for file in table.files:
        if after_seq is not None and file.max_seq <= after_seq:
            continue
        if seqs is not None and (file.max_seq < seqs[0] or file.min_seq > seqs[1]):
            continue
        rows = conform(_read_small(table.folder, file, columns), table.schema, columns)
        if after_seq is not None and file.min_seq <= after_seq:
            rows = rows.filter(pc.greater(rows["seq"], after_seq))
        yield rows


def conform(rows: pa.Table, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    """`rows` with `columns` first, as `schema` has them, and then what else there is.

    Parts of an older minor version lack columns, and fields of structs: those are null.
    """
    known = set(schema.names)
    found = {}
    for name in columns:
        if name not in rows.column_names:
            if name in known:
                found[name] = pa.nulls(rows.num_rows, schema.field(name).type)
        elif name in known and rows.schema.field(name).type != schema.field(name).type:
            found[name] = rows[name].cast(schema.field(name).type)
        else:
            found[name] = rows[name]
    return pa.table(found | {n: rows[n] for n in rows.column_names if n not in found})


def _read_small(folder: Storage, file: File, columns: Sequence[str]) -> pa.Table:
    with open_part(folder, file.path) as parquet:
        wanted = [name for name in columns if name in parquet.schema_arrow.names]
        rows = parquet.read(columns=wanted)
        sizes = [
            parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)
        ]
    groups = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    rows = rows.append_column("row_group", pa.array(groups))
    names = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows.num_rows, dtype=np.int32)), pa.array([file.path])
    )
    return rows.append_column("file", names.cast(pa.string()))


def newest(rows: pa.Table) -> pa.Table:
    """Of each `document_id` the row with the highest `seq`, ordered by `document_id`."""
    if not rows.num_rows:
        return rows
    order = pc.sort_indices(
        rows, sort_keys=[("document_id", "ascending"), ("seq", "descending")]
    ).to_numpy()
    ids = rows["document_id"].combine_chunks().dictionary_encode()
    codes = ids.indices.to_numpy()[order]
    first = np.ones(len(codes), dtype=bool)
    first[1:] = codes[1:] != codes[:-1]
    return rows.take(pa.array(order[first]))


def newest_documents(
    table: Table, columns: Sequence[str], *, after_seq: int | None = None
) -> pa.Table:
    """The newest row of each document, small columns only.

    With `after_seq`, only documents that changed after that commit. The added columns `file`
    and `row_group` say where the newest *row* is; `content_places` finds the content.
    """
    wanted = list(dict.fromkeys(["document_id", "seq", *columns]))
    parts = list(scan(table, wanted, after_seq=after_seq))
    return newest(pa.concat_tables(parts)) if parts else _empty(table.schema, wanted)


def _empty(schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    fields = [schema.field(name) for name in columns]
    extra = [pa.field("row_group", pa.int32()), pa.field("file", pa.string())]
    return pa.schema([*fields, *extra]).empty_table()


def content_places(
    table: Table, contents: Mapping[str, int], *, op: str = "upsert"
) -> dict[str, Place]:
    """Where each document's content is: `contents` maps document ids to the `seq` that holds it.

    For the chunk table, `op="chunk"` gives the row groups of a document's chunk rows, which may
    be several.
    """
    if not contents:
        return {}
    seqs = (min(contents.values()), max(contents.values()))
    ids = pa.array(sorted(contents), pa.string())
    places: dict[str, Place] = {}
    for rows in scan(table, ["document_id", "seq", "op"], seqs=seqs):
        kept = rows.filter(pc.equal(rows["op"], op))
        if len(ids) < kept.num_rows:
            kept = kept.filter(pc.is_in(kept["document_id"], value_set=ids))
        for identifier, seq, group, file in zip(
            *(kept[name].to_pylist() for name in ("document_id", "seq", "row_group", "file")),
            strict=True,
        ):
            if contents.get(identifier) != seq:
                continue
            known = places.get(identifier)
            groups = known.row_groups if known is not None and known.file == file else ()
            if group not in groups:
                places[identifier] = Place(file, (*groups, group))
    return places


def read_rows(
    folder: Storage,
    place: Place,
    columns: Sequence[str],
    wanted: Collection[tuple[str, int]],
    *,
    op: str = "upsert",
) -> Iterator[pa.Table]:
    """Rows of `op` at `place` whose (document_id, seq) is `wanted`, a row group at a time."""
    needed = list(dict.fromkeys(["document_id", "seq", "op", *columns]))
    pairs = set(wanted)
    ids = pa.array(sorted({identifier for identifier, _ in pairs}), pa.string())
    with open_part(folder, place.file) as parquet:
        for group in place.row_groups:
            rows = parquet.read_row_group(group, columns=needed)
            mask = pc.and_(pc.equal(rows["op"], op), pc.is_in(rows["document_id"], value_set=ids))
            rows = rows.filter(mask)
            keep = [
                pair in pairs
                for pair in zip(
                    rows["document_id"].to_pylist(), rows["seq"].to_pylist(), strict=True
                )
            ]
            yield rows if all(keep) else rows.filter(pa.array(keep, pa.bool_()))


def rows_where(
    table: Table, file: File, key: str, values: Collection[str], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Rows of a part file whose `key` is among `values`, a row group at a time.

    Of a row group without any of them nothing but `key` is read.

    Args:
        table: whose file.
        file: a visible one.
        key: a column of text.
        values: what to look for.
        columns: which columns; of a struct one field can be named, as `lineage.content_seq`.
    """
    wanted = pa.array(sorted(values), pa.string())
    with open_part(table.folder, file.path) as parquet:
        for group in range(parquet.metadata.num_row_groups):
            keys = parquet.read_row_group(group, columns=[key])[key]
            # Files that Delta has written anew have other types of text than ours.
            keys = keys.cast(table.schema.field(key).type)
            mask = pc.is_in(keys, value_set=wanted)
            if pc.any(mask).as_py():
                rows = parquet.read_row_group(group, columns=list(columns))
                yield conform(rows, table.schema, columns).filter(mask)
