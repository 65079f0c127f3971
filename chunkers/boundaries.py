"""Where a text may be cut: paragraphs, lines, sentences, and in need clauses, words, characters.

A strength is a small number, the smaller the better the place to cut. It is the common scale of
all chunkers that choose between cuts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chunkers import graphemes
from chunkers.tokens import TokenMap

SECTION = 0
"""Before a heading; deeper headings add their level."""
BLOCK = 10
"""Between blocks, paragraphs; deeper blocks add their depth."""
LINE = 30
SENTENCE = 40
WORD = 60
GLUE = 90
"""Between a heading and what it heads, a caption and its table: only when nothing else is left."""

PARAGRAPHS = re.compile(r"\n[^\S\n]*\n\s*|\r[^\S\r\n]*\r\s*")
LINES = re.compile(r"(?:\r\n|\n|\r)+")
# The same where there is no carriage return: a pattern that begins with one character is searched
# several times as fast.
_PARAGRAPHS_LF = re.compile(r"\n[^\S\n]*\n\s*")
_LINES_LF = re.compile(r"\n+")
SENTENCES = re.compile(
    r"[.!?\u2026][\"'\u201d\u2019)\]]*\s+|[\u3002\uff01\uff1f][\u300d\u300f\u201d\u2019)\uff09]*\s*"
)
_CLAUSES = re.compile(r"[,;:\u2013\u2014]\s+|[\uff0c\u3001\uff1b\uff1a]")
WORDS = re.compile(r"\s+")
_LAST_SPACE = re.compile(r"(?s:.*\S)\s+(?=\S)")
_SEARCH = 2048
# Thai and Lao have no full stops: what stands between sentences, or clauses, is a space.
_SPACED = re.compile(r"(?<=[\u0e00-\u0eff])[^\S\r\n]+(?=[\u0e00-\u0eff])")
# Khmer and Tibetan have their own.
_KHAN_OR_SHAD = re.compile(r"[\u17d4\u17d5][\u201d\u2019)\u00bb]*\s*|[\u0f0d-\u0f11]+\s+")
_QUOTED_ON = re.compile(r"(?<=[\u300d\u300f])(?:\u3068|\u3063\u3066)")
"""After a Japanese quotation, what makes it a part of the sentence around it."""
_STOPS = ".!?\u2026\u3002\uff01\uff1f\u0964\u061f\u06d4"
_CLOSERS = "\"'\u201d\u2019)]\u300d\u300f\uff09"


def fill(tokens: TokenMap, start: int, end: int, budget: int) -> Iterator[int]:
    """Cuts of `text[start:end]` into pieces of at most `budget` tokens, as full as they get.

    Yields positions in `(start, end)`. Each is the end of a sentence, a clause or a word in the
    last part of the piece, else a boundary of grapheme clusters. A cluster over the budget is a
    piece of its own: the budget may be less than the cap, and only the cap tears clusters.
    """
    while tokens.estimate(start, end) > budget or tokens.count(start, end) > budget:
        limit = max(tokens.advance(start, budget), start + 1)
        if limit >= end:
            return
        cut = last_cut(tokens.text, start, limit)
        if graphemes.floor(tokens.text, cut, start) < cut:
            cut = graphemes.ceiling(tokens.text, cut, start, end - cut)
        if cut >= end:
            return
        yield cut
        start = cut


def paragraph_ends(text: str, start: int, end: int) -> list[int]:
    """Where the white space between paragraphs of `text[start:end]` ends."""
    pattern = PARAGRAPHS if text.find("\r", start, end) >= 0 else _PARAGRAPHS_LF
    return [match.end() for match in pattern.finditer(text, start, end)]


def line_ends(text: str, start: int, end: int) -> list[int]:
    """Where the line breaks of `text[start:end]` end; blank lines count with the one before."""
    pattern = LINES if text.find("\r", start, end) >= 0 else _LINES_LF
    return [match.end() for match in pattern.finditer(text, start, end)]


def last_cut(text: str, start: int, limit: int) -> int:
    """The best place to end a piece that starts at `start` and must not go beyond `limit`."""
    word = word_floor(text, start, limit)
    low = start + (limit - start) // 2
    for pattern in (SENTENCES, _CLAUSES):
        found = start
        for match in pattern.finditer(text, max(low, limit - _SEARCH), limit):
            found = match.end()
        if found > start:
            return _whole(text, start, found, limit)
    if word > start:
        return _whole(text, start, word, limit)
    return _whole(text, start, limit, limit)


def word_floor(text: str, start: int, limit: int) -> int:
    """The last place between words in `(start, limit]`; `start` when there is none near."""
    if text[limit].isspace() or text[limit - 1].isspace():
        return limit
    # The pattern sees nothing beyond `limit`, so a match ends before the last word.
    match = _LAST_SPACE.match(text, max(start, limit - _SEARCH), limit)
    return match.end() if match else start


def _whole(text: str, start: int, cut: int, limit: int) -> int:
    """`cut`, or the start of the grapheme cluster it is in; `limit` when that leaves nothing."""
    whole = graphemes.floor(text, cut, start)
    if whole <= start and cut < limit:
        whole = graphemes.floor(text, limit, start)
    return whole if whole > start else limit


def sentence_edge(text: str, position: int) -> bool:
    """Whether a sentence ends right before `position`, white space aside, by its punctuation."""
    end = position
    while end > 0 and text[end - 1].isspace():
        end -= 1
    while end > 0 and text[end - 1] in _CLOSERS:
        end -= 1
    if end == 0 or text[end - 1] not in _STOPS:
        return False
    return position == len(text) or not text[position].isalnum() or text[position - 1] not in ".?!"


def sentence_starts(text: str, start: int, end: int, language: str | None) -> list[int]:
    """Starts of the sentences after the first in `text[start:end]`, and of its paragraphs.

    By sentencex (Wikimedia), whose rules know abbreviations, quotes and the full stops of many
    scripts; `language` is an ISO 639-1 code. Chinese and Japanese stops are unambiguous and need
    no rules; Khmer and Tibetan ones, and the spaces that part the sentences and clauses of Thai
    and Lao, are looked for besides. An ASCII stop ends a sentence only before white space. Cuts
    inside a grapheme cluster are left out.
    """
    starts: list[int] = []
    for low, high in _windows(text, start, end):
        if low > start:
            starts.append(low)
        if text[low:high].isascii():
            # Only a line break has two characters, and no sentence starts with one.
            starts += [
                position
                for position in _sentencex(text[low:high], low, language or "en")
                if low < position < high
                and text[position - 1].isspace()
                and not text[position].isspace()
            ]
            continue
        last = low
        for position in _ends(text, low, high, language):
            if last < position < high and not text[position].isspace():
                last = position
                before = text[position - 1]
                if before.isascii() and not before.isspace():
                    continue
                if graphemes.floor(text, position, low) == position:
                    starts.append(position)
    return starts


def _ends(text: str, low: int, high: int, language: str | None) -> list[int]:
    """Where sentences of `text[low:high]` end, by the rules of its script, in order."""
    part = text[low:high]
    if "\u3002" in part:
        return [
            match.end()
            for match in SENTENCES.finditer(text, low, high)
            if not _QUOTED_ON.match(text, match.end())
        ]
    found = _sentencex(part, low, language or "en")
    more = [
        low + match.end()
        for pattern in (_SPACED, _KHAN_OR_SHAD)
        for match in pattern.finditer(part)
    ]
    return sorted({*found, *more}) if more else found


def _windows(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Ranges to segment one by one: sentencex takes quadratic time on long non-ASCII text."""
    while start < end:
        reach = 1 << 15 if text[start : start + _SEARCH].isascii() else 1 << 10
        if end - start <= reach:
            yield start, end
            return
        cut = start
        for pattern in (PARAGRAPHS, SENTENCES, LINES, WORDS):
            for match in pattern.finditer(text, start, start + reach):
                cut = match.end()
            if cut > start:
                break
        cut = cut if cut > start else graphemes.floor(text, start + reach, start)
        cut = cut if cut > start else start + reach
        yield start, cut
        start = cut


def _sentencex(part: str, offset: int, language: str) -> list[int]:
    import sentencex

    try:
        found = sentencex.get_sentence_boundaries(language, part)
    except UnicodeEncodeError:  # lone surrogates; keep the offsets
        part = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in part)
        found = sentencex.get_sentence_boundaries(language, part)
    return [offset + boundary["start_index"] for boundary in found]
