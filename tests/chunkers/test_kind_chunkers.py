"""What the chunkers for slides, conversations and records keep together."""

from __future__ import annotations

import json

import pytest

from chunkers import Span, build
from chunkers.blocks import scan
from chunkers.conformance import check
from lineage import Block, Document

SENTENCE = "This is said in as many words as the last one was. "


def texts_of(document: Document, spans: list[Span]) -> list[str]:
    return [document.text[span.start : span.end] for span in spans]


def slides(bodies: list[str]) -> Document:
    text, blocks = "", []
    for number, body in enumerate(bodies, start=1):
        start = len(text)
        title = f"Title {number}"
        text += f"{title}\n{body}"
        blocks.append(Block("slide", start, len(text), page=number))
        blocks.append(Block("heading", start, start + len(title), 1, number))
        if body:
            blocks.append(Block("paragraph", start + len(title) + 1, len(text), page=number))
        text += "\n\n"
    return Document(text=text, blocks=blocks, data_type="slides")


def test_one_chunk_a_slide_and_titles_alone_go_with_the_next() -> None:
    document = slides(["", SENTENCE * 4, SENTENCE * 5, SENTENCE * 30])
    spans = check(build("slides", {}, max_tokens=120), document)
    first, second, *others = texts_of(document, spans)
    assert first.startswith("Title 1")
    assert "Title 2" in first
    assert second.startswith("Title 3")
    assert others[0].startswith("Title 4")
    assert {span.context for span in spans[3:]} == {"Title 4"}


def test_pages_stand_for_slides() -> None:
    text = "".join(f"{SENTENCE * 4}\n\n" for _ in range(3))
    size = len(text) // 3
    blocks = [Block("paragraph", i * size, (i + 1) * size - 2, page=i + 1) for i in range(3)]
    spans = check(build("slides", {}, max_tokens=400), Document(text=text, blocks=blocks))
    assert [span.start for span in spans] == [0, size, 2 * size]


@pytest.mark.parametrize("name", ["page", "slides"])
def test_a_page_has_the_headings_that_go_on_from_the_page_before(name: str) -> None:
    text, blocks = "", []

    def add(kind: str, words: str, page: int, level: int | None = None) -> None:
        nonlocal text
        blocks.append(Block(kind, len(text), len(text) + len(words), level, page))
        text += f"{words}\n\n"

    add("heading", "Manual", 1, 1)
    add("heading", "Cleaning", 1, 2)
    add("paragraph", SENTENCE * 6, 1)
    add("paragraph", SENTENCE * 7, 2)
    add("heading", "Storage", 3, 2)
    add("paragraph", SENTENCE * 30, 3)
    document = Document(text=text, blocks=blocks, data_type="pdf")
    first, second, *third = check(build(name, {}, max_tokens=200), document)
    assert (first.context, first.heading_path) == ("", ("Manual",))
    assert (second.context, second.heading_path) == ("Manual > Cleaning", ("Manual", "Cleaning"))
    assert text.startswith("Storage", third[0].start)
    assert third[0].context == "Manual"
    assert {span.context for span in third[1:]} == {"Manual > Storage"}


def cue(second: int, speaker: str, words: str) -> str:
    return f"00:00:{second:02}.000 --> 00:00:{second + 1:02}.000\n<v {speaker}>{words}\n\n"


def test_a_conversation_is_cut_where_the_speaker_changes() -> None:
    speakers = ["Ada", "Ada", "Ada", "Bob", "Bob", "Bob"] * 5
    text = "WEBVTT\n\n" + "".join(cue(i, who, SENTENCE) for i, who in enumerate(speakers))
    document = Document(text=text, blocks=scan(text, "transcript"), data_type="transcript")
    spans = check(build("conversation", {}, max_tokens=300), document)
    assert len(spans) > 2
    starts = [chunk.index("<v ") for chunk in texts_of(document, spans)]
    said = [c[at + 3 : at + 6] for c, at in zip(texts_of(document, spans), starts, strict=True)]
    for span, who in zip(spans[1:], said[1:], strict=True):
        before = document.text[: span.start].rpartition("<v ")[2][:3]
        assert before != who


def test_a_long_turn_goes_on_under_its_speaker_and_time() -> None:
    text = "WEBVTT\n\n" + cue(7, "Ada", SENTENCE * 40)
    document = Document(text=text, blocks=scan(text, "transcript"), data_type="transcript")
    spans = check(build("conversation", {}, max_tokens=120), document)
    assert {span.context for span in spans[2:]} == {"Ada @ 00:00:07.000"}


def test_a_record_that_fits_is_never_divided_and_a_larger_one_has_its_path() -> None:
    small = [{"id": i, "name": f"item {i}", "tags": ["a", "b"]} for i in range(40)]
    large = {"id": 99, "notes": [SENTENCE * 3 for _ in range(20)]}
    text = json.dumps([*small, large], indent=1)
    document = Document(text=text, blocks=scan(text, "json"), data_type="structured")
    spans = check(build("records", {}, max_tokens=200), document)
    chunks = texts_of(document, spans)
    for item in small:
        name = json.dumps(item["name"])
        assert sum(name in chunk for chunk in chunks) == 1
        chunk = next(chunk for chunk in chunks if name in chunk)
        rest = chunk[chunk.index(name) :]
        assert "]" in rest, "the record ends in the chunk that its name is in"
    assert any(span.context.endswith("$[40].notes") for span in spans)


QUOTED = "This was asked before, in a few sentences of another length. " * 2 + "And so on."
MAIL = """Subject: Invoices of January
From: Ruth Amsel <ruth@example.org>
Date: Mon, 26 Jan 2026 09:00:00 +0000"""


