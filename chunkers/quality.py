"""Quality figures that need no labels: computed for every document as it passes.

Each figure is from 0 to 1, or null where it does not apply. Those of this module look at spans,
counts and blocks, and at the text only around cuts and in gaps; those of what the chunks say are
in `chunkers.quality_text`. All together they cost less than the chunking and its count of tokens by
tiktoken; `benchmarks/quality.py` measures it.
"""

from __future__ import annotations

from collections.abc import Sequence

from chunkers.boundaries import sentence_edge
from chunkers.quality_text import cohesion_and_separation, context_overhead, dangling_references
from chunkers.spans import Span, trim
from lineage.records import Document, Quality, uncovered

BLOCK_EDGE, LINE_EDGE, WORD_EDGE = 1.0, 0.8, 0.3
"""What a cut at a block's edge, at a line's or sentence's, and between words is worth."""

_HOLDERS = frozenset({"slide", "message", "sheet", "attachment", "markup", "page_break", "figure"})
"""Kinds that may be divided between their parts without harm, or that have no text."""

_CONTEXT_SHARE = 0.25


def measure(
    document: Document,
    spans: Sequence[Span],
    counts: Sequence[int],
    max_tokens: int,
    target_tokens: int,
) -> tuple[Quality, list[Quality]]:
    """The figures of a chunking: of the document as a whole, and of each span.

    Args:
        document: with its text and blocks.
        spans: what the chunker returned.
        counts: the tokens of each span, context included.
        max_tokens: the cap of spans that have none of their own.
        target_tokens: the size asked for, of spans that were not cut for another.
    """
    if not spans:
        return Quality(coverage=coverage(document, spans)), []
    sizes = _sizes(spans, counts, max_tokens, target_tokens)
    edges = boundary_cleanliness(document, spans)
    whole = block_integrity(document, spans, counts, max_tokens)
    repeated = redundancy(spans)
    cohesion, separation = cohesion_and_separation(document, spans)
    dangling = dangling_references(document, spans)
    overhead = context_overhead(spans)
    each = [
        Quality(
            size_compliance=size,
            boundary_cleanliness=edge,
            block_integrity=kept / fitting if fitting else None,
            redundancy=again,
            cohesion=inside,
            separation=across,
            dangling_references=refers,
            context_overhead=prefix,
        )
        for size, edge, (kept, fitting), again, inside, across, refers, prefix in zip(
            sizes, edges, whole, repeated, cohesion, separation, dangling, overhead, strict=True
        )
    ]
    fitting = sum(pair[1] for pair in whole)
    embedded = [span.end - span.start + _context_chars(span) for span in spans]
    characters = sum(embedded)
    total = Quality(
        size_compliance=sum(sizes) / len(sizes),
        coverage=coverage(document, spans),
        boundary_cleanliness=sum(edges) / len(edges),
        block_integrity=sum(pair[0] for pair in whole) / fitting if fitting else None,
        redundancy=_weighted(repeated, embedded, characters),
        cohesion=_mean(cohesion),
        separation=_mean(separation),
        dangling_references=_mean(dangling),
        context_overhead=_weighted(overhead, embedded, characters),
    )
    return total, each


def _mean(values: Sequence[float | None]) -> float | None:
    """Over those that are not null; null when all are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _weighted(shares: Sequence[float], sizes: Sequence[int], total: int) -> float:
    return sum(share * size for share, size in zip(shares, sizes, strict=True)) / total


def _sizes(
    spans: Sequence[Span], counts: Sequence[int], max_tokens: int, target_tokens: int
) -> list[float]:
    """Each span's compliance with the cap and the target of its level."""
    levels: dict[tuple[int, int, int], list[int]] = {}
    for i, span in enumerate(spans):
        bounds = (span.max_tokens or max_tokens, span.target_tokens or target_tokens)
        levels.setdefault((span.level, *bounds), []).append(i)
    sizes = [0.0] * len(spans)
    for (_, cap, target), members in levels.items():
        found = size_compliance([counts[i] for i in members], cap, target)
        for i, size in zip(members, found, strict=True):
            sizes[i] = size
    return sizes


def size_compliance(counts: Sequence[int], max_tokens: int, target_tokens: int) -> list[float]:
    """For each chunk, how well its size serves; higher is better.

    0 over the cap; 1 from half the target up to the cap; below, its share of half the target. A
    document's only chunk cannot be larger than the document, and is right when it is not over the
    cap. The document's figure is the mean.
    """
    least = max(min(target_tokens, max_tokens) / 2, 1)
    if len(counts) == 1:
        return [0.0 if counts[0] > max_tokens else 1.0]
    return [0.0 if count > max_tokens else min(count / least, 1.0) for count in counts]


