"""Every registered chunker keeps every promise, on every text."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkers import Chunker, Span, TokenMap, build, counting, graphemes, names
from chunkers.api import FORMATS
from chunkers.blocks import scan
from chunkers.conformance import check
from chunkers.pytest_plugin import ChunkerConformance
from lineage import Document
from lineage.records import uncovered

_spec = importlib.util.spec_from_file_location("texts", Path(__file__).with_name("texts.py"))
assert _spec is not None
assert _spec.loader is not None
texts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(texts)

CAPS = [8, 16, 33, 120, 512]
OPTIONS = [
    {},
    {"context": False},
    {"overlap_tokens": 3},
]
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class TestOurs(ChunkerConformance):
    """The suite that third parties use, on every chunker of ours."""

    test_any_text = None  # type: ignore[assignment]  # more of that below
    test_same_answer_in_another_process = None  # type: ignore[assignment]  # once for all, below

    @pytest.fixture(autouse=True, params=names())
    def _name(self, request: pytest.FixtureRequest) -> None:
        self.name: str = request.param

    def make(self, max_tokens: int) -> Chunker:
        return build(self.name, {}, max_tokens=max_tokens)


@pytest.mark.parametrize("name", names())
@relaxed
@given(text=texts.texts, cap=st.sampled_from(CAPS), options=st.sampled_from(OPTIONS))
def test_any_markdown(name: str, text: str, cap: int, options: dict[str, int]) -> None:
    check(build(name, options, max_tokens=cap), texts.markdown(text))


@pytest.mark.parametrize("name", names())
@relaxed
@given(text=texts.mixed, cap=st.sampled_from(CAPS), target=st.integers(1, 8))
def test_any_target_without_structure(name: str, text: str, cap: int, target: int) -> None:
    document = texts.one_block(text)
    check(build(name, {"target_tokens": target}, max_tokens=cap), document)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("text_format", ["code:python", "csv", "json", "text", "log"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=texts.mixed)
def test_any_format(name: str, text_format: str, text: str) -> None:
    document = Document(text=text, blocks=scan(text, text_format))
    check(build(name, {"overlap_tokens": 4}, max_tokens=24), document)


@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base"])
@pytest.mark.parametrize("name", names())
def test_both_shipped_encodings(name: str, encoding: str) -> None:
    text = "".join(texts.FRAGMENTS) * 5
    document = texts.markdown(text)
    check(build(name, {}, max_tokens=64), document, TokenMap(text, encoding))


@pytest.mark.parametrize(
    ("name", "cap", "target", "text"),
    [
        ("semantic", 16, None, "## Sub\n\n 's、中文👍🏽1234567ไทย/"),
        ("optimal", 16, None,
         "> quote\n? _\u200dक्षि123\n1234567|---|---|\n👍🏽'LL👨\u200d👩\u200d👧\u200d👦\u200d"),
        ("page", 16, 16,
         "👍🏽\u2028<|fim_prefix|>-----العربية\r\n\u2028😀👨\u200d👩\u200d👧\u200d👦\u200d-----"),
    ],
    ids=["semantic", "optimal", "page"],
)  # fmt: skip
def test_a_cut_that_makes_more_tokens_of_the_text_leaves_room_for_the_context(
    name: str, cap: int, target: int | None, text: str
) -> None:
    """Each is within the cap by an estimate with its context, or exactly without it."""
    options = {} if target is None else {"target_tokens": target}
    document = texts.markdown(f"# Head one\n\n## Head two of it\n\n{text}")
    check(build(name, options, max_tokens=cap), document)


@functools.cache
def real_documents(root: str) -> list[Document]:
    """The Markdown and plain text of the corpora."""
    files = sorted(Path(root, "corpus").glob("**/*.md")) + sorted(
        Path(root, "corpus").glob("**/*.txt")
    )
    found = []
    for path in files:
        text = path.read_bytes().decode("utf-8", "replace")
        text_format = "markdown" if path.suffix == ".md" else "text"
        found.append(Document(text=text, blocks=scan(text, text_format)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_real_corpora(name: str) -> None:
    """Each chunker takes a third of the documents, each in turn another third.

    With GRISTMILL_WHOLE_CORPUS=1 each takes all.
    """
    root = os.environ.get("GRISTMILL_TEST_DATA")
    if not root:
        pytest.skip("GRISTMILL_TEST_DATA is not set: it names the folder of the real corpora")
    documents = real_documents(root)
    assert documents, f"no Markdown or text under {root}/corpus"
    if not os.environ.get("GRISTMILL_WHOLE_CORPUS"):
        documents = documents[names().index(name) % 3 :: 3]
    plain = build(name, {}, max_tokens=512)
    tight = build(name, {"overlap_tokens": 12, "target_tokens": 100}, max_tokens=128)
    for number, document in enumerate(documents):
        check(tight if number % 3 else plain, document)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("GRISTMILL_TEST_DATA"),
    reason="GRISTMILL_TEST_DATA is not set: it names the folder of the generator of hostile files",
)
@pytest.mark.xdist_group("hostile texts")  # made and scanned once
@pytest.mark.parametrize("name", names())
def test_hostile_files(name: str, hostile_files: list[Document]) -> None:
    chunker = build(name, {"overlap_tokens": 8}, max_tokens=256)
    for document in hostile_files:
        check(chunker, document)


@pytest.fixture(scope="module")
def hostile_files(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """The generated files whose text is their source."""
    folder = tmp_path_factory.mktemp("hostile")
    generator = Path(os.environ["GRISTMILL_TEST_DATA"], "hostile", "make_hostile.py")
    subprocess.run([sys.executable, generator, folder], check=True, capture_output=True)
    found = []
    for path in sorted(folder.rglob("*")):
        text_format = FORMATS.get(path.suffix.lower())
        if not text_format or path.is_symlink() or not path.is_file():
            continue
        if path.stat().st_size < 200_000:  # what is large there is large for parsers' sake
            text = path.read_bytes().decode("utf-8", "replace")
            found.append(Document(text=text, blocks=scan(text, text_format)))
    assert found, f"{generator} made no text files"
    return found


class Counted:
    """Counts the characters that are encoded and segmented beyond the map's one pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.work = 0
        encode = counting.Counter.encode
        floor = graphemes.floor

        def counted_encode(counter: counting.Counter, text: str) -> object:
            self.work += len(text)
            return encode(counter, text)

        def counted_floor(text: str, position: int, start: int = 0) -> int:
            found = floor(text, position, start)
            self.work += 1 + position - found
            return found

        monkeypatch.setattr(counting.Counter, "encode", counted_encode)
        monkeypatch.setattr(graphemes, "floor", counted_floor)


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize(
    "unit",
    ["a", "e\u0301", "\u0301", "A sentence of a few words. ", "没有空格的句子", "# H\n\ntext\n\n"],
)
def test_work_is_linear(name: str, unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)

    def work(size: int) -> int:
        text = "x" + unit * (size // len(unit.encode()))
        document = texts.markdown(text)
        counted.work = 0
        build(name, {}, max_tokens=512).spans(document, TokenMap(text))
        return counted.work

    assert work(160_000) <= 8 * 1.1 * work(20_000) + 10_000


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("fixed", 50_000_000), ("optimal", 10_000_000)])
def test_a_very_long_line(name: str, size: int) -> None:
    text = "word and another, then one more; " * (size // 33)
    document = texts.one_block(text)
    spans = build(name, {}, max_tokens=512).spans(document, TokenMap(text))
    assert spans[0].start == 0
    assert not list(uncovered(text, [(span.start, span.end) for span in spans]))


def test_same_answer_in_another_process() -> None:
    program = (
        "import json, sys\n"
        "from chunkers import chunk, names\n"
        "text = sys.stdin.read()\n"
        "print(json.dumps([[c.start, c.end, c.context] for n in names()"
        " for c in chunk(text, n, max_tokens=60)]))\n"
    )
    text = "# Title\n\n" + "A sentence here. Another one there.\n\n## Part\n\n- item\n" * 40
    answers = set()
    for seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", program], input=text, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
        )  # fmt: skip
        answers.add(done.stdout)
    assert len(answers) == 1


