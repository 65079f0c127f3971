"""One tree of spans: what a parent is, and that the smallest chunks are left alone."""

from __future__ import annotations

import dataclasses

import pytest

from chunkers import Span, TokenMap, build
from chunkers.blocks import scan
from chunkers.conformance import check
from chunkers.quality import measure
from chunkers.tokens import count_with_context
from lineage import ConfigError, Document

PROSE = "Every sentence of this paragraph is about as long as the last one was. "
PARENTS = [
    {"granularity": "section", "target_tokens": 300, "max_tokens": 400},
    {"granularity": "chapter", "target_tokens": 900, "max_tokens": 1200},
]


def markdown(text: str) -> Document:
    return Document(text=text, blocks=scan(text, "markdown"), data_type="markdown")


def handbook() -> Document:
    return markdown(
        "".join(
            f"# Chapter {i}\n\n{PROSE}\n\n"
            + "".join(f"## Part {i}.{j}\n\n{(PROSE * 4 + chr(10) * 2) * 3}" for j in range(3))
            for i in range(4)
        )
    )


def levels(spans: list[Span]) -> list[list[Span]]:
    return [[s for s in spans if s.level == n] for n in range(max(s.level for s in spans) + 1)]


def test_the_smallest_chunks_are_those_of_the_chunker_alone() -> None:
    document = handbook()
    alone = build("optimal", {"target_tokens": 80}, max_tokens=120)
    tree = build(
        "hierarchical",
        {"target_tokens": 80, "granularity": "passage", "parents": PARENTS},
        max_tokens=120,
    )
    small, sections, chapters = levels(check(tree, document))
    bare = [dataclasses.replace(span, parent=None, granularity="") for span in small]
    assert bare == alone.spans(document, TokenMap(document.text))
    assert {span.granularity for span in small} == {"passage"}
    assert {span.granularity for span in sections} == {"section"}
    assert len(small) > len(sections) > len(chapters) == 4


def test_parents_follow_the_sections() -> None:
    document = handbook()
    tree = build("hierarchical", {"target_tokens": 80, "parents": PARENTS}, max_tokens=120)
    _, sections, chapters = levels(check(tree, document))
    assert [chapter.heading_path for chapter in chapters] == [(f"Chapter {i}",) for i in range(4)]
    for chapter in chapters:
        assert document.text.startswith("# Chapter", chapter.start)
    assert all(len(section.heading_path) == 2 for section in sections)


def test_parents_have_their_own_cap_and_their_first_childs_context() -> None:
    text = f"# Title\n\n{(PROSE * 4 + chr(10) * 2) * 12}"
    document = markdown(text)
    parents = [{"granularity": "large", "target_tokens": 240, "max_tokens": 256}]
    tree = build("hierarchical", {"target_tokens": 60, "parents": parents}, max_tokens=80)
    spans = check(tree, document)
    small, large = levels(spans)
    tokens = TokenMap(text)
    assert {span.max_tokens for span in large} == {256}
    assert max(count_with_context(tokens, span) for span in large) <= 256
    assert min(count_with_context(tokens, span) for span in large) > 100
    for place, parent in enumerate(large):
        children = [span for span in small if span.parent == len(small) + place]
        assert (parent.start, parent.end) == (children[0].start, children[-1].end)
        assert parent.context == children[0].context


def test_overlap_is_flagged_at_every_level() -> None:
    document = markdown(PROSE * 80)
    tree = build("hierarchical", {"overlap_tokens": 16, "parents": PARENTS}, max_tokens=100)
    small, sections, _ = levels(check(tree, document))
    assert all(span.overlap_chars for span in small[1:])
    assert all(span.overlap_chars for span in sections[1:])


def test_an_edit_changes_no_parent_of_another_section() -> None:
    before = handbook()
    changed = before.text.replace("## Part 1.1\n\n", f"## Part 1.1\n\n{PROSE * 5}\n\n")
    after = markdown(changed)
    tree = build("hierarchical", {"target_tokens": 80, "parents": PARENTS}, max_tokens=120)

    def texts(document: Document) -> set[tuple[int, str]]:
        spans = tree.spans(document, TokenMap(document.text))
        return {(span.level, document.text[span.start : span.end]) for span in spans}

    gone = texts(before) - texts(after)
    assert {level for level, _ in gone} <= {0, 1, 2}
    for level, text in gone:
        assert level == 2 or "Part 1.1" in text or text.startswith(PROSE[:20]), text[:60]
    assert sum(level == 2 for level, _ in gone) == 1


def test_quality_holds_each_level_to_its_own_size() -> None:
    document = handbook()
    tree = build("hierarchical", {"target_tokens": 80, "parents": PARENTS}, max_tokens=120)
    tokens = TokenMap(document.text)
    spans = tree.spans(document, tokens)
    counts = [count_with_context(tokens, span) for span in spans]
    total, _ = measure(document, spans, counts, 120, 80)
    assert total.coverage == 1.0
    assert total.size_compliance is not None
    assert total.size_compliance > 0.8
    assert total.redundancy is not None
    assert total.redundancy < 0.15, "levels do not count as repetition of each other"


def test_any_chunker_can_make_the_smallest_ones() -> None:
    text = "\n".join(
        f"2026-01-02 03:04:{i % 60:02} INFO line number {i} of the log" for i in range(90)
    )
    document = Document(text=text, blocks=scan(text, "log"), data_type="log")
    for name in ("records", "fixed", "sentence", "recursive", "table"):
        spans = check(build("hierarchical", {"chunker": name}, max_tokens=60), document)
        assert len(levels(spans)) == 2


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"chunker": "hierarchical"}, "cannot be 'hierarchical' itself"),
        ({"chunker": "optimum"}, "did you mean 'optimal'"),
        ({"parents": []}, "one or two sizes"),
        ({"parents": "large"}, "one or two sizes"),
        ({"parents": [{"granularity": "a"}]}, "needs target_tokens"),
        ({"parents": [{"granularity": "a", "target": 3}]}, "did you mean 'target_tokens'"),
        ({"parents": [{**PARENTS[0], "max_tokens": 200, "target_tokens": 100}]}, "raise it"),
        ({"parents": [{**PARENTS[1], "max_tokens": 800}]}, "more than its max_tokens"),
        ({"parents": [PARENTS[0], {**PARENTS[1], "granularity": "section"}]}, "two sizes are"),
        ({"parameters": {"target_tokens": 3}}, "stands beside"),
        ({"parameters": {"size_wait": 3}}, "did you mean 'size_weight'"),
        ({"granularity": ""}, "must be a name"),
    ],
)
def test_mistakes_are_named(parameters: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build("hierarchical", parameters, max_tokens=256)
