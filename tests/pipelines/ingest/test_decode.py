# ruff: noqa: RUF001 - letters of other scripts are what is tested.
from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.parsers.decode import decode

TEXT = "Hello world, these are code units.\r\nSecond line é ü 漢字 👍🏽.\rThird.\n" * 4
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
SENTENCES = {
    "cs": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni "
    "rozumem a svědomím a mají spolu jednat v duchu bratrství.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit "
    "Vernunft und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen.",
    "en": "It\u2019s 20 \u20ac \u2013 \u201cquoted\u201d caf\u00e9, and the rest is plain English.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont "
    "doués de raison et de conscience et doivent agir dans un esprit de fraternité.",
    "hu": "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, "
    "ésszel és lelkiismerettel bírván, egymással szemben testvéri szellemben kell.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są "
    "oni obdarzeni rozumem i sumieniem i powinni postępować w duchu braterstwa.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana "
    "sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון.",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا.",
    "zh": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。",
    "tw": "人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心,並應以兄弟關係的精神互相對待。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
}


@pytest.mark.parametrize(("encoding", "mark"), MARKS.items())
def test_unicode_with_a_mark(encoding: str, mark: bytes) -> None:
    got = decode(mark + TEXT.encode(encoding))
    assert (got.text, got.encoding, got.bom_bytes) == (TEXT, encoding, len(mark))
    assert got.exact
    assert decode(mark).text == ""
    assert decode(mark).bom_bytes == len(mark)


@pytest.mark.parametrize("encoding", MARKS)
def test_unicode_without_a_mark(encoding: str) -> None:
    got = decode(TEXT.encode(encoding))
    assert (got.text, got.encoding, got.bom_bytes, got.exact) == (TEXT, encoding, 0, True)


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        ("de", "cp1252"), ("en", "cp1252"), ("fr", "cp1252"), ("de", "cp850"), ("fr", "mac-roman"),
        ("pl", "cp1250"), ("pl", "iso8859-2"), ("cs", "cp1250"), ("cs", "iso8859-2"),
        ("hu", "cp1250"), ("tr", "cp1254"), ("ru", "cp1251"), ("ru", "koi8-r"), ("he", "cp1255"),
        ("ar", "cp1256"), ("zh", "gb18030"), ("zh", "gbk"), ("tw", "big5"), ("ja", "shift_jis"),
        ("ja", "euc_jp"), ("ja", "iso2022_jp"), ("ko", "euc_kr"), ("zh", "utf-16-le"),
        ("ja", "utf-16-be"), ("ru", "utf-16-le"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_that_declares_nothing(language: str, encoding: str, end: str) -> None:
    text = (SENTENCES[language] + end) * 8
    got = decode(text.encode(encoding))
    assert got.text == text
    assert got.exact
    assert got.warnings == ()


def test_a_declaration_is_believed_when_it_fits() -> None:
    source = "# -*- coding: iso8859-15 -*-\nprice = 'ša 20 €'\n"
    got = decode(source.encode("iso8859-15"))
    assert (got.text, got.encoding) == (source, "iso8859-15")
    xml = '<?xml version="1.0" encoding="windows-1251"?><a>Все</a>'
    assert decode(xml.encode("cp1251")).text == xml
    # UTF-8 is certain, whatever is declared.
    assert decode(xml.encode()).text == xml


@pytest.mark.parametrize(
    "name",
    ["idna", "punycode", "undefined", "unicode_escape", "rot13", "zlib", "utf-7", "nonesuch"],
)
def test_a_declaration_cannot_choose_a_codec_for_other_things(name: str) -> None:
    data = f"# coding: {name}\n".encode() + b"caf\xe9 \\u0041 " * 200_000
    got = decode(data)
    assert got.encoding == "cp1252"
    assert "\\u0041" in got.text


def test_damage_is_replaced_and_told() -> None:
    got = decode(b"good text \xff\xfe\xfa bad \xc3\x28 trunc \xe2\x82\nsecond ok\n")
    assert got.text.startswith("good text \ufffd")
    assert got.text.endswith("\nsecond ok\n")
    assert not got.exact
    assert "U+FFFD" in got.warnings[0]
    wide = decode(codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"\x00\xd8" + b"c\0" + b"x")
    assert wide.text == "ab\ufffdc\ufffd"
    assert not wide.exact


def test_lone_surrogates_never_get_in() -> None:
    got = decode(b"half \xed\xa0\x80 here\n")
    got.text.encode()
    assert not got.exact


def test_stray_zeros_are_removed_and_told() -> None:
    got = decode(b"before\0after\0\0\nnext\n")
    assert got.text == "beforeafter\nnext\n"
    assert not got.exact
    assert "NUL" in got.warnings[0]
    table = b"a,b,c\n1,2\n1,2,3,4\n\0,5,6\n;;;\n"
    assert decode(table).text == table.replace(b"\0", b"").decode()


def test_bytes_with_two_spellings_are_not_called_exact() -> None:
    # The sign for "because" has two codes in this encoding; only one of them is written.
    data = ("これは日本語の文書です。\n" * 40).encode("cp932") + b"\x87\x9a\n"
    got = decode(data)
    assert got.encoding == "cp932"
    assert got.text.endswith("∵\n")
    assert not got.exact
    assert got.warnings


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_utf8_comes_back_character_for_character(text: str) -> None:
    plain = decode(b"\xef\xbb\xbf" + text.encode())
    assert plain.text == text
    assert plain.exact
    assert plain.bom_bytes == 3


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.sampled_from(sorted(MARKS)),
)
def test_marked_text_comes_back_character_for_character(text: str, encoding: str) -> None:
    # Behind a mark of UTF-16 a NUL makes that of UTF-32; it is excluded above.
    got = decode(MARKS[encoding] + text.encode(encoding))
    assert (got.text, got.exact) == (text, True)


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b"\0", b"\xff\xfe", b"a ", b"\xe9", b"\xed\xa0\x80", b"\x1b$B", b"\n"]),
        max_size=60,
    ).map(b"".join)
)
def test_any_bytes_decode_and_exact_means_exact(data: bytes) -> None:
    got = decode(data)
    assert "\0" not in got.text
    got.text.encode()
    assert got.exact != bool(got.warnings)
    if got.exact:
        assert data[: got.bom_bytes] + got.text.encode(got.encoding) == data
