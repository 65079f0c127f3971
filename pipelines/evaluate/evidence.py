"""Evidence sets: questions, and the spans of documents that answer them.

A span is of the source document, not of a chunk, so one set scores any chunking, now and later. It
is written as offsets, as a quote, or both; with both, or with the hash of the text that it was
marked in, a later check can tell whether it still means the same (`pipelines.evaluate.resolve`).

    {"id": "q1", "question": "How many days of leave?", "class": "lookup", "groups": ["staff"],
     "evidence": [{"document": "handbook/leave.md", "quote": "twenty days of leave", "grade": 2}]}
    {"id": "q2", "question": "What is the dress code?", "unanswerable": true}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lineage import Principal, fingerprint
from lineage.errors import TerminalError

QUESTION_KEYS = ("id", "question", "class", "user", "groups", "unanswerable", "evidence")
PASSAGE_KEYS = ("document", "start", "end", "quote", "whole", "grade", "text_sha256")


class EvidenceError(TerminalError):
    """An evidence file that cannot be read as one; the message names file, line and key."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document that answers a question, as it was written down.

    Raises:
        ValueError: neither a span nor a quote, half a span, or a grade below 0.
    """

    document: str
    """Its id, its source URI, or its key relative to its source's root."""
    start: int | None = None
    end: int | None = None
    """Code points of the document's text, half-open."""
    quote: str | None = None
    """The stretch itself, for finding it again."""
    grade: float = 1.0
    """How much it is worth; 0 is judged and irrelevant, and counts as no evidence."""
    text_sha256: str | None = None
    """Of the document's text in which the offsets were taken."""
    whole: bool = False
    """All of the document, however long it is."""

    def __post_init__(self) -> None:
        if (self.start is None) != (self.end is None):
            raise ValueError("`start` and `end` go together")
        if self.whole and (self.start is not None or self.quote):
            raise ValueError("`whole` stands for all of the document: take the others out")
        if self.start is None and not self.whole and not (self.quote or "").strip():
            raise ValueError("needs `start` and `end`, or a `quote`, or `whole: true`")
        if self.start is not None and self.end is not None and not 0 <= self.start < self.end:
            raise ValueError(f"[{self.start}:{self.end}] is no stretch of a text")
        if self.grade < 0:
            raise ValueError(f"`grade` is {self.grade}; it must be 0 or more")

    def as_value(self) -> dict[str, Any]:
        """The written form, without what is not set."""
        value: dict[str, Any] = {"document": self.document}
        for key in ("start", "end", "quote", "text_sha256"):
            if getattr(self, key) is not None:
                value[key] = getattr(self, key)
        if self.whole:
            value["whole"] = True
        if self.grade != 1:
            value["grade"] = self.grade
        return value


@dataclass(frozen=True, slots=True)
class Question:
    """Something that people ask, and where the answer stands."""

    id: str
    text: str
    passages: tuple[Passage, ...] = ()
    query_class: str = ""
    """What kind of question it is: `lookup`, `analysis` …"""
    user: str | None = None
    groups: tuple[str, ...] = ()
    """Who asks. With neither a user nor groups, retrieval is not trimmed to any reader."""
    unanswerable: bool = False
    """The documents hold no answer, and retrieval should find nothing worth reading."""

    @property
    def principal(self) -> Principal | None:
        """Who asks; null when nobody in particular does."""
        if self.user is None and not self.groups:
            return None
        return Principal(self.user, frozenset(self.groups))

    def as_value(self) -> dict[str, Any]:
        """The written form: a line of an evidence file."""
        value: dict[str, Any] = {"id": self.id, "question": self.text}
        if self.query_class:
            value["class"] = self.query_class
        if self.user is not None:
            value["user"] = self.user
        if self.groups:
            value["groups"] = list(self.groups)
        if self.unanswerable:
            value["unanswerable"] = True
        if self.passages:
            value["evidence"] = [passage.as_value() for passage in self.passages]
        return value


