"""From feedback on a chunk, or on a document, to a span of the document's text."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lineage import Acl
from pipelines.config import Config
from pipelines.evaluate.corpus import Catalog
from pipelines.evaluate.resolve import find_quote
from pipelines.facts import document_key, source_roots
from pipelines.feedback.lookup import Place, chunk_places, texts_of
from pipelines.feedback.records import Feedback
from pipelines.queries.find import known_documents
from pipelines.tables import Lake

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


def anchor(config: Config, items: Sequence[Feedback]) -> list[Anchored | str]:
    """Each piece of feedback with its span, or why it has none.

    The tables are read once for all of them. Memory is bounded by the small columns of the
    documents table, one row group of texts, and what is returned.
    """
    lake = Lake(config.lake)
    if not lake.documents.exists:
        return ["nothing was ingested yet" for _ in items]
    columns = ("document_id", "source", "source_uri", "content_seq", "acl")
    documents = known_documents(lake, columns)
    places = _places(config, lake, items, documents)
    known = _rows_of(documents, {p.document_id for p in places if isinstance(p, Place)})
    results: list[Anchored | str] = []
    waiting: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number, (item, place) in enumerate(zip(items, places, strict=True)):
        if isinstance(place, str):
            results.append(place)
        elif not _may_judge(item, known.get(place.document_id)):
            results.append(NOT_THERE)
        else:
            results.append("the text that it is about is not in the lake any more")
            waiting[place.document_id, place.content_seq].append(number)
    for content, text in texts_of(lake, waiting.keys()):
        sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        for number in waiting[content]:
            place = places[number]
            assert isinstance(place, Place)
            uri = known[place.document_id]["source_uri"]
            results[number] = _anchor(items[number], place, uri, text, sha256)
    return results


def _rows_of(documents: pa.Table, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    wanted = pa.array(sorted(ids), pa.string())
    rows = documents.filter(pc.is_in(documents["document_id"], value_set=wanted))
    return {row["document_id"]: row for row in rows.to_pylist()}


def _may_judge(item: Feedback, row: dict[str, Any] | None) -> bool:
    giver = item.giver
    return row is not None and (giver is None or Acl.from_dict(row["acl"]).permits(giver))


def _anchor(item: Feedback, place: Place, uri: str, text: str, sha256: str) -> Anchored | str:
    start, end = place.start, place.end
    if item.quote is not None and item.quote.strip():
        low, high = (0, len(text)) if start is None or end is None else (start, end)
        spans = [(low + a, low + b) for a, b in find_quote(text[low:high], item.quote)]
        if len(spans) != 1:
            where = "nowhere" if not spans else f"in {len(spans)} places"
            return f"the quote {item.quote[:60]!r} is {where} in {uri}"
        start, end = spans[0]
    if start is None or end is None or end > len(text):
        return f"[{start}:{end}] is beyond the {len(text)} characters of {uri}"
    quote = text[start:end]
    return Anchored(
        feedback=item,
        document_id=place.document_id,
        source_uri=uri,
        content_seq=place.content_seq,
        start=start,
        end=end,
        quote=quote if len(quote) <= LONGEST_QUOTE and quote.strip() else None,
        text_sha256=sha256,
        strategy=place.strategy,
    )


def _places(
    config: Config, lake: Lake, items: Sequence[Feedback], documents: pa.Table
) -> list[Place | str]:
    chunks = chunk_places(lake, {item.chunk_id for item in items if item.chunk_id is not None})
    named = [item.document for item in items if item.document is not None]
    catalog = _catalog(config, documents) if named else Catalog(())
    result: list[Place | str] = []
    for item in items:
        if item.chunk_id is not None:
            result.append(chunks.get(item.chunk_id, NOT_THERE))
            continue
        found = catalog.find(item.document or "")
        if len(found) > 1:
            result.append(f"{item.document!r} means {len(found)} documents; name one by its id")
            continue
        at = next(iter(found), None)
        content_seq = None if at is None else documents["content_seq"][at].as_py()
        if content_seq is None:
            result.append(NOT_THERE)
        else:
            identifier = documents["document_id"][at].as_py()
            result.append(Place(identifier, content_seq, item.start, item.end))
    return result


def _catalog(config: Config, documents: pa.Table) -> Catalog:
    roots = source_roots(config.sources)
    names = (documents[name].to_pylist() for name in ("document_id", "source", "source_uri"))
    return Catalog(
        (identifier, uri, document_key(uri, roots.get(source)))
        for identifier, source, uri in zip(*names, strict=True)
    )
