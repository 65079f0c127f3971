"""Real chunk tables for the tests of the load, written the way the transform writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from lineage import Acl, chunk_id, document_id
from lineage.schemas import CHUNKS
from pipelines.config import Config, SinkConfig, SourceConfig
from pipelines.load.stage import LoadSummary, run
from pipelines.options import RunOptions
from pipelines.tables.lake import ChunkTable, Lake
from pipelines.tables.parts import PartWriter

STAFF = Acl(state="explicit", allow_groups=("staff",))


def key(name: str) -> str:
    return document_id("test", name)


@dataclass
class Doc:
    """One document's change within a commit."""

    name: str
    op: str = "upsert"
    texts: tuple[str, ...] = ()
    acl: Acl = STAFF
    labels: Mapping[str, str] = field(default_factory=lambda: {"owner": "hr"})
    context: str = ""
    claimed: int | None = None


def rows(doc: Doc, seq: int, strategy: str) -> list[dict[str, object]]:
    identifier = key(doc.name)
    common = {
        "document_id": identifier,
        "seq": seq,
        "acl": doc.acl.as_dict(),
        "labels": list(doc.labels.items()),
        "data_type": "prose",
        "lineage": {
            "source_uri": f"file:///docs/{doc.name}",
            "source_version": f"v{seq}",
            "content_sha256": hashlib.sha256("".join(doc.texts).encode()).hexdigest(),
            "document_seq": seq,
            "content_seq": seq,
            "parser": None,
            "chunker": "fixed",
            "chunker_version": "1",
            "rule": "default",
            "parameters_hash": "0",
            "encoding": "o200k_base",
            "ingest_run_id": "r1",
            "transform_run_id": "r2",
        },
    }
    count = len(doc.texts) if doc.claimed is None else doc.claimed
    result: list[dict[str, object]] = [{**common, "op": doc.op, "chunk_count": count}]
    if doc.op != "upsert":
        return result
    position = 0
    seen: dict[str, int] = {}
    for ordinal, text in enumerate(doc.texts):
        occurrence = seen.get(text, 0)
        seen[text] = occurrence + 1
        result.append(
            {
                **common,
                "op": "chunk",
                "chunk_id": chunk_id(identifier, strategy, 0, doc.context, text, occurrence),
                "ordinal": ordinal,
                "level": 0,
                "granularity": "",
                "start": position,
                "end": position + len(text),
                "overlap_chars": 0,
                "text": text,
                "context": doc.context,
                "token_count": len(text.split()),
                "max_tokens": 512,
                "heading_path": ["Guide", doc.name],
            }
        )
        position += len(text) + 1
    return result


class World:
    """A lake with a chunk table, a configuration, and an index folder."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder = folder
        self.config = Config(
            name="test",
            lake=str(folder / "lake"),
            sources=(SourceConfig(name="test", uri=str(folder)),),
            sinks=(SinkConfig("index", "lancedb", str(folder / "index"), options=options),),
            path=folder / "gristmill.yaml",
        )

    @property
    def table(self) -> ChunkTable:
        return Lake(self.config.lake).chunks("default")

    def commit(self, *docs: Doc) -> int:
        """Commit changes as one batch, in one part file."""
        table = self.table
        batch = table.begin("transform:default:x", table.seq + 1, "run")
        writer = PartWriter(table.folder, table.part_path(batch, "0"), CHUNKS)
        for doc in docs:
            values = rows(doc, batch.seq, "default")
            writer.write(pa.Table.from_pylist(values, schema=CHUNKS))
        part = writer.close()
        from dataclasses import replace

        batch = replace(batch, parts=(part,) if part else ())
        table.manifests.write(batch)
        table.commit(batch)
        return batch.seq

    def load(self, **options: object) -> LoadSummary:
        return run(self.config, RunOptions(**options))  # type: ignore[arg-type]

    def index(self) -> list[dict[str, object]]:
        """All rows of the index by (document, ordinal), read by LanceDB itself."""
        import lancedb

        table = lancedb.connect(self.folder / "index").open_table("chunks")
        found = table.search().limit(10_000_000).to_list()
        return sorted(found, key=lambda row: (row["document_id"], row["ordinal"]))

    def texts(self) -> dict[str, list[str]]:
        result: dict[str, list[str]] = {}
        for row in self.index():
            name = str(row["source_uri"]).removeprefix("file:///docs/")
            result.setdefault(name, []).append(str(row["text"]))
        return result
