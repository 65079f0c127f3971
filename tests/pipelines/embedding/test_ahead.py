"""Vectors read ahead for chunkers: the same chunks, few look-ups, bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedding_tools import Noting, noted, vectors_of

from chunkers import embedders
from chunkers.registry import build
from chunkers.tokens import TokenMap
from lineage import Document
from lineage.errors import TransientError
from pipelines.embedding import ahead as ahead_module
from pipelines.embedding.ahead import Job, ReadAhead
from pipelines.embedding.cache import VectorCache
from pipelines.embedding.once import CachingEmbedder
from pipelines.storage import Storage

DESCRIPTION = {"kind": "noting"}
SUBJECTS = ("harbour", "bakery", "court", "orchard", "glacier")
TEXTS = [
    "".join(
        f"# Part {part}\n\n"
        + " ".join(
            f"The {SUBJECTS[(n // 3 + part) % 5]} of place {n} in {d} is old." for n in range(9)
        )
        + "\n\n"
        for part in range(4)
    )
    for d in range(6)
]


class World:
    """A cache in a folder, and an embedder of the kind `noting` that writes down what it does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = folder / "log"
        self.cache = VectorCache(Storage.from_uri(folder) / "vectors")
        self.embedder = Noting(self.log, 0)
        self.calls: list[int] = []
        monkeypatch.setattr(embedders, "_registered", lambda: {"noting": None})
        monkeypatch.setattr(embedders, "opened", lambda description: self.embedder)
        plain = CachingEmbedder.embed

        def counted(made: CachingEmbedder, texts: Sequence[str], documents: Any = None) -> Any:
            self.calls.append(len(texts))
            return plain(made, texts, documents)

        monkeypatch.setattr(CachingEmbedder, "embed", counted)

    def cut(self, texts: Sequence[str], *, keep: bool = True) -> list[Any]:
        chunker = build("semantic", {"embedder": DESCRIPTION, "target_tokens": 24}, max_tokens=48)

        def spans(text: str) -> Any:
            return chunker.spans(Document(text=text), TokenMap(text))

        each = ReadAhead(self.cache, keep=keep).each(
            texts, lambda text: Job(f"doc-{text[:20]}", lambda: spans(text)), len
        )
        return [spans(text) for text, _ in each]

    def bare(self, texts: Sequence[str]) -> list[Any]:
        chunker = build(
            "semantic", {"embedder": self.embedder.embed, "target_tokens": 24}, max_tokens=48
        )
        return [chunker.spans(Document(text=text), TokenMap(text)) for text in texts]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_chunks_are_those_of_the_bare_embedder_in_few_look_ups(world: World) -> None:
    cut = world.cut(TEXTS)
    assert len(world.calls) == 1
    texts = noted(world.log)
    assert len(texts) == len(set(texts)) > 100
    assert cut == world.cut(TEXTS)
    assert len(noted(world.log)) == len(texts)
    world.log.unlink()
    assert cut == world.bare(TEXTS)
    # One after the other, the chunker asks for one section at a time.
    assert set(noted(world.log)) == set(texts)


def test_vectors_at_hand_are_bounded_however_large_the_document(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = world.bare(TEXTS)
    world.log.unlink()
    monkeypatch.setattr(ahead_module, "_TEXTS", 20)
    monkeypatch.setattr(ahead_module, "_CHARACTERS", 1500)
    monkeypatch.setattr("chunkers.semantic._MOST_TEXTS", 4)
    assert world.cut(TEXTS) == wanted
    assert max(world.calls) <= 20
    assert len(noted(world.log)) == len(set(noted(world.log)))


def test_what_was_not_foreseen_is_embedded_all_the_same(world: World) -> None:
    asked = iter((["a", "b"], ["x"], ["b", "c"], ["x"]))

    def job() -> Any:
        return embedders.function_of(DESCRIPTION)(next(asked))

    reader = ReadAhead(world.cache).each(range(2), lambda _: Job("d", job), lambda _: 1)
    found = [job() for _ in reader]
    assert np.array_equal(found[0], vectors_of(["b", "c"]))
    assert np.array_equal(found[1], vectors_of(["x"]))
    assert noted(world.log) == ["a", "b", "x", "c"]


def test_without_keeping_nothing_is_written(world: World) -> None:
    assert world.cut(TEXTS, keep=False) == world.bare(TEXTS)
    assert not world.cache.folder.exists()


def test_a_cache_that_is_away_is_no_document_s_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(VectorCache, "put", away)
    with pytest.raises(TransientError, match="no route to host"):
        world.cut(TEXTS)
