"""A piece of feedback as it is given, and the lines of a file of them.

{"query": "days of leave", "kind": "judgement", "grade": 2, "chunk_id": "4e0c…"}
{"query": "days of leave", "kind": "click", "chunk_id": "4e0c…", "user": "nadia"}
{"query": "days of leave", "kind": "thumb", "value": "down", "chunk_id": "77ab…"}
{"query": "days of leave", "kind": "correction", "document": "handbook/leave.md",
 "quote": "twenty days of leave"}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chunkers.suggest import unknown
from lineage import Principal

KINDS: Mapping[str, tuple[int, float]] = {
    "correction": (3, 2.0),
    "judgement": (2, 1.0),
    "thumb": (1, 1.0),
    "click": (0, 1.0),
}
"""How much a kind weighs against the others, and the grade that it gives by itself."""

MOST_GRADE = 3.0
MOST_QUERY = 2_000
"""Characters of a query."""
KEYS = (
    "query", "kind", "value", "grade", "chunk_id", "document", "start", "end", "quote", "user",
    "groups", "class",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody thought of a passage, as an answer to a query.

    The passage is a chunk, of any strategy that the lake has or had, or a span or quote of a
    document. For a correction it is what should have been found.

    Raises:
        ValueError: an unknown kind, a grade out of range, or no passage or two.
    """

    query: str
    kind: str = "judgement"
    chunk_id: str | None = None
    document: str | None = None
    """Its id, source URI, or key relative to its source's root."""
    start: int | None = None
    end: int | None = None
    quote: str | None = None
    grade: float | None = None
    """From 0, which says that it is no answer, to 3; by default what the kind says."""
    user: str | None = None
    groups: tuple[str, ...] = ()
    """Who gave it. What they may not read they cannot judge."""
    query_class: str = ""

    def __post_init__(self) -> None:
        if not self.query.strip() or len(self.query) > MOST_QUERY:
            raise ValueError(f"`query` must be text of at most {MOST_QUERY} characters")
        if self.kind not in KINDS:
            raise ValueError(unknown("kind", self.kind, KINDS))
        if self.grade is not None and not 0 <= self.grade <= MOST_GRADE:
            raise ValueError(f"`grade` must be from 0 to {MOST_GRADE:g}, not {self.grade}")
        if self.kind == "judgement" and self.grade is None:
            raise ValueError("a judgement needs a `grade`")
        if (self.chunk_id is None) == (self.document is None):
            raise ValueError("give a `chunk_id`, or a `document`")
        if (self.start is None) != (self.end is None):
            raise ValueError("`start` and `end` go together")
        if self.start is not None and self.end is not None and not 0 <= self.start < self.end:
            raise ValueError(f"[{self.start}:{self.end}] is no stretch of a text")
        if self.document is not None and self.start is None and not (self.quote or "").strip():
            raise ValueError("a `document` needs `start` and `end`, or a `quote`")

    @property
    def value(self) -> float:
        """The grade."""
        return KINDS[self.kind][1] if self.grade is None else self.grade

    @property
    def giver(self) -> Principal | None:
        """Who gave it; null when that is not known, as for a file of an operator's."""
        if self.user is None and not self.groups:
            return None
        return Principal(self.user, frozenset(self.groups))


def from_value(value: object) -> Feedback:
    """A piece of feedback from its written form.

    Raises:
        ValueError: what is wrong, and with which key.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping, not {value!r}")
    for key in value:
        if key not in KEYS:
            raise ValueError(unknown("key", str(key), KEYS))
    given: dict[str, Any] = {key: item for key, item in value.items() if item is not None}
    for key in ("query", "kind", "value", "chunk_id", "document", "quote", "user", "class"):
        if key in given and not isinstance(given[key], str):
            raise ValueError(f"`{key}` must be text, not {given[key]!r}")
    for key, types in (("start", int), ("end", int), ("grade", int | float)):
        if key in given and (isinstance(given[key], bool) or not isinstance(given[key], types)):
            raise ValueError(f"`{key}` must be a number, not {given[key]!r}")
    groups = given.pop("groups", [])
    if not isinstance(groups, list) or not all(isinstance(name, str) and name for name in groups):
        raise ValueError(f"`groups` must be a list of names, not {groups!r}")
    word = given.pop("value", None)
    if word is not None:
        if given.get("kind") != "thumb" or word not in ("up", "down"):
            raise ValueError(f"`value` is up or down, for the kind thumb; not {word!r}")
        given["grade"] = 1.0 if word == "up" else 0.0
    if "query" not in given:
        raise ValueError("`query` is missing")
    if "class" in given:
        given["query_class"] = given.pop("class")
    return Feedback(**given, groups=tuple(groups))


def read_lines(lines: Iterable[str]) -> tuple[list[tuple[int, Feedback]], list[tuple[int, str]]]:
    """The feedback in lines of JSON, and for each line that is none why; all with line numbers."""
    found, problems = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append((number, from_value(json.loads(line))))
        except json.JSONDecodeError as error:
            problems.append((number, f"is not JSON: {error}"))
        except ValueError as error:
            problems.append((number, str(error)))
    return found, problems