@dataclass(frozen=True)
class Damaged:
    """A chunker that breaks one promise."""

    breaks: str
    name: str = "damaged"
    version: str = "1"
    max_tokens: int = 8

    def spans(self, document: Document, tokens: TokenMap) -> list[Span]:
        size = len(document.text)
        half = size // 2
        return {
            "loses text": [Span(0, half - 2), Span(half + 2, size)],
            "over the cap": [Span(0, size)],
            "out of order": [Span(half, size), Span(0, half)],
            "beyond the end": [Span(0, half), Span(half, size + 3)],
            "hides overlap": [Span(0, half), Span(half - 2, size)],
            "long context": [
                Span(0, half, context="a b c d e f g h i j k l m n"),
                Span(half, size),
            ],
            "wrong parent": [Span(0, half, parent=1), Span(half, size)],
            "white space alone": [Span(0, half), Span(half, size), Span(size - 1, size)],
            "torn character": [Span(0, 1), Span(1, half), Span(half, size)],
        }[self.breaks]


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        ("loses text", "is in no span"),
        ("over the cap", "and the cap is"),
        ("out of order", "does not come after"),
        ("beyond the end", "outside the text"),
        ("hides overlap", "repeats 2 characters"),
        ("long context", "tokens of context"),
        ("wrong parent", "not inside its parent"),
        ("white space alone", "is white space alone"),
        ("torn character", "apart"),
    ],
)
def test_damaged_chunkers_are_caught(breaks: str, says: str) -> None:
    document = texts.one_block("e\u0301t one two three four five six seven eight nine ten \n")
    caps = {"over the cap": 8, "long context": 40}
    chunker = Damaged(breaks, max_tokens=caps.get(breaks, 99))
    with pytest.raises(AssertionError, match=says):
        check(chunker, document)
