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
    as documents come and go. Documents that a question joins are on the same side, as far as that
    leaves two sides of about that size.

    Raises:
        TooLittleEvidence: the evidence is in one document only, or questions join all documents.
    """
    asked = _asked(questions)
    ids = {place: corpus.documents[place].document.document_id for place in documents_of(asked)}
    wanted = share * len(asked)
    for most in (max(1.5 * wanted, 2.0), None):
        groups = _groups(asked, most)
        held: set[int] = set()
        taken = 0
        for group in sorted(groups, key=lambda g: _draw_of(g, ids, seed))[:-1]:
            if taken >= wanted:
                break
            if held and taken + groups[group] > 1.5 * wanted:
                continue
            held |= group
            taken += groups[group]
        found = _divided(asked, ids, held)
        if found.train and found.held_out:
            return found
    raise _joined(asked, 2)


def folds(
    corpus: Corpus, questions: Sequence[Resolved], number: int, *, seed: int = 0
) -> tuple[Split, ...]:
    """Parts of the documents with about as many questions each, each held out in turn.

    Documents that a question joins are in the same part, as far as that leaves parts of about the
    same size. A question with evidence in several parts is in nobody's held-out questions; it is
    tuned on where none of its documents is held out.

    Raises:
        TooLittleEvidence: there are fewer documents with evidence than parts, or fewer groups of
            documents that questions join.
    """
    asked = _asked(questions)
    documents = documents_of(asked)
    if len(documents) < number:
        raise TooLittleEvidence(
            f"{number} parts need evidence in at least as many documents; there is evidence in "
            f"{len(documents)}"
        )
    ids = {place: corpus.documents[place].document.document_id for place in documents}
    for most in (1.5 * len(asked) / number, None):
        groups = _groups(asked, most)
        parts: list[set[int]] = [set() for _ in range(number)]
        loads = [0] * number
        # The heaviest first, each to the lightest part.
        for group in sorted(groups, key=lambda g: (-groups[g], _draw_of(g, ids, seed))):
            lightest = loads.index(min(loads))
            parts[lightest] |= group
            loads[lightest] += groups[group]
        found = tuple(_divided(asked, ids, held) for held in parts)
        if all(part.train and part.held_out for part in found):
            return found
    raise _joined(asked, number)


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


def _asked(questions: Sequence[Resolved]) -> list[Resolved]:
    """The questions that have evidence, in the order of their ids."""
    asked = sorted((q for q in questions if q.found), key=lambda q: q.question.id)
    number = len(documents_of(asked))
    if number < 2:
        raise TooLittleEvidence(
            f"tuning needs evidence in at least two documents, one of them to be held out; there "
            f"is evidence in {number}. Add questions about others"
        )
    return asked


def _groups(asked: Sequence[Resolved], most: float | None) -> dict[frozenset[int], int]:
    """Documents that stay together, and how many questions there are about each group.

    Documents are joined by the questions that have evidence in several of them, while there are
    at most `most` questions about a group; null joins whatever a question joins.
    """
    group_of = {place: frozenset((place,)) for place in sorted(documents_of(asked))}
    inside = dict.fromkeys(group_of.values(), 0)
    several = []
    for question in asked:
        places = documents_of([question])
        if len(places) > 1:
            several.append(places)
        else:
            inside[group_of[places.pop()]] += 1
    for places in several:
        joined = {group_of[place] for place in places}
        number = sum(inside[group] for group in joined) + 1
        if len(joined) > 1 and most is not None and number > most:
            continue
        for group in joined:
            del inside[group]
        whole = frozenset().union(*joined)
        inside[whole] = number
        group_of |= dict.fromkeys(whole, whole)
    about = dict.fromkeys(inside, 0)
    for question in asked:
        for group in {group_of[place] for place in documents_of([question])}:
            about[group] += 1
    return about


def _joined(asked: Sequence[Resolved], parts: int) -> TooLittleEvidence:
    """Why so many parts cannot be had: questions with evidence in several documents join them."""
    groups = len(_groups(asked, None))
    several = sum(len(documents_of([question])) > 1 for question in asked)
    fewer = "hold out fewer parts, as with `--folds 2`, or " if 2 <= groups < parts else ""
    return TooLittleEvidence(
        f"{len(asked)} questions have evidence in {len(documents_of(asked))} documents, and "
        f"{several} of them in several, which must stay together: that leaves {groups} "
        f"{'group' if groups == 1 else 'groups'} of documents for {parts} parts, each of which "
        f"needs questions of its own. To tune, {fewer}add questions about other documents"
    )


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


def _draw_of(group: frozenset[int], ids: Mapping[int, str], seed: int) -> str:
    return min(_draw(ids[place], seed) for place in group)


def _draw(identifier: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{identifier}".encode()).hexdigest()
