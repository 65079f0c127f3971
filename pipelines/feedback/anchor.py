"""From feedback on a chunk, or on a document, to a span of the document's text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lineage import Acl
from pipelines.config import Config
from pipelines.evaluate.corpus import Catalog
from pipelines.evaluate.resolve import find_quote
from pipelines.facts import document_key, source_roots
from pipelines.feedback.records import Feedback
from pipelines.queries.find import known_documents
from pipelines.tables import Lake, content_places, read_rows
from pipelines.tables.lake import by_file
from pipelines.tables.reading import scan

LONGEST_QUOTE = 8_000
"""Characters of a passage that are kept for finding it again; of a longer one there are only its
offsets, which hold while the text stays as it is."""
NOT_THERE = "there is no such passage, or who gave the feedback may not read it"
"""The same for both: whether a document exists is not for everybody to know."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """Feedback and where it is about."""

    feedback: Feedback
    document_id: str
    source_uri: str
    content_seq: int
    start: int
    end: int
    quote: str | None
    text_sha256: str
    strategy: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    document_id: str
    content_seq: int
    start: int | None
    end: int | None
    strategy: str | None = None


def anchor(config: Config, items: Sequence[Feedback]) -> list[Anchored | str]:
    """Each piece of feedback with its span, or why it has none."""
    lake = Lake(config.lake)
    if not lake.documents.exists:
        return ["nothing was ingested yet" for _ in items]
    documents = known_documents(
        lake, ("document_id", "source", "source_uri", "content_seq", "acl")
    ).to_pylist()
    by_id = {row["document_id"]: row for row in documents}
    places = _places(config, lake, items, documents)
    contents = {
        place.document_id: place.content_seq for place in places if isinstance(place, _Place)
    }
    # Of a document there may be several texts in play; all but the newest are read one by one.
    texts = {
        (key, seq): text
        for seq in sorted(set(contents.values()))
        for key, text in _texts(lake, {k: s for k, s in contents.items() if s == seq}).items()
    }
    for place in places:
        if isinstance(place, _Place) and (place.document_id, place.content_seq) not in texts:
            found = _texts(lake, {place.document_id: place.content_seq})
            texts |= {(key, place.content_seq): text for key, text in found.items()}
    return [
        place
        if isinstance(place, str)
        else _anchor(item, place, by_id.get(place.document_id), texts)
        for item, place in zip(items, places, strict=True)
    ]


def _anchor(
    item: Feedback,
    place: _Place,
    row: dict[str, Any] | None,
    texts: dict[tuple[str, int], str],
) -> Anchored | str:
    giver = item.giver
    if row is None or (giver is not None and not Acl.from_dict(row["acl"]).permits(giver)):
        return NOT_THERE
    text = texts.get((place.document_id, place.content_seq))
    if text is None:
        return "the text that it is about is not in the lake any more"
    start, end = place.start, place.end
    if item.quote is not None and item.quote.strip():
        low, high = (0, len(text)) if start is None or end is None else (start, end)
        spans = [(low + a, low + b) for a, b in find_quote(text[low:high], item.quote)]
        if len(spans) != 1:
            where = "nowhere" if not spans else f"in {len(spans)} places"
            return f"the quote {item.quote[:60]!r} is {where} in {row['source_uri']}"
        start, end = spans[0]
    if start is None or end is None or end > len(text):
        return f"[{start}:{end}] is beyond the {len(text)} characters of {row['source_uri']}"
    quote = text[start:end]
    return Anchored(
        feedback=item,
        document_id=place.document_id,
        source_uri=row["source_uri"],
        content_seq=place.content_seq,
        start=start,
        end=end,
        quote=quote if len(quote) <= LONGEST_QUOTE and quote.strip() else None,
        text_sha256=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        strategy=place.strategy,
    )


def _places(
    config: Config, lake: Lake, items: Sequence[Feedback], documents: Sequence[dict[str, Any]]
) -> list[_Place | str]:
    chunks = _chunk_places(config, lake, {i.chunk_id for i in items if i.chunk_id is not None})
    roots = source_roots(config.sources)
    catalog = Catalog(
        (
            row["document_id"],
            row["source_uri"],
            document_key(row["source_uri"], roots.get(row["source"])),
        )
        for row in documents
    )
    result: list[_Place | str] = []
    for item in items:
        if item.chunk_id is not None:
            result.append(chunks.get(item.chunk_id, NOT_THERE))
            continue
        found = catalog.find(item.document or "")
        if len(found) > 1:
            result.append(f"{item.document!r} means {len(found)} documents; name one by its id")
            continue
        row = documents[next(iter(found))] if found else None
        if row is None or row["content_seq"] is None:
            result.append(NOT_THERE)
        else:
            result.append(_Place(row["document_id"], row["content_seq"], item.start, item.end))
    return result


def _chunk_places(config: Config, lake: Lake, wanted: set[str]) -> dict[str, _Place]:
    """Where chunks are or were: in the whole log of every strategy, the newest row of each."""
    places: dict[str, _Place] = {}
    newest: dict[str, int] = {}
    if not wanted:
        return places
    ids = pa.array(sorted(wanted), pa.string())
    columns = ["chunk_id", "document_id", "seq", "start", "end", "lineage"]
    for strategy in config.strategies:
        for rows in scan(lake.chunks(strategy.name), columns):
            for row in rows.filter(pc.is_in(rows["chunk_id"], value_set=ids)).to_pylist():
                identifier = row["chunk_id"]
                content_seq = (row["lineage"] or {}).get("content_seq")
                if content_seq is None or row["seq"] < newest.get(identifier, 0):
                    continue
                newest[identifier] = row["seq"]
                places[identifier] = _Place(
                    row["document_id"], content_seq, row["start"], row["end"], strategy.name
                )
    return places


def _texts(lake: Lake, contents: dict[str, int]) -> dict[str, str]:
    found: dict[str, str] = {}
    table = lake.documents
    for place, wanted in by_file(content_places(table, contents), contents):
        for rows in read_rows(table.folder, place, ["text"], wanted):
            found |= dict(
                zip(rows["document_id"].to_pylist(), rows["text"].to_pylist(), strict=True)
            )
    return found
