"""Pictures say what is there: the same text in every column, axes around the values."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html import unescape
from itertools import combinations
from math import dist

from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate.report.charts import Point, histogram, lines, scatter, ticks, whisker
from pipelines.evaluate.report.documents import Column, document_view
from pipelines.evaluate.report.words import h, percent_short, way

TEXT = "# A <b>title</b> & more\n\nOne sentence. Another one, with \u202e and \x07.\n" * 4
SPANS = [(0, 60), (50, 130), (131, len(TEXT))]


def shown(column: str) -> str:
    """What a reader reads in a column, without numbers in the margin."""
    column = re.sub(r"<i class=\"tag\".*?</i>", "", column)
    return unescape(re.sub(r"<[^>]+>", "", column))


def test_every_strategy_shows_the_same_text_with_its_own_chunks() -> None:
    columns = [
        Column("first", 0, SPANS, [10, 20, 30]),
        Column("second", 1, [(0, len(TEXT))], [99]),
    ]
    page = document_view(TEXT, "markdown", columns, 0, len(TEXT), [(70, 90)])
    texts = re.findall(r'<div class="text sans" tabindex="0">(.*?)</div>', page, re.DOTALL)
    first, second = (shown(text) for text in texts)
    assert first == second
    assert first == TEXT.replace("\u202e", "\ufffd").replace("\x07", "\u2407")
    assert page.count('class="tag"') == 4
    assert 'class="c1 both begin"' in page
    assert page.count("evidence") >= 2
    assert "<b>title" not in page


def test_charts_are_well_formed_and_say_their_figures() -> None:
    points = [Point("a <&> b", n, n + 1, 100.0 * n, 0.5 + n / 10, 0.4, 0.9) for n in range(3)]
    series = [("a <&> b", 0, [(1, 0.2), (3, 0.9)])]
    for chart in (
        scatter(points, "tokens", "recall", lambda v: f"{v:g}", percent_short),
        lines(series, "k", "recall", percent_short),
        histogram([0.0, 1.0, 2.0], [3.0, 0.0], 0, 0.5, "sizes <&>"),
        whisker(0.5, 0.4, 0.6, (0.0, 1.0), 0, "half <&>"),
    ):
        root = ElementTree.fromstring(chart)
        assert root.get("role") == "img"
        assert root.get("aria-label")
    assert h("a <&> b") in scatter(points, "x", "y", str, str)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=12))
def test_no_mark_covers_another(places: list[tuple[int, int]]) -> None:
    points = [Point(f"s{n}", n, n + 1, x, y, 0, 5) for n, (x, y) in enumerate(places)]
    chart = ElementTree.fromstring(scatter(points, "tokens", "recall", str, str))
    marks = [
        (float(mark.get("cx", "")), float(mark.get("cy", "")))
        for mark in chart.iter()
        if mark.tag.endswith("circle")
    ]
    assert len(marks) == len(points)
    for one, other in combinations(marks, 2):
        assert dist(one, other) > 17


def test_ways_to_ask_are_said_in_words() -> None:
    said = [way(variant) for variant in ("bm25", "dense/small", "bm25/small>large")]
    assert said == ["bm25", "dense: small", "bm25: small found, large read"]


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_go_around_the_values(low: float, more: float) -> None:
    made = ticks(low, low + more)
    assert 2 <= len(made) <= 13
    assert made == sorted(made)
    slack = (made[-1] - made[0]) * 1e-6 + 1e-9
    assert made[0] <= low + slack
    assert made[-1] >= low + more - slack
