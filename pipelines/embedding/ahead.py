"""Vectors for chunkers that embed, from the lake's cache, read and made many at a time.

A chunker asks for the sentences of one section after the other, which is too little at a time for
a table. So each document is cut twice: once to note what the chunker asks for, with vectors of
zeros for an answer, and once in earnest, with the vectors at hand. What is noted is of several
small documents or of one large one, whose vectors are read a stretch at a time; so the memory that
vectors take does not grow with the documents.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from chunkers import embedders
from lineage import Document
from lineage.errors import GristmillError, TransientError
from pipelines.embedding.base import Embedder
from pipelines.embedding.cache import VectorCache
from pipelines.embedding.once import CachingEmbedder, embed_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

T = TypeVar("T")

_CHARACTERS = 400_000
"""Documents are noted together up to so many code points."""
_TEXTS = 8192
"""Texts whose vectors are held at a time: 12 MB for 384 dimensions."""


class Job(NamedTuple):
    """Something that makes a chunker embed."""

    document_id: str
    run: Callable[[], object]
    """Asks for the same texts in the same order whenever it is called."""


def job_of(
    document_id: str, parameters: Mapping[str, Any], run: Callable[[], object]
) -> Job | None:
    """A job, if a chunker with these parameters embeds anything."""
    return Job(document_id, run) if embedders.described(parameters) else None


class ReadAhead:
    """Puts a cache in front of what chunkers embed by a description."""

    def __init__(self, cache: VectorCache | None, *, keep: bool = True) -> None:
        """Connects nothing yet.

        Args:
            cache: of the lake; without one, vectors are only read ahead.
            keep: whether new vectors go into the cache; without it nothing is written.
        """
        self._cache = cache
        self._keep = keep
        self._models: dict[str, _Model] = {}

    def each(
        self, items: Iterable[T], job: Callable[[T], Job | None], size: Callable[[T], int]
    ) -> Iterator[tuple[T, float]]:
        """The items in their order, each with the CPU seconds that its vectors took.

        While the caller works on an item, what its job asks for is at hand.

        Args:
            items: documents, for example.
            job: what works on an item; null where nothing is embedded.
            size: code points of an item.

        Raises:
            TransientError: the cache cannot be read or written.
            GristmillError: the model cannot be used.
        """
        group: list[tuple[T, Job | None]] = []
        held = 0
        for item in items:
            work = job(item)
            if work is None and not group:
                yield item, 0.0
                continue
            group.append((item, work))
            held += size(item)
            if held >= _CHARACTERS:
                yield from self._group(group)
                group, held = [], 0
        if group:
            yield from self._group(group)

    def once(self, document: Document, parameters: Mapping[str, Any], run: Callable[[], T]) -> T:
        """What `run` gives for a document, with the vectors at hand if its chunker embeds.

        Raises:
            TransientError: the cache cannot be read or written.
            GristmillError: the model cannot be used.
        """
        job = job_of(document.document_id, parameters, run)
        for _ in self.each([document], lambda _: job, lambda one: len(one.text)):
            result = run()
        return result

    def serve(self, description: Mapping[str, Any]) -> embedders.Embed:
        """What embeds for a description, with the cache in front; see `embedders.served_by`."""
        return self._model(description).embed

    def _group(self, group: Sequence[tuple[T, Job | None]]) -> Iterator[tuple[T, float]]:
        started = time.thread_time()
        jobs = [work for _, work in group if work is not None]
        for model in self._models.values():
            model.forget()
        noted = [(self._places(), self._note(work)) for work in jobs]
        for model in self._models.values():
            model.read()
        seconds = (time.thread_time() - started) / max(sum(count for _, count in noted), 1)
        shares = iter(noted)
        for item, work in group:
            places, count = ({}, 0) if work is None else next(shares)
            for key, model in self._models.items():
                model.at = places.get(key, 0)
            with embedders.served_by(self.serve):
                yield item, count * seconds

    def _places(self) -> dict[str, int]:
        """How much of each model has been noted."""
        return {key: len(model) for key, model in self._models.items()}

    def _note(self, job: Job) -> int:
        """Note what a job asks for, and how much that is."""
        count = 0

        def serve(description: Mapping[str, Any]) -> embedders.Embed:
            model = self._model(description)

            def note(texts: Sequence[str]) -> Vectors:
                nonlocal count
                count += len(texts)
                return model.note(texts, job.document_id)

            return note

        # What is wrong with the document shows when the work is done in earnest.
        with embedders.served_by(serve), suppress(Exception):
            job.run()
        return count

    def _model(self, description: Mapping[str, Any]) -> _Model:
        key = repr(sorted(description.items()))
        if key not in self._models:
            opened: Any = embedders.opened(description)
            if self._cache is not None and isinstance(opened, Embedder):
                opened = CachingEmbedder(opened, self._cache, keep=self._keep)
            self._models[key] = _Model(opened)
        return self._models[key]


class _Model:
    """What is asked of one embedder, in order, and the vectors that are at hand."""

    def __init__(self, embedder: Any) -> None:
        self._embedder = embedder
        self.forget()

    def forget(self) -> None:
        """Nothing is noted, and nothing at hand."""
        self._texts: list[str] = []
        self._documents: list[str] = []
        self.at = 0
        """Which of the texts is asked for next."""
        self._vectors: dict[str, Vectors] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def note(self, texts: Sequence[str], document_id: str) -> Vectors:
        """Note the texts; zeros for an answer."""
        import numpy as np

        self._texts += texts
        self._documents += [document_id] * len(texts)
        return np.zeros((len(texts), getattr(self._embedder, "dimensions", 1)), np.float32)

    def read(self, least: int = 0) -> None:
        """Have the vectors of the texts that are asked for next at hand, and no others."""
        part = slice(self.at, self.at + max(_TEXTS, least))
        self._vectors = {}
        first: dict[str, str] = {}
        for text, document in zip(self._texts[part], self._documents[part], strict=True):
            first.setdefault(text, document)
        if first:
            made = self._made(list(first), list(first.values()))
            self._vectors = dict(zip(first, made, strict=True))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors: those at hand, those that come next, or whatever is asked for."""
        import numpy as np

        if not len(texts):
            return np.zeros((0, getattr(self._embedder, "dimensions", 1)), np.float32)
        expected = self._texts[self.at : self.at + len(texts)] == list(texts)
        if expected and any(text not in self._vectors for text in texts):
            self.read(len(texts))
        if expected:
            self.at += len(texts)
        if all(text in self._vectors for text in texts):
            return np.stack([self._vectors[text] for text in texts])
        return self._made(texts, None)

    def _made(self, texts: Sequence[str], documents: Sequence[str] | None) -> Vectors:
        try:
            return embed_of(self._embedder, texts, documents)
        except GristmillError:
            raise
        except Exception as error:
            raise TransientError(
                f"vectors cannot be made or kept: {type(error).__name__}: {error}"
            ) from error
