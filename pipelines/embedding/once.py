"""A cache in front of an embedder: no text is embedded twice.

    >>> embedder = CachingEmbedder(open_embedder(model), VectorCache(lake / "vectors"))
    ... # doctest: +SKIP

Processes of one machine that need the same text at the same time wait for the one that embeds it
(`pipelines.embedding.claims`); processes of several machines may each embed it, and add the same
row to the cache.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chunkers.embedders import Embeds
from pipelines.embedding.base import Embedder
from pipelines.embedding.cache import VectorCache, text_key
from pipelines.embedding.claims import Claims, claims_on

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_WRITE_TEXTS = 1000
"""Vectors are kept in portions of this many texts, so that a crash loses no more."""


class CachingEmbedder:
    """An embedder that asks a cache first, and keeps what it did not know.

    `embedded` counts the texts that were really embedded.
    """

    def __init__(self, embedder: Embedder, cache: VectorCache, *, keep: bool = True) -> None:
        """Connects nothing yet.

        Args:
            embedder: for what the cache does not know.
            cache: asked first.
            keep: whether new vectors go into the cache; without it nothing is written.
        """
        self.embedder = embedder
        self.cache = cache
        self.keep = keep
        self.embedded = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(CachingEmbedder, keep=self.keep), (self.embedder, self.cache)

    @property
    def name(self) -> str:
        """The embedder's."""
        return self.embedder.name

    @property
    def dimensions(self) -> int:
        """The embedder's."""
        return self.embedder.dimensions

    @property
    def max_tokens(self) -> int:
        """The embedder's."""
        return self.embedder.max_tokens

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The texts that would have to be embedded, each once, in their order."""
        keys = {text: text_key(text) for text in texts}
        known = self.cache.known(self.name, list(keys.values()))
        return [text for text, key in keys.items() if key not in known]

    def embed(
        self, texts: Sequence[str], documents: Sequence[str | None] | None = None
    ) -> npt.NDArray[np.float32]:
        """See `Embedder.embed`; each different text is embedded at most once, now or ever.

        Args:
            texts: of any number.
            documents: the id of the document that each is from, for `VectorCache.forget`.
        """
        import numpy as np

        if not len(texts):
            return np.zeros((0, self.dimensions), np.float32)
        keys = [text_key(text) for text in texts]
        seen: set[str] = set()
        found = self.cache.get(self.name, keys, seen)
        owners = documents or [None] * len(texts)
        fresh = {
            key: (text, owner)
            for key, text, owner in zip(keys, texts, owners, strict=True)
            if key not in found
        }
        if fresh and self.keep:
            with claims_on(self.cache.folder) as claims:
                self._fill(fresh, found, seen, claims)
        elif fresh:
            made = self.embedder.embed([text for text, _ in fresh.values()])
            self.embedded += len(fresh)
            found |= dict(zip(fresh, made, strict=True))
        return np.stack([found[key] for key in keys])

    def _fill(
        self,
        fresh: Mapping[str, tuple[str, str | None]],
        found: dict[str, npt.NDArray[np.float32]],
        seen: set[str],
        claims: Claims,
    ) -> None:
        """Embed what is claimed by nobody else, then see what those others have made."""
        waiting = list(fresh)
        while waiting:
            theirs: list[str] = []
            for start in range(0, len(waiting), _WRITE_TEXTS):
                part = waiting[start : start + _WRITE_TEXTS]
                ours = claims.take(part)
                try:
                    # Who claimed them before may have put them there in the meantime.
                    self._look_again(fresh, found, seen)
                    new = [key for key in ours if key not in found]
                    if new:
                        vectors = self.embedder.embed([fresh[key][0] for key in new])
                        with claims.adding():
                            self.cache.put(self.name, new, vectors, [fresh[k][1] for k in new])
                        self.embedded += len(new)
                        found |= dict(zip(new, vectors, strict=True))
                finally:
                    claims.give_back(ours)
                held = set(ours)
                theirs += [key for key in part if key not in held and key not in found]
            if theirs:
                claims.wait(theirs[0])
                self._look_again(fresh, found, seen)
            waiting = [key for key in theirs if key not in found]

    def _look_again(
        self,
        fresh: Mapping[str, tuple[str, str | None]],
        found: dict[str, npt.NDArray[np.float32]],
        seen: set[str],
    ) -> None:
        """Take what has come into the cache; all that is still missing is looked for in each new
        file, so that none need be looked at twice."""
        found |= self.cache.get(self.name, [key for key in fresh if key not in found], seen)


def embed_of(
    embedder: Embeds, texts: Sequence[str], documents: Sequence[str | None] | None
) -> npt.NDArray[np.float32]:
    """The vectors of texts of documents; a cache notes which ones."""
    if isinstance(embedder, CachingEmbedder):
        return embedder.embed(texts, documents)
    return embedder.embed(texts)
