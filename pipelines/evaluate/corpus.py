"""A snapshot of a lake's documents, held in memory: what strategies are compared on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from chunkers.policy import Facts
from chunkers.shape import shape_of
from lineage import Acl, Document, fingerprint
from lineage.errors import ConfigError
from pipelines.config import Config
from pipelines.facts import document_facts, document_key, source_roots

_COLUMNS = (
    "document_id", "pipeline", "source", "source_uri", "op", "content_seq", "content_sha256",
    "size_bytes", "media_type", "data_type", "language", "title", "text_is_source", "acl",
    "labels", "parser",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CorpusDocument:
    """A document with its text, what policies route on, and how people call it."""

    document: Document
    facts: Facts
    key: str
    """Relative to its source's root."""


@dataclass(frozen=True)
class Corpus:
    """Documents in the order of their ids, and which version of the documents table they are."""

    documents: tuple[CorpusDocument, ...]
    uri: str = ""
    """Of the documents table."""
    version: int | None = None
    """Its Delta version; null for a corpus that is not from a table."""
    total: int = 0
    """Documents with text in the table, of which `documents` may be a sample."""
    _index: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for place, item in enumerate(self.documents):
            self._index[item.document.document_id] = place

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def lake(self) -> str | None:
        """The lake that it is from; null for a corpus that is not from a table."""
        return self.uri.rpartition("/")[0] or None

    def index(self, document_id: str) -> int | None:
        """The place of a document; null when it is not in the snapshot."""
        return self._index.get(document_id)

    @cached_property
    def fingerprint(self) -> str:
        """Changes when a document's id, text, type or language does, or which there are."""
        return fingerprint(
            [
                [
                    item.document.document_id,
                    hashlib.sha256(item.document.text.encode("utf-8", "surrogatepass")).hexdigest(),
                    item.document.data_type,
                    item.document.language,
                    len(item.document.blocks),
                ]
                for item in self.documents
            ]
        )

    @cached_property
    def characters(self) -> int:
        """Code points of all texts."""
        return sum(len(item.document.text) for item in self.documents)

    def only(self, document_ids: Collection[str]) -> Corpus:
        """The same snapshot with these documents alone: for held-out parts."""
        kept = tuple(d for d in self.documents if d.document.document_id in document_ids)
        return replace(self, documents=kept, _index={})


class Catalog:
    """Documents by any of their names: id, source URI, key, and where it is unique, file name."""

    def __init__(self, names: Iterable[tuple[str, str, str]]) -> None:
        """From (document id, source URI, key) of each document, in order."""
        self._exact: dict[str, set[int]] = {}
        self._loose: dict[str, set[int]] = {}
        for place, (identifier, uri, key) in enumerate(names):
            for name in (identifier, uri, key):
                if name:
                    self._exact.setdefault(name, set()).add(place)
            path = PurePosixPath(key.rpartition("#")[2] or key)
            for name in {path.name, path.stem, key.rpartition("#")[2]}:
                if name:
                    self._loose.setdefault(name, set()).add(place)

    def find(self, name: str) -> set[int]:
        """The places of the documents that `name` means: none, one, or several."""
        return self._exact.get(name) or self._loose.get(name) or set()


def catalog_of(corpus: Corpus) -> Catalog:
    """The catalog of a snapshot."""
    return Catalog(
        (item.document.document_id, item.document.source_uri, item.key) for item in corpus.documents
    )


def corpus_of(documents: Iterable[Document], keys: Iterable[str] = ()) -> Corpus:
    """A corpus of documents that are in no table: for tests, benchmarks and notebooks."""
    names = list(keys)
    items = [
        CorpusDocument(
            document,
            Facts(
                data_type=document.data_type,
                language=document.language,
                shape=shape_of(document.blocks),
            ),
            names[n] if n < len(names) else document.document_id,
        )
        for n, document in enumerate(documents)
    ]
    items.sort(key=lambda item: item.document.document_id)
    return Corpus(tuple(items), total=len(items))


def read_corpus(config: Config, *, limit: int | None = None, names: Collection[str] = ()) -> Corpus:
    """The current documents of the configuration's lake that have text.

    Args:
        config: whose lake.
        limit: at most so many documents besides those in `names`; which ones is by their ids,
            hence the same choice on every machine.
        names: documents that have to be there, those with evidence, by any name of theirs.

    Raises:
        ConfigError: nothing was ingested yet, or no document has text.
    """
    from pipelines.queries.find import require_documents
    from pipelines.tables import Lake, newest_documents

    lake: Lake = require_documents(config)
    table = lake.documents
    rows = newest_documents(table, _COLUMNS).select(_COLUMNS).to_pylist()
    known = [row for row in rows if row["content_seq"] is not None and row["op"] != "delete"]
    if not known:
        raise ConfigError(
            f"no document in the lake {config.lake} has text to chunk. Look at "
            f"`gristmill status {config.path}`."
        )
    roots = source_roots(config.sources)
    keys = [document_key(row["source_uri"], roots.get(row["source"])) for row in known]
    if limit is not None:
        catalog = Catalog(
            (row["document_id"], row["source_uri"], key)
            for row, key in zip(known, keys, strict=True)
        )
        first = {place for name in names for place in catalog.find(name)}
        others = sorted(set(range(len(known))) - first, key=lambda i: known[i]["document_id"])
        chosen = [known[i] for i in sorted({*first, *others[:limit]})]
    else:
        chosen = known
    items = [
        CorpusDocument(
            document_of_row(row, text, blocks),
            document_facts(row, roots, shape_of(blocks)),
            document_key(row["source_uri"], roots.get(row["source"])),
        )
        for row, text, blocks in _with_text(lake, chosen)
    ]
    items.sort(key=lambda item: item.document.document_id)
    return Corpus(tuple(items), table.folder.uri, table.version, len(known))


def _with_text(lake: Any, rows: list[dict[str, Any]]) -> Iterable[tuple[dict[str, Any], str, Any]]:
    from pipelines.tables import content_places, read_rows
    from pipelines.tables.lake import by_file
    from pipelines.transform.work import blocks_of

    table = lake.documents
    by_id = {row["document_id"]: row for row in rows}
    contents = {row["document_id"]: row["content_seq"] for row in rows}
    for place, wanted in by_file(content_places(table, contents), contents):
        for part in read_rows(table.folder, place, ["text", "blocks"], wanted):
            ids, texts = part["document_id"].to_pylist(), part["text"].to_pylist()
            for name, text, blocks in zip(ids, texts, blocks_of(part["blocks"]), strict=True):
                yield by_id[name], text or "", blocks


def document_of_row(row: Mapping[str, Any], text: str, blocks: Any) -> Document:
    """What a chunker is given, and what lineage and access need besides."""
    return Document(
        text=text,
        blocks=blocks,
        document_id=row["document_id"],
        pipeline=row["pipeline"] or "",
        source=row["source"] or "",
        source_uri=row["source_uri"],
        content_seq=row["content_seq"],
        content_sha256=row["content_sha256"],
        size_bytes=row["size_bytes"],
        media_type=row["media_type"],
        data_type=row["data_type"] or "prose",
        language=row["language"],
        title=row["title"],
        text_is_source=bool(row["text_is_source"]),
        acl=Acl.from_dict(row["acl"]),
        labels=dict(row["labels"] or ()),
    )
