"""Our chunkers as a LlamaIndex `NodeParser`, with exact offsets, stable ids and parents.

parser = GristmillNodeParser(chunker="optimal", max_tokens=400)
nodes = parser.get_nodes_from_documents(documents)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.node_parser.interface import NodeParser
from llama_index.core.node_parser.node_utils import default_id_func
from llama_index.core.schema import (
    BaseNode,
    Document,
    MetadataMode,
    NodeRelationship,
    TextNode,
)
from llama_index.core.utils import get_tqdm_iterable

from chunkers.api import TextChunk, chunk
from chunkers.vocabularies import DEFAULT_ENCODING
from lineage.ids import chunk_id

_PRIVATE = ("heading_path", "token_count", "granularity")
"""Metadata that is for programs; only `context` is embedded."""


class GristmillNodeParser(NodeParser):
    """A parser whose nodes are exact spans: `text[start_char_idx:end_char_idx] == node.text`.

    A chunk's context is metadata, which LlamaIndex embeds before the text. Ids are hashes of
    document, context and text, so a chunk that an edit did not touch keeps its id; `id_func`
    replaces them. The levels of `hierarchical` are parents and children, as
    `AutoMergingRetriever` wants them.
    """

    chunker: str = Field(default="optimal", description="A name from `chunkers.names()`.")
    max_tokens: int = Field(default=512, description="Hard cap, context included.")
    target_tokens: int | None = Field(default=None, description="Tokens a chunk should have.")
    overlap_tokens: int = Field(default=0, description="Tokens that may be repeated.")
    encoding: str = Field(default=DEFAULT_ENCODING, description="A tiktoken encoding.")
    context: bool = Field(default=True, description="Whether chunks carry context.")
    data_type: str | None = Field(default=None, description="`markdown`, `code:python` …")
    parameters: Mapping[str, Any] = Field(
        default_factory=dict, description="Further parameters of the chunker."
    )

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex stores."""
        return "GristmillNodeParser"

    def model_post_init(self, context: Any, /) -> None:
        """Refuses wrong parameters here, not at the first document."""
        super().model_post_init(context)
        self._chunks("")

    def _chunks(self, text: str) -> list[TextChunk]:
        return chunk(
            text,
            self.chunker,
            max_tokens=self.max_tokens,
            target_tokens=self.target_tokens,
            overlap_tokens=self.overlap_tokens,
            encoding=self.encoding,
            context=self.context,
            data_type=self.data_type,
            **self.parameters,
        )

    def _parse_nodes(
        self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any
    ) -> list[BaseNode]:
        """The chunks of all documents, in order."""
        found: list[BaseNode] = []
        for document in get_tqdm_iterable(nodes, show_progress, "Parsing nodes"):
            found += self._nodes(document)
        return found

    def _nodes(self, document: BaseNode) -> list[TextNode]:
        pieces = self._chunks(document.get_content(metadata_mode=MetadataMode.NONE))
        own_ids = self.id_func is default_id_func
        seen: Counter[tuple[int, str, str]] = Counter()
        nodes = []
        for number, piece in enumerate(pieces):
            key = (piece.level, piece.context, piece.text)
            identifier = (
                chunk_id(document.node_id, self.chunker, *key, seen[key])
                if own_ids
                else str(self.id_func(number, document))
            )
            seen[key] += 1
            nodes.append(_node(document, piece, identifier))
        for node, piece in zip(nodes, pieces, strict=True):
            if piece.parent is not None:
                parent = nodes[piece.parent]
                node.relationships[NodeRelationship.PARENT] = parent.as_related_node_info()
                children = parent.relationships.setdefault(NodeRelationship.CHILD, [])
                children.append(node.as_related_node_info())
        return nodes

    def _postprocess_parsed_nodes(
        self, nodes: list[BaseNode], parent_doc_map: dict[str, Document]
    ) -> list[BaseNode]:
        """Keeps the offsets, for which LlamaIndex would search the text."""
        places = [
            (node, node.start_char_idx, node.end_char_idx)
            for node in nodes
            if isinstance(node, TextNode)
        ]
        done = super()._postprocess_parsed_nodes(nodes, parent_doc_map)
        for node, start, end in places:
            node.start_char_idx, node.end_char_idx = start, end
        return list(done)


def _node(document: BaseNode, piece: TextChunk, identifier: str) -> TextNode:
    metadata: dict[str, Any] = {"token_count": piece.tokens}
    if piece.context:
        metadata["context"] = piece.context
    if piece.heading_path:
        metadata["heading_path"] = " > ".join(piece.heading_path)
    if piece.granularity:
        metadata["granularity"] = piece.granularity
    hidden = [key for key in _PRIVATE if key in metadata]
    return TextNode(
        id_=identifier,
        text=piece.text,
        start_char_idx=piece.start,
        end_char_idx=piece.end,
        metadata=metadata,
        excluded_embed_metadata_keys=[*document.excluded_embed_metadata_keys, *hidden],
        excluded_llm_metadata_keys=[*document.excluded_llm_metadata_keys, *hidden],
        relationships={NodeRelationship.SOURCE: document.as_related_node_info()},
    )
