from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from lineage import TerminalError
from pipelines.embedding.cache import VectorCache, text_key
from pipelines.embedding.once import CachingEmbedder
from pipelines.storage import Storage


class Counting:
    """A deterministic embedder that remembers what it was asked for."""

    max_tokens = 100

    def __init__(self, name: str = "m1", dimensions: int = 4, fail_after: int = 10**9) -> None:
        self.name, self.dimensions = name, dimensions
        self.texts: list[str] = []
        self.fail_after = fail_after

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if len(self.texts) + len(texts) > self.fail_after:
            raise ConnectionError("away")
        self.texts += texts
        rows = [
            np.frombuffer(hashlib.sha256((self.name + text).encode("utf-8", "replace")).digest(),
                          np.uint8)[: self.dimensions]
            for text in texts
        ]  # fmt: skip
        return np.array(rows, np.float32).reshape(len(texts), self.dimensions)


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(Storage.from_uri(tmp_path / "lake") / "vectors")


def test_no_text_is_embedded_twice(cache: VectorCache) -> None:
    texts = ["a", "b", "a", "", "lone \ud800"]
    inner = Counting()
    first = CachingEmbedder(inner, cache)
    assert first.missing(texts) == ["a", "b", "", "lone \ud800"]
    vectors = first.embed(texts)
    assert inner.texts == ["a", "b", "", "lone \ud800"]
    assert np.array_equal(vectors, Counting().embed(texts))
    other = CachingEmbedder(Counting(), VectorCache(cache.folder))
    assert np.array_equal(other.embed(["b", "c", "a"]), Counting().embed(["b", "c", "a"]))
    assert other.embedder.texts == ["c"]  # type: ignore[attr-defined]
    assert other.embedded == 1
    assert other.missing(texts) == []
    assert other.embed([]).shape == (0, 4)


def test_another_model_has_vectors_of_its_own(cache: VectorCache) -> None:
    CachingEmbedder(Counting("m1", 4), cache).embed(["a", "b"])
    second = CachingEmbedder(Counting("m2", 6), cache)
    assert second.missing(["a"]) == ["a"]
    assert second.embed(["a"]).shape == (1, 6)
    assert cache.get("m3", [text_key("a")]) == {}
    assert set(cache.get("m1", [text_key("a"), text_key("z")])) == {text_key("a")}


def test_what_was_paid_for_before_a_failure_is_kept(
    cache: VectorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.embedding.once._WRITE_TEXTS", 10)
    texts = [str(n) for n in range(35)]
    with pytest.raises(ConnectionError):
        CachingEmbedder(Counting(fail_after=25), cache).embed(texts)
    again = CachingEmbedder(Counting(), cache)
    assert np.array_equal(again.embed(texts), Counting().embed(texts))
    assert again.embedded == 15


def test_folding_keeps_vectors_and_forgetting_removes_them_for_good(
    cache: VectorCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.embedding.cache._COMPACT_FILES", 3)
    for n in range(6):
        cache.put("m1", [text_key(str(n))], Counting().embed([str(n)]))
    cache.compact()
    keys = [text_key(str(n)) for n in range(6)]
    found = cache.get("m1", keys)
    assert np.array_equal(np.stack([found[key] for key in keys]),
                          Counting().embed([str(n) for n in range(6)]))  # fmt: skip
    cache.forget(keys[:2])
    assert cache.known("m1", keys) == set(keys[2:])
    import pyarrow.parquet as pq

    left = {
        key
        for path in Path(cache.folder.uri).rglob("*.parquet")
        for key in pq.read_table(path)["text_sha256"].to_pylist()
    }
    assert left == set(keys[2:])


def cut(folder: Path) -> Path:
    (path,) = folder.glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    return path


def scramble(folder: Path) -> Path:
    """The foot is whole, what it points at is not."""
    (path,) = folder.glob("*.parquet")
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = bytes(0xA5 for _ in data[4 : len(data) // 2])
    path.write_bytes(bytes(data))
    return path


def gone(folder: Path) -> Path:
    (path,) = folder.glob("*.parquet")
    path.unlink()
    return folder


def cut_log(folder: Path) -> Path:
    log = folder / "_delta_log"
    max(log.glob("*.json")).write_text('{"trunc')
    return log


@pytest.mark.parametrize("damage", [cut, scramble, gone, cut_log])
def test_a_damaged_cache_is_named_and_can_be_deleted(
    cache: VectorCache, damage: Callable[[Path], Path]
) -> None:
    texts = [f"text {n}" for n in range(50)]
    wanted = CachingEmbedder(Counting(), cache).embed(texts)
    place = damage(Path(cache.folder.uri))
    with pytest.raises(TerminalError, match="Delete the folder") as raised:
        CachingEmbedder(Counting(), cache).embed(texts)
    assert str(raised.value).startswith(f"{place}: ")
    shutil.rmtree(cache.folder.uri)
    assert np.array_equal(CachingEmbedder(Counting(), cache).embed(texts), wanted)
