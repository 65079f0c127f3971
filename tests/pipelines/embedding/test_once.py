"""No text is embedded twice: not by chunking, comparing and loading, in whatever processes."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from change_tools import in_process
from embedding_tools import SPY, noted

from lineage import TransientError
from pipelines.embedding import OnnxEmbedder, open_embedder
from pipelines.embedding.cache import VectorCache, text_key

ROOT = Path(__file__).parents[3]
MODEL = Path(os.environ.get("GRISTMILL_TEST_DATA", "/nowhere")) / "models" / "all-MiniLM-L6-v2"
pytestmark = [
    pytest.mark.skipif(not MODEL.is_dir(), reason="GRISTMILL_TEST_DATA has no embedding model"),
    pytest.mark.xdist_group("onnx"),
]
SUBJECTS = ("harbour", "bakery", "court", "orchard")
FORM = "This page is printed on request. Ask at the desk for a copy."


class Spied:
    """A project whose commands write down every text that the model is given."""

    def __init__(self, project: Any, folder: Path) -> None:
        self.project = project
        self.log = folder / "embedded.txt"
        spy = folder / "spy"
        spy.mkdir()
        (spy / "sitecustomize.py").write_text(SPY)
        path = (str(spy), str(Path(__file__).parent), str(ROOT), os.environ.get("PYTHONPATH", ""))
        self.environment = {
            "PYTHONPATH": os.pathsep.join(path),
            "EMBEDDED_TEXTS": str(self.log),
        }

    def command(self, verb: str, *arguments: str) -> dict[str, Any]:
        code, value, error = self.project.command(
            verb, str(self.project.config_path), *arguments, "--json", **self.environment
        )
        assert code == 0, error
        return dict(value)

    @property
    def texts(self) -> list[str]:
        # With which the model is tried out, cache or not.
        return [text for text in noted(self.log) if text != "ready"]


def semantic(target: int) -> dict[str, Any]:
    return {"default": {"chunker": "semantic", "embedder": True, "target_tokens": target}}


@pytest.fixture
def spied(project: Any, tmp_path: Path) -> Spied:
    for subject in SUBJECTS:
        # Every document ends alike, so that processes need the same texts at the same time.
        body = " ".join(
            f"The {subject} keeps {n} boats. Nobody paints the {SUBJECTS[n % 4]} in year {n}."
            for n in range(12)
        )
        project.write(f"{subject}.txt", f"{body}\n\n{FORM}\n")
    question = {
        "question": "Who paints the harbour?",
        "evidence": [{"document": "bakery.txt", "quote": "The bakery keeps 3 boats."}],
    }
    (project.root / "evidence.jsonl").write_text(json.dumps(question))
    project.settings = {
        "strategies": [{"name": "default", "max_tokens": 64, "policy": semantic(32)}],
        "embedder": {"kind": "onnx", "model": str(MODEL)},
        "sinks": [{"name": "index", "kind": "lancedb", "uri": "state/index", "embedder": True}],
        "evaluation": {
            "evidence": "evidence.jsonl",
            "retrievers": ["dense"],
            "strategies": [
                {"name": f"semantic-{n}", "max_tokens": 64, "policy": semantic(n)}
                for n in (24, 32, 48)
            ],
        },
    }
    return Spied(project, tmp_path)


@pytest.mark.slow
def test_chunking_comparing_and_loading_embed_each_text_once(spied: Spied) -> None:
    # A part file each, so that processes work on them at the same time.
    spied.command("ingest", "--batch", "1")
    spied.command("transform", "--workers", "2")
    sentences = spied.texts
    assert len(sentences) > 50
    assert max(Counter(sentences).values()) == 1
    made = spied.command("compare", "--workers", "2")
    assert not made.get("failed")
    assert len(made["strategies"]) == 4
    spied.command("load")
    texts = spied.texts
    assert len(texts) > len(sentences) + 20
    assert [text for text, count in Counter(texts).items() if count > 1] == []

    # Another policy decides anew, from the sentences that are known.
    spied.project.settings["strategies"][0]["policy"] = semantic(40)
    assert spied.command("transform", "--workers", "2")["stages"]["transform"]["documents"] == 4
    assert spied.texts == texts
    from deltalake import DeltaTable

    lake = spied.project.root / "state" / "lake"
    table = DeltaTable(str(lake / "vectors")).to_pyarrow_table()
    assert len(set(table["text_sha256"].to_pylist())) == table.num_rows == len(texts) + 1

    # Sentences, chunks, and the chunks of strategies that were only tried.
    cache, name = VectorCache.of(str(lake)), open_embedder(MODEL).name
    own = [text_key(text) for text in texts if "orchard keeps" in text]
    others = [text_key(text) for text in texts if "orchard keeps" not in text and "keeps" in text]
    assert len(own) > 12
    assert cache.known(name, own) == set(own)
    assert spied.command("forget", "orchard.txt", "--yes")["complete"]
    assert cache.known(name, own) == set()
    assert cache.known(name, others) == set(others)


def test_what_was_embedded_before_a_crash_is_not_embedded_again(
    project: Any, spied: Spied, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_process(monkeypatch)
    project.ingest()
    monkeypatch.setattr("pipelines.embedding.once._WRITE_TEXTS", 10)
    texts: list[str] = []
    plain = OnnxEmbedder.embed

    def fail_late(made: OnnxEmbedder, given: Any) -> Any:
        if len(texts) > 30:
            raise MemoryError("no more")
        texts.extend(given)
        return plain(made, given)

    with monkeypatch.context() as patch:
        patch.setattr(OnnxEmbedder, "embed", fail_late)
        with pytest.raises(TransientError, match="no more"):
            project.transform()
    assert len(project.lake.chunks("default").files) == 0
    first = list(texts)
    assert len(first) > 30

    def note(made: OnnxEmbedder, given: Any) -> Any:
        texts.extend(given)
        return plain(made, given)

    monkeypatch.setattr(OnnxEmbedder, "embed", note)
    project.transform()
    assert len(texts) > len(first)
    assert max(Counter(texts).values()) == 1
    assert {chunk["source_uri"] for chunk in (c["lineage"] for c in project.chunks())} == {
        (project.root / "docs" / f"{subject}.txt").as_uri() for subject in SUBJECTS
    }
