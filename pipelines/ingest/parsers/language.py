"""The natural language of a text, guessed offline from its beginning."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_SAMPLE_CHARS = 600
_FIRST_CHARS = 250
"""Enough for nine documents of ten."""
_HEAD = 4
"""Characters of a document for each of a sample: what is left out are signs and addresses."""
_LEAST_LETTERS = 40
_LEAST_CONFIDENCE = 0.5
_NO_DOUBT = 0.95
_NOISE = re.compile(r"https?://\S+|<[^>]{1,200}>|[^\w\s'<]+|<|[\d_]+")
_NOISE_WITH_MAIL = re.compile(rf"\S+@\S+|{_NOISE.pattern}")
"""Looking for mail addresses tries every letter of every word: left out where there is no @."""


def guess_language(text: str) -> str | None:
    """ISO 639-1 code of the language, or null when unsure or nothing to guess with is installed.

    Looks at the first 250 letters and spaces, and where those leave a doubt at the first 600. Takes
    a tenth of a millisecond and a third of one; loading the model takes most of a second.
    """
    sample = _sample(text, _FIRST_CHARS)
    if len(sample) == _FIRST_CHARS:
        code, confidence = _classify(sample)
        if confidence >= _NO_DOUBT:
            return code
        sample = _sample(text, _SAMPLE_CHARS)
    code, confidence = _classify(sample)
    return code if confidence >= _LEAST_CONFIDENCE else None


def load_model() -> None:
    """Load the model now, so that processes forked from this one have it."""
    _identifier()


def _sample(text: str, length: int) -> str:
    head = text[: _HEAD * length]
    noise = _NOISE_WITH_MAIL if "@" in head else _NOISE
    return " ".join(noise.sub(" ", head).split())[:length]


def _classify(sample: str) -> tuple[str | None, float]:
    """The language and how likely it is; null and 0 for too few letters."""
    if sum(map(str.isalpha, sample)) < _LEAST_LETTERS:
        return None, 0.0
    identifier = _identifier()
    if identifier is None:
        return None, 0.0
    code, confidence = identifier.classify(sample)
    return (code, confidence) if len(code) == 2 else (None, confidence)


@cache
def _identifier() -> LanguageIdentifier | None:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError:
        # The language only helps rules to route; a document without one is not worse off.
        return None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
