from __future__ import annotations

from parsing_tools import corpus, error_class, needs_data, one, outcomes, parse, shape, texts

from pipelines.ingest.parsers.rtf import html_of_rtf


def rtf(body: str) -> bytes:
    return (
        r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}{\f1\fcharset128 Gothic;}}"
        r"{\stylesheet{\s0 Normal;}{\s2\outlinelevel1 Mine;}{\s3 heading 3;}}" + body + "}"
    ).encode("latin-1")


def test_headings_lists_tables_and_asides() -> None:
    body = (
        r"{\info{\title My file}}{\header Running\par}\pard\s2 Two\par\pard\s3 Three\par"
        r"\pard\plain Text{\footnote A note.} here{\*\unknown gone}\line next\par"
        r"\pard{\listtext 1.\tab}\ls1 first\par\pard{\listtext \'b7\tab}\ls1\ilvl1 second\par"
        r"\trowd\trhdr\pard\intbl a\cell b\cell\row\trowd\pard\intbl c\par d\cell e\cell\row"
        r"\pard{\field{\*\fldinst HYPERLINK x}{\fldrslt a link}}{\pict 00ff00}\par"
    )
    parsed = parse(rtf(body), "rtf")
    assert parsed.title == "My file"
    assert shape(parsed) == [
        ("heading", 2, "Two"),
        ("heading", 3, "Three"),
        ("paragraph", None, "Text[1] here\nnext"),
        ("list", 1, "1. first\nsecond"),
        ("list_item", 1, "1. first\nsecond"),
        ("list", 2, "second"),
        ("list_item", 2, "second"),
        ("table", None, "a | b\nc d | e"),
        ("table_row", None, "a | b"),
        ("table_row", None, "c d | e"),
        ("paragraph", None, "a link"),
        ("footnote", None, "[1] A note."),
        ("header", None, "Running"),
    ]
    assert [b.locator for b in parsed.blocks if b.kind == "table_row"] == ["header", None]


def test_characters_of_every_kind() -> None:
    body = (
        r"\'e9\u8364?\u-10179?\u-8703?{\uc2\u960 pi}{\f1\'93\'fa}\emdash\~x\_y\{\}\\"
        r"{\upr{ansi}{\*\ud{\u26085?}}}"
    )
    assert parse(rtf(body), "rtf").text == "é€\U0001f601π日\u2014 x-y{}\\日"


def test_binary_data_is_skipped_and_checked() -> None:
    assert parse(rtf(r"a{\pict\bin5 }}}}}}b"), "rtf").text == "ab"
    assert error_class(rtf(r"a\bin999999 x"), "rtf") == "malformed"
    assert error_class(b"no rtf", "rtf") == "malformed"


def test_depth_and_unfinished_groups_cost_nothing() -> None:
    assert parse(b"{\\rtf1" + b"{" * 50_000 + b"deep", "rtf").text == "deep"


def test_html_wrapped_in_rtf_is_unwrapped() -> None:
    wrapped = (
        rb"{\rtf1\ansi\fromhtml1 {\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 caf\'e9"
        rb"\htmlrtf\par}\htmlrtf0{\*\htmltag72 </p>}}"
    )
    assert html_of_rtf(wrapped) == "<p>café</p>"
    assert html_of_rtf(rtf("plain")) is None


@needs_data
def test_every_real_document_gives_text() -> None:
    assert {outcome for _, outcome in outcomes(corpus("**/*.rtf"), "rtf")} == {"ok"}
    fake = parse(one("fake-doc.rtf"), "rtf")
    assert texts(fake, "heading") == ["My First Heading"]
    assert texts(fake, "table_row")[0] == "Column 1 | Column 2"
