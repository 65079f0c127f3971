from __future__ import annotations

from chunkers import build
from chunkers.blocks import scan
from chunkers.quality_edits import edit_stability, with_sentence
from lineage import Document
from lineage.records import check_blocks

TEXT = "# Guide\n\n" + "".join(
    f"## Part {n}\n\n"
    + " ".join(f"Sentence {m} of part {n} says something of its own." for m in range(9))
    + "\n\n"
    for n in range(12)
)
DOCUMENT = Document(text=TEXT, blocks=scan(TEXT, "markdown"))


def stability(name: str) -> float:
    found = edit_stability(DOCUMENT, build(name, {}, max_tokens=64), "o200k_base", edits=4)
    assert found is not None
    return found


def test_sections_confine_an_edit_and_fixed_windows_do_not() -> None:
    assert stability("structure") > 0.9
    assert stability("optimal") > 0.9
    assert stability("fixed") < 0.8
    assert stability("fixed") < stability("structure")


def test_an_edited_document_is_a_document() -> None:
    place = TEXT.index("Sentence 3 of part 4")
    edited = with_sentence(DOCUMENT, place)
    assert edited.text.replace("This sentence was added later. ", "") == TEXT
    assert check_blocks(edited.text, edited.blocks) is None
    assert [b.kind for b in edited.blocks] == [b.kind for b in DOCUMENT.blocks]


def test_what_cannot_be_edited_has_no_figure() -> None:
    chunker = build("structure", {}, max_tokens=64)
    for text in ("", "One. Two.", "word " * 300):
        document = Document(text=text, blocks=scan(text, "markdown"))
        assert edit_stability(document, chunker, "o200k_base") is None
