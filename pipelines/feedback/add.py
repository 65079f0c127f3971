"""Adding feedback: anchored, without repetition, in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lineage import fingerprint
from pipelines.config import Config
from pipelines.feedback.anchor import Anchored, anchor
from pipelines.feedback.evidence import Row, conflicts_of
from pipelines.feedback.records import Feedback
from pipelines.feedback.table import append, feedback_table, rows_about
from pipelines.options import new_run_id
from pipelines.tables import Table


@dataclass(frozen=True, slots=True)
class Added:
    """What became of some pieces of feedback."""

    added: int
    duplicates: int
    """The same giver had said the same before."""
    conflicts: tuple[dict[str, Any], ...]
    """Passages on which this feedback disagrees with other feedback; see `conflicts_of`."""
    problems: tuple[tuple[int, str], ...]
    """For each piece that was not kept its place, from 0, and why."""
    touched: frozenset[tuple[str, str]] = frozenset()
    """What something was added to, as (query, document id): `conflicts` has all that is disputed
    there."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {
            "added": self.added,
            "duplicates": self.duplicates,
            "conflicts": list(self.conflicts),
            "problems": [{"item": place, "message": message} for place, message in self.problems],
        }


def add_feedback(config: Config, items: Sequence[Feedback]) -> Added:
    """Keep feedback in the lake of `config`.

    What cannot be anchored, or is about something that its giver may not read, is left out and
    reported; the rest is added in one commit.

    Raises:
        CommitConflict: others kept adding at the same time; nothing was added.
    """
    now = datetime.now(UTC)
    problems: list[tuple[int, str]] = []
    rows: list[dict[str, Any]] = []
    for place, outcome in enumerate(anchor(config, items)):
        if isinstance(outcome, str):
            problems.append((place, outcome))
        else:
            rows.append(_row(config, outcome, now))
    queries = {row["query"] for row in rows}
    table = feedback_table(config.lake)
    known: list[dict[str, Any]] = []

    def new(table: Table) -> list[dict[str, Any]]:
        known[:] = rows_about(table, queries)
        return _unsaid(known, rows)

    added = append(table, config.name, new, new_run_id()) if rows else []
    touched = frozenset((row["query"], row["document_id"]) for row in added)
    conflicts = [
        conflict
        for conflict in conflicts_of([*known, *added])
        if (conflict["query"], conflict["document_id"]) in touched
    ]
    return Added(len(added), len(rows) - len(added), tuple(conflicts), tuple(problems), touched)


def _unsaid(known: Sequence[Row], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of `rows` those that say something else than their giver's last word on the passage.

    Of those who gave no name nobody knows who thought again: the same is not said twice.
    """
    last: dict[Any, str] = {}
    unsaid = []

    def key(row: Row) -> Any:
        if row["user"] is None:
            return row["feedback_id"]
        names = ("query", "document_id", "text_sha256", "start", "end", "kind", "user")
        return tuple(row[name] for name in names)

    for row in known:
        last[key(row)] = row["feedback_id"]
    for row in rows:
        if last.get(key(row)) != row["feedback_id"]:
            last[key(row)] = row["feedback_id"]
            unsaid.append(row)
    return unsaid


def _row(config: Config, each: Anchored, now: datetime) -> dict[str, Any]:
    item = each.feedback
    query = " ".join(item.query.split())
    groups = sorted(set(item.groups))
    return {
        "feedback_id": fingerprint(
            [query, each.document_id, each.start, each.end, item.kind, item.value, item.user,
             groups, each.text_sha256]
        ),
        "document_id": each.document_id,
        "pipeline": config.name,
        "query": query,
        "query_class": item.query_class,
        "kind": item.kind,
        "grade": float(item.value),
        "start": each.start,
        "end": each.end,
        "quote": each.quote,
        "text_sha256": each.text_sha256,
        "source_uri": each.source_uri,
        "content_seq": each.content_seq,
        "chunk_id": item.chunk_id,
        "strategy": each.strategy,
        "user": item.user,
        "groups": groups,
        "given_at": now,
    }  # fmt: skip
