from __future__ import annotations

import json
from typing import Any

import pytest

from lineage import Acl, Principal
from pipelines.evaluate.corpus import read_corpus
from pipelines.evaluate.resolve import resolve
from pipelines.feedback import Feedback, add_feedback, feedback_evidence, read_feedback, read_lines
from pipelines.feedback.table import feedback_table

LEAVE = (
    "# Leave\n\nEverybody has twenty days of leave in a year. The manager signs the form.\n\n"
    "## Sickness\n\nWhoever is sick calls before nine. A note is due on the third day.\n"
)


@pytest.fixture
def filled(project: Any) -> Any:
    project.write("leave.md", LEAVE)
    project.write("board.md", "The board meets on Mondays. It decides about salaries.")
    project.write("board.md.acl.yaml", "allow_groups: [board]\n")
    project.ingest()
    project.transform()
    return project


def chunk(project: Any, words: str) -> dict[str, Any]:
    return next(c for c in project.chunks() if words in c["text"])


def passages(project: Any) -> list[tuple[str, str, float]]:
    """(question, passage's text as it stands in the documents now, grade)."""
    evidence = feedback_evidence(project.config).evidence
    corpus = read_corpus(project.config)
    return [
        (r.question.text, corpus.documents[f.document].document.text[f.start : f.end], f.grade)
        for r in resolve(evidence, corpus).questions
        for f in r.found
    ]


def test_feedback_on_a_chunk_scores_chunkings_that_did_not_exist_then(filled: Any) -> None:
    given = chunk(filled, "twenty days")
    added = add_feedback(
        filled.config,
        [Feedback("days  of\nleave", "thumb", chunk_id=given["chunk_id"], user="amy")],
    )
    assert (added.added, added.duplicates, added.problems) == (1, 0, ())
    assert passages(filled) == [("days of leave", given["text"], 1.0)]
    # Another policy, another text around it: the chunk is gone, what was meant is not.
    filled.settings = {
        "strategies": [{"name": "default", "max_tokens": 16, "policy": {"default": "fixed"}}]
    }
    filled.write("leave.md", "A preface that was not there.\n\n" + LEAVE)
    filled.ingest()
    filled.transform()
    assert given["chunk_id"] not in {c["chunk_id"] for c in filled.chunks()}
    assert passages(filled) == [("days of leave", given["text"], 1.0)]
    from pipelines.evaluate.strategy import evaluate_strategy

    corpus = read_corpus(filled.config)
    resolved = resolve(feedback_evidence(filled.config).evidence, corpus).questions
    measured = evaluate_strategy(corpus, filled.config.strategy("default"), resolved)
    # What the words find of it; chunks without any of them come from no ranking.
    assert 0.5 < measured.metrics()["recall_at_1000_tokens"] <= 1.0
    # Feedback on the old chunk can still come in.
    late = add_feedback(
        filled.config, [Feedback("leave", "click", chunk_id=given["chunk_id"], user="bob")]
    )
    assert late.added == 1


def test_the_same_said_again_is_no_more_evidence(filled: Any) -> None:
    given = chunk(filled, "twenty days")["chunk_id"]
    items = [
        Feedback("leave", "click", chunk_id=given, user="amy"),
        Feedback(" leave ", "click", chunk_id=given, user="amy"),
        Feedback("leave", "click", chunk_id=given, user="bob"),
    ]
    first = add_feedback(filled.config, items)
    assert (first.added, first.duplicates) == (2, 1)
    again = add_feedback(filled.config, items)
    assert (again.added, again.duplicates) == (0, 3)
    assert feedback_table(filled.config.lake).seq == 1
    assert len(passages(filled)) == 1


def test_conflicting_judgements_are_decided_by_rule_and_reported(filled: Any) -> None:
    given = chunk(filled, "twenty days")["chunk_id"]

    def say(user: str, kind: str, grade: float) -> Any:
        item = Feedback("leave", kind, chunk_id=given, user=user, grade=grade)
        return add_feedback(filled.config, [item])

    assert say("amy", "thumb", 1).conflicts == ()
    said = say("bob", "thumb", 0)
    assert [(c["query"], c["for"], c["against"]) for c in said.conflicts] == [("leave", 1, 1)]
    found = feedback_evidence(filled.config)
    assert (found.evidence.questions, len(found.conflicts)) == ((), 1)
    say("cat", "thumb", 1)
    assert [grade for *_, grade in passages(filled)] == [1.0]
    # A judgement weighs more than any number of thumbs.
    say("dan", "judgement", 0)
    assert passages(filled) == []
    # And its giver may think again.
    say("dan", "judgement", 3)
    assert [grade for *_, grade in passages(filled)] == [3.0]
    assert feedback_evidence(filled.config).conflicts == ()


