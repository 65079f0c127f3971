"""How much is read to anchor feedback, and who may read what was said of words that are gone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lineage import Principal
from pipelines.feedback import Feedback, add_feedback, feedback_evidence, read_feedback
from pipelines.feedback.table import feedback_table
from pipelines.upkeep import forget
from pipelines.upkeep.compact import compact

NIGHTS, NOTES = 3, 3


def night(project: Any, number: int) -> None:
    """One run with some new documents: a part file in each table."""
    for note in range(NOTES):
        text = "".join(
            f"Gauge {number}-{note}-{n} was read at noon and stood low.\n\n" for n in range(9)
        )
        project.write(f"n{number}-{note}.md", f"# Night {number}\n\n{text}")
    project.ingest()
    project.transform()


@pytest.fixture
def filled(project: Any) -> Any:
    night(project, 0)
    return project


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Which part files were opened, and row groups read with which columns, how often."""
    counts: Counter[str] = Counter()
    init, read = pq.ParquetFile.__init__, pq.ParquetFile.read_row_group

    def counted_init(self: Any, source: Any, *args: Any, **kwargs: Any) -> None:
        counts["/".join(Path(str(source)).parts[-3:])] += 1
        init(self, source, *args, **kwargs)

    def counted_read(self: Any, i: int, columns: Any = None, **kwargs: Any) -> Any:
        counts[f"row group of {columns}"] += 1
        return read(self, i, columns=columns, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "__init__", counted_init)
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted_read)
    return counts


def chunk_files(counts: Counter[str]) -> Counter[str]:
    return Counter({name: n for name, n in counts.items() if name.startswith("default/data/")})


def test_the_tables_are_read_once_and_no_further_than_needed(
    project: Any, opened: Counter[str]
) -> None:
    for number in range(NIGHTS):
        night(project, number)
    chunks = project.chunks()
    assert len(chunks) > 2 * NIGHTS * NOTES
    opened.clear()
    items = [Feedback(f"q{n}", "click", chunk_id=c["chunk_id"]) for n, c in enumerate(chunks)]
    added = add_feedback(project.config, items)
    assert (added.added, added.problems) == (len(chunks), ())
    read = chunk_files(opened)
    assert len(read) == NIGHTS
    assert set(read.values()) == {1}
    # Each text once, however many chunks of it were judged.
    assert opened["row group of ['document_id', 'seq', 'op', 'text']"] == NIGHTS

    def click(words: str) -> None:
        chunk = next(c for c in chunks if words in c["text"])
        opened.clear()
        item = Feedback(words, "click", chunk_id=chunk["chunk_id"])
        assert add_feedback(project.config, [item]).added

    # Files older than the newest of what is asked for are not opened.
    click(f"Night {NIGHTS - 1}")
    assert len(chunk_files(opened)) == 1
    # Of files without it, no more than the ids are read.
    click("Night 0")
    assert len(chunk_files(opened)) == NIGHTS
    assert opened["row group of ['chunk_id']"] == NIGHTS
    assert sum(n for name, n in opened.items() if "lineage.content_seq" in name) == 1


def test_a_strategy_that_left_the_configuration_can_be_judged(filled: Any) -> None:
    chunk = filled.chunks()[0]
    filled.settings = {
        "strategies": [{"name": "other", "max_tokens": 64}],
        "sinks": [],
    }
    added = add_feedback(filled.config, [Feedback("gauge", "click", chunk_id=chunk["chunk_id"])])
    assert (added.added, added.problems) == (1, ())
    assert read_feedback(filled.config)[0]["strategy"] == "default"


def test_who_thinks_again_has_the_last_word(filled: Any) -> None:
    key = filled.chunks()[0]["chunk_id"]

    def thumb(grade: float) -> Any:
        item = Feedback("gauge", "thumb", chunk_id=key, user="amy", grade=grade)
        return add_feedback(filled.config, [item])

    assert [thumb(grade).added for grade in (1, 1, 0, 0, 1)] == [1, 0, 1, 0, 1]
    assert len(feedback_evidence(filled.config).evidence) == 1
    # One person of two minds is no conflict between two.
    click = Feedback("gauge", "click", chunk_id=key, user="amy")
    down = Feedback("gauge", "thumb", chunk_id=key, user="amy", grade=0)
    assert add_feedback(filled.config, [click, down]).conflicts == ()
    assert len(feedback_evidence(filled.config).evidence) == 0


