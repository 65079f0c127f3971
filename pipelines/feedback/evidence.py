"""Feedback as evidence: what several people said of one passage becomes one grade, or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lineage import Acl, Principal, fingerprint
from pipelines.config import Config
from pipelines.evaluate.evidence import EvidenceSet, Passage, Question
from pipelines.feedback.lookup import texts_of
from pipelines.feedback.records import KINDS
from pipelines.feedback.table import feedback_table, read_rows
from pipelines.queries.find import known_documents
from pipelines.tables import Lake

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FeedbackEvidence:
    """The evidence, and what was left out of it."""

    evidence: EvidenceSet
    pieces: int
    """How many pieces of feedback it is made of."""
    conflicts: tuple[dict[str, Any], ...] = ()
    """Passages that are judged both ways as often, which count as no evidence."""


def read_feedback(config: Config, principal: Principal | None = None) -> list[dict[str, Any]]:
    """The feedback on documents that exist now, in the order in which it was given.

    Args:
        config: whose lake.
        principal: who asks: only what is about words that they may read now. Null for who may
            read the lake's files anyway.
    """
    table = feedback_table(config.lake)
    lake = Lake(config.lake)
    if not table.exists or not lake.documents.exists:
        return []
    rows = read_rows(table)
    ids = pa.array(sorted({row["document_id"] for row in rows}), pa.string())
    documents = known_documents(lake, ("document_id", "content_seq", "acl"))
    documents = documents.filter(pc.is_in(documents["document_id"], value_set=ids))
    known = {row["document_id"]: row for row in documents.to_pylist()}
    rows = [row for row in rows if row["document_id"] in known]
    if principal is None:
        return rows
    rows = [
        row for row in rows if Acl.from_dict(known[row["document_id"]]["acl"]).permits(principal)
    ]
    return _still_said(lake, rows, known)


def _still_said(
    lake: Lake, rows: Sequence[dict[str, Any]], documents: Mapping[str, Row]
) -> list[dict[str, Any]]:
    """The rows whose words are in the documents as they are now.

    Rights are those of a document's present text: they say nothing about who may read what it
    said before.
    """
    older: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    kept: set[int] = set()
    for row in rows:
        now = documents[row["document_id"]]["content_seq"]
        if row["content_seq"] == now:
            kept.add(id(row))
        elif now is not None and row["quote"] is not None:
            older[row["document_id"], now].append(row)
    for content, text in texts_of(lake, older.keys()):
        kept |= {id(row) for row in older[content] if row["quote"] in text}
    return [row for row in rows if id(row) in kept]


def feedback_evidence(config: Config, principal: Principal | None = None) -> FeedbackEvidence:
    """The feedback of a lake as an evidence set.

    Of one giver the newest word on a passage counts. Of different givers the strongest kind
    decides (correction, judgement, thumb, click), within it the majority; a tie is no evidence,
    and a conflict. A correction replaces larger passages around it. A question is asked by whoever
    gave feedback on it, where all of them have the same groups.
    """
    rows = read_feedback(config, principal)
    questions = [
        _question(query, own) for query, own in sorted(_by_query(rows).items(), key=lambda i: i[0])
    ]
    return FeedbackEvidence(
        EvidenceSet(tuple(q for q in questions if q.passages), "feedback"),
        len(rows),
        tuple(conflicts_of(rows, undecided=True)),
    )


def conflicts_of(rows: Iterable[Row], *, undecided: bool = False) -> list[dict[str, Any]]:
    """Passages that some find an answer and others do not, by votes of the kind that decides.

    Args:
        rows: feedback, in the order in which it was given.
        undecided: only those on which it decides nothing, because they are as many.

    Returns:
        The passages, each with its `query`, that `kind`, and how many are `for` it and `against`.
    """
    found = []
    for query, own in sorted(_by_query(rows).items()):
        for votes in _by_passage(own):
            words = _deciding(votes)
            up = sum(row["grade"] > 0 for row in words)
            down = len(words) - up
            if up and down and (not undecided or up == down):
                last = votes[-1]
                found.append(
                    {name: last[name] for name in ("document_id", "source_uri", "start", "end")}
                    | {"query": query, "kind": words[0]["kind"], "for": up, "against": down}
                )
    return found


def _question(query: str, rows: Sequence[Row]) -> Question:
    passages: list[tuple[int, Passage]] = []
    for votes in _by_passage(rows):
        decided = _decide(votes)
        if decided is None or decided[1] <= 0:
            continue
        last = votes[-1]
        passage = Passage(
            last["document_id"], last["start"], last["end"], last["quote"], decided[1],
            last["text_sha256"],
        )  # fmt: skip
        passages.append((decided[0], passage))
    corrected = [p for weight, p in passages if weight == KINDS["correction"][0]]
    kept = [
        passage
        for weight, passage in passages
        if weight == KINDS["correction"][0] or not any(_around(passage, c) for c in corrected)
    ]
    user, groups = _asker(rows)
    classes = [row["query_class"] for row in rows if row["query_class"]]
    return Question(
        id=f"feedback-{fingerprint(query)[:12]}",
        text=query,
        passages=tuple(sorted(kept, key=lambda p: (p.document, p.start or 0, p.end or 0))),
        query_class=classes[-1] if classes else "",
        user=user,
        groups=groups,
    )


def _asker(rows: Sequence[Row]) -> tuple[str | None, tuple[str, ...]]:
    """The groups that all have who gave feedback on a question, and the user if it was one.

    Passages are graded by all of them together. Where one differs, or gave no name, the question
    is nobody's in particular.
    """
    givers = {(row["user"], tuple(row["groups"] or ())) for row in rows}
    if (None, ()) in givers:
        return None, ()
    users, groups = {user for user, _ in givers}, {names for _, names in givers}
    if len(groups) > 1:
        return None, ()
    return users.pop() if len(users) == 1 else None, groups.pop()


def _around(outer: Passage, inner: Passage) -> bool:
    assert outer.start is not None
    assert outer.end is not None
    assert inner.start is not None
    assert inner.end is not None
    return (
        outer.document == inner.document and outer.start <= inner.start and inner.end <= outer.end
    )


def _by_query(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["query"]].append(row)
    return groups


def _by_passage(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of one query by the passage that they are about.

    In another text of the document it is where the same words are; of several such places, the
    nearest.
    """
    places: dict[tuple[str, str, int, int], list[Row]] = {}
    worded: dict[tuple[str, str], list[list[Row]]] = defaultdict(list)
    groups: list[list[Row]] = []
    for row in rows:
        place = (row["document_id"], row["text_sha256"], row["start"], row["end"])
        if place not in places:
            words = (row["document_id"], row["quote"]) if row["quote"] is not None else None
            elsewhere = [
                group
                for group in (worded[words] if words else ())
                if all(each["text_sha256"] != row["text_sha256"] for each in group)
            ]
            group = min(elsewhere, key=lambda g: abs(g[-1]["start"] - row["start"]), default=[])
            if not group:
                groups.append(group)
                if words:
                    worded[words].append(group)
            places[place] = group
        places[place].append(row)
    return groups


def _last_words(votes: Sequence[Row]) -> list[Row]:
    """The last word of each giver in their strongest kind; without a name, every word."""
    last: dict[Any, Row] = {}
    for number, row in enumerate(votes):
        giver = row["user"] if row["user"] is not None else number
        known = last.get(giver)
        if known is None or KINDS[row["kind"]][0] >= KINDS[known["kind"]][0]:
            last[giver] = row
    return list(last.values())


def _deciding(votes: Sequence[Row]) -> list[Row]:
    """Of the last words those of the strongest kind."""
    words = _last_words(votes)
    weight = max(KINDS[row["kind"]][0] for row in words)
    return [row for row in words if KINDS[row["kind"]][0] == weight]


def _decide(votes: Sequence[Row]) -> tuple[int, float] | None:
    """The weight of the kind that decided, and the grade; null for a tie."""
    words = _deciding(votes)
    weight = KINDS[words[0]["kind"]][0]
    grades = [row["grade"] for row in words]
    up = [grade for grade in grades if grade > 0]
    if 2 * len(up) == len(grades):
        return None
    if 2 * len(up) < len(grades):
        return weight, 0.0
    return weight, sum(up) / len(up)
