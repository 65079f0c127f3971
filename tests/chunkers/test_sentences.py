# ruff: noqa: RUF001  (letters of many scripts are what this is about)
"""Sentences in the scripts of the world, and where running text may be cut besides."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkers import TokenMap, boundaries, build, graphemes
from chunkers.conformance import check
from chunkers.running import candidates
from lineage import Block, Document

SENTENCES = {
    "en": ["Dr. Smith, e.g., said so. ", "He paid $3.50 for it! ", '"Really?" she asked. ',
           "See Media.Vision for version 2.5. "],
    "de": ["Das gilt z.B. auch hier. ", "Am 3. Oktober war es so. ", "Herr Dr. Müller kam. "],
    "fr": ["Il a dit : « Bonjour ! » ", "Puis il est parti. ", "Où va-t-il ? "],
    "es": ["¿Cómo está? ", "El Sr. García llegó. ", "¡Vámonos! "],
    "ru": ["Сегодня хорошая погода. ", "Пойдём в парк? ", "Да! "],
    "el": ["Καλημέρα. ", "Τι κάνεις; ", "Καλά είμαι. "],
    "zh": ["今天天气很好。", "我们去公园吧！", "她说：“好的。”", "然后我们走了；路上很热闹。"],
    "ja": ["今日は天気がいいです。", "「はい。」と彼女は言った。", "それから出発した。"],
    "ko": ["오늘 날씨가 좋습니다. ", "공원에 갈까요? ", "네, 갑시다. "],
    "th": ["สวัสดีครับ ", "ผมชื่อสมชาย ", "วันนี้อากาศดีมาก "],
    "lo": ["ສະບາຍດີ ", "ຂ້ອຍຊື່ສົມຊາຍ ", "ມື້ນີ້ອາກາດດີ "],
    "hi": ["आज मौसम अच्छा है। ", "हम पार्क चलें? ", "हाँ, चलिए। "],
    "ar": ["الطقس جميل اليوم. ", "هل نذهب إلى الحديقة؟ ", "نعم، هيا بنا! "],
    "ur": ["موسم اچھا ہے۔ ", "کیا ہم چلیں؟ ", "ہاں۔ "],
    "hy": ["Այսօր լավ օր է։ ", "Գնանք այգի։ ", "Այո։ "],
    "my": ["မင်္ဂလာပါ။ ", "နေကောင်းလား။ ", "ကောင်းပါတယ်။ "],
    "km": ["សួស្តី។ ", "តើអ្នកសុខសប្បាយទេ? ", "បាទ។ "],
    "am": ["ሰላም ነው። ", "እንዴት ነህ? ", "ደህና ነኝ። "],
    "bo": ["བཀྲ་ཤིས་བདེ་ལེགས། ", "ང་བོད་པ་ཡིན། ", "ཁྱེད་རང་གང་ནས་ཡིན། "],
}  # fmt: skip


@pytest.mark.parametrize("language", SENTENCES)
def test_sentences_start_where_their_script_says(language: str) -> None:
    sentences = SENTENCES[language]
    text = "".join(sentences)
    expected, place = [], 0
    for sentence in sentences[:-1]:
        place += len(sentence)
        expected.append(place)
    assert boundaries.sentence_starts(text, 0, len(text), language) == expected


@pytest.mark.parametrize("language", SENTENCES)
def test_the_sentence_chunker_cuts_between_them(language: str) -> None:
    sentences = SENTENCES[language] * 12
    text = "".join(sentences)
    document = Document(text=text, blocks=[Block("paragraph", 0, len(text))], language=language)
    starts = {0}
    for sentence in sentences:
        starts.add(max(starts) + len(sentence))
    spans = check(build("sentence", {}, max_tokens=80), document)
    assert len(spans) > 1
    assert {span.start for span in spans} <= starts


def test_text_without_capitals_has_sentences() -> None:
    text = "revenue was $3.5 million in 2016. costs fell to $2.1 million. see note no. 4 for more."
    starts = boundaries.sentence_starts(text, 0, len(text), "en")
    assert [text[s:].split()[0] for s in starts] == ["costs", "see"]


def test_two_languages_in_one_text() -> None:
    text = "We sell 苹果 products. 今天天气很好。Then we left. The end."
    starts = boundaries.sentence_starts(text, 0, len(text), "en")
    assert [text[s : s + 4] for s in starts] == ["今天天气", "Then", "The "]


@given(st.text(st.sampled_from("aé。ก. \n\r\u0301།?！」と"), max_size=60))
def test_sentence_starts_are_ordered_and_between_characters(text: str) -> None:
    starts = boundaries.sentence_starts(text, 0, len(text), None)
    assert starts == sorted(set(starts))
    for start in starts:
        assert 0 < start < len(text)
        assert graphemes.floor(text, start) == start


def cut(text: str) -> list[tuple[str, int]]:
    """What `text` is divided into, each piece with the strength of its start."""
    places, strengths = candidates(text, 0, len(text), "en")
    bounds = [0, *places, len(text)]
    pieces = [text[a:b].strip() for a, b in pairwise(bounds)]
    return list(zip(pieces, [0, *strengths], strict=True))


def test_lines_of_a_wrapped_paragraph_are_no_places_to_cut() -> None:
    text = (
        "The committee met on Tuesday and went through all of the open\n"
        "points of the agenda. It decided on the budget of the coming\n"
        "year and adjourned at noon. Nobody was against it.\n"
    )
    assert [piece.split()[0] for piece, _ in cut(text)] == ["The", "It", "Nobody"]
    assert {strength for _, strength in cut(text)[1:]} == {boundaries.SENTENCE}


def test_lines_broken_on_purpose_are() -> None:
    long = "A paragraph on one line that goes on and on, as word processors make them. " * 4
    text = f"{long}\n{long}\n\n{long}"
    strengths = [strength for _, strength in cut(text)]
    assert strengths.count(boundaries.LINE) == 1
    assert strengths.count(boundaries.BLOCK) == 1
    speech = "Friends, I am here.\nI came to stay, and nobody will send me away.\nHear me out."
    assert [strength for _, strength in cut(speech)] == [0, boundaries.LINE, boundaries.LINE]


def test_rows_of_a_plain_table_are() -> None:
    rows = ["year | revenue | costs", "2015 | 1,200 | 900", "2016 | 1,300 | 950.5"]
    assert cut("\n".join(rows)) == list(
        zip(rows, [0, boundaries.LINE, boundaries.LINE], strict=True)
    )


def test_a_title_line_is_glued_to_what_it_heads() -> None:
    body = "It began in the spring of that year, when nobody expected it to begin at all. " * 3
    for title in ("= = Early life = =", "Early life", "The following holds:"):
        strengths = [strength for _, strength in cut(f"{body}\n{title}\n{body}")]
        assert strengths.count(boundaries.GLUE) == 1, title
        assert strengths.count(boundaries.LINE) == 1, title


def test_optimal_keeps_a_title_line_with_its_text() -> None:
    body = "It began in the spring of that year, when nobody expected it to begin at all. " * 3
    text = "\n".join(f"= = Part {i} = =\n{body}" for i in range(20))
    document = Document(text=text, blocks=[Block("paragraph", 0, len(text))])
    for span in check(build("optimal", {"target_tokens": 70}, max_tokens=140), document):
        assert not text[span.start : span.end].endswith("= =")


def test_optimal_cuts_a_plain_table_at_rows() -> None:
    rows = "\n".join(f"item number {i} | {i * 37} | {i * 11}" for i in range(90))
    document = Document(text=rows, blocks=[Block("paragraph", 0, len(rows))])
    tokens = TokenMap(rows)
    spans = check(build("optimal", {"target_tokens": 100}, max_tokens=200), document, tokens)
    assert len(spans) > 5
    for span in spans:
        assert rows[span.start : span.end].startswith("item number")
        assert rows[span.end : span.end + 1] in ("\n", "")