def mail(bodies: list[str]) -> Document:
    """Messages with a header block and a quoted part each, as the mail parser makes them."""
    text, blocks = "", []
    for number, body in enumerate(bodies):
        start = len(text)
        text += MAIL
        header = Block("header", start, len(text))
        text += "\n\n"
        said = Block("paragraph", len(text), len(text) + len(body))
        text += f"{body}\n\n"
        quote = Block("quote", len(text), len(text) + len(QUOTED), level=1)
        text += QUOTED
        blocks += [Block("message", start, len(text), None, None, None, f"<{number}@example.org>")]
        blocks += [header, said, quote]
        text += "\n\n"
    return Document(text=text, blocks=blocks, data_type="email")


def test_what_continues_a_mail_has_its_subject_sender_and_date() -> None:
    document = mail([SENTENCE * 30, SENTENCE])
    for name in ("conversation", "structure", "optimal"):
        spans = check(build(name, {}, max_tokens=140), document)
        title = "Invoices of January (Ruth Amsel, 2026-01-26)"
        assert {span.context for span in spans if span.context} == {title}, name
        assert all(span.heading_path == (title,) for span in spans)


def test_messages_and_quoted_parts_stay_whole_while_they_fit() -> None:
    document = mail([SENTENCE * 4] * 6)
    chunks = texts_of(document, check(build("conversation", {}, max_tokens=140), document))
    assert len(chunks) == 6
    assert all(chunk.startswith("Subject:") for chunk in chunks)
    small = texts_of(document, check(build("conversation", {}, max_tokens=90), document))
    assert sum(QUOTED in chunk for chunk in small) == 6


CHATS = {
    "brackets": "[10:0{i}] {who}: {said}",
    "export": "12/02/2026, 10:0{i} - {who}: {said}",
    "irc": "10:0{i} <{who}>: {said}",
    "minutes": "{who}: {said}",
}


@pytest.mark.parametrize("style", sorted(CHATS))
def test_a_chat_is_turns_with_speakers_and_times(style: str) -> None:
    who = ["Ada", "Ada", "Bob van Dam", "Ada", "Bob van Dam", "Bob van Dam"]
    lines = [
        CHATS[style].format(i=i, who=name, said=f"{SENTENCE}\nand a line that goes on")
        for i, name in enumerate(who)
    ]
    text = "Export of the chat\n\n" + "\n".join(lines)
    blocks = scan(text, "transcript")
    turns = [block for block in blocks if block.kind == "turn"]
    assert [turn.locator.partition(" @ ")[0] for turn in turns if turn.locator] == who
    assert [text[turn.start : turn.end] for turn in turns] == lines
    if style != "minutes":
        assert turns[3].locator.endswith("10:03")
    document = Document(text=text, blocks=blocks, data_type="transcript")
    check(build("conversation", {}, max_tokens=60), document)


def test_prose_with_colons_is_no_chat() -> None:
    for text in (f"Note: {SENTENCE}\n\n" * 3 + SENTENCE * 9, "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n"):
        assert not [block for block in scan(text, "transcript") if block.kind == "turn"]


NESTED = {
    "json": json.dumps(
        {"shops": [{"name": f"shop {i}", "goods": [{"id": j} for j in range(9)]} for i in range(4)]}
    ),
    "xml": "<shops>"
    + "".join(
        f"<shop><name>shop {i}</name>" + "".join(f'<item id="{j}"/>' for j in range(9)) + "</shop>"
        for i in range(4)
    )
    + "</shops>",
    "yaml": "shops:\n"
    + "".join(
        f"  - name: shop {i}\n    goods:\n" + "".join(f"      - id: {j}\n" for j in range(9))
        for i in range(4)
    ),
}


@pytest.mark.parametrize("text_format", sorted(NESTED))
def test_a_short_record_that_does_not_fit_is_divided_between_those_in_it(text_format: str) -> None:
    text = NESTED[text_format]
    assert len(text) < 2_000
    document = Document(text=text, blocks=scan(text, text_format), data_type="structured")
    spans = check(build("records", {}, max_tokens=120), document)
    shops = [i for i in range(4) if any(f"shop {i}" in c and "8" in c.partition(f"shop {i}")[2]
             for c in texts_of(document, spans))]  # fmt: skip
    assert shops == [0, 1, 2, 3], "every shop is whole in one chunk"
    assert any("shops" in span.context for span in spans)
    small = check(build("records", {}, max_tokens=28), document)
    for chunk in texts_of(document, small):
        assert chunk.count('"id"') == chunk.count('"id": ') or text_format != "json"
    assert any("shop" in span.context for span in small)


def test_a_divided_table_repeats_its_caption_and_its_header() -> None:
    caption = "Table 3: Prices"
    rows = ["name | price", *(f"thing {i} | {i} euros" for i in range(60))]
    text = f"{caption}\n" + "\n".join(rows)
    blocks = [Block("caption", 0, len(caption)), Block("table", len(caption) + 1, len(text))]
    place = len(caption) + 1
    for number, row in enumerate(rows):
        locator = None if number else "header"
        blocks.append(Block("table_row", place, place + len(row), None, None, None, locator))
        place += len(row) + 1
    document = Document(text=text, blocks=blocks, data_type="html")
    for name in ("table", "structure", "optimal"):
        first, *others = check(build(name, {}, max_tokens=100), document)
        assert first.context == ""
        assert {span.context for span in others} == {f"{caption}\nname | price"}, name
        bare = check(build(name, {"context": False}, max_tokens=100), document)
        assert {span.context for span in bare} == {""}
