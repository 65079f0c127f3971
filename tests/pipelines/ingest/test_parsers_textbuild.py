from __future__ import annotations

import pytest

from lineage import Block, check_blocks
from pipelines.ingest.parsers.base import Limits, ParseError
from pipelines.ingest.parsers.flatlist import FlatList
from pipelines.ingest.parsers.textbuild import TextBuilder


def test_separators_stay_outside_the_blocks_and_the_strongest_wins() -> None:
    build = TextBuilder()
    build.open("list", level=1)
    build.leaf("list_item", "a", "\n", level=1)
    build.leaf("list_item", "b", "\n", level=1)
    build.close()
    build.leaf("paragraph", "c")
    text, blocks = build.finish()
    assert text == "a\nb\n\nc"
    assert [(b.kind, text[b.start : b.end]) for b in blocks] == [
        ("list", "a\nb"), ("list_item", "a"), ("list_item", "b"), ("paragraph", "c"),
    ]  # fmt: skip
    assert check_blocks(text, blocks) is None


def test_blocks_without_text_vanish_with_all_that_is_in_them() -> None:
    build = TextBuilder()
    build.leaf("paragraph", "a")
    build.open("table")
    build.open("table_row")
    build.close()
    build.page_break(2)
    build.close()
    build.leaf("paragraph", "b")
    text, blocks = build.finish()
    assert text == "a\n\nb"
    assert [b.kind for b in blocks] == ["paragraph", "page_break", "paragraph"]


def test_nul_and_lone_surrogates_become_replacement_characters_in_place() -> None:
    build = TextBuilder()
    build.leaf("paragraph", "a\0b\ud800c")
    text, blocks = build.finish()
    assert text == "a\ufffdb\ufffdc"
    assert (blocks[0].start, blocks[0].end) == (0, 5)


def test_inserted_documents_keep_their_spans() -> None:
    build = TextBuilder()
    build.open("attachment", locator="x.txt")
    build.write("x.txt")
    build.separate()
    build.insert("one\n\ntwo", [Block("paragraph", 0, 3), Block("paragraph", 5, 8)])
    build.close()
    build.leaf("paragraph", "after")
    text, blocks = build.finish()
    assert text == "x.txt\n\none\n\ntwo\n\nafter"
    assert [text[b.start : b.end] for b in blocks] == ["x.txt\n\none\n\ntwo", "one", "two", "after"]
    assert check_blocks(text, blocks) is None


def test_page_breaks_are_ordered_at_the_start_of_the_text() -> None:
    build = TextBuilder()
    build.page_break(1)
    build.leaf("paragraph", "a")
    text, blocks = build.finish()
    assert check_blocks(text, blocks) is None
    assert {b.kind for b in blocks} == {"paragraph", "page_break"}


@pytest.mark.parametrize(
    ("limits", "error_class"),
    [(Limits(max_chars=10), "limit_size"), (Limits(max_blocks=2), "limit_elements")],
)
def test_limits_refuse(limits: Limits, error_class: str) -> None:
    build = TextBuilder(limits)

    def fill() -> None:
        for _ in range(4):
            build.leaf("paragraph", "12345")

    with pytest.raises(ParseError) as caught:
        fill()
    assert caught.value.error_class == error_class


def test_flat_lists_nest_by_level_and_survive_jumps() -> None:
    build = TextBuilder()
    lists = FlatList(build)
    for level, word in [(1, "a"), (4, "b"), (4, "c"), (2, "d"), (1, "e")]:
        lists.item(level, word)
    lists.end()
    text, blocks = build.finish()
    assert text == "a\nb\nc\nd\ne"
    assert check_blocks(text, blocks) is None
    items = {
        text[b.end - 1]: b.level for b in blocks if b.kind == "list_item" and b.end - b.start == 1
    }
    assert items == {"b": 2, "c": 2, "d": 2, "e": 1}
    assert sum(b.kind == "list" for b in blocks) == 3
