"""From evidence as it was written down to spans of the documents as they are now."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

from pipelines.evaluate.corpus import Catalog, Corpus, catalog_of
from pipelines.evaluate.evidence import EvidenceSet, Passage, Question

ProblemKind = Literal[
    "unknown_document",
    "ambiguous_document",
    "quote_not_found",
    "quote_ambiguous",
    "out_of_range",
    "changed",
    "not_readable",
    "no_evidence",
]
"""What can keep a passage from being used."""

_LONGEST_LOOSE = 4000
_LONGEST_KEPT = 2000
"""Characters of a passage up to which its text is kept beside its offsets."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A passage that does not resolve, or a question without evidence."""

    question: str
    """Its id."""
    kind: ProblemKind
    message: str
    document: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage in the snapshot: the document by its place in the corpus, and the span."""

    document: int
    start: int
    end: int
    grade: float = 1.0


@dataclass(frozen=True, slots=True)
class Resolved:
    """A question with what of its evidence is there."""

    question: Question
    found: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """An evidence set against a corpus."""

    questions: tuple[Resolved, ...]
    """Those that can be asked: with evidence that was found, or unanswerable."""
    problems: tuple[Problem, ...] = ()
    moved: int = 0
    """Passages found by their quote elsewhere than at their offsets."""
    updated: EvidenceSet = field(default_factory=EvidenceSet)
    """The set with document ids, offsets, quotes and text hashes as of now; what did not resolve
    is as it was."""

    @property
    def counts(self) -> dict[str, int]:
        """Problems by kind."""
        return dict(Counter(problem.kind for problem in self.problems))


def resolve(evidence: EvidenceSet, corpus: Corpus) -> Resolution:
    """Find every passage in the corpus.

    A quote is looked for exactly, then with any white space between its words: at its offsets
    where it has some, and anywhere, if it is there just once. Offsets without a quote hold while
    the document's text is the one in which they were taken, as far as the passage says. An asker
    who may not read a document cannot be given what it says: such passages do not count.
    """
    catalog = catalog_of(corpus)
    hashes: dict[int, str] = {}
    questions: list[Resolved] = []
    problems: list[Problem] = []
    updated: list[Question] = []
    moved = 0
    for question in evidence.questions:
        found: list[Found] = []
        passages: list[Passage] = []
        for passage in question.passages:
            outcome = _place(question, passage, corpus, catalog, hashes)
            if isinstance(outcome, Problem):
                problems.append(outcome)
                passages.append(passage)
                continue
            document = corpus.documents[outcome.document].document
            moved += passage.start is not None and passage.start != outcome.start
            passages.append(_anew(passage, outcome, corpus, hashes))
            principal = question.principal
            if principal is not None and not document.acl.permits(principal):
                problems.append(
                    Problem(
                        question.id,
                        "not_readable",
                        f"the asker may not read {document.source_uri or document.document_id}",
                        passage.document,
                    )
                )
            elif outcome.grade > 0:
                found.append(outcome)
        updated.append(replace(question, passages=tuple(passages)))
        if found or question.unanswerable:
            questions.append(Resolved(question, tuple(found)))
        elif not any(passage.grade > 0 for passage in question.passages):
            has = "none but of grade 0" if question.passages else "no evidence"
            problems.append(
                Problem(
                    question.id,
                    "no_evidence",
                    f"has {has}; add some, or say `unanswerable: true`",
                )
            )
    return Resolution(
        tuple(questions),
        tuple(problems),
        moved,
        EvidenceSet(tuple(updated), evidence.origin),
    )


def _anew(passage: Passage, found: Found, corpus: Corpus, hashes: dict[int, str]) -> Passage:
    """The passage as it would be written down now."""
    document = corpus.documents[found.document].document
    if passage.whole:
        return replace(passage, document=document.document_id)
    text = document.text[found.start : found.end]
    return replace(
        passage,
        document=document.document_id,
        start=found.start,
        end=found.end,
        quote=text if len(text) <= _LONGEST_KEPT and text.strip() else None,
        text_sha256=_sha256(found.document, corpus, hashes),
    )


def _place(
    question: Question,
    passage: Passage,
    corpus: Corpus,
    catalog: Catalog,
    hashes: dict[int, str],
) -> Found | Problem:
    def problem(kind: ProblemKind, message: str) -> Problem:
        return Problem(question.id, kind, message, passage.document)

    places = catalog.find(passage.document)
    if not places:
        return problem("unknown_document", f"no document is called {passage.document!r}")
    if len(places) > 1:
        names = ", ".join(sorted(corpus.documents[i].key for i in places)[:3])
        return problem(
            "ambiguous_document",
            f"{passage.document!r} means {len(places)} documents ({names} …): name one by its id",
        )
    (place,) = places
    text = corpus.documents[place].document.text
    if passage.whole:
        return Found(place, 0, len(text), passage.grade)
    start, end = passage.start, passage.end
    if passage.quote:
        if start is not None and end is not None and text[start:end] == passage.quote:
            return Found(place, start, end, passage.grade)
        spans = find_quote(text, passage.quote)
        if not spans:
            where = f"at [{start}:{end}] or anywhere else" if start is not None else ""
            return problem(
                "quote_not_found",
                f"the document does not say {_short(passage.quote)} {where}".rstrip(),
            )
        spans = [span for span in spans if span[0] == start] or spans
        if len(spans) > 1:
            return problem(
                "quote_ambiguous",
                f"the document says {_short(passage.quote)} {len(spans)} times"
                + ("" if start is None else f", and not at {start}")
                + ": give a longer quote, or the right `start` and `end` as well",
            )
        return Found(place, *spans[0], passage.grade)
    assert start is not None
    assert end is not None
    if passage.text_sha256 and passage.text_sha256 != _sha256(place, corpus, hashes):
        return problem(
            "changed",
            f"the text has changed since [{start}:{end}] was marked, and there is no quote to find "
            "it again",
        )
    if end > len(text):
        return problem("out_of_range", f"[{start}:{end}] is beyond the {len(text)} characters")
    return Found(place, start, end, passage.grade)


def find_quote(text: str, quote: str) -> list[tuple[int, int]]:
    """Where `text` says `quote`, white space at its edges aside: exactly, else with other white
    space between the words. Up to 100 places, which do not overlap."""
    wanted = quote.strip()
    if not wanted:
        return []
    spans: list[tuple[int, int]] = []
    start = text.find(wanted)
    while start >= 0 and len(spans) < 100:
        spans.append((start, start + len(wanted)))
        start = text.find(wanted, start + len(wanted))
    if not spans and len(wanted) <= _LONGEST_LOOSE:
        pattern = r"\s+".join(map(re.escape, wanted.split()))
        for match in re.finditer(pattern, text):
            spans.append(match.span())
            if len(spans) == 100:
                break
    return spans


def _sha256(place: int, corpus: Corpus, hashes: dict[int, str]) -> str:
    if place not in hashes:
        data = corpus.documents[place].document.text.encode("utf-8", "surrogatepass")
        hashes[place] = hashlib.sha256(data).hexdigest()
    return hashes[place]


def _short(quote: str) -> str:
    line = " ".join(quote.split())
    return repr(line if len(line) <= 60 else f"{line[:59]}…")
