"""What the structural chunkers keep together, and what context they give."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkers import Span, TokenMap, build
from chunkers.blocks import scan
from chunkers.conformance import check
from chunkers.optimal import cheapest
from chunkers.packing import pack
from lineage import Block, Document

PROSE = "Every sentence of this paragraph is about as long as the last one was. "


def spans_of(document: Document, name: str, cap: int, **parameters: object) -> list[Span]:
    return check(build(name, parameters, max_tokens=cap), document)


def markdown(text: str) -> Document:
    return Document(text=text, blocks=scan(text, "markdown"), data_type="markdown")


def texts_of(document: Document, spans: list[Span]) -> list[str]:
    return [document.text[span.start : span.end] for span in spans]


def test_a_section_that_fits_is_one_chunk() -> None:
    text = "# Guide\n\n" + "".join(f"## Part {i}\n\n{PROSE * 5}\n\n" for i in range(4))
    document = markdown(text)
    spans = spans_of(document, "structure", 120)
    assert [t.splitlines()[0] for t in texts_of(document, spans)] == [
        "# Guide", "## Part 1", "## Part 2", "## Part 3",
    ]  # fmt: skip
    assert spans[1].context == "Guide"
    assert spans[1].heading_path == ("Guide", "Part 1")


def test_small_neighbours_share_a_chunk() -> None:
    text = "# Guide\n\n" + "".join(f"## Part {i}\n\n{PROSE}\n\n" for i in range(12))
    document = markdown(text)
    assert len(spans_of(document, "structure", 120)) < 6


@pytest.mark.parametrize("name", ["structure", "optimal"])
def test_a_line_above_the_first_heading_is_no_chunk(name: str) -> None:
    document = markdown(f"Page 1 of 3\n\n# Guide\n\n{(PROSE * 6 + chr(10) * 2) * 4}")
    spans = spans_of(document, name, 120)
    assert texts_of(document, spans)[0].startswith("Page 1 of 3\n\n# Guide")
    assert spans[1].context == "Guide"


def test_a_continuation_has_its_own_heading_as_context() -> None:
    document = markdown(f"# Guide\n\n## Part\n\n{(PROSE * 6 + chr(10) * 2) * 4}")
    first, *others = spans_of(document, "structure", 120)
    assert first.context == ""
    assert others
    assert {span.context for span in others} == {"Guide > Part"}


def test_context_false_gives_none() -> None:
    document = markdown(f"# Guide\n\n{(PROSE * 6 + chr(10) * 2) * 4}")
    spans = spans_of(document, "optimal", 120, context=False)
    assert len(spans) > 1
    assert not any(span.context for span in spans)
    assert spans[-1].heading_path == ("Guide",)


def test_context_drops_its_outermost_part_first() -> None:
    long = "a title that goes on and on for much longer than any title should"
    document = markdown(f"# {long}\n\n## Inner\n\n{(PROSE * 3 + chr(10) * 2) * 4}")
    spans = spans_of(document, "structure", 60)
    assert spans[-1].context == "Inner"
    assert spans[-1].heading_path == (long, "Inner")


def test_a_heading_stays_with_what_it_heads() -> None:
    text = "".join(f"# Heading {i}\n\n{PROSE * (i % 5 + 1)}\n\n" for i in range(40))
    document = markdown(text)
    for name in ("structure", "optimal"):
        for chunk in texts_of(document, spans_of(document, name, 90)):
            assert not chunk.splitlines()[-1].startswith("#"), chunk


def test_fences_lists_and_tables_stay_whole_while_they_fit() -> None:
    fence = "```python\n" + "value = compute(1, 2, 3)\n\n" * 6 + "```"
    items = "\n".join(f"- item number {i} of the list" for i in range(8))
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| row {i} | value |" for i in range(8))
    pieces = (fence, items, table)
    text = "# Top\n\n" + "\n\n".join(f"{PROSE * 4}\n\n{piece}\n\n{PROSE * 3}" for piece in pieces)
    document = markdown(text)
    for name in ("structure", "optimal"):
        chunks = texts_of(document, spans_of(document, name, 120))
        for piece in pieces:
            assert any(piece in chunk for chunk in chunks), (name, piece)


def test_a_table_is_cut_between_rows_with_its_header_as_context() -> None:
    rows = "\n".join(f"| row {i} | a value of it |" for i in range(60))
    header = "| name | what it is |\n|---|---|"
    document = markdown(f"# Table\n\n{header}\n{rows}\n")
    for name in ("structure", "table", "optimal"):
        first, *others = spans_of(document, name, 100)
        assert others
        assert header in document.text[first.start : first.end]
        for span in others:
            assert span.context == f"Table\n{header}"
            lines = document.text[span.start : span.end].splitlines()
            assert all(line.startswith("| row") and line.endswith(" |") for line in lines)


def test_table_divides_at_the_target_and_structure_at_the_cap() -> None:
    rows = "\n".join(f"| row {i} | value |" for i in range(20))
    document = markdown(f"| a | b |\n|---|---|\n{rows}\n")
    assert len(spans_of(document, "structure", 400, target_tokens=60)) == 1
    assert len(spans_of(document, "table", 400, target_tokens=60)) > 2


def source() -> Document:
    """A class of three methods, with the nested blocks of a source scanner."""
    method = "    def method_{i}(self, value):\n" + "        value = value + self.step\n" * 12
    head = 'class Counter(Base):\n    """Counts."""\n\n'
    methods = [method.format(i=i) + "        return value\n\n" for i in range(3)]
    text = "import os\n\n\n" + head + "".join(methods)
    start = text.index("class")
    blocks = [Block("code", 0, 9), Block("code", start, len(text), level=1, locator="Counter")]
    place = start + len(head)
    for i, body in enumerate(methods):
        name = f"Counter.method_{i}"
        blocks.append(Block("code", place + 4, place + len(body.rstrip()), level=2, locator=name))
        place += len(body)
    return Document(text=text, blocks=blocks, data_type="code")


def test_definitions_stay_whole_and_know_their_class() -> None:
    document = source()
    spans = spans_of(document, "code", 150)
    chunks = texts_of(document, spans)
    methods = [i for i, chunk in enumerate(chunks) if "def method_2" in chunk]
    assert len(methods) == 1
    last = methods[0]
    assert "return value" in chunks[last]
    assert chunks[last].startswith("    def method_2"), "its indentation belongs to it"
    assert spans[last].context == "class Counter(Base):"
    assert spans[last].heading_path == ("Counter",)


def test_a_function_that_does_not_fit_is_continued_under_its_signature() -> None:
    document = source()
    spans = spans_of(document, "code", 70)
    contexts = {span.context for span in spans}
    assert "class Counter(Base):\ndef method_1(self, value):" in contexts


def test_a_slide_is_a_section_under_its_title() -> None:
    text = "".join(f"Title {i}\n{PROSE * 8}\n{PROSE * 8}\n\n" for i in range(3))
    blocks = []
    place = 0
    for i in range(3):
        end = text.index("\n\n", place)
        title = place + len(f"Title {i}")
        middle = text.index("\n", title + 1)
        blocks += [
            Block("slide", place, end, page=i + 1),
            Block("heading", place, title, level=1),
            Block("paragraph", title + 1, middle),
            Block("paragraph", middle + 1, end),
        ]
        place = end + 2
    spans = spans_of(Document(text=text, blocks=blocks), "structure", 160)
    assert [span.heading_path for span in spans if not span.context] == [
        ("Title 0",), ("Title 1",), ("Title 2",),
    ]  # fmt: skip
    assert {span.context for span in spans if span.context} == {"Title 0", "Title 1", "Title 2"}


def test_an_edit_moves_no_boundary_in_other_sections() -> None:
    parts = [f"# Part {i}\n\n" + (PROSE * 4 + "\n\n") * (3 + i % 3) for i in range(8)]
    changed = [*parts]
    changed[2] = changed[2] + "One more paragraph of another length.\n\n" * 3
    for name in ("structure", "optimal"):
        before, after = markdown("".join(parts)), markdown("".join(changed))
        old = texts_of(before, spans_of(before, name, 128))
        new = texts_of(after, spans_of(after, name, 128))
        kept = [chunk for chunk in old if chunk not in parts[2]]
        assert set(kept) <= set(new), name


def test_overlap_begins_at_a_boundary_and_is_flagged() -> None:
    document = markdown(PROSE * 40)
    for name in ("recursive", "sentence", "optimal"):
        _, *others = spans_of(document, name, 100, overlap_tokens=20)
        assert others
        for span in others:
            assert span.overlap_chars >= len(PROSE) - 1
            assert document.text[span.start : span.end].startswith("Every sentence")


def test_target_is_met_and_no_crumb_is_left() -> None:
    document = markdown(PROSE * 60)
    tokens = TokenMap(document.text)
    for name in ("recursive", "sentence", "structure", "optimal"):
        sizes = [tokens.count(s.start, s.end) for s in spans_of(document, name, 200,
                                                               target_tokens=120)]  # fmt: skip
        assert min(sizes) >= 60, (name, sizes)
        # Between sentences that are all alike, every cut tears as much as one can.
        assert max(sizes) <= (180 if name == "optimal" else 160), (name, sizes)


def test_chinese_and_hindi_sentences_are_not_cut() -> None:
    for sentence, language in (("这是一个不太长的句子。", "zh"), ("यह एक वाक्य है। ", "hi")):
        text = sentence * 80
        document = Document(text=text, blocks=[Block("paragraph", 0, len(text))], language=language)
        for chunk in texts_of(document, spans_of(document, "sentence", 64)):
            assert chunk.endswith(sentence.strip()[-1]), language
            assert chunk.startswith(sentence[:3]), language


sizes_of_atoms = st.lists(st.integers(1, 30), min_size=1, max_size=9)


def total_cost(
    firsts: list[int],
    sizes: list[int],
    rooms: list[int],
    penalties: list[float],
    costs: list[float],
    units: list[int],
    straddle: float,
) -> float:
    """The cost of a segmentation; infinite where a chunk of several atoms is over its room."""
    total = 0.0
    for first, stop in zip(firsts, [*firsts[1:], len(rooms)], strict=True):
        size = sizes[stop] - sizes[first]
        total += penalties[first]
        if size <= rooms[first]:
            total += costs[size]
        else:
            total += 1e9 if stop == first + 1 else float("inf")
        inside = units[first] < first or (stop < len(units) and units[stop] < stop)
        if inside and units[stop - 1] > first:
            total += straddle
    return total


@given(sizes_of_atoms, st.integers(5, 40), st.sampled_from([0.0, 0.6, 1]), st.data())
@settings(deadline=None)
def test_cheapest_is_the_best_of_all_segmentations(
    lengths: list[int], target: int, straddle: float, data: st.DataObject
) -> None:
    room = 45
    sizes = [0]
    for length in lengths:
        sizes.append(sizes[-1] + length)
    count = len(lengths)

    def drawn(label: str, value: st.SearchStrategy[float]) -> list[float]:
        return data.draw(st.lists(value, min_size=count, max_size=count), label=label)

    penalties = drawn("penalties", st.floats(-1, 3))
    rooms = [int(limit) for limit in drawn("rooms", st.sampled_from([room, room, 30]))]
    begins = [i == 0 or bool(new) for i, new in enumerate(drawn("units", st.integers(0, 1)))]
    units = [max(i for i in range(j + 1) if begins[i]) for j in range(count)]
    costs = [((size - target) / target) ** 2 for size in range(room + 1)]

    def cost(firsts: list[int]) -> float:
        return total_cost(firsts, sizes, rooms, penalties, costs, units, straddle)

    found = cheapest(sizes, rooms, penalties, costs, units=units, straddle=straddle)
    best = min(
        cost([0, *(i + 1 for i in range(count - 1) if mask >> i & 1)])
        for mask in range(1 << (count - 1))
    )
    assert cost(found) == pytest.approx(best, rel=1e-9, abs=1e-6)


@given(sizes_of_atoms, st.integers(1, 60), st.data())
@settings(deadline=None)
def test_pack_keeps_the_room(lengths: list[int], target: int, data: st.DataObject) -> None:
    room = data.draw(st.integers(30, 60))
    sizes = [0]
    for length in lengths:
        sizes.append(sizes[-1] + length)
    strengths = data.draw(
        st.lists(st.sampled_from([0, 10, 40, 90]), min_size=len(lengths), max_size=len(lengths))
    )
    firsts = pack(sizes, strengths, [room] * len(lengths), target)
    assert firsts[0] == 0
    assert firsts == sorted(set(firsts))
    for first, stop in zip(firsts, [*firsts[1:], len(lengths)], strict=True):
        assert sizes[stop] - sizes[first] <= room or stop == first + 1
