"""Our chunkers as a chunking step of Beam's RAG library (`apache_beam.ml.rag`).

chunker = GristmillChunker("optimal", max_tokens=400, id_field="source")
chunks = documents | MLTransform(write_artifact_location=folder).with_transform(chunker)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.ml.rag.chunking.base import ChunkIdFn, ChunkingTransformProvider
from apache_beam.ml.rag.types import Chunk, Content

from chunkers.api import TextChunk, chunk
from lineage.ids import chunk_id, fingerprint


class GristmillChunker(ChunkingTransformProvider):
    """Splits documents, which are mappings, into Beam's chunks.

    A chunk's content is what should be embedded, context included; `metadata` has `start`, `end`,
    `text_start` (where the span begins in the content), `context`, `heading_path`, `token_count`,
    `level` and `granularity`, so `content.text[text_start:] == document[start:end]`. Ids are
    hashes of document, context and text: the same on every runner and in every run.

    Raises:
        ConfigError: on construction, when a name or a parameter is refused.
    """

    def __init__(
        self,
        chunker: str = "optimal",
        *,
        document_field: str = "text",
        metadata_fields: Sequence[str] = (),
        id_field: str | None = None,
        chunk_id_fn: ChunkIdFn | None = None,
        **parameters: Any,
    ) -> None:
        """Checks the parameters.

        Args:
            chunker: a name from `chunkers.names()`.
            document_field: where a document has its text.
            metadata_fields: what is copied to the metadata of its chunks.
            id_field: where a document has its id, for the ids of its chunks; by default a hash
                of its text stands for it.
            chunk_id_fn: gives other ids.
            parameters: `max_tokens`, `target_tokens` and the others of `chunkers.chunk`.
        """
        super().__init__(chunk_id_fn)
        chunk("", chunker, **parameters)
        self.step = _Split(chunker, document_field, tuple(metadata_fields), id_field, parameters)

    def get_splitter_transform(self) -> Any:
        """The step that splits."""
        return "ChunkDocuments" >> beam.ParDo(self.step)


class _Split(beam.DoFn):
    """One document in, its chunks out."""

    def __init__(
        self,
        chunker: str,
        document_field: str,
        metadata_fields: tuple[str, ...],
        id_field: str | None,
        parameters: dict[str, Any],
    ) -> None:
        self._chunker = chunker
        self._field = document_field
        self._copied = metadata_fields
        self._id_field = id_field
        self._parameters = parameters

    def process(self, element: dict[str, Any]) -> Iterator[Chunk]:
        """See `GristmillChunker`."""
        text = element[self._field]
        owner = str(element[self._id_field]) if self._id_field else fingerprint(text)
        copied = {name: element[name] for name in self._copied}
        seen: Counter[tuple[int, str, str]] = Counter()
        for number, piece in enumerate(chunk(text, self._chunker, **self._parameters)):
            key = (piece.level, piece.context, piece.text)
            identifier = chunk_id(owner, self._chunker, *key, seen[key])
            seen[key] += 1
            yield Chunk(
                content=Content(text=piece.embedded_text),
                id=identifier,
                index=number,
                metadata=copied | _metadata(piece),
            )


def _metadata(piece: TextChunk) -> dict[str, Any]:
    return {
        "start": piece.start,
        "end": piece.end,
        "text_start": len(piece.embedded_text) - len(piece.text),
        "context": piece.context,
        "heading_path": list(piece.heading_path),
        "token_count": piece.tokens,
        "level": piece.level,
        "granularity": piece.granularity,
    }