def coverage(document: Document, spans: Sequence[Span]) -> float:
    """The share of the document's non-whitespace characters that are in a span; higher is better.

    1.0 exactly when nothing is lost. With several levels, that of the level that covers least.
    """
    text = document.text
    levels: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for span in spans:
        levels.setdefault((span.level, span.granularity), []).append((span.start, span.end))
    worst = 0
    for ranges in levels.values() or [[]]:
        lost = sum(_solid(text[start:end]) for start, end in uncovered(text, ranges))
        worst = max(worst, lost)
    return 1.0 if not worst else 1.0 - worst / _solid(text)


def _solid(text: str) -> int:
    """Its non-whitespace characters."""
    return sum(map(len, text.split()))


def boundary_cleanliness(document: Document, spans: Sequence[Span]) -> list[float]:
    """For each chunk, how clean its start and its end are, in the mean; higher is better.

    1 at an edge of a block or of the document, 0.8 at one of a line or a sentence, 0.3 between
    words, 0 inside a word. An overlap's start counts like any other. The document's is the mean.
    """
    text = document.text
    begins = {0, *[block.start for block in document.blocks]}
    ends = {len(text), *[block.end for block in document.blocks]}
    scores = []
    for span in spans:
        start = BLOCK_EDGE if span.start in begins else _edge(text, span.start)
        end = BLOCK_EDGE if span.end in ends else _edge(text, span.end)
        scores.append((start + end) / 2)
    return scores


def _edge(text: str, position: int) -> float:
    if position <= 0 or position >= len(text):
        return BLOCK_EDGE
    line = position
    while text[line - 1] in " \t" and line > 1:
        line -= 1
    if text[line - 1] in "\r\n" or text[position] in "\r\n" or line == 1:
        return LINE_EDGE
    if sentence_edge(text, position):
        return LINE_EDGE
    if text[position - 1].isalnum() and text[position].isalnum():
        return 0.0
    return WORD_EDGE


def block_integrity(
    document: Document, spans: Sequence[Span], counts: Sequence[int], max_tokens: int
) -> list[tuple[int, int]]:
    """For each chunk, the blocks that begin in it: how many are whole in it, and how many could be.

    Kept whole / could be kept whole is the figure; higher is better, null without such blocks.
    A block could be whole when it fits under the cap beside a full context, by the chunking's own
    characters per token. A heading that ends its chunk, away from what it heads, is not whole.
    Tables and lists count besides their rows and items. Slides, messages and other holders of
    blocks do not, only what is in them.
    """
    import numpy as np

    result = [(0, 0)] * len(spans)
    blocks = [block for block in document.blocks if block.kind not in _HOLDERS]
    smallest = sorted(
        (i for i, span in enumerate(spans) if span.level == 0), key=lambda i: spans[i].start
    )
    if not blocks or not smallest:
        return result
    starts = np.array([spans[i].start for i in smallest])
    ends = np.array([spans[i].end for i in smallest])
    characters = sum(spans[i].end - spans[i].start + len(spans[i].context) for i in smallest)
    count = sum(counts[i] for i in smallest)
    limit = max_tokens * (1 - _CONTEXT_SHARE) * characters / max(count, 1)
    begin = np.array([block.start for block in blocks])
    end = np.array([block.end for block in blocks])
    fits = (end - begin <= limit) & (end > begin)
    # The last chunk that begins at or before the block's first character is the one to hold it.
    home = np.searchsorted(starts, begin, side="right") - 1
    whole = fits & (home >= 0) & (ends[home] >= end)
    for i in np.flatnonzero(fits & ~whole).tolist():
        left, right = trim(document.text, blocks[i].start, blocks[i].end)
        home[i] = np.searchsorted(starts, left, side="right") - 1
        whole[i] = home[i] >= 0 and ends[home[i]] >= right
        fits[i] = left < right
    home = np.maximum(home, 0)
    for i, block in enumerate(blocks[:-1]):
        if block.kind == "heading" and whole[i] and ends[home[i]] <= blocks[i + 1].start:
            following = blocks[i + 1]
            whole[i] = following.kind == "heading" and (following.level or 1) <= (block.level or 1)
    kept = np.bincount(home[whole], minlength=len(smallest)).tolist()
    fitting = np.bincount(home[fits], minlength=len(smallest)).tolist()
    for place, i in enumerate(smallest):
        result[i] = (kept[place], fitting[place])
    return result


def redundancy(spans: Sequence[Span]) -> list[float]:
    """For each chunk, the share of its embedded characters that say nothing new; lower is better.

    Those are its context, and the characters that an earlier chunk of the same level has already.
    The document's figure is the share over all chunks together.
    """
    reached: dict[tuple[int, str], int] = {}
    shares = []
    for span in spans:
        level = (span.level, span.granularity)
        end = reached.get(level, 0)
        context = _context_chars(span)
        again = max(min(end, span.end) - span.start, 0) + context
        shares.append(again / max(span.end - span.start + context, 1))
        reached[level] = max(end, span.end)
    return shares


def _context_chars(span: Span) -> int:
    return len(span.context) + 2 if span.context else 0
