"""Our chunkers as a LangChain `TextSplitter`, with exact offsets.

splitter = GristmillTextSplitter("optimal", max_tokens=400)
documents = splitter.create_documents([text])
documents[0].metadata["start_index"]
"""

from __future__ import annotations

import copy
from typing import Any

from langchain_core.documents import Document
from langchain_text_splitters import TextSplitter

from chunkers.api import TextChunk, chunk
from chunkers.counting import count_tokens
from chunkers.vocabularies import DEFAULT_ENCODING


class GristmillTextSplitter(TextSplitter):
    """A splitter whose pieces are exact spans: `text[start_index:end_index] == page_content`.

    Metadata of each document: that of its source, `start_index`, `end_index`, `token_count`, and,
    where there are any, `context` and `heading_path`. Of the larger chunks of `hierarchical` only
    the numbers are kept (`level`, `parent`: the index of the document that is around).
    """

    def __init__(
        self,
        chunker: str = "optimal",
        *,
        max_tokens: int = 512,
        target_tokens: int | None = None,
        overlap_tokens: int = 0,
        encoding: str = DEFAULT_ENCODING,
        context: bool = True,
        context_in_text: bool = False,
        data_type: str | None = None,
        **parameters: Any,
    ) -> None:
        """See `chunkers.chunk` for what is not said here.

        Args:
            chunker: a name from `chunkers.names()`.
            max_tokens: hard cap, context included.
            target_tokens: tokens that a chunk should have.
            overlap_tokens: tokens that may be repeated.
            encoding: a tiktoken encoding.
            context: whether chunks carry context.
            context_in_text: put context, a blank line and text into `page_content`, which is then
                what embedders see, and no longer a span.
            data_type: `markdown`, `prose`, `code:python` …; Markdown when not given.
            parameters: further ones of the chunker.
        """

        def length(text: str) -> int:
            return count_tokens(text, encoding)

        super().__init__(
            chunk_size=max_tokens,
            chunk_overlap=overlap_tokens,
            length_function=length,
            add_start_index=True,
        )
        self._chunker = chunker
        self._context_in_text = context_in_text
        self._arguments: dict[str, Any] = {
            "max_tokens": max_tokens,
            "target_tokens": target_tokens,
            "overlap_tokens": overlap_tokens,
            "encoding": encoding,
            "context": context,
            "data_type": data_type,
            **parameters,
        }
        self._chunks("")  # refuses wrong parameters here, not at the first document

    def _chunks(self, text: str) -> list[TextChunk]:
        return chunk(text, self._chunker, **self._arguments)

    def _content(self, piece: TextChunk) -> str:
        return piece.embedded_text if self._context_in_text else piece.text

    def split_text(self, text: str) -> list[str]:
        """The texts of the chunks."""
        return [self._content(piece) for piece in self._chunks(text)]

    def create_documents(
        self, texts: list[str], metadatas: list[dict[Any, Any]] | None = None
    ) -> list[Document]:
        """A document for each chunk of each text, with where it is."""
        documents = []
        for number, text in enumerate(texts):
            given = metadatas[number] if metadatas else {}
            for piece in self._chunks(text):
                metadata = copy.deepcopy(given) | _metadata(piece)
                documents.append(Document(page_content=self._content(piece), metadata=metadata))
        return documents


def _metadata(piece: TextChunk) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "start_index": piece.start,
        "end_index": piece.end,
        "token_count": piece.tokens,
    }
    if piece.context:
        metadata["context"] = piece.context
    if piece.heading_path:
        metadata["heading_path"] = list(piece.heading_path)
    if piece.granularity:
        metadata |= {"granularity": piece.granularity, "level": piece.level}
    if piece.parent is not None:
        metadata["parent"] = piece.parent
    return metadata
