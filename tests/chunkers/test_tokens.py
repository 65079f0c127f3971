"""Counts equal those of a fresh encoding, for every part of every text."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkers import Span, TokenMap, count_tokens, count_with_context, counting, pretokens
from chunkers.blocks import scan
from chunkers.counting import Counter, counter
from chunkers.vocabularies import PACKED, encoding_names, vocabulary
from lineage import embedded_text
from lineage.errors import ConfigError

_spec = importlib.util.spec_from_file_location("texts", Path(__file__).with_name("texts.py"))
assert _spec is not None
assert _spec.loader is not None
texts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(texts)

ENCODINGS = sorted(PACKED)
encodings = st.sampled_from(ENCODINGS)
thorough = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def fresh(text: str, encoding: str) -> int:
    return len(vocabulary(encoding).encoding.encode_ordinary(text))


@thorough
@given(texts.texts, encodings, st.data())
def test_count_is_exact(text: str, encoding: str, data: st.DataObject) -> None:
    tokens = TokenMap(text, encoding)
    assert len(tokens) == fresh(text, encoding)
    for _ in range(10):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        # Past the shortcut for short strings, too.
        assert tokens._count(start, end) == fresh(text[start:end], encoding)
        assert tokens.count(start, end) == fresh(text[start:end], encoding)
        assert abs(tokens.estimate(start, end) - tokens.count(start, end)) <= 40


@thorough
@given(st.lists(texts.mixed, min_size=3, max_size=6).map("\n".join), encodings, st.data())
def test_count_is_exact_on_long_parts(text: str, encoding: str, data: st.DataObject) -> None:
    tokens = TokenMap(text, encoding)
    start = data.draw(st.integers(0, len(text) // 4))
    end = data.draw(st.integers(3 * len(text) // 4, len(text)))
    assert tokens.count(start, end) == fresh(text[start:end], encoding)


@thorough
@given(texts.mixed, texts.mixed, encodings, st.data())
def test_count_with_context_is_exact(
    context: str, text: str, encoding: str, data: st.DataObject
) -> None:
    tokens = TokenMap(text, encoding)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    expected = fresh(embedded_text(context, text[start:end]), encoding)
    assert count_with_context(tokens, Span(start, end, context=context)) == expected
    assert tokens.count_joined(context, start, end) == fresh(context + text[start:end], encoding)


@thorough
@given(texts.texts, encodings, st.integers(0, 30), st.data())
def test_advance_is_under_the_cap_and_close_to_it(
    text: str, encoding: str, cap: int, data: st.DataObject
) -> None:
    tokens = TokenMap(text, encoding)
    start = data.draw(st.integers(0, len(text)))
    end = tokens.advance(start, cap)
    assert start <= end <= len(text)
    assert tokens.count(start, end) <= cap
    if end < len(text):
        following = tokens.position(tokens.index(end) + 1 + 8)
        assert tokens.count(start, following) > cap or following == end


@given(st.lists(st.sampled_from([*texts.FRAGMENTS, *texts.SURROGATES]), max_size=30).map("".join))
@settings(deadline=None)
def test_surrogates_never_raise(text: str) -> None:
    tokens = TokenMap(text)
    for start in range(0, len(text), 3):
        end = min(start + 7, len(text))
        assert tokens.count(start, end) == fresh(text[start:end], "o200k_base")
        assert tokens.count(start, tokens.advance(start, 3)) <= 3


def test_safe_points_rely_on_letters_and_digits_being_what_they_seem() -> None:
    # Every character that Python calls alphanumeric is a letter or a number to the patterns.
    for code in range(0x110000):
        character = chr(code)
        if character.isalnum():
            assert unicodedata.category(character)[0] in "LN", hex(code)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_safe_point_is_one(encoding: str) -> None:
    # Around each safe point of a text of all pairs, both sides together have what they have apart.
    safe = pretokens.SafePoints(vocabulary(encoding).family)
    for before in texts.FRAGMENTS:
        for after in texts.FRAGMENTS:
            text = f"x {before}{after} y"
            for position in range(1, len(text)):
                if safe.is_safe(text, position):
                    apart = fresh(text[:position], encoding) + fresh(text[position:], encoding)
                    assert apart == fresh(text, encoding), (text, position)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_shipped_vocabulary_is_tiktokens(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiktoken_ext.openai_public as public

    loaded = vocabulary(encoding).encoding
    hashes = []

    def ranks(_url: str, expected_hash: str | None = None) -> dict[bytes, int]:
        hashes.append(expected_hash)
        return loaded._mergeable_ranks

    monkeypatch.setattr(public, "load_tiktoken_bpe", ranks)
    published = getattr(public, encoding)()
    lines = b"".join(
        base64.b64encode(token) + b" %d\n" % rank
        for token, rank in sorted(loaded._mergeable_ranks.items(), key=lambda item: item[1])
    )
    assert hashes == [hashlib.sha256(lines).hexdigest()]
    assert loaded._pat_str == published["pat_str"]
    assert loaded._special_tokens == published["special_tokens"]


def test_unknown_encoding_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="o200k_base"):
        TokenMap("text", "o300k")


@pytest.mark.parametrize("encoding", encoding_names())
def test_no_encoding_that_may_be_named_needs_a_download(
    encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import tiktoken.load

    def refuse(_path: str) -> bytes:
        raise AssertionError("a download")

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tiktoken.load, "read_file", refuse)
    vocabulary.cache_clear()
    try:
        assert vocabulary(encoding).encoding.encode_ordinary("two words")
    finally:
        vocabulary.cache_clear()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("tail", ["", "x", "\nx", "\n", ".", " \n x"])
@pytest.mark.parametrize("head", ["", "x", ".", "x\n", ".\n"])
def test_long_white_space_counts_as_tiktoken_would(
    encoding: str, head: str, tail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tiktoken itself overflows on runs of a million; with a low limit the two can be compared.
    monkeypatch.setattr(pretokens, "RUN_LIMIT", 64)
    for run in (" " * 200, " \t" * 150, " " * 70 + "\n" + " " * 90, "\n" * 80 + "\t" * 100):
        text = head + run + tail + run
        expected = vocabulary(encoding).encoding.encode_ordinary(text)
        assert counter(encoding).encode(text).tolist() == expected


@pytest.mark.parametrize(
    "unit", ["a", " ", "\n", "=", "中", "😀", "0", "a ", "\t", "\u0301", "A", " \n", "aA1"]
)
def test_a_look_up_in_a_text_of_one_unit_encodes_no_more_in_a_longer_one(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = [0]
    real_count, real_encode = Counter.count, Counter.encode

    def count(self: Counter, text: str) -> int:
        encoded[0] += len(text) if len(text) <= counting._REMEMBERED else 0
        return real_count(self, text)

    def encode(self: Counter, text: str) -> Any:
        encoded[0] += len(text)
        return real_encode(self, text)

    monkeypatch.setattr(Counter, "count", count)
    monkeypatch.setattr(Counter, "encode", encode)

    def characters(length: int) -> tuple[int, int]:
        """Those that are encoded for the map, and for fifty look-ups in it."""
        text = "x" + unit * (length // len(unit)) + "x"
        encoded[0] = 0
        tokens = TokenMap(text)
        once = encoded[0]
        for start in range(0, len(text), len(text) // 50):
            tokens.count(start, tokens.advance(start, 32))
        assert once == len(text)
        return once, encoded[0] - once

    _, small = characters(50_000)
    _, large = characters(400_000)
    assert large <= 1.5 * small + 2_000


@pytest.mark.slow
def test_gigatoken_gives_identical_tokens() -> None:
    pytest.importorskip("gigatoken", reason="gigatoken is not installed (extra [fast])")
    root = os.environ.get("GRISTMILL_TEST_DATA")
    samples = ["".join(texts.FRAGMENTS) * 3, *texts.HOSTILE.values()]
    if root:
        samples += [
            path.read_bytes().decode("utf-8", "replace")
            for path in sorted(Path(root, "corpus").glob("**/*.md"))
        ]
    for encoding in ENCODINGS:
        fast = counter(encoding).fast
        assert fast is not None, "gigatoken is installed but not used"
        for text in samples:
            clean = text.encode("utf-8", "replace").decode()
            expected = vocabulary(encoding).encoding.encode_ordinary(clean)
            assert fast(clean).tolist() == expected


def test_a_count_is_the_same_alone_or_in_a_document() -> None:
    text = "# One\n\nSome text, with words.\n\n## Two\n\nMore of it.\n"
    tokens = TokenMap(text)
    for block in scan(text, "markdown"):
        part = text[block.start : block.end]
        assert tokens.count(block.start, block.end) == count_tokens(part)