def test_votes_that_do_not_count_are_not_counted(filled: Any) -> None:
    given = chunk(filled, "twenty days")["chunk_id"]
    items = [
        Feedback("leave", "judgement", chunk_id=given, user="nadia", grade=2),
        Feedback("leave", "judgement", chunk_id=given, user="omar", grade=0),
        Feedback("leave", "click", chunk_id=given),
    ]
    (said,) = add_feedback(filled.config, items).conflicts
    assert (said["kind"], said["for"], said["against"]) == ("judgement", 1, 1)
    assert feedback_evidence(filled.config).conflicts == (said,)


def test_who_asks_is_who_gave_it_where_all_agree(filled: Any) -> None:
    given = chunk(filled, "twenty days")["chunk_id"]

    def asker(query: str, *givers: tuple[str | None, tuple[str, ...]]) -> Principal | None:
        items = [
            Feedback(query, "click", chunk_id=given, user=user, groups=groups)
            for user, groups in givers
        ]
        assert add_feedback(filled.config, items).added == len(items)
        questions = feedback_evidence(filled.config).evidence.questions
        return next(each for each in questions if each.text == query).principal

    staff = ("staff",)
    assert asker("one", ("amy", staff)) == Principal("amy", frozenset(staff))
    assert asker("groups", ("amy", staff), ("bob", staff)) == Principal(None, frozenset(staff))
    assert asker("user", ("amy", staff), ("amy", ("board",))) is None
    assert asker("nobody", ("amy", staff), ("bob", ("board",))) is None
    assert asker("no name", ("amy", staff), (None, ())) is None
    # What such a reader may not read is not retrieved for the question.
    corpus = read_corpus(filled.config)
    resolved = resolve(feedback_evidence(filled.config).evidence, corpus).questions
    assert len(resolved) == 5


def test_a_correction_replaces_the_chunk_around_it(filled: Any) -> None:
    given = chunk(filled, "twenty days")
    add_feedback(filled.config, [Feedback("leave", "click", chunk_id=given["chunk_id"])])
    quote = "twenty days of leave"
    add_feedback(filled.config, [Feedback("leave", "correction", document="leave.md", quote=quote)])
    assert passages(filled) == [("leave", quote, 2.0)]


def test_only_who_may_read_a_passage_can_judge_it_or_read_what_was_said(filled: Any) -> None:
    secret = chunk(filled, "board meets")["chunk_id"]
    refused = add_feedback(
        filled.config, [Feedback("salaries", "click", chunk_id=secret, user="eve")]
    )
    unknown = add_feedback(
        filled.config, [Feedback("salaries", "click", chunk_id="0" * 32, user="eve")]
    )
    assert refused.added == unknown.added == 0
    assert refused.problems == unknown.problems
    one = Feedback("salaries", "click", chunk_id=secret, user="bo", groups=("board",))
    assert add_feedback(filled.config, [one]).added == 1
    board, staff = Principal("bo", frozenset({"board"})), Principal("eve")
    assert len(read_feedback(filled.config, board)) == len(read_feedback(filled.config)) == 1
    assert read_feedback(filled.config, staff) == []
    assert len(feedback_evidence(filled.config, staff).evidence) == 0
    # Rights are those of now: who lost them reads nothing any more.
    filled.write("board.md.acl.yaml", "allow_groups: [ceo]\n")
    filled.ingest()
    assert read_feedback(filled.config, board) == []
    filled.write("board.md.acl.yaml", "public\n")
    filled.ingest()
    assert len(read_feedback(filled.config, staff)) == 1
    (filled.root / "docs" / "board.md").unlink()
    (filled.root / "docs" / "board.md.acl.yaml").unlink()
    filled.ingest(allow_deletes=True)
    assert read_feedback(filled.config) == []


def test_what_cannot_be_anchored_is_reported_and_the_rest_kept(filled: Any) -> None:
    items = [
        Feedback("a", "correction", document="leave.md", quote="no such words"),
        Feedback("b", "correction", document="leave.md", quote="is"),
        Feedback("c", "correction", document="nothing.md", quote="x"),
        Feedback("d", "correction", document="leave.md", start=0, end=10_000),
        Feedback("e", "correction", document="leave.md", start=2, end=7),
    ]
    added = add_feedback(filled.config, items)
    assert added.added == 1
    said = dict(added.problems)
    assert "is nowhere in" in said[0]
    assert "places in" in said[1]
    assert "no such passage" in said[2]
    assert "beyond the" in said[3]
    assert passages(filled) == [("e", "Leave", 2.0)]


