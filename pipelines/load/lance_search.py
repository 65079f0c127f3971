"""Searching a LanceDB table: by words, by vectors, and the rows of what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lineage import Acl, Principal
from pipelines.load.access import literal, permitted
from pipelines.load.lance_options import TEXT_COLUMN
from pipelines.load.rows import MODEL, RIGHTS, VECTOR
from pipelines.load.sink import Hit

if TYPE_CHECKING:
    from lancedb.table import Table

    from pipelines.embedding import Embedder

_HIT_COLUMNS = (
    "chunk_id", "document_id", "source_uri", "text", "start", "end", "context", "heading_path",
    "page_first", "page_last", "data_type", "token_count", "granularity", "parent_chunk_id",
)  # fmt: skip
ACL_COLUMNS = ("acl_state", "allow_users", "allow_groups", "deny_users", "deny_groups")


def best_chunks(table: Table, query: str, where: str, limit: int) -> dict[str, float]:
    """Chunk ids and scores of the best `limit`, ties in order of the id."""
    from lancedb.query import MatchQuery

    clean = query.encode("utf-8", "replace").decode()
    words = MatchQuery(clean, TEXT_COLUMN)  # type: ignore[call-arg]  # pydantic's defaults

    def found(number: int) -> list[tuple[float, str]]:
        search = table.search(words, query_type="fts").where(where, prefilter=True)
        rows = search.select(["chunk_id", "_score"]).limit(number).to_list()
        return [(-row["_score"], row["chunk_id"]) for row in rows]

    return {chunk: -score for score, chunk in _first(found, limit)}


def nearest_chunks(table: Table, query: str, where: str, limit: int, model: Embedder) -> list[str]:
    """Ids of the `limit` chunks whose vectors are nearest, ties in order of the id.

    Exact: all vectors that the filter leaves are looked at. An index that is just being
    built anew for another model may hold vectors of both; only those of this one count.
    """
    if VECTOR not in table.schema.names or not query.strip():
        return []
    vector = model.embed([query])[0]
    condition = f"({where}) AND {MODEL} = {literal(model.name)}"

    def found(number: int) -> list[tuple[float, str]]:
        search: Any = table.search(vector, vector_column_name=VECTOR, query_type="vector")
        search = search.distance_type("dot").where(condition, prefilter=True)
        rows = search.select(["chunk_id", "_distance"]).limit(number).to_list()
        return [(row["_distance"], row["chunk_id"]) for row in rows]

    return [chunk for _, chunk in _first(found, limit)]


def _first(found: Callable[[int], list[tuple[float, str]]], limit: int) -> list[tuple[float, str]]:
    """The `limit` lowest of what is found, in order, ties in order of the id.

    LanceDB cuts a tie at random, so more is fetched until what comes after the last one wanted is
    known to be higher.

    Args:
        found: gives so many of the lowest, with chunk ids.
        limit: how many are wanted, at least 1.
    """
    number = limit + max(limit, 20)
    while True:
        ranked = sorted(found(number))
        if len(ranked) < number or ranked[-1][0] > ranked[limit - 1][0]:
            return ranked[:limit]
        number *= 4


def readable_rows(
    table: Table, chunk_ids: Sequence[str], principal: Principal
) -> dict[str, Mapping[str, Any]]:
    """The rows of these chunks that `principal` may read, by id."""
    if not chunk_ids:
        return {}
    found = (
        table.search()
        .where(f"({permitted(principal)}) AND {among(chunk_ids, 'chunk_id')}")
        .select([*_HIT_COLUMNS, *ACL_COLUMNS])
        .limit(len(chunk_ids))
        .to_list()
    )
    # The filter decides; the reference evaluator has the last word on what leaves the index.
    return {row["chunk_id"]: row for row in found if acl_of(row).permits(principal)}


def among(ids: Sequence[str], column: str = "document_id") -> str:
    """The filter for rows with one of these ids."""
    return f"{column} IN ({', '.join(literal(identifier) for identifier in ids)})"


def acl_of(row: Mapping[str, Any]) -> Acl:
    """The ACL in the columns of a row."""
    values = {name: row[name] for name in RIGHTS.names if name in row and name != "acl_state"}
    return Acl.from_dict({"state": row["acl_state"], **values})


def hit_of(row: Mapping[str, Any], score: float) -> Hit:
    """A row with the columns of a hit and of its ACL, as a hit."""
    values = {name: row[name] for name in _HIT_COLUMNS}
    values["heading_path"] = tuple(values["heading_path"] or ())
    return Hit(score=score, acl=acl_of(row), **values)
