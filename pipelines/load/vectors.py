"""Vectors for the chunks of a load: only texts that no run has embedded before cost anything."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.budget import Meter
from pipelines.embedding import open_cached
from pipelines.embedding.azure_openai import AzureOpenAIEmbedder
from pipelines.embedding.once import CachingEmbedder
from pipelines.load.rows import embedded_texts
from pipelines.load.sink import Replace
from pipelines.usage import Ledger, Usage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipelines.config import Config, EmbedderConfig


@dataclass(slots=True)
class Vectorizer:
    """Gives replacements their vectors, within the budget, and keeps account."""

    embedder: CachingEmbedder
    meter: Meter
    ledger: Ledger
    stopped: str | None = None
    """Why no more is embedded, when the budget was at its limit."""

    @classmethod
    def of(cls, config: Config, embedder: EmbedderConfig, meter: Meter) -> Vectorizer:
        """The vectorizer for a sink of `config`."""
        cached = open_cached(embedder, config.lake)
        return cls(cached, meter, Ledger(config.budget.labels))

    def add(self, batch: Sequence[Replace]) -> list[Replace]:
        """The same changes with vectors.

        Raises:
            BudgetExceeded: they would cost more than a limit allows; nothing was embedded.
            TransientError: the service that embeds is away.
        """
        texts = [embedded_texts(change.chunks) for change in batch]
        wanted = [text for each in texts for text in each if text is not None]
        documents = [
            change.document_id
            for change, each in zip(batch, texts, strict=True)
            for text in each
            if text is not None
        ]
        missing = set(self.embedder.missing(wanted))
        cost = Ledger(self.ledger.labels)
        for change, own in zip(batch, texts, strict=True):
            cost.add(change.labels, documents=1, embedded_tokens=self._tokens(change, own, missing))
        self.meter.allow("load", cost.total())
        started = time.monotonic()
        vectors = _spread(self.embedder.embed(wanted, documents), texts)
        _share(cost, time.monotonic() - started)
        self.meter.record("load", uuid.uuid4().hex, cost)
        self.ledger = self.ledger.merge(cost)
        result, start = [], 0
        for change, own in zip(batch, texts, strict=True):
            result.append(replace(change, vectors=vectors[start : start + len(own)]))
            start += len(own)
        return result

    def _tokens(self, change: Replace, texts: Sequence[str | None], missing: set[str]) -> int:
        """The tokens of those texts that have to be embedded, each charged where it comes first.

        In the service's own encoding where it is paid by token, else as the chunks were counted.
        """
        from chunkers.counting import count_tokens

        total = 0
        counts = change.chunks["token_count"].to_pylist()
        paid = isinstance(self.embedder.embedder, AzureOpenAIEmbedder)
        for text, count in zip(texts, counts, strict=True):
            if text is not None and text in missing:
                missing.discard(text)
                total += count_tokens(text, AzureOpenAIEmbedder.encoding) if paid else count
        return total


def _spread(
    vectors: npt.NDArray[np.float32], texts: Sequence[Sequence[str | None]]
) -> npt.NDArray[np.float32]:
    """A row for each text, zeros for what was not embedded."""
    import numpy as np

    mask = np.array([text is not None for each in texts for text in each], bool)
    rows = np.zeros((len(mask), vectors.shape[1]), np.float32)
    rows[mask] = vectors
    return rows


def _share(ledger: Ledger, seconds: float) -> None:
    """Divide the time over who had anything embedded, by tokens."""
    total = ledger.total().embedded_tokens
    for usage in ledger.rows.values():
        if total:
            usage.add(Usage(seconds=seconds * usage.embedded_tokens / total))
