"""Cohesion and separation by the vectors of the configured model, on a sample of the corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from chunkers.quality_vectors import Sentences, sentences_of
from lineage import Document

if TYPE_CHECKING:
    from pipelines.embedding import Embedder
    from pipelines.evaluate.chunked import Chunked

COHESION, SEPARATION = "embedding_cohesion", "embedding_separation"
_CHARACTERS = 300_000
"""Code points of the sample: some minutes of a small model on one core, once for all strategies."""
_OF_EACH = 60_000
"""Code points of one document that are looked at."""


def embedding_figures(chunked: Chunked, embedder: Embedder) -> dict[str, dict[str, float]]:
    """The figures by data type, and under `` those of all documents; the mean over documents.

    `embedding_cohesion` and `embedding_separation` are what `cohesion` and `separation` are by
    words: from 0 to 1, higher is better (`chunkers.quality_vectors`). They are of the first
    documents by id, which is as good as drawn by lot, and of the chunks at the start of long ones:
    the same for every strategy, so that each sentence is embedded once for all of them.

    Raises:
        GristmillError: the embedder cannot be used, or is away.
    """
    from pipelines.embedding.once import embed_of

    sampled = list(_sample(chunked))
    texts = [text for _, made in sampled for text in made.texts]
    documents = [document.document_id for document, made in sampled for _ in made.texts]
    vectors = embed_of(embedder, texts, documents)
    values: dict[str, dict[str, list[float]]] = {}
    done = 0
    for document, made in sampled:
        cohesion, separation = made.figures(vectors[done : done + len(made.texts)])
        done += len(made.texts)
        for name, each in ((COHESION, cohesion), (SEPARATION, separation)):
            known = [value for value in each if value is not None]
            if known:
                for group in ("", document.data_type):
                    mean = sum(known) / len(known)
                    values.setdefault(group, {}).setdefault(name, []).append(mean)
    return {group: _means(each) for group, each in values.items()}


def _sample(chunked: Chunked) -> Iterator[tuple[Document, Sentences]]:
    """Each document that is looked at, and its sentences."""
    left = _CHARACTERS
    for item, cut in zip(chunked.corpus.documents, chunked.cuts, strict=True):
        if left <= 0:
            return
        document = item.document
        left -= min(len(document.text), _OF_EACH)
        if cut is not None and len(cut.spans) > 1:
            spans = [span for span in cut.spans if span.end <= _OF_EACH]
            yield document, sentences_of(document, spans)


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: sum(each) / len(each) for name, each in values.items()}
