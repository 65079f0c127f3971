from __future__ import annotations

import unicodedata
from typing import Any

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkers import graphemes

CHARACTERS = [
    "a", " ", "\r", "\n", "e", "\u0301", "\u200d",
    "\u200c", "😀", "👨", "👩", "🇩", "🇪", "🏽", "❤",
    "क", "\u094d", "ष", "ि", "ก", "\u0e33", "\u1112",
    "\u1161", "\u11ab", "한", "각", "\u0600", "中",
    "。", "\ufe0f", "\uff9e", "\U000e0061", "\x00", "\u00ad", "\u09bc", "\u0d4e", "\u302a",
]  # fmt: skip
assigned = st.characters(exclude_categories=["Cs", "Cn"])


def boundaries(text: str) -> list[int]:
    return [match.start() for match in regex.finditer(r"\X", text)] + [len(text)]


class Counted(str):
    """Counts how often a character of it is looked at."""

    looks = 0

    def __getitem__(self, at: Any) -> str:
        self.looks += 1
        return super().__getitem__(at)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(CHARACTERS) | assigned, max_size=25).map("".join))
def test_floor_is_the_last_boundary_of_unicodes_rules(text: str) -> None:
    known = boundaries(text)
    for position in range(len(text) + 1):
        assert graphemes.floor(text, position) == max(b for b in known if b <= position)
        assert graphemes.ceiling(text, position) == min(b for b in known if b >= position)


def test_every_character_beside_a_letter_an_ideograph_and_a_mark() -> None:
    for code in range(0x80, 0x20000):
        character = chr(code)
        if unicodedata.category(character) in ("Cs", "Cn"):
            continue
        for before in ("a", "中", "क\u094d", "가"):
            text = before + character
            if graphemes.floor(text, len(before)) == len(before):
                assert len(before) in boundaries(text), (before, hex(code))


def test_floor_does_not_go_before_the_start() -> None:
    assert graphemes.floor("e\u0301\u0301\u0301", 3, 2) == 2


@pytest.mark.parametrize(
    "text",
    ["🇩🇪" * 5_000, "e" + "\u0301" * 20_000, "👨‍👩‍👧" * 5_000],
    ids=["flags", "marks", "families"],
)
def test_floor_looks_at_each_character_of_a_long_cluster_a_few_times_at_most(text: str) -> None:
    counted = Counted(text)
    for position in range(len(text) - 20, len(text)):
        counted.looks = 0
        graphemes.floor(counted, position)
        assert counted.looks <= 4 * len(text) + 8
