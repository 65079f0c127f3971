"""How much of a chunking an edit moves."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from pathlib import Path

import pytest

from chunkers import Span, TokenMap, build
from chunkers.blocks import scan
from chunkers.stability import edit_stability, edits, kept
from lineage import Document

PARAGRAPH = (
    "The committee met in the spring of {i}. It went through every open point. "
    "Nobody left before the end. The minutes of {i} are kept in the archive.\n\n"
)
TEXT = "".join(
    f"# Year {i}\n\n" + "".join(PARAGRAPH.format(i=i * 10 + k) for k in range(6)) for i in range(30)
)


def parse(text: str) -> Document:
    return Document(text=text, blocks=scan(text, "markdown"), language="en")


def test_edits_are_of_all_kinds_and_always_the_same() -> None:
    made = list(edits(TEXT, 9))
    assert made == list(edits(TEXT, 9))
    assert made != list(edits(TEXT, 9, seed=1))
    assert [edit.kind for edit in made[:3]] == ["insert", "delete", "change"]
    for edit in made:
        after = edit.apply(TEXT)
        assert after != TEXT
        assert after[: edit.start] == TEXT[: edit.start]
        assert len(after) == len(TEXT) + len(edit.replacement) - (edit.end - edit.start)
    assert list(edits("One. Two.", 3)) == []


def test_kept_counts_equal_chunks_as_often_as_they_were() -> None:
    assert kept(["a", "b", "b"], ["b", "b", "c", "a"]) == 0.75
    assert kept(["a"], ["a", "a"]) == 0.5
    assert kept(["a"], []) == 1.0


@dataclass(frozen=True)
class Windows:
    """Cuts every `size` characters from the start, so that an edit moves all that follows."""

    size: int
    name: str = "windows"
    version: str = "1"

    def spans(self, document: Document, tokens: TokenMap) -> list[Span]:
        end = len(document.text)
        return [Span(i, min(i + self.size, end)) for i in range(0, end, self.size)]


@pytest.mark.parametrize("name", ["structure", "optimal", "semantic"])
def test_an_edit_stays_local(name: str) -> None:
    scores = edit_stability(build(name, {}, max_tokens=120), TEXT, parse)
    assert len(scores) == 12
    assert min(scores) > 0.9
    assert statistics.median(scores) > 0.95
    assert statistics.median(edit_stability(Windows(400), TEXT, parse)) < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("target", [None, 256])
@pytest.mark.parametrize("name", ["structure", "optimal"])
def test_real_documents(name: str, target: int | None) -> None:
    root = os.environ.get("GRISTMILL_TEST_DATA")
    if not root:
        pytest.skip("GRISTMILL_TEST_DATA is not set: it names the folder of the real corpora")
    chunker = build(name, {"target_tokens": target}, max_tokens=512)
    scores = []
    files = [
        path
        for path in sorted(Path(root, "corpus").rglob("*"))
        if path.suffix in (".md", ".txt") and 8_000 < path.stat().st_size < 120_000
    ]
    for path in files[:: max(len(files) // 24, 1)]:
        form = "markdown" if path.suffix == ".md" else "text"
        text = path.read_bytes().decode("utf-8", "replace")
        scores += edit_stability(
            chunker,
            text,
            lambda source, form=form: Document(text=source, blocks=scan(source, form)),  # type: ignore[misc]
            number=3,
        )
    assert len(scores) > 50
    assert statistics.median(scores) >= 0.9