@pytest.mark.parametrize(("other", "kept"), [("another", 2), ("mine", 1)])
def test_writers_at_the_same_time_each_get_their_turn(
    filled: Any, monkeypatch: Any, other: str, kept: int
) -> None:
    given = chunk(filled, "twenty days")["chunk_id"]
    from pipelines.feedback import table as module

    begin = module.Table.begin
    raced = []

    def race(table: Any, *args: Any) -> Any:
        batch = begin(table, *args)
        if not raced and table.name == "feedback":
            raced.append(1)
            add_feedback(filled.config, [Feedback(other, "click", chunk_id=given)])
        return batch

    monkeypatch.setattr(module.Table, "begin", race)
    mine = add_feedback(filled.config, [Feedback("mine", "click", chunk_id=given)])
    assert (mine.added, mine.duplicates) == (kept - 1, 2 - kept)
    queries = [row["query"] for row in read_feedback(filled.config)]
    assert sorted(queries) == sorted({other, "mine"})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a mapping"),
        ('{"kind": "click", "chunk_id": "a"}', "`query` is missing"),
        ('{"query": "q", "kind": "clik", "chunk_id": "a"}', "did you mean 'click'"),
        ('{"query": "q", "kind": "judgement", "chunk_id": "a"}', "a judgement needs a `grade`"),
        ('{"query": "q", "kind": "judgement", "grade": 9, "chunk_id": "a"}', "from 0 to 3"),
        ('{"query": "q", "kind": "click"}', "give a `chunk_id`, or a `document`"),
        ('{"query": "q", "kind": "click", "chunk_id": 5}', "`chunk_id` must be text"),
        ('{"query": "q", "kind": "click", "chunk_id": "a", "value": "up"}', "for the kind thumb"),
        ('{"query": "q", "kind": "click", "chunk_id": "a", "grad": 1}', "did you mean 'grade'"),
        ('{"query": "q", "kind": "correction", "document": "d"}', "needs `start` and `end`"),
        ('{"query": "q", "kind": "correction", "document": "d", "start": 5, "end": 5}', "stretch"),
        ('{"query": "q", "kind": "click", "chunk_id": "a", "groups": "x"}', "a list of names"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(line: str, says: str) -> None:
    good = '{"query": "q", "kind": "click", "chunk_id": "a"}'
    found, problems = read_lines([good, "", line])
    assert [number for number, _ in found] == [1]
    assert problems[0][0] == 3
    assert says in problems[0][1]


def test_the_verb(filled: Any) -> None:
    given = chunk(filled, "twenty days")["chunk_id"]
    lines = [
        {"query": "leave", "kind": "thumb", "value": "up", "chunk_id": given, "user": "amy"},
        {"query": "leave", "kind": "thumb", "value": "down", "chunk_id": given, "user": "bob"},
        {"query": "when", "kind": "correction", "document": "leave.md", "quote": "before nine"},
        {"query": "when", "kind": "correction", "document": "leave.md", "quote": "after ten"},
    ]
    path = filled.root / "feedback.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\nnonsense\n")
    config = str(filled.config_path)
    code, value, errors = filled.call("feedback", config, "add", str(path), "--json")
    assert (code, errors) == (3, "")
    assert (value["added"], len(value["conflicts"])) == (3, 1)
    assert [problem["line"] for problem in value["problems"]] == [4, 5]
    code, value, _ = filled.call("feedback", config, "list", "--json", "--user", "amy")
    assert (code, len(value["feedback"])) == (0, 3)
    output = filled.root / "evidence.jsonl"
    code, value, _ = filled.call("feedback", config, "evidence", "--output", str(output), "--json")
    assert (code, value["questions"]) == (0, 1)
    from pipelines.evaluate.evidence_files import read_evidence

    assert read_evidence(output).questions[0].text == "when"
    code, _, errors = filled.call("feedback", config, "add")
    assert (code, "needs what to read" in errors) == (2, True)


def test_what_a_later_part_of_a_file_settles_is_not_disputed(
    filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = chunk(filled, "twenty days")["chunk_id"]
    words = [("amy", "up"), ("bob", "down"), ("bob", "up"), ("cat", "down")]
    path = filled.root / "feedback.jsonl"
    monkeypatch.setattr("pipelines.cli.feedback.AT_A_TIME", 1)
    for number, disputed in ((3, []), (4, [(2, 1)])):
        path.write_text(
            "\n".join(
                json.dumps({"query": "leave", "kind": "thumb", "value": value, "chunk_id": given,
                            "user": user})
                for user, value in words[:number]
            )
        )  # fmt: skip
        _, value, _ = filled.call("feedback", str(filled.config_path), "add", str(path), "--json")
        assert [(c["for"], c["against"]) for c in value["conflicts"]] == disputed


def test_an_empty_lake_has_no_feedback(project: Any) -> None:
    added = add_feedback(project.config, [Feedback("q", "click", chunk_id="0" * 32)])
    assert added.problems == ((0, "nothing was ingested yet"),)
    assert read_feedback(project.config) == []
    assert Acl.public().permits(Principal())
