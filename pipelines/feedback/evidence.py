"""Feedback as evidence: what several people said of one passage becomes one grade, or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lineage import Acl, Principal, fingerprint
from pipelines.config import Config
from pipelines.evaluate.evidence import EvidenceSet, Passage, Question
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
        principal: who asks: only what is about documents that they may read now. Null for who
            may read the lake's files anyway.
    """
    table = feedback_table(config.lake)
    lake = Lake(config.lake)
    if not table.exists or not lake.documents.exists:
        return []
    acls = {
        row["document_id"]: Acl.from_dict(row["acl"])
        for row in known_documents(lake, ("document_id", "acl")).to_pylist()
    }
    return [
        row
        for row in read_rows(table)
        if row["document_id"] in acls
        and (principal is None or acls[row["document_id"]].permits(principal))
    ]


def feedback_evidence(config: Config, principal: Principal | None = None) -> FeedbackEvidence:
    """The feedback of a lake as an evidence set.

    Of one giver the newest word on a passage counts. Of different givers the strongest kind
    decides (correction, judgement, thumb, click), within it the majority; a tie is no evidence,
    and a conflict. A correction replaces larger passages around it.
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
    """Passages that some find an answer and others do not.

    Args:
        rows: feedback, in the order in which it was given.
        undecided: only those on which no kind of feedback decides.
    """
    found = []
    for query, own in sorted(_by_query(rows).items()):
        for (document, start, end), votes in _by_passage(own).items():
            newest = _newest(votes)
            up = sum(row["grade"] > 0 for row in newest)
            down = len(newest) - up
            if up and down and (not undecided or _decide(votes) is None):
                found.append(
                    {
                        "query": query,
                        "document_id": document,
                        "source_uri": votes[0]["source_uri"],
                        "start": start,
                        "end": end,
                        "for": up,
                        "against": down,
                    }
                )
    return found


def _question(query: str, rows: Sequence[Row]) -> Question:
    passages: list[tuple[int, Passage]] = []
    for (document, start, end), votes in _by_passage(rows).items():
        decided = _decide(votes)
        if decided is None or decided[1] <= 0:
            continue
        last = votes[-1]
        passage = Passage(document, start, end, last["quote"], decided[1], last["text_sha256"])
        passages.append((decided[0], passage))
    corrected = [p for weight, p in passages if weight == KINDS["correction"][0]]
    kept = [
        passage
        for weight, passage in passages
        if weight == KINDS["correction"][0] or not any(_around(passage, c) for c in corrected)
    ]
    classes = [row["query_class"] for row in rows if row["query_class"]]
    return Question(
        id=f"feedback-{fingerprint(query)[:12]}",
        text=query,
        passages=tuple(sorted(kept, key=lambda p: (p.document, p.start or 0, p.end or 0))),
        query_class=classes[-1] if classes else "",
    )


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


def _by_passage(rows: Iterable[Row]) -> dict[tuple[str, int, int], list[Row]]:
    groups: dict[tuple[str, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["document_id"], row["start"], row["end"]].append(row)
    return groups


def _newest(votes: Sequence[Row]) -> list[Row]:
    """The last word of each giver in each kind; of those who gave no name, every word."""
    last: dict[Any, Row] = {}
    for number, row in enumerate(votes):
        named = row["user"] is not None
        giver = (row["user"], row["kind"]) if named else number
        last[giver] = row
    return list(last.values())


def _decide(votes: Sequence[Row]) -> tuple[int, float] | None:
    """The weight of the kind that decided, and the grade; null for a tie."""
    newest = _newest(votes)
    weight = max(KINDS[row["kind"]][0] for row in newest)
    grades = [row["grade"] for row in newest if KINDS[row["kind"]][0] == weight]
    up = [grade for grade in grades if grade > 0]
    if 2 * len(up) == len(grades):
        return None
    if 2 * len(up) < len(grades):
        return weight, 0.0
    return weight, sum(up) / len(up)
