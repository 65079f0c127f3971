"""Which documents a policy is tuned on, and which are held out to judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lineage.errors import TerminalError
from pipelines.evaluate.corpus import Corpus
from pipelines.evaluate.resolve import Resolved

FEW = 30
"""Held-out questions below which an interval is wide whatever is tuned."""


class TooLittleEvidence(TerminalError):
    """There is nothing to tune by, yet."""


@dataclass(frozen=True, slots=True)
class Split:
    """Questions by the side on which all their evidence is; the documents of both sides."""

    train: tuple[Resolved, ...]
    held_out: tuple[Resolved, ...]
    train_documents: tuple[str, ...]
    held_out_documents: tuple[str, ...]
    mixed: int = 0
    """Questions with evidence on both sides, which count on neither; in the whole of several parts,
    those with evidence in several, by which nothing is judged."""


def split(
    corpus: Corpus, questions: Sequence[Resolved], *, share: float = 0.3, seed: int = 0
) -> Split:
    """Hold out whole documents with about `share` of the questions.

    Which ones is by the hash of their ids: the same choice on every machine, and mostly the same
    as documents come and go.

    Raises:
        TooLittleEvidence: the evidence is in one document only, or nothing can be held out.
    """
    asked, weights = _weighed(questions)
    ids = {place: corpus.documents[place].document.document_id for place in weights}
    order = sorted(weights, key=lambda place: _draw(ids[place], seed))
    wanted, taken = share * len(asked), 0
    held: set[int] = set()
    for place in order[:-1]:
        if taken >= wanted:
            break
        if held and taken + weights[place] > 1.5 * wanted:
            continue
        held.add(place)
        taken += weights[place]
    found = _divided(asked, ids, held)
    if not found.train or not found.held_out:
        raise TooLittleEvidence(
            "no document can be held out: every question has evidence in documents of both sides"
        )
    return found


def folds(
    corpus: Corpus, questions: Sequence[Resolved], number: int, *, seed: int = 0
) -> tuple[Split, ...]:
    """Parts of the documents with about as many questions each, each held out in turn.

    A question with evidence in several parts is in nobody's held-out questions; it is tuned on
    where none of its documents is held out.

    Raises:
        TooLittleEvidence: there are fewer documents with evidence than parts, or a part without
            questions of its own.
    """
    asked, weights = _weighed(questions)
    if len(weights) < number:
        raise TooLittleEvidence(
            f"{number} parts need evidence in at least as many documents; there is evidence in "
            f"{len(weights)}"
        )
    ids = {place: corpus.documents[place].document.document_id for place in weights}
    parts: list[set[int]] = [set() for _ in range(number)]
    loads = [0] * number
    # The heaviest first, each to the lightest part.
    for place in sorted(weights, key=lambda p: (-weights[p], _draw(ids[p], seed))):
        lightest = loads.index(min(loads))
        parts[lightest].add(place)
        loads[lightest] += weights[place]
    found = tuple(_divided(asked, ids, held) for held in parts)
    if not all(part.train and part.held_out for part in found):
        raise TooLittleEvidence(
            "the documents cannot be divided: too many questions have evidence in several of them"
        )
    return found


def everything(parts: Sequence[Split]) -> Split:
    """All questions and documents, to tune on after all have been held out."""
    asked = {r.question.id: r for part in parts for r in (*part.train, *part.held_out)}
    judged = tuple(question for part in parts for question in part.held_out)
    documents = tuple(sorted({name for part in parts for name in part.held_out_documents}))
    every = tuple(asked[key] for key in sorted(asked))
    one = parts[0]
    number = len(one.train) + len(one.held_out) + one.mixed
    return Split(every, judged, documents, documents, number - len(judged))


def documents_of(questions: Sequence[Resolved]) -> set[int]:
    """The places of the documents that evidence is in."""
    return {found.document for question in questions for found in question.found}


def _weighed(questions: Sequence[Resolved]) -> tuple[list[Resolved], dict[int, int]]:
    """The questions that have evidence, and how many there are about each document."""
    asked = [question for question in questions if question.found]
    weights: dict[int, int] = {}
    for question in asked:
        for place in documents_of([question]):
            weights[place] = weights.get(place, 0) + 1
    if len(weights) < 2:
        raise TooLittleEvidence(
            f"tuning needs evidence in at least two documents, one of them to be held out; there "
            f"is evidence in {len(weights)}. Add questions about others"
        )
    return asked, weights


def _divided(asked: Sequence[Resolved], ids: Mapping[int, str], held: set[int]) -> Split:
    sides: dict[bool, list[Resolved]] = {True: [], False: []}
    mixed = 0
    for question in asked:
        inside = {found.document in held for found in question.found}
        if len(inside) == 1:
            sides[inside.pop()].append(question)
        else:
            mixed += 1
    return Split(
        tuple(sides[False]),
        tuple(sides[True]),
        tuple(sorted(ids[place] for place in ids if place not in held)),
        tuple(sorted(ids[place] for place in held)),
        mixed,
    )


def _draw(identifier: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{identifier}".encode()).hexdigest()
