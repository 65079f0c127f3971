"""Which documents a policy is tuned on, and which are held out to judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from lineage.errors import TerminalError
from pipelines.evaluate.corpus import Corpus
from pipelines.evaluate.resolve import Resolved

FEW = 30
"""Held-out questions below which an interval is wide whatever is tuned."""


@dataclass(frozen=True, slots=True)
class Split:
    """Questions by the side on which all their evidence is; the documents of both sides."""

    train: tuple[Resolved, ...]
    held_out: tuple[Resolved, ...]
    train_documents: tuple[str, ...]
    held_out_documents: tuple[str, ...]
    mixed: int = 0
    """Questions with evidence on both sides, which count on neither."""


def split(
    corpus: Corpus, questions: Sequence[Resolved], *, share: float = 0.3, seed: int = 0
) -> Split:
    """Hold out whole documents with about `share` of the questions.

    Which ones is by the hash of their ids: the same choice on every machine, and mostly the same
    as documents come and go.

    Raises:
        TerminalError: the evidence is in one document only, or nothing can be held out.
    """
    asked = [question for question in questions if question.found]
    weights: dict[int, int] = {}
    for question in asked:
        for place in {found.document for found in question.found}:
            weights[place] = weights.get(place, 0) + 1
    if len(weights) < 2:
        raise TerminalError(
            f"tuning needs evidence in at least two documents, one of them to be held out; there "
            f"is evidence in {len(weights)}. Add questions about others"
        )
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
    sides: dict[bool, list[Resolved]] = {True: [], False: []}
    mixed = 0
    for question in asked:
        inside = {found.document in held for found in question.found}
        if len(inside) == 1:
            sides[inside.pop()].append(question)
        else:
            mixed += 1
    if not sides[True] or not sides[False]:
        raise TerminalError(
            "no document can be held out: every question has evidence in documents of both sides"
        )
    return Split(
        tuple(sides[False]),
        tuple(sides[True]),
        tuple(sorted(ids[place] for place in weights if place not in held)),
        tuple(sorted(ids[place] for place in held)),
        mixed,
    )


def _draw(identifier: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{identifier}".encode()).hexdigest()
