from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pipelines.usage import UNLABELLED, Ledger, Usage

charges = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["owner", "cost_centre", "other"]), st.text(max_size=2)),
        st.integers(0, 10_000),
        st.floats(0, 100),
    )
)


def ledger(entries: list[tuple[dict[str, str], int, float]]) -> Ledger:
    made = Ledger(("owner", "cost_centre"))
    for labels, tokens, seconds in entries:
        made.add(labels, documents=1, tokens=tokens, seconds=seconds)
    return made


@given(charges, charges)
def test_rows_add_up_to_the_total_by_every_label(
    left: list[tuple[dict[str, str], int, float]], right: list[tuple[dict[str, str], int, float]]
) -> None:
    both = ledger(left).merge(ledger(right))
    total = both.total()
    assert total.tokens == sum(tokens for _, tokens, _ in left + right)
    assert total.documents == len(left + right)
    for label in both.labels:
        rows = both.by(label).values()
        assert sum(row.tokens for row in rows) == total.tokens
        assert math.isclose(sum(row.seconds for row in rows), total.seconds, abs_tol=1e-6)


@given(charges)
def test_a_ledger_survives_being_written(entries: list[tuple[dict[str, str], int, float]]) -> None:
    made = ledger(entries)
    again = Ledger.from_value(made.as_value())
    assert again.rows == made.rows


def test_what_has_no_label_is_a_row_of_its_own() -> None:
    made = ledger([({"owner": "hr"}, 5, 0.0), ({}, 7, 0.0)])
    assert {name: usage.tokens for name, usage in made.by("owner").items()} == {
        "hr": 5, UNLABELLED: 7,
    }  # fmt: skip
    assert made.seconds_only().total() == Usage()