@dataclass(frozen=True, slots=True)
class EvidenceSet:
    """Questions with their evidence, in the order in which they were written down."""

    questions: tuple[Question, ...] = ()
    origin: str = ""
    """The file."""

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def fingerprint(self) -> str:
        """Changes when any question or passage does; the file's name is not part of it."""
        return fingerprint([question.as_value() for question in self.questions])

    @property
    def documents(self) -> list[str]:
        """The documents that have evidence, as they are written, without repetition."""
        return list(dict.fromkeys(p.document for q in self.questions for p in q.passages))

    def joined(self, other: EvidenceSet) -> EvidenceSet:
        """Both; of questions with the same id, those of `other` win."""
        merged = {question.id: question for question in (*self.questions, *other.questions)}
        return EvidenceSet(
            tuple(merged.values()), ", ".join(filter(None, (self.origin, other.origin)))
        )


def question_from(value: object, place: str, number: int) -> Question:
    """A question from its written form.

    Args:
        value: the mapping.
        place: where it stands, for messages.
        number: its place among the questions, from 1; names one without `id`.

    Raises:
        EvidenceError: an unknown key, a missing or wrong value.
    """
    value = _mapping(
        value,
        QUESTION_KEYS,
        place,
        'question is a mapping, for example {"question": "…", "evidence": [{"document": "a.md", '
        '"quote": "…"}]}',
    )
    text = _text(value, "question", place, "text")
    passages = value.get("evidence") or []
    if not isinstance(passages, Sequence) or isinstance(passages, str):
        raise EvidenceError(f"{place}: `evidence` must be a list of passages, not {passages!r}")
    identifier = value.get("id")
    unanswerable = value.get("unanswerable") or False
    if not isinstance(unanswerable, bool):
        raise EvidenceError(f"{place}: `unanswerable` must be true or false, not {unanswerable!r}")
    question = Question(
        id=str(identifier) if identifier not in (None, "") else f"q{number}",
        text=text,
        passages=tuple(
            passage_from(item, f"{place}: evidence[{n}]") for n, item in enumerate(passages)
        ),
        query_class=str(value.get("class") or ""),
        user=None if value.get("user") in (None, "") else str(value["user"]),
        groups=_names(value.get("groups"), place),
        unanswerable=unanswerable,
    )
    if question.unanswerable and any(passage.grade > 0 for passage in question.passages):
        raise EvidenceError(
            f"{place}: the question is `unanswerable` and has evidence; take one of the two out"
        )
    return question


def passage_from(value: object, place: str) -> Passage:
    """A passage from its written form.

    Raises:
        EvidenceError: an unknown key, a missing or wrong value.
    """
    value = _mapping(
        value,
        PASSAGE_KEYS,
        place,
        'passage is a mapping, for example {"document": "a.md", "start": 0, "end": 40}',
    )
    document = _text(value, "document", place, "a document's id, URI or key")
    offsets: list[int | None] = []
    for key in ("start", "end"):
        number = value.get(key)
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise EvidenceError(f"{place}: `{key}` must be a whole number, not {number!r}")
        offsets.append(number)
    grade = 1.0 if value.get("grade") is None else value["grade"]
    if isinstance(grade, bool) or not isinstance(grade, int | float) or not math.isfinite(grade):
        raise EvidenceError(f"{place}: `grade` must be a number, not {grade!r}")
    quote = value.get("quote")
    if quote is not None and not isinstance(quote, str):
        raise EvidenceError(f"{place}: `quote` must be text, not {quote!r}")
    try:
        return Passage(
            document,
            offsets[0],
            offsets[1],
            quote,
            float(grade),
            value.get("text_sha256") or None,
            value.get("whole") is True,
        )
    except ValueError as error:
        raise EvidenceError(f"{place}: {error}") from error


def _mapping(value: object, known: Sequence[str], place: str, what: str) -> Mapping[str, Any]:
    """`value`, which is a mapping of known keys alone."""
    from chunkers.suggest import unknown

    if not isinstance(value, Mapping):
        raise EvidenceError(f"{place}: a {what}, not {value!r}")
    for key in value:
        if key not in known:
            raise EvidenceError(f"{place}: {unknown('key', str(key), known)}")
    return value


def _text(value: Mapping[str, Any], key: str, place: str, what: str) -> str:
    """What is at `key`, which must be text with something in it."""
    text = value.get(key)
    if not isinstance(text, str) or not text.strip():
        raise EvidenceError(f"{place}: `{key}` must be {what}, not {text!r}")
    return text


def _names(value: object, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        value = [part.strip() for part in value.split(";") if part.strip()]
    if not isinstance(value, Sequence) or any(not isinstance(n, str) or not n for n in value):
        raise EvidenceError(f"{place}: `groups` must be a list of names, not {value!r}")
    return tuple(value)
