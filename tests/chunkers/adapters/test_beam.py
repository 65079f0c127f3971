"""Our chunkers in Beam's RAG library, on the pinned runner."""

from __future__ import annotations

from pathlib import Path
from pickle import dumps, loads
from typing import Any
from uuid import uuid4

import apache_beam as beam
import pytest
from apache_beam.ml.transforms.base import MLTransform
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from chunkers.adapters.beam import GristmillChunker
from chunkers.counting import count_tokens
from lineage import ConfigError

PROSE = "Every sentence of this paragraph is about as long as the last one was. "
TEXTS = {
    name: f"# {name}\n\n" + "".join(f"## Part {i}\n\n{PROSE * 12}\n\n" for i in range(3))
    for name in ("one", "two")
}


def run(chunker: GristmillChunker, folder: Path) -> list[Any]:
    """The chunks that `MLTransform` makes of both texts."""
    documents = [{"text": text, "source": name, "year": 2026} for name, text in TEXTS.items()]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | "Documents" >> beam.Create(documents)
            | "Chunk" >> MLTransform(write_artifact_location=str(folder)).with_transform(chunker)
            | "Collect"
            >> beam.Map(lambda chunk: (folder / f"{uuid4()}.chunk").write_bytes(dumps(chunk)))
        )
    return [loads(path.read_bytes()) for path in folder.glob("*.chunk")]


def test_chunks_are_spans_with_stable_ids(tmp_path: Path) -> None:
    made = GristmillChunker(
        "optimal", max_tokens=120, metadata_fields=["source", "year"], id_field="source"
    )
    chunks = run(made, tmp_path / "a")
    assert len(chunks) > 10
    for chunk in chunks:
        meta = chunk.metadata
        text = TEXTS[meta["source"]]
        assert chunk.content.text[meta["text_start"] :] == text[meta["start"] : meta["end"]]
        assert count_tokens(chunk.content.text) == meta["token_count"] <= 120
        assert meta["year"] == 2026
    assert any(chunk.metadata["context"] == "one > Part 1" for chunk in chunks)
    ids = {chunk.id for chunk in chunks}
    assert len(ids) == len(chunks)
    assert {chunk.id for chunk in run(made, tmp_path / "b")} == ids


def test_other_ids_can_be_given(tmp_path: Path) -> None:
    made = GristmillChunker("fixed", max_tokens=120, chunk_id_fn=lambda chunk: f"id {chunk.index}")
    assert "id 0" in {chunk.id for chunk in run(made, tmp_path)}


def test_mistakes_show_before_the_pipeline() -> None:
    with pytest.raises(ConfigError, match="did you mean 'optimal'"):
        GristmillChunker("optimla")
