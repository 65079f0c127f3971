"""Splitters of other libraries in ours: exact spans, or refused."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkers import TokenMap, build, chunk
from chunkers.adapters.foreign import NotSpans, resolve
from chunkers.blocks import scan
from chunkers.conformance import check_cap, check_cover, check_places
from chunkers.policy import Policy, PolicyError
from lineage import ConfigError, Document


@pytest.fixture(autouse=True, scope="module")
def nltk_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """LlamaIndex's word lists as files of their own: NLTK refuses links, which installers make."""
    import llama_index.core

    bundled = Path(llama_index.core.__file__).parent / "_static" / "nltk_cache"
    folder = shutil.copytree(bundled, tmp_path_factory.mktemp("nltk") / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NLTK_DATA", str(folder))
        yield


RECURSIVE = "langchain:RecursiveCharacterTextSplitter"
PROSE = "Every sentence of this paragraph is about as long as the last one was. "
TEXT = "# Guide\n\n" + "".join(f"## Part {i}\n\n{(PROSE * 4 + chr(10) * 2) * 4}" for i in range(3))


def spans_of(name: str, text: str, cap: int = 100, **parameters: Any) -> list[Any]:
    chunker = build(name, parameters, max_tokens=cap)
    document = Document(text=text, blocks=scan(text, "markdown"))
    tokens = TokenMap(text)
    spans = chunker.spans(document, tokens)
    check_places(chunker, document, spans)
    check_cover(chunker, document, spans)
    check_cap(chunker, document, spans, tokens)
    return spans


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        (RECURSIVE, {}),
        (RECURSIVE, {"chunk_size": 60, "chunk_overlap": 20}),
        ("langchain:CharacterTextSplitter", {"separator": "\n\n"}),
        ("langchain:MarkdownTextSplitter", {}),
        ("llamaindex:SentenceSplitter", {}),
        ("llamaindex:SentenceSplitter", {"chunk_size": 80, "chunk_overlap": 30}),
        ("llamaindex:TokenTextSplitter", {}),
    ],
)
def test_their_pieces_become_exact_spans_under_the_cap(
    name: str, parameters: dict[str, Any]
) -> None:
    spans = spans_of(name, TEXT, **parameters)
    assert len(spans) >= 8
    overlapping = bool(parameters.get("chunk_overlap"))
    assert any(span.overlap_chars for span in spans) is overlapping


def test_sizes_are_in_tokens_of_the_strategy() -> None:
    tokens = TokenMap(TEXT)
    sizes = [tokens.count(span.start, span.end) for span in spans_of(RECURSIVE, TEXT)]
    assert 60 < max(sizes) <= 100


def test_pieces_over_the_cap_are_divided() -> None:
    spans = spans_of("langchain:CharacterTextSplitter", "word " * 900, separator="\n\n")
    assert len(spans) >= 9


def test_a_splitter_that_alters_text_is_refused_with_its_piece() -> None:
    with pytest.raises(
        NotSpans, match=r"langchain:MarkdownHeaderTextSplitter.*piece \d+ of"
    ) as got:
        spans_of(
            "langchain:MarkdownHeaderTextSplitter",
            "# One\n\nfirst line\n\n\n\nsecond   line\n\n# Two\n\nthird\n",
            headers_to_split_on=[["#", "h"]],
        )
    assert "use another one" in str(got.value)


def test_a_splitter_that_loses_text_is_refused() -> None:
    emoji = "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u4f60\u597d\u0e2a\u0e27\u0e31 " * 60
    with pytest.raises(NotSpans):
        spans_of("langchain:TokenTextSplitter", emoji, encoding_name="o200k_base", chunk_size=7)


@given(
    st.lists(st.sampled_from(["ab ", "ab", "c\n", " ", "\n\n", "dd. "]), max_size=40).map("".join),
    st.lists(st.integers(1, 12), min_size=1, max_size=20),
)
def test_pieces_end_to_end_are_found_where_they_are(text: str, lengths: list[int]) -> None:
    pieces, place = [], 0
    while place < len(text):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(text[place : place + length])
        place += length
    for stripped in (pieces, [piece.strip() for piece in pieces]):
        found = resolve(text, stripped, "test")
        solid = [piece for piece in stripped if piece.strip()]
        assert [text[start:end] for start, end in found] == solid


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(["word ", "a. ", "\n\n", "# H\n", "long" * 9, "\u4f60"]), max_size=60)
)
def test_any_text_through_their_recursive_splitter(words: list[str]) -> None:
    spans_of(RECURSIVE, "".join(words), cap=16)


def test_it_pickles_and_has_a_name_and_the_others_version() -> None:
    chunker = build(RECURSIVE, {"chunk_size": 50}, max_tokens=100)
    again = pickle.loads(pickle.dumps(chunker))
    assert again == chunker
    assert chunker.name == RECURSIVE
    assert chunker.version.startswith("1+1.")


def test_policies_and_the_small_api_take_them() -> None:
    policy = Policy.from_value({"default": {"chunker": RECURSIVE, "chunk_size": 64}})
    policy.check(128)
    assert all(piece.tokens <= 64 for piece in chunk(TEXT, RECURSIVE, chunk_size=64))
    bad = Policy.from_value({"default": {"chunker": RECURSIVE, "chunk_sise": 64}})
    with pytest.raises(PolicyError, match="chunk_sise"):
        bad.check(128)


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("langchain:RecursiveCharacterTextSpliter", {}, "did you mean 'RecursiveCharacterText"),
        ("langchain:Language", {}, "unknown splitter of langchain"),
        ("llamaindex:SentenceSpliter", {}, "did you mean 'SentenceSplitter'"),
        (RECURSIVE, {"target_tokens": 50}, "use the splitter's own"),
        (RECURSIVE, {"chunk_size": -1}, "chunk_size must be > 0"),
        ("langchan:RecursiveCharacterTextSplitter", {}, "unknown chunker"),
    ],
)
def test_mistakes_are_named(name: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build(name, parameters, max_tokens=100)
