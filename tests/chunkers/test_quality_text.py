"""Cohesion, separation, dangling references and context overhead get worse with the damage."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkers import Span, TokenMap, build, count_with_context
from chunkers.blocks import scan
from chunkers.quality import measure
from chunkers.quality_text import dangling_references
from chunkers.quality_words import lexical_likeness, windows_of, words_of
from lineage import Document, Quality

SUBJECTS = ("harbour", "payroll", "kernel", "orchard", "violin", "glacier")


def subject_text(subject: str, sentences: int = 14) -> str:
    """Prose on one subject: half of its words belong to that subject alone."""
    draw = random.Random(subject)
    own = [f"{subject}{n}" for n in range(12)]
    common = [f"common{n}" for n in range(200)]
    lines = []
    for _ in range(sentences):
        words = [draw.choice(own if draw.random() < 0.5 else common) for _ in range(10)]
        lines.append(" ".join(words).capitalize() + ".")
    return " ".join(lines) + "\n\n"


PARTS = [subject_text(subject) for subject in SUBJECTS]
TEXT = "".join(PARTS)
CUTS = [0, *(sum(map(len, PARTS[: n + 1])) for n in range(len(PARTS)))]


def spans_at(cuts: list[int]) -> list[Span]:
    return [Span(a, b) for a, b in pairwise(cuts)]


def total(text: str, spans: list[Span], **facts: str) -> Quality:
    document = Document(text=text, blocks=scan(text, "markdown"), **facts)  # type: ignore[arg-type]
    tokens = TokenMap(text)
    counts = [count_with_context(tokens, span) for span in spans]
    quality, each = measure(document, spans, counts, 512, 256)
    for one in (quality, *each):
        for name in one.__dataclass_fields__:
            value = getattr(one, name)
            assert value is None or 0 <= value <= 1, (name, value)
    return quality


def test_cuts_inside_subjects_lower_cohesion_and_separation() -> None:
    shift = len(PARTS[0]) // 2
    good = total(TEXT, spans_at(CUTS))
    bad = total(TEXT, spans_at([0, *(cut - shift for cut in CUTS[1:-1]), len(TEXT)]))
    assert good.cohesion is not None
    assert bad.cohesion is not None
    assert good.separation is not None
    assert bad.separation is not None
    assert bad.cohesion < good.cohesion - 0.02
    assert bad.separation < good.separation - 0.1


def test_an_overlap_does_not_count_as_likeness_of_neighbours() -> None:
    bare = spans_at(CUTS)
    over = [bare[0], *(Span(s.start - 80, s.end, overlap_chars=80) for s in bare[1:])]
    assert total(TEXT, over).separation == total(TEXT, bare).separation


def test_a_document_of_one_chunk_has_neither() -> None:
    quality = total(PARTS[0], [Span(0, len(PARTS[0]))])
    assert (quality.cohesion, quality.separation) == (None, None)


OPENING = (
    "The quay was built in stone. It stands to this day. Boats moor on its south side. "
    "However, the north side is closed. This chapter ends here. Storms are rare. "
)


def test_a_chunk_that_begins_with_a_reference_dangles() -> None:
    starts = {word: OPENING.index(word) for word in ("It", "Boats", "However", "This", "Storms")}
    for word, expected in (("It", 1), ("Boats", 0), ("However", 1), ("This", 0), ("Storms", 0)):
        spans = spans_at([0, starts[word], len(OPENING)])
        assert dangling_references(Document(text=OPENING), spans) == [0, expected], word
    good = total(OPENING, spans_at([0, starts["Boats"], starts["This"], len(OPENING)]))
    bad = total(OPENING, spans_at([0, starts["It"], starts["However"], len(OPENING)]))
    assert good.dangling_references == 0
    assert bad.dangling_references == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("language", "text", "word"),
    [
        ("de", "Der Kai ist aus Stein. Er steht noch heute.", "Er"),
        ("fr", "Le quai est en pierre. Cependant il est fermé.", "Cependant"),
        ("es", "El muelle es de piedra. Sin embargo está cerrado.", "Sin"),
    ],
)
def test_references_in_other_languages(language: str, text: str, word: str) -> None:
    spans = spans_at([0, text.index(word), len(text)])
    assert dangling_references(Document(text=text, language=language), spans) == [0, 1]
    assert dangling_references(Document(text=text, language="fi"), spans) == [None, None]


def test_code_refers_to_nothing() -> None:
    text = "var a = 1;\nthis.run(a);\n"
    spans = spans_at([0, text.index("this"), len(text)])
    assert dangling_references(Document(text=text, data_type="code"), spans) == [None, None]


def test_context_overhead_rises_with_context() -> None:
    text = "# A rather long title of a section\n\n" + "Words of a sentence. " * 80
    document = Document(text=text, blocks=scan(text, "markdown"))
    tokens = TokenMap(text)
    bare = build("structure", {"context": False}, max_tokens=64).spans(document, tokens)
    headed = build("structure", {}, max_tokens=64).spans(document, tokens)
    assert total(text, bare).context_overhead == 0
    overhead = total(text, headed).context_overhead
    assert overhead is not None
    assert 0.02 < overhead < 0.3


def test_words_are_found_in_any_script_and_case_aside() -> None:
    text = "Straße über 東京 the THE Über \U0001f600 x" + "y" * 40_000
    words = words_of(text)
    found = [text[a:b] for a, b in zip(words.starts, words.ends, strict=True)]
    assert found[:7] == ["Straße", "über", "東", "京", "the", "THE", "Über"]
    assert "".join(found[7:]) == "x" + "y" * 40_000
    assert words.hashes[4] == words.hashes[5]
    assert words.hashes[1] == words.hashes[6]
    assert len(set(words.hashes[:7].tolist())) == 5
    assert not len(words_of("").starts)
    assert not len(words_of(" .,;\ud800 \U0001f600").starts)


@given(
    st.text(st.sampled_from("aZé9ßΩ東ー .-\n\ud800\U0001f600\u2019"), max_size=80), st.booleans()
)
def test_words_are_those_of_the_definition_written_out(text: str, plain: bool) -> None:
    """Runs of letters and digits of the basic plane; Chinese and Japanese characters alone."""
    if plain:
        text = text.encode("ascii", "ignore").decode()
    expected: list[tuple[int, int]] = []
    for place, character in enumerate(text):
        lone = "\u2e80" <= character <= "\u9fff"
        if not character.isalnum() or character > "\uffff":
            continue
        start, end = expected[-1] if expected else (0, -1)
        if end == place and not lone and not "\u2e80" <= text[start] <= "\u9fff":
            expected[-1] = (start, place + 1)
        else:
            expected.append((place, place + 1))
    words = words_of(text)
    assert list(zip(words.starts.tolist(), words.ends.tolist(), strict=True)) == expected
    said = [text[start:end].lower() for start, end in expected]
    by_word = dict(zip(said, words.hashes.tolist(), strict=True))
    assert [by_word[word] for word in said] == words.hashes.tolist()
    assert len(set(by_word.values())) == len(by_word)


def test_long_words_differ_by_any_of_their_characters() -> None:
    for base in ("abcdefghijklmnopqrstu", "äbcdefghijklmnopqrstu"):
        variants = [base, base[:-1], *(base[:n] + "z" + base[n + 1 :] for n in range(len(base)))]
        assert len(set(words_of(" ".join(variants)).hashes.tolist())) == len(variants)


@settings(deadline=None)
@given(st.text("aZ9é ", min_size=1, max_size=30))
def test_a_word_has_the_same_hash_in_every_text(text: str) -> None:
    """Questions are compared with chunks by it."""
    alone = words_of(text).hashes.tolist()
    for around in ("{} \u2019", "\u6771 {}", "plain {}", "{} " + "y" * 40_000):
        with_others = words_of(around.format(text)).hashes.tolist()
        first = 0 if around.startswith("{") else 1
        assert with_others[first : first + len(alone)] == alone


def test_likeness_is_the_cosine_of_weighted_words() -> None:
    """Against the definition, written out."""
    from collections import Counter
    from math import log1p, sqrt

    words = words_of(TEXT)
    windows = windows_of(words, list(pairwise(CUTS)))
    bounds = zip(words.starts[windows.first], words.ends[windows.last], strict=True)
    texts = [TEXT[a:b].lower() for a, b in bounds]
    bags = [Counter(text.replace(".", " ").split()) for text in texts]
    spread = Counter(word for bag in bags for word in bag)
    weighed = [{w: n * log1p(len(bags) / spread[w]) for w, n in bag.items()} for bag in bags]

    def cosine(a: dict[str, float], b: dict[str, float]) -> float:
        dot = sum(value * b.get(word, 0.0) for word, value in a.items())
        return dot / sqrt(sum(v * v for v in a.values())) / sqrt(sum(v * v for v in b.values()))

    expected = [cosine(a, b) for a, b in pairwise(weighed)]
    assert lexical_likeness(words, windows).tolist() == pytest.approx(expected)
