"""Where chunks are or were, and what documents said: read once for all that is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pipelines.tables import ChunkTable, Lake, by_file, content_places, read_rows
from pipelines.tables.reading import rows_where


@dataclass(frozen=True, slots=True)
class Place:
    """A span of a document's text; `content_seq` says of which text."""

    document_id: str
    content_seq: int
    start: int | None
    end: int | None
    strategy: str | None = None


def chunk_places(lake: Lake, wanted: Collection[str]) -> dict[str, Place]:
    """The newest place of each chunk, in the whole log of every strategy that the lake has.

    Files are read from the newest on, until all chunks are found; of a row group without any of
    them only the ids are read.
    """
    found: dict[str, Place] = {}
    for strategy in (lake.storage / "chunks").folders():
        left = set(wanted) - found.keys()
        if not left:
            break
        found |= _in_table(lake.chunks(strategy), strategy, left)
    return found


def _in_table(table: ChunkTable, strategy: str, wanted: set[str]) -> dict[str, Place]:
    places: dict[str, Place] = {}
    seqs: dict[str, int] = {}
    columns = ["chunk_id", "document_id", "seq", "start", "end", "lineage.content_seq"]
    for file in sorted(table.files, key=lambda file: (-file.max_seq, file.path)):
        if len(seqs) == len(wanted) and file.max_seq <= min(seqs.values()):
            break
        for rows in rows_where(table, file, "chunk_id", wanted, columns):
            for row in rows.to_pylist():
                identifier, content_seq = row["chunk_id"], (row["lineage"] or {}).get("content_seq")
                if content_seq is None or row["seq"] <= seqs.get(identifier, -1):
                    continue
                seqs[identifier] = row["seq"]
                places[identifier] = Place(
                    row["document_id"], content_seq, row["start"], row["end"], strategy
                )
    return places


def texts_of(
    lake: Lake, contents: Collection[tuple[str, int]]
) -> Iterator[tuple[tuple[str, int], str]]:
    """The texts of documents at the commits that hold them: each file once, a row group at a time.

    Args:
        lake: whose documents.
        contents: (document id, `content_seq`); what was folded away is left out.
    """
    left = set(contents)
    while left:
        # Several texts of one document are looked for one after the other.
        now = dict(sorted(left))
        left -= set(now.items())
        for place, wanted in by_file(content_places(lake.documents, now), now):
            for rows in read_rows(lake.documents.folder, place, ["text"], wanted):
                for identifier, text in zip(
                    rows["document_id"].to_pylist(), rows["text"].to_pylist(), strict=True
                ):
                    yield (identifier, now[identifier]), text
