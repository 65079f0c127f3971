"""Counts stay exact where texts are long, nasty, encoded in pieces or in threads."""

from __future__ import annotations

import importlib.util
import random
import sys
import sysconfig
from pathlib import Path

import pytest
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkers import TokenMap, boundaries, build, counting, token_maps
from chunkers import tokens as tokens_module
from chunkers.blocks import scan
from chunkers.counting import counter
from chunkers.vocabularies import PACKED, vocabulary
from lineage import Document

_spec = importlib.util.spec_from_file_location("texts", Path(__file__).with_name("texts.py"))
assert _spec is not None
assert _spec.loader is not None
texts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(texts)

ENCODINGS = sorted(PACKED)
encodings = st.sampled_from(ENCODINGS)
RARE = ["\U0002070e", "\U0001f9ff", "\ua66e", "\u1f9d\u0301", "\U000e0067", "\ue000", "\U0010ffff"]
"""Characters that are several tokens, so that tokens end inside them."""
nasty = st.lists(st.sampled_from([*texts.FRAGMENTS, *texts.SURROGATES, *RARE]), max_size=60).map(
    "".join
)
thorough = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def fresh(text: str, encoder: tiktoken.Encoding) -> int:
    """Tokens of a text, which may have lone surrogates."""
    return len(encoder.encode_ordinary(text))


@thorough
@given(nasty, encodings, st.data())
def test_any_slice_of_a_nasty_text(text: str, encoding: str, data: st.DataObject) -> None:
    encoder = vocabulary(encoding).encoding
    tokens = TokenMap(text, encoding)
    for _ in range(8):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        assert tokens.count(start, end) == fresh(text[start:end], encoder)
        assert tokens._count(start, end) == fresh(text[start:end], encoder)


@thorough
@given(st.lists(nasty, min_size=2, max_size=8).map("".join), encodings, st.integers(1, 3))
def test_pieces_and_threads_change_nothing(text: str, encoding: str, threads: int) -> None:
    whole = TokenMap(text, encoding)
    size = tokens_module._PIECE
    tokens_module._PIECE = 16
    try:
        pieces = TokenMap(text, encoding, threads=threads)
    finally:
        tokens_module._PIECE = size
    assert pieces.ends.tolist() == whole.ends.tolist()
    assert whole.count(0, len(text)) == fresh(text, vocabulary(encoding).encoding)


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_maps_of_a_batch_are_those_of_each(threads: int | None) -> None:
    many = [*texts.HOSTILE.values()][:12]
    for text, tokens in zip(many, token_maps(many, threads=threads), strict=True):
        assert tokens.text == text
        assert tokens.ends.tolist() == TokenMap(text).ends.tolist()
    assert token_maps([]) == []


@thorough
@given(
    st.lists(st.sampled_from(["\n", "\r", "\r\n", " ", "\t", "a", "b. ", "\u2028"])).map("".join)
)
def test_line_and_paragraph_ends_with_and_without_carriage_returns(text: str) -> None:
    for start in (0, len(text) // 3):
        for end in (len(text), 2 * len(text) // 3):
            if start > end:
                continue
            lines = [match.end() for match in boundaries.LINES.finditer(text, start, end)]
            blank = [match.end() for match in boundaries.PARAGRAPHS.finditer(text, start, end)]
            assert boundaries.line_ends(text, start, end) == lines
            assert boundaries.paragraph_ends(text, start, end) == blank


@pytest.mark.slow
def test_a_million_of_one_letter() -> None:
    text = "a" * 1_000_000
    encoder = vocabulary("o200k_base").encoding
    tokens = TokenMap(text, threads=2)
    assert len(tokens) == fresh(text, encoder)
    draw = random.Random(1)
    for _ in range(30):
        start = draw.randrange(len(text))
        end = min(start + draw.randrange(1, 5_000), len(text))
        assert tokens.count(start, end) == fresh(text[start:end], encoder)


@pytest.mark.slow
def test_a_line_of_fifty_megabytes_is_counted_exactly() -> None:
    unit = "word, na\u00efve <|endoftext|> \u6f22\u5b57 \U0001f9ff\x00 don't 12345; "
    text = unit * (50_000_000 // len(unit.encode()))
    encoder = vocabulary("o200k_base").encoding
    tokens = TokenMap(text, threads=2)
    assert len(tokens) == fresh(text, encoder)
    draw = random.Random(1)
    for _ in range(300):
        start = draw.randrange(len(text))
        end = min(start + draw.randrange(1, 4_000), len(text))
        assert tokens.count(start, end) == fresh(text[start:end], encoder)
    assert tokens.advance(len(text) // 2, 512) > len(text) // 2 + 600


def test_the_faster_encoder_serves_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gigatoken", reason="gigatoken is not installed (extra [fast])")
    monkeypatch.setattr(counting, "FAST_FROM", 0)
    many = [f"{number} words and more words, " * 20_000 for number in range(8)]
    for text, tokens in zip(many, token_maps(many, threads=4), strict=True):
        assert len(tokens) == fresh(text, vocabulary("o200k_base").encoding)


@pytest.mark.slow
def test_gigatoken_gives_identical_tokens_on_code_and_nasty_texts() -> None:
    pytest.importorskip("gigatoken", reason="gigatoken is not installed (extra [fast])")
    draw = random.Random(2)
    fragments = [*texts.FRAGMENTS, *RARE]
    samples = ["".join(draw.choices(fragments, k=draw.randrange(1, 200))) for _ in range(2_000)]
    library = Path(sysconfig.get_paths()["stdlib"])
    samples += [path.read_text("utf-8", "replace") for path in sorted(library.glob("*.py"))[:60]]
    for encoding in ENCODINGS:
        fast = counter(encoding).fast
        assert fast is not None
        encoder = vocabulary(encoding).encoding
        for text in samples:
            assert fast(text).tolist() == encoder.encode_ordinary(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["recursive", "optimal"])
def test_calls_grow_with_the_text_from_one_to_thirty_two_megabytes(name: str) -> None:
    part = "".join(
        f"# Part {i}\n\nSome text with a few sentences. {'Another one of them. ' * (i % 40)}\n\n"
        f"- item\n- item, longer\n\n{'word ' * (i % 300)}\n\n"
        for i in range(300)
    )
    copies = 1_000_000 // len(part) + 1
    chunker = build(name, {}, max_tokens=512)

    def calls(megabytes: int) -> int:
        text = part * (megabytes * copies)
        document = Document(text=text, blocks=scan(text, "markdown"))
        tokens = TokenMap(text)
        count = 0

        def profile(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event == "call" or event == "c_call"

        sys.setprofile(profile)
        try:
            chunker.spans(document, tokens)
        finally:
            sys.setprofile(None)
        return count

    assert calls(32) <= 32 * 1.1 * calls(1)
