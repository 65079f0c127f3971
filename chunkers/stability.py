"""Edit stability: how much of a chunking stays as it was when a document is edited.

A chunk whose text and context did not change keeps its id, and need not be embedded again. So the
measure is the share of the chunks after an edit that were there before it. An edit here is one
sentence inserted, deleted or changed, drawn at random, but the same ones for the same text, and
the text is scanned into blocks anew. `chunkers.quality_edits` is the cheaper figure of comparisons:
insertions alone, into documents as they were parsed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from chunkers import boundaries
from chunkers.base import Chunker
from chunkers.spans import Span
from chunkers.tokens import TokenMap
from lineage.records import Document

Parse = Callable[[str], Document]
"""What makes a document with blocks of a text, as the text's own document was made."""

EDITS = ("insert", "delete", "change")


class Edit(NamedTuple):
    """One edit of a text: `text[:start] + replacement + text[end:]`."""

    kind: str
    start: int
    end: int
    replacement: str

    def apply(self, text: str) -> str:
        """The text after it."""
        return text[: self.start] + self.replacement + text[self.end :]


def edits(text: str, number: int, *, language: str | None = None, seed: int = 0) -> Iterator[Edit]:
    """`number` edits of `text`, each of it as it is: insertions, deletions and changes in turn.

    What is inserted is another sentence of the text; a change puts its words in reverse order.
    Sentences without a letter are left alone. Yields fewer where the text has fewer than three
    sentences.
    """
    bounds = [0, *boundaries.sentence_starts(text, 0, len(text), language), len(text)]
    sentences = [
        (start, start + len(text[start:end].rstrip()))
        for start, end in pairwise(bounds)
        if any(map(str.isalpha, text[start:end]))
    ]
    if len(sentences) < 3:
        return
    generator = random.Random(seed)
    for i in range(number):
        kind = EDITS[i % len(EDITS)]
        start, end = generator.choice(sentences)
        if kind == "insert":
            other, stop = generator.choice(sentences)
            yield Edit(kind, start, start, f"{' '.join(text[other:stop].split())} ")
        elif kind == "delete":
            yield Edit(kind, start, end, "")
        else:
            yield Edit(kind, start, end, " ".join(reversed(text[start:end].split())))


def kept(before: Sequence[str], after: Sequence[str]) -> float:
    """The share of the chunks in `after` that are in `before` too, each counted as often as there.

    1.0 where `after` is empty.
    """
    known = Counter(before)
    same = sum((Counter(after) & known).values())
    return same / len(after) if after else 1.0


def edit_stability(
    chunker: Chunker,
    text: str,
    parse: Parse,
    *,
    number: int = 12,
    encoding: str = "o200k_base",
    seed: int = 0,
) -> list[float]:
    """For each edit of `text`, the share of the chunks after it that need not be embedded again.

    From 0 to 1, higher is better; an edit inside one chunk of n leaves (n - 1) / n. Documents of a
    few chunks therefore cannot score high, however stable the chunker is.

    Args:
        chunker: any chunker.
        text: of the document.
        parse: makes a document with blocks of a text.
        number: edits tried; each is chunked anew.
        encoding: of the tokens.
        seed: chooses the edits.
    """

    def chunks(source: str) -> list[str]:
        document = parse(source)
        tokens = TokenMap(source, encoding)
        return [_embedded(source, span) for span in chunker.spans(document, tokens)]

    before = chunks(text)
    return [
        kept(before, chunks(edit.apply(text)))
        for edit in edits(text, number, language=parse(text).language, seed=seed)
    ]


def _embedded(text: str, span: Span) -> str:
    return f"{span.context}\0{text[span.start : span.end]}"
