"""What a cut tears apart, by the words alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkers import TokenMap, build, cohesion
from chunkers.cohesion import FULL, REACH
from chunkers.conformance import check
from lineage import Block, Document

TIDES = "The harbour reports the tide each morning. High tide fills the harbour by noon. "
BREAD = "Knead the dough until smooth. Leave the dough near warm ovens before baking. "


def at(tokens: TokenMap, text: str) -> float:
    return float(tokens.torn[tokens.index(tokens.text.index(text))])


def test_a_cut_between_subjects_tears_less_than_one_inside() -> None:
    tokens = TokenMap(TIDES + BREAD)
    inside = min(at(tokens, "High tide"), at(tokens, "Leave the"))
    assert at(tokens, "Knead") < inside
    assert tokens.torn[0] == 0
    assert tokens.torn[-1] == 0


def test_nothing_is_torn_where_no_word_comes_again() -> None:
    assert not TokenMap("Every word here differs from all other ones around it.").torn.any()
    assert not TokenMap("").torn.any()
    assert not TokenMap("the of and to " * 30).torn.any()


def test_case_and_blanks_make_no_difference() -> None:
    lower, upper = TokenMap("window\nthen window"), TokenMap("Window\nthen window")
    assert lower.torn.max() > 0
    assert upper.torn.max() > 0


@given(st.lists(st.sampled_from(TIDES.split() + BREAD.split()), min_size=1, max_size=120))
def test_ties_are_those_between_each_word_and_the_one_before(words: list[str]) -> None:
    tokens = TokenMap(" ".join(words))
    stems, count = tokens.stems, len(tokens)
    expected = np.zeros(count + 1)
    for last in range(count):
        rarity = min(max((np.log2(max(int(tokens.ids[last]), 1)) - 9) / 5, 0.0), 1.0)
        before = [i for i in range(last) if stems[i] == stems[last] > 0 and tokens.ids[i] >= 512]
        if before and last - before[-1] <= REACH and rarity > 0:
            tie = rarity * (1 - (last - before[-1]) / REACH)
            expected[before[-1] + 1 : last + 1] += tie / FULL
    assert np.allclose(tokens.torn, np.minimum(expected, 1), atol=0.02)


def test_what_is_torn_depends_on_the_text_near_it_alone() -> None:
    far = "Nothing of all this has to do with it. " * 40
    alone = TokenMap(f"{far}{TIDES}{BREAD}{far}")
    other = TokenMap(f"Tide, harbour, dough and bread. {far * 2}{TIDES}{BREAD}{far}")
    low, high = alone.text.index(TIDES), alone.text.index(BREAD) + len(BREAD)
    shift = len(other) - len(alone)
    low, high = alone.index(low), alone.index(high)
    assert np.array_equal(alone.torn[low:high], other.torn[low + shift : high + shift])


def test_optimal_prefers_the_cut_that_tears_less() -> None:
    text = TIDES + TIDES + TIDES + BREAD + BREAD
    document = Document(text=text, blocks=[Block("paragraph", 0, len(text))])
    weights = {"target_tokens": 40, "size_weight": 0.3, "overfull_weight": 0.3}
    spans = check(build("optimal", {**weights, "cohesion_weight": 4.0}, max_tokens=80), document)
    assert text.index("Knead") in {span.start for span in spans}


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Harbour masters count harbours. Granite quarries sell granite to harbours. " * 60
    whole = TokenMap(text).torn
    for size in (1, 7, 100, 101, 250):
        monkeypatch.setattr(cohesion, "_BLOCK", size)
        assert TokenMap(text).torn.tolist() == whole.tolist()
