"""Evidence is read from every format, found in the documents, and what is lost is named."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lineage import Acl, Document
from lineage.errors import ConfigError
from pipelines.evaluate.corpus import Corpus, corpus_of
from pipelines.evaluate.evidence import EvidenceError, EvidenceSet, Passage, Question
from pipelines.evaluate.evidence_files import read_evidence, write_evidence
from pipelines.evaluate.evidence_import import layout_of, read_beir, read_chroma
from pipelines.evaluate.resolve import resolve

LEAVE = "Everybody has twenty days of leave.\nSome have more.\nSome have more.\n"
PAY = "Pay day is the 25th."

VALUES: list[dict[str, Any]] = [
    {
        "id": "q1",
        "question": "How much leave?",
        "class": "lookup",
        "groups": ["staff", "hr"],
        "evidence": [
            {"document": "leave.md", "start": 14, "end": 34, "quote": LEAVE[14:34], "grade": 2.0},
            {"document": "leave.md", "quote": "Everybody has"},
        ],
    },
    {"id": "q2", "question": "What is the dress code?", "unanswerable": True},
]


def corpus(*texts: tuple[str, str], acl: Acl | None = None) -> Corpus:
    documents = [
        Document(text=text, document_id=f"id-{key}", source_uri=f"file:///d/{key}",
                 acl=acl or Acl.public())
        for key, text in texts
    ]  # fmt: skip
    return corpus_of(documents, [key for key, _ in texts])


BOTH = corpus(("leave.md", LEAVE), ("pay.md", PAY))


def one(passage: Passage, **more: Any) -> EvidenceSet:
    return EvidenceSet((Question("q", "?", (passage,), **more),))


def written(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"evidence.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(value) for value in VALUES))
    elif kind == "parquet":
        keys = dict.fromkeys(key for value in VALUES for key in value)
        rows = [{key: value.get(key) for key in keys} for value in VALUES]
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        columns = ["id", "question", "class", "groups", "unanswerable", "document", "start", "end",
                   "quote", "grade"]  # fmt: skip
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            for value in VALUES:
                own = {k: v for k, v in value.items() if k != "evidence"}
                own["groups"] = ";".join(value.get("groups", []))
                for passage in value.get("evidence", [{}]):
                    writer.writerow({**own, **passage})
    return path


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_the_same_set_in_every_format(tmp_path: Path, kind: str) -> None:
    found = read_evidence(written(tmp_path, kind))
    assert [question.as_value() for question in found.questions] == VALUES
    write_evidence(tmp_path / "again.jsonl", found)
    assert read_evidence(tmp_path / "again.jsonl").fingerprint == found.fingerprint


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{nope", "is not JSON"),
        ('{"text": "?"}', "unknown key 'text'"),
        ('{"question": " "}', "`question` must be text"),
        ('{"question": "?", "evidence": [{"quote": "a"}]}', "`document` must be"),
        ('{"question": "?", "evidence": [{"document": "a"}]}', "needs `start` and `end`, or a"),
        ('{"question": "?", "evidence": [{"document": "a", "start": 3}]}', "go together"),
        ('{"question": "?", "evidence": [{"document": "a", "start": 3, "end": 2}]}', "no stretch"),
        ('{"question": "?", "evidence": [{"document": "a", "start": "3", "end": 9}]}', "whole num"),
        ('{"question": "?", "evidence": [{"document": "a", "quote": "b", "grade": -1}]}', "grade"),
        (
            '{"question": "?", "evidence": [{"document": "a", "quote": "b", "grade": NaN}]}',
            "number",
        ),
        ('["?"]', "a question is a mapping"),
        ('{"question": "?", "evidence": ["a"]}', "a passage is a mapping"),
        (
            '{"question": "?", "unanswerable": true, '
            '"evidence": [{"document": "a", "quote": "b"}]}',
            "take one of the two out",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('{"question": "fine", "unanswerable": true}\n' + line)
    with pytest.raises(EvidenceError, match=r"e\.jsonl:2") as caught:
        read_evidence(path)
    assert says in str(caught.value)


def test_files_that_are_not_there_or_tell_no_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such evidence file"):
        read_evidence(tmp_path / "e.jsonl")
    with pytest.raises(ConfigError, match="is read from"):
        read_evidence(tmp_path / "e.xlsx")
    twice = tmp_path / "twice.jsonl"
    twice.write_text('{"id": "a", "question": "?"}\n' * 2)
    with pytest.raises(EvidenceError, match="ids are unique"):
        read_evidence(twice)


@pytest.mark.parametrize("name", ["leave.md", "id-leave.md", "file:///d/leave.md", "leave"])
def test_a_document_goes_by_any_of_its_names(name: str) -> None:
    (resolved,) = resolve(one(Passage(name, quote="twenty days")), BOTH).questions
    (found,) = resolved.found
    document = BOTH.documents[found.document].document
    assert document.text[found.start : found.end] == "twenty days"


@pytest.mark.parametrize(
    ("passage", "kind"),
    [
        (Passage("gone.md", quote="a"), "unknown_document"),
        (Passage("leave.md", quote="thirty days"), "quote_not_found"),
        (Passage("leave.md", 3, 9, "thirty days"), "quote_not_found"),
        (Passage("leave.md", quote="Some have more."), "quote_ambiguous"),
        (Passage("leave.md", 0, 5000), "out_of_range"),
        (Passage("leave.md", 0, 5, text_sha256="0" * 64), "changed"),
    ],
)
def test_what_points_nowhere_is_reported_and_left_out(passage: Passage, kind: str) -> None:
    resolution = resolve(one(passage), BOTH)
    assert not resolution.questions
    assert [problem.kind for problem in resolution.problems] == [kind]
    assert resolution.updated.questions[0].passages == (passage,)


def test_a_name_of_several_documents_is_ambiguous() -> None:
    two = corpus(("a/leave.md", LEAVE), ("b/leave.md", LEAVE))
    (problem,) = resolve(one(Passage("leave.md", quote="twenty days")), two).problems
    assert problem.kind == "ambiguous_document"


def test_a_question_without_evidence_is_reported() -> None:
    (problem,) = resolve(EvidenceSet((Question("q", "?"),)), BOTH).problems
    assert problem.kind == "no_evidence"


def test_a_quote_is_followed_to_where_it_moved() -> None:
    marked = one(Passage("leave.md", quote="twenty   days\nof leave"))
    before = resolve(marked, BOTH).updated
    (passage,) = before.questions[0].passages
    assert (passage.start, passage.quote) == (14, "twenty days of leave")
    edited = corpus(("leave.md", "# Leave\n\n" + LEAVE))
    after = resolve(before, edited)
    (found,) = after.questions[0].found
    assert (found.start, after.moved, after.problems) == (23, 1, ())


def test_an_irrelevant_passage_is_no_evidence() -> None:
    passage = Passage("pay.md", 0, 5, grade=0)
    resolution = resolve(one(passage), BOTH)
    assert not resolution.questions
    (problem,) = resolution.problems
    assert (problem.kind, "grade 0" in problem.message) == ("no_evidence", True)
    assert resolve(one(passage, unanswerable=True), BOTH).problems == ()
    judged = (*one(passage).questions[0].passages, Passage("leave.md", 0, 5))
    assert resolve(EvidenceSet((Question("q", "?", judged),)), BOTH).problems == ()


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    for name in ("e.jsonl", "e.csv"):
        (tmp_path / name).write_text("")
        with pytest.raises(EvidenceError, match="holds no question"):
            read_evidence(tmp_path / name)


def test_of_equal_sentences_the_one_at_the_offsets_is_meant_and_no_other() -> None:
    marked = one(Passage("leave.md", 52, 67, "Some have more."))
    ((found,),) = (r.found for r in resolve(marked, BOTH).questions)
    assert found.start == 52
    edited = corpus(("leave.md", "# Leave\n\n" + LEAVE))
    assert [p.kind for p in resolve(marked, edited).problems] == ["quote_ambiguous"]


def test_evidence_that_the_asker_may_not_read_does_not_count() -> None:
    private = corpus(("leave.md", LEAVE), acl=Acl("explicit", allow_groups=("hr",)))
    marked = one(Passage("leave.md", quote="twenty days"), groups=("staff",))
    assert [p.kind for p in resolve(marked, private).problems] == ["not_readable"]
    allowed = replace(marked, questions=(replace(marked.questions[0], groups=("hr",)),))
    assert len(resolve(allowed, private).questions) == 1


def test_the_chroma_layout(tmp_path: Path) -> None:
    references = json.dumps([{"content": "twenty days", "start_index": 14, "end_index": 25}])
    with open(tmp_path / "questions.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["question", "references", "corpus_id"], ["?", references, "leave"]])
    assert layout_of(tmp_path) == layout_of(tmp_path / "questions.csv") == "chroma"
    (resolved,) = resolve(read_chroma(tmp_path), BOTH).questions
    assert (resolved.found[0].start, resolved.found[0].end) == (14, 25)
    (tmp_path / "questions.csv").write_text("question,references,corpus_id\n?,[{}],leave\n")
    with pytest.raises(EvidenceError, match=r"questions\.csv:2"):
        read_chroma(tmp_path)


def test_the_beir_layout(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text(
        '{"_id": "1", "text": "leave?"}\n{"_id": "2", "text": "pay?"}\n'
    )
    (tmp_path / "qrels/test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n1\tleave\t2\n1\tpay\t0\n2\tnowhere\t1\n"
    )
    assert layout_of(tmp_path) == "beir"
    resolution = resolve(read_beir(tmp_path), BOTH)
    (resolved,) = resolution.questions
    (found,) = resolved.found
    assert (found.start, found.end, found.grade) == (0, len(LEAVE), 2)
    assert [problem.kind for problem in resolution.problems] == ["unknown_document"]
    with pytest.raises(ConfigError, match="--split"):
        read_beir(tmp_path, "dev")
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n3\tleave\t1\n")
    with pytest.raises(EvidenceError, match="query '3' is not in"):
        read_beir(tmp_path)


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_csv_with_another_separator_is_told(tmp_path: Path, separator: str, name: str) -> None:
    path = tmp_path / "e.csv"
    rows = (["question", "document", "quote"], ["Who?", "a.md", "Ann"])
    path.write_text("\n".join(separator.join(row) for row in rows))
    with pytest.raises(EvidenceError, match=f"separated by {name}; save it with commas"):
        read_evidence(path)
