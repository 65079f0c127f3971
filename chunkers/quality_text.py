"""Quality figures of what the chunks say: whether each keeps to its subject and stands alone.

Like those of `chunkers.quality` they need no labels, are from 0 to 1, and are null where they do
not apply. No model is needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chunkers.quality_words import lexical_likeness, windows_of, words_of
from chunkers.spans import Span
from lineage.records import Document

if TYPE_CHECKING:
    from chunkers.quality_words import Floats, Ints

_NO_PROSE = frozenset({"code", "table", "spreadsheet", "structured", "log"})
"""Data types whose words at the start of a line refer to nothing."""

_NAMES_ITSELF = (
    "document|page|chapter|section|part|guide|manual|handbook|book|article|report|policy|paper|"
    "agreement|contract|appendix|table|figure|list|file|module|tutorial|note|release|version"
)

_OPENERS = {
    "en": (
        r"(?:it|its|they|them|their|he|him|his|she|her|hers|however|therefore|thus|hence|"
        r"moreover|furthermore|nevertheless|nonetheless|otherwise|consequently|likewise|"
        r"similarly|instead|also|besides|meanwhile|accordingly|and|but|or|nor|so|yet|then|"
        r"the (?:former|latter|same)|as a result|in (?:addition|contrast|other words)|"
        r"for (?:example|instance|this reason|that reason)|on the (?:other hand|contrary)|"
        rf"(?:this|that|these|those|such)(?!\s+(?:{_NAMES_ITSELF})))"
    ),
    "de": (
        r"(?:er|sie|es|ihn|ihm|ihr|ihre[nrms]?|sein|seine[nrms]?|diese[nrms]?|jene[nrms]?|"
        r"dies|solche[nrms]?|daher|deshalb|deswegen|darum|dennoch|trotzdem|jedoch|allerdings|"
        r"außerdem|ferner|zudem|ebenso|dadurch|damit|dabei|daraufhin|danach|folglich|somit|"
        r"also|sonst|andernfalls|und|oder|aber|sondern|zum beispiel|im gegensatz dazu)"
    ),
    "fr": (
        r"(?:il|ils|elle|elles|lui|leur|leurs|celui-ci|celle-ci|ceux-ci|celles-ci|ce|cet|cette|"
        r"ces|cela|ceci|cependant|toutefois|néanmoins|donc|ainsi|alors|en outre|de plus|"
        r"par conséquent|en effet|sinon|puis|ensuite|et|ou|mais|or|par exemple|en revanche)"
    ),
    "es": (
        r"(?:él|ella|ellos|ellas|lo|su|sus|este|esta|estos|estas|esto|ese|esa|esos|esas|eso|"
        r"dicho|dicha|sin embargo|no obstante|por (?:lo )?tanto|por eso|además|asimismo|"
        r"en cambio|así|entonces|luego|y|o|pero|sino|por ejemplo|de lo contrario)"
    ),
}
"""By language, pronouns and connectives that at the start of a chunk refer to what was before."""

_PATTERNS = {
    language: re.compile(rf"[\s\W_]{{0,16}}{openers}\b", re.IGNORECASE)
    for language, openers in _OPENERS.items()
}


def cohesion_and_separation(
    document: Document, spans: Sequence[Span]
) -> tuple[list[float | None], list[float | None]]:
    """For each of the smallest chunks, cohesion and separation; higher is better for both.

    A chunk's text, without what it repeats of the one before, is divided into windows of about 32
    words. Cohesion is the mean likeness of the windows that follow each other inside it; null
    below 16 words. Separation is 1 less the likeness of the windows on the two sides of a cut, in
    the mean of the chunk's two cuts. The document's are the means. Both are null for a document
    of one chunk, where nothing was cut.

    Likeness is the cosine of the windows' words (`lexical_likeness`); by the vectors of a model
    the same is had from `chunkers.quality_vectors`. Both figures grow with the likeness of
    neighbours in general, one up and the other down: read them together.
    """
    order, ranges = smallest(spans)
    if len(order) < 2:
        return [None] * len(spans), [None] * len(spans)
    words = words_of(document.text)
    windows = windows_of(words, ranges)
    return figures_of_windows(len(spans), order, windows.chunks, lexical_likeness(words, windows))


def smallest(spans: Sequence[Span]) -> tuple[list[int], list[tuple[int, int]]]:
    """The smallest chunks in the order of the text, and what each says that none before it did."""
    order = sorted(
        (i for i, span in enumerate(spans) if span.level == 0),
        key=lambda i: (spans[i].start, spans[i].end),
    )
    ranges: list[tuple[int, int]] = []
    reached = 0
    for i in order:
        start = max(spans[i].start, reached)
        reached = max(reached, spans[i].end)
        ranges.append((start, max(reached, start)))
    return order, ranges


def figures_of_windows(
    number: int, order: Sequence[int], chunks: Ints, likeness: Floats
) -> tuple[list[float | None], list[float | None]]:
    """Cohesion and separation from how alike neighbouring windows are.

    Args:
        number: of all chunks.
        order: which of them the smallest are, in the order of the text.
        chunks: of each window, the place of its chunk in `order`.
        likeness: of each window and the next.
    """
    import numpy as np

    cohesion: list[float | None] = [None] * number
    separation: list[float | None] = [None] * number
    if len(chunks) < 2:
        return cohesion, separation
    left, right = chunks[:-1], chunks[1:]
    inner = left == right
    # Sides of a cut that have no words between them are neighbours all the same.
    cut = ~inner
    sides, unlike = np.concatenate((left[cut], right[cut])), 1 - likeness[cut]
    inside = _means(left[inner], likeness[inner], len(order))
    across = _means(sides, np.concatenate((unlike, unlike)), len(order))
    for place, i in enumerate(order):
        cohesion[i], separation[i] = inside[place], across[place]
    return cohesion, separation


def _means(places: Ints, values: Floats, number: int) -> list[float | None]:
    """The mean of the values at each of `number` places; null where there is none."""
    import numpy as np

    sums = np.bincount(places, values, number).tolist()
    counts = np.bincount(places, minlength=number).tolist()
    return [value / count if count else None for value, count in zip(sums, counts, strict=True)]


def dangling_references(document: Document, spans: Sequence[Span]) -> list[float | None]:
    """For each chunk, 1 when it begins with a reference to what was before it, else 0.

    A reference is a pronoun or a connective ("It", "These", "However", "As a result") at the very
    start; "This chapter" and the like name themselves. Lower is better; the document's is the
    share of its chunks. The start of the document refers to nothing. Null for code, tables, logs
    and structured data, and for languages other than English, German, French and Spanish.
    """
    pattern = _PATTERNS.get(document.language or "en")
    if pattern is None or document.data_type in _NO_PROSE:
        return [None] * len(spans)
    text = document.text
    first = min((span.start for span in spans), default=0)
    return [
        1.0 if span.start > first and pattern.match(text, span.start, span.end) else 0.0
        for span in spans
    ]


def context_overhead(spans: Sequence[Span]) -> list[float]:
    """For each chunk, the share of its embedded characters that is context; lower is better.

    The price of headings and table headers repeated in every chunk. The document's is the share
    over all its chunks together.
    """
    return [_overhead(span) for span in spans]


def _overhead(span: Span) -> float:
    if not span.context:
        return 0.0
    context = len(span.context) + 2
    return context / (context + span.end - span.start)
