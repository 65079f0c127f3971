"""What the chunkers for slides, conversations and records keep together."""

from __future__ import annotations

import json

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
