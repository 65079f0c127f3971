"""Processes that need the same texts at the same time: each text is embedded by one of them."""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedding_tools import Noting, noted, vectors_of

from pipelines.embedding import once
from pipelines.embedding.cache import VectorCache, text_key
from pipelines.embedding.claims import claims_on
from pipelines.embedding.once import CachingEmbedder
from pipelines.storage import Storage

TEXTS = [f"text {n}" for n in range(240)]


def embed_all(lake: str, log: str, seed: int, dies: bool, gate: Any) -> None:
    """One process: all texts in an order of its own, in several calls."""
    once._WRITE_TEXTS = 16

    def death() -> None:
        gate.wait()
        time.sleep(0.3)  # for the others to find what is claimed, and to wait

    embedder = CachingEmbedder(
        Noting(Path(log), death=death if dies else None),
        VectorCache(Storage.from_uri(lake) / "vectors"),
    )
    texts = list(TEXTS)
    random.Random(seed).shuffle(texts)
    if not dies:
        gate.wait()
    for start in range(0, len(texts), 80):
        part = texts[start : start + 80]
        assert np.array_equal(embedder.embed(part, ["d"] * len(part)), vectors_of(part))


def run_together(tmp_path: Path, deaths: list[bool]) -> list[int]:
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(len(deaths))
    lake, log = str(tmp_path / "lake"), str(tmp_path / "log")
    processes = [
        context.Process(target=embed_all, args=(lake, log, seed, death, gate))
        for seed, death in enumerate(deaths)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def rows(tmp_path: Path) -> list[str]:
    from deltalake import DeltaTable

    table = DeltaTable(str(tmp_path / "lake" / "vectors")).to_pyarrow_table()
    keys: list[str] = table["text_sha256"].to_pylist()
    return keys


def test_each_text_is_embedded_by_one_process_even_if_one_is_killed(tmp_path: Path) -> None:
    assert run_together(tmp_path, [False, True, False]) == [0, 9, 0]
    # It died before it embedded what it had claimed, and what it had embedded is kept.
    assert sorted(noted(tmp_path / "log")) == sorted(TEXTS)
    assert sorted(rows(tmp_path)) == sorted(map(text_key, TEXTS))


def test_claims_are_of_a_process_and_given_back(tmp_path: Path) -> None:
    folder = Storage.from_uri(tmp_path) / "vectors"
    keys = [text_key(text) for text in TEXTS[:3]]
    with claims_on(folder) as claims:
        assert claims.take(keys) == keys
        assert others(folder, keys) == []
        claims.give_back(keys[:1])
        assert others(folder, keys) == keys[:1]
    assert others(folder, keys) == keys
    with claims_on(Storage("az://docs/lake/vectors")) as claims:
        assert claims.take(keys) == keys


def others(folder: Storage, keys: list[str]) -> list[str]:
    """What another process could claim now."""
    code = (
        "import sys, json\n"
        "from pipelines.embedding.claims import claims_on\n"
        "from pipelines.storage import Storage\n"
        "with claims_on(Storage(sys.argv[1])) as claims:\n"
        "    print(json.dumps(claims.take(sys.argv[2:])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder.uri, *keys], capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_without_locks_of_the_file_system_everything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.lockf", refuse)
    embedder = CachingEmbedder(
        Noting(tmp_path / "log", 0), VectorCache(Storage.from_uri(tmp_path) / "vectors")
    )
    assert np.array_equal(embedder.embed(TEXTS), vectors_of(TEXTS))
    assert noted(tmp_path / "log") == TEXTS
