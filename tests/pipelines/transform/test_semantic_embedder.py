"""Semantic chunks by the vectors of the configured model, through the pipeline."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from chunkers import chunk
from lineage import ConfigError
from pipelines.embedding import open_embedder

MODEL = Path(os.environ.get("GRISTMILL_TEST_DATA", "/nowhere")) / "models" / "all-MiniLM-L6-v2"
pytestmark = [
    pytest.mark.skipif(not MODEL.is_dir(), reason="GRISTMILL_TEST_DATA has no embedding model"),
    pytest.mark.xdist_group("onnx"),
]
TEXT = (
    "The tide came in before noon. Ships left the harbour with the ebb. By evening the boats lay "
    "dry on the mud. Knead flour and water until the dough is smooth. Let the loaf rest in a warm "
    "place. Bake it in a hot oven for an hour. The judge heard both parties. Counsel called the "
    "ruling unfair. The verdict came late.\n"
)
USE = {"chunker": "semantic", "embedder": True, "target_tokens": 32}


def semantic(project: Any, model: Path) -> Any:
    rules = [{"name": "talks", "when": {"path": "talk.txt"}, "use": USE}]
    policy = {"default": {"chunker": "recursive"}, "rules": rules}
    project.settings = {
        "strategies": [{"name": "default", "max_tokens": 64, "policy": policy}],
        "embedder": {"kind": "onnx", "model": str(model)},
        "sinks": [],
    }
    return project


def texts(project: Any) -> list[str]:
    rows = [c for c in project.chunks() if c["lineage"]["source_uri"].endswith("talk.txt")]
    return [row["text"] for row in sorted(rows, key=lambda row: row["ordinal"])]


def test_the_policy_s_semantic_chunks_are_those_of_the_configured_model(
    project: Any, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(MODEL, model, copy_function=shutil.copyfile)
    model.chmod(0o755)
    semantic(project, model)
    project.write("talk.txt", TEXT)
    project.write("other.txt", "Words of another kind.\n")
    project.ingest()
    assert project.transform().strategies["default"].counts["documents"] == 2
    embedder = open_embedder(model)
    wanted = chunk(
        TEXT, "semantic", max_tokens=64, target_tokens=32, embedder=embedder, data_type="prose"
    )
    assert texts(project) == [piece.text for piece in wanted]
    by_words = chunk(TEXT, "semantic", max_tokens=64, target_tokens=32, data_type="prose")
    assert texts(project) != [piece.text for piece in by_words]

    # Another model decides anew about what it decides about, and about nothing else.
    (model / "README.md").write_text("Another version.")
    again = project.transform().strategies["default"].counts
    assert again["documents"] == 1
    assert not project.transform().strategies["default"].counts


def test_a_missing_model_is_told_before_any_document_is_rejected(
    project: Any, tmp_path: Path
) -> None:
    semantic(project, tmp_path / "nowhere")
    project.write("talk.txt", TEXT)
    project.ingest()
    with pytest.raises(ConfigError, match="nowhere"):
        project.transform()
    assert project.lake.chunks("default").seq == 0
