"""Models on this machine: their vectors, their identity, and what is said when there are none."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lineage.errors import ConfigError, MissingExtra
from pipelines.embedding import Embedder, OnnxEmbedder, open_embedder
from pipelines.embedding.cached import CachedEmbedder

TEXTS = ["A cat sat on the mat.", "The kitten was sitting down.", "Yields of bonds fell.", ""]


@pytest.fixture(scope="module")
def folder() -> Path:
    root = os.environ.get("GRISTMILL_TEST_DATA")
    if not root:
        pytest.skip("GRISTMILL_TEST_DATA is not set: it names the folder that holds a model")
    return Path(root, "models", "all-MiniLM-L6-v2")


@pytest.fixture(scope="module")
def embedder(folder: Path) -> OnnxEmbedder:
    pytest.importorskip("onnxruntime")
    return OnnxEmbedder(folder)


def test_like_texts_have_like_vectors_of_length_one(embedder: OnnxEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    vectors = embedder.embed(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, embedder.dimensions)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.5 > likeness[0, 2]
    assert embedder.embed([]).shape == (0, embedder.dimensions)


def test_a_vector_does_not_depend_on_its_batch(folder: Path, embedder: OnnxEmbedder) -> None:
    texts = [*TEXTS, "A much longer text. " * 40, "\ud800 lone", "\x00"]
    together = embedder.embed(texts)
    assert np.array_equal(together, np.concatenate([embedder.embed([t]) for t in texts]))
    assert np.array_equal(together[::-1], embedder.embed(texts[::-1]))
    assert np.array_equal(together, OnnxEmbedder(folder, threads=2).embed(texts))


def test_what_is_beyond_the_limit_is_not_read(folder: Path, embedder: OnnxEmbedder) -> None:
    assert embedder.max_tokens == 256
    filler = "word " * 254
    assert np.array_equal(*embedder.embed([filler, filler + "something else"]))
    assert not np.array_equal(*embedder.embed(["word " * 250, "word " * 250 + "something else"]))
    short = OnnxEmbedder(folder, max_tokens=8)
    assert np.array_equal(*short.embed(["a b c d e f g", "a b c d e f h"]))


def test_the_name_says_what_makes_the_vectors(
    folder: Path, embedder: OnnxEmbedder, tmp_path: Path
) -> None:
    assert embedder.name.startswith("all-MiniLM-L6-v2@")
    assert pickle.loads(pickle.dumps(embedder)).name == embedder.name
    assert OnnxEmbedder(folder, max_tokens=128).name != embedder.name
    copy = shutil.copytree(folder, tmp_path / folder.name, copy_function=os.symlink)
    assert OnnxEmbedder(copy).name == embedder.name
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1))
    assert OnnxEmbedder(copy).name != embedder.name


def test_a_model_may_take_its_first_token(
    folder: Path, embedder: OnnxEmbedder, tmp_path: Path
) -> None:
    copy = shutil.copytree(folder, tmp_path / "model", copy_function=os.symlink)
    (copy / "1_Pooling").mkdir()
    settings = copy / "1_Pooling" / "config.json"
    settings.write_text('{"word_embedding_dimension": 384, "pooling_mode_cls_token": true}')
    (copy / "sentence_bert_config.json").write_text('{"max_seq_length": 64}')
    first = OnnxEmbedder(copy)
    assert first.max_tokens == 64
    assert first.name != embedder.name
    assert not np.allclose(first.embed(TEXTS[:1]), embedder.embed(TEXTS[:1]), atol=0.01)
    settings.write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ConfigError, match="pooling_mode_max_tokens"):
        OnnxEmbedder(copy).embed(TEXTS)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.onnx"):
        open_embedder(tmp_path).embed(TEXTS)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        open_embedder(tmp_path).embed(TEXTS)
    (tmp_path / "tokenizer.json").write_text("{}")
    pytest.importorskip("onnxruntime")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        open_embedder(tmp_path).embed(TEXTS)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
def test_a_name_is_looked_up_in_the_cache_alone(
    folder: Path, embedder: OnnxEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastembed")
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    name = "sentence-transformers/all-MiniLM-L6-v2"
    with pytest.raises(ConfigError, match="not on this machine"):
        open_embedder(name).embed(TEXTS)
    with pytest.raises(ConfigError, match=f"did you mean '{name}'"):
        open_embedder("all-MiniLM-L6-v2").embed(TEXTS)
    # As the cache looks after a download.
    cache = tmp_path / "models--Qdrant--all-MiniLM-L6-v2-onnx"
    shutil.copytree(folder, cache / "snapshots" / "0123abcd", copy_function=os.symlink)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0123abcd")
    cached = open_embedder(name)
    assert isinstance(cached, CachedEmbedder)
    assert cached.dimensions == 384
    assert cached.name.startswith(f"{name}@fastembed-")
    vectors = cached.embed(TEXTS[:3])
    assert np.allclose(vectors, embedder.embed(TEXTS[:3]), atol=1e-5)
    assert np.array_equal(vectors[1:2], cached.embed(TEXTS[1:2]))
    assert pickle.loads(pickle.dumps(cached)).name == cached.name


def test_a_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "fastembed", None)
    for embedder in (OnnxEmbedder(folder), CachedEmbedder("BAAI/bge-small-en-v1.5")):
        with pytest.raises(MissingExtra, match=r"gristmill\[embeddings\]"):
            embedder.embed(TEXTS)


def test_importing_loads_no_runtime() -> None:
    code = (
        "import sys, pipelines.embedding; "
        "print({'numpy', 'onnxruntime', 'fastembed', 'tokenizers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
