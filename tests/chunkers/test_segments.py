from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chunkers.segments import segments

RANGES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda p: (min(p), max(p))), max_size=8
)


@given(RANGES, RANGES, st.integers(0, 20), st.integers(20, 40))
def test_segments_lie_end_to_end_and_say_who_is_there(
    spans: list[tuple[int, int]], marks: list[tuple[int, int]], start: int, end: int
) -> None:
    made = segments(spans, start, end, marks)
    assert [s.start for s in made] == [start, *(s.end for s in made[:-1])][: len(made)]
    if made:
        assert made[-1].end == end
    for segment in made:
        for place in range(segment.start, segment.end):
            here = {n for n, (a, b) in enumerate(spans) if a <= place < b}
            assert set(segment.chunks) == here
            assert segment.marked == any(a <= place < b for a, b in marks)
    begun = [n for segment in made for n in segment.begins]
    inside = [n for n, (a, b) in enumerate(spans) if start <= a < end and a < b]
    assert sorted(begun) == inside


def test_an_overlap_is_in_two_chunks() -> None:
    made = segments([(0, 10), (6, 20)], 0, 20)
    assert [(s.start, s.end, s.chunks, s.begins) for s in made] == [
        (0, 6, (0,), (0,)),
        (6, 10, (0, 1), (1,)),
        (10, 20, (1,), ()),
    ]
