"""The conformance suite as a pytest plugin: what holds for every chunker, for yours as well.

    # conftest.py
    pytest_plugins = ["chunkers.pytest_plugin"]

    # test_clauses.py
    from chunkers.pytest_plugin import ChunkerConformance
    class TestClauses(ChunkerConformance):
        def make(self, max_tokens):
            return ClauseChunker(max_tokens=max_tokens)

The plugin gives the class its texts; with hypothesis installed it makes up more of them.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import pytest

from chunkers.base import Chunker
from chunkers.blocks import scan
from chunkers.conformance import check
from chunkers.conformance_texts import FRAGMENTS, HOSTILE
from chunkers.spans import Span
from chunkers.tokens import TokenMap
from lineage.records import Document

_SENTENCES = "A sentence here. Another one there, of more words than that. "
FORMATTED = {
    "markdown": "# Title\n\n" + (_SENTENCES * 3 + "\n\n## Part\n\n- item\n- more\n\n") * 20,
    "text": (_SENTENCES * 4 + "\n\n") * 20,
    "csv": "name,value\n" + "".join(f'row {i},"a, {i}"\n' for i in range(200)),
    "json": json.dumps([{"id": i, "name": f"item {i}", "tags": ["a"] * 9} for i in range(60)]),
    "log": "".join(f"2026-01-02 03:04:{i % 60:02} INFO {_SENTENCES}\n" for i in range(60)),
    "transcript": "WEBVTT\n\n"
    + "".join(
        f"00:{i:02}:00.000 --> 00:{i:02}:09.000\n<v Ada>{_SENTENCES * 2}\n\n" for i in range(30)
    ),
    "code:python": "".join(
        f"def function_{i}(value):\n    return value + {i}\n\n\n" for i in range(80)
    ),
}
"""A document of each format, by the name of its scanner."""

_DATA_TYPES = {"text": "prose", "csv": "table", "json": "structured", "code:python": "code"}
_PROGRAM = """
import base64, json, pickle, sys
chunker, document = pickle.loads(base64.b64decode(sys.stdin.read()))
from chunkers import TokenMap
spans = chunker.spans(document, TokenMap(document.text))
print(json.dumps([[s.start, s.end, s.context, s.level, s.parent] for s in spans]))
"""


def document_of(text: str, text_format: str = "markdown") -> Document:
    """A document with the blocks that the scanner of a format finds."""
    data_type = _DATA_TYPES.get(text_format, text_format)
    return Document(text=text, blocks=scan(text, text_format), data_type=data_type)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives the tests of `ChunkerConformance` their texts."""
    if metafunc.cls is None or not issubclass(metafunc.cls, ChunkerConformance):
        return
    for name, values in (("hostile_text", sorted(HOSTILE)), ("text_format", sorted(FORMATTED))):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values)


class ChunkerConformance:
    """Every promise, on texts of many kinds. Subclass it, and say how your chunker is made."""

    caps: Sequence[int] = (16, 200)
    """Values of `max_tokens` to try."""

    @abstractmethod
    def make(self, max_tokens: int) -> Chunker:
        """The chunker under test, with this cap."""

    def test_hostile_texts(self, hostile_text: str) -> None:
        """Long lines, emoji, marks without a letter, NUL, no spaces at all …"""
        for cap in self.caps:
            check(self.make(cap), document_of(HOSTILE[hostile_text]))

    def test_formats(self, text_format: str) -> None:
        """Documents with the blocks of their format."""
        for cap in self.caps:
            check(self.make(cap), document_of(FORMATTED[text_format], text_format))

    def test_any_text(self) -> None:
        """Texts that hypothesis makes up."""
        hypothesis: Any = pytest.importorskip("hypothesis", reason="makes up more texts")
        strategies = hypothesis.strategies
        texts = strategies.lists(strategies.sampled_from(FRAGMENTS), max_size=50).map("".join)

        def run(text: str, cap: int) -> None:
            check(self.make(cap), document_of(text))

        given = hypothesis.given(text=texts, cap=strategies.sampled_from(list(self.caps)))
        hypothesis.settings(max_examples=50, deadline=None)(given(run))()

    def test_alone_or_in_a_batch(self) -> None:
        """What came before changes nothing."""
        documents = [document_of(text, name) for name, text in sorted(FORMATTED.items())]
        shared = self.make(self.caps[-1])
        for document in [*documents, *reversed(documents)]:
            alone = self.make(self.caps[-1])
            assert _spans(shared, document) == _spans(alone, document)

    def test_same_answer_in_another_process(self) -> None:
        """Pickled, and under other hash seeds."""
        document = document_of(FORMATTED["markdown"])
        chunker = self.make(self.caps[-1])
        here = [[s.start, s.end, s.context, s.level, s.parent] for s in _spans(chunker, document)]
        sent = base64.b64encode(pickle.dumps((chunker, document))).decode()
        path = os.pathsep.join(entry for entry in sys.path if entry)
        for seed in ("0", "4242"):
            done = subprocess.run(
                [sys.executable, "-c", _PROGRAM],
                input=sent,
                capture_output=True,
                text=True,
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            )
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout) == here, f"another answer with PYTHONHASHSEED={seed}"


def _spans(chunker: Chunker, document: Document) -> list[Span]:
    return chunker.spans(document, TokenMap(document.text))