def test_the_same_words_in_a_later_text_are_the_same_passage(filled: Any) -> None:
    def say(user: str, grade: float) -> Any:
        item = Feedback(
            "when", "correction", document="n0-0.md", quote="Gauge 0-0-3 was read at noon",
            user=user, grade=grade,
        )  # fmt: skip
        return add_feedback(filled.config, [item])

    assert say("amy", 2).conflicts == ()
    path = filled.root / "docs" / "n0-0.md"
    filled.write("n0-0.md", "A preface.\n\n" + path.read_text())
    filled.ingest()
    assert [(c["for"], c["against"]) for c in say("bob", 0).conflicts] == [(1, 1)]
    assert len(feedback_evidence(filled.config).evidence) == 0
    say("cat", 2)
    (question,) = feedback_evidence(filled.config).evidence.questions
    assert len(question.passages) == 1


def test_rights_to_a_new_text_are_none_to_the_old_one(project: Any) -> None:
    project.write("board.md", "The board meets on Mondays.\n\nSalaries rise by nine percent.")
    project.write("board.md.acl.yaml", "allow_groups: [board]\n")
    project.ingest()
    board, staff = Principal("bo", frozenset({"board"})), Principal("eve")
    for quote in ("Salaries rise by nine percent", "board meets on Mondays"):
        item = Feedback("q", "correction", document="board.md", quote=quote)
        assert add_feedback(project.config, [item]).added == 1
    # What is published says less than what the board had read.
    project.write("board.md", "The board meets on Mondays.\n\nIts minutes are public.")
    project.write("board.md.acl.yaml", "public\n")
    project.ingest()
    quotes = [row["quote"] for row in read_feedback(project.config, staff)]
    assert quotes == ["board meets on Mondays"]
    assert len(feedback_evidence(project.config, staff).evidence.questions[0].passages) == 1
    assert len(read_feedback(project.config, board)) == 1
    assert len(read_feedback(project.config)) == 2
    # Narrowed again, nobody else reads any of it.
    project.write("board.md.acl.yaml", "allow_groups: [board]\n")
    project.ingest()
    assert read_feedback(project.config, staff) == []
    assert len(read_feedback(project.config, board)) == 1


def test_what_was_said_of_a_forgotten_document_is_gone(filled: Any) -> None:
    mine = Feedback("noon", "correction", document="n0-0.md", quote="Gauge 0-0-3 was read at noon")
    other = Feedback("noon", "correction", document="n0-1.md", quote="Gauge 0-1-3 was read at noon")
    add_feedback(filled.config, [mine])
    add_feedback(filled.config, [other])
    done = forget.forget(filled.config, "n0-0.md", "run-1")
    assert {o.place for o in done.outcomes if "rows, and their history" in o.detail} == {"feedback"}
    assert [row["source_uri"][-7:] for row in read_feedback(filled.config)] == ["n0-1.md"]
    lake = filled.root / "state" / "lake" / "feedback"
    held = [path for path in lake.rglob("*") if path.is_file()]
    rows = [
        row
        for path in held
        if path.suffix == ".parquet" and "_delta_log" not in path.parts
        for row in pq.read_table(path).to_pylist()
    ]
    assert {row["source_uri"][-7:] for row in rows} == {"n0-1.md"}
    assert not any(b"Gauge 0-0-3" in path.read_bytes() for path in held)
    assert add_feedback(filled.config, [mine]).problems
    # Feedback goes on where it was.
    assert add_feedback(filled.config, [other]).duplicates == 1


def test_compaction_joins_the_files_of_single_pieces(filled: Any) -> None:
    keys = [chunk["chunk_id"] for chunk in filled.chunks()][:6]
    for key in keys:
        add_feedback(filled.config, [Feedback("gauge", "click", chunk_id=key, user="amy")])
    before = read_feedback(filled.config)
    assert len(feedback_table(filled.config.lake).files) == 6
    done = compact(filled.config)
    assert done.folded["feedback"].files_after == 1
    assert read_feedback(filled.config) == before
    assert len(feedback_table(filled.config.lake).files) == 1
    again = [Feedback("gauge", "click", chunk_id=key, user="amy") for key in keys]
    assert add_feedback(filled.config, again).duplicates == 6
    assert "feedback" not in compact(filled.config).folded
