"""The 8-bit encoding of text in Latin letters, told by the letters of its language.

Code pages of one script differ in a few letters: read as another, `Řím` is as good a text as
`Øím`. The language is guessed from what all of them share, and says which letters to expect.
"""

from __future__ import annotations

from pipelines.ingest.parsers.language import guess_language

# In order of preference where they fit alike.
_WESTERN = ("cp1252", "cp850", "mac-roman")
_CENTRAL = ("cp1250", "iso8859-2", "cp852", "mac-latin2")
_BALTIC = ("cp1257", "iso8859-13")
_TURKISH = ("cp1254", "cp857")

# Letters beyond ASCII that the language is written with.
_LANGUAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "bs": ("čćđšž", _CENTRAL),
    "cs": ("áčďéěíňóřšťúůýž", _CENTRAL),
    "da": ("æøåé", _WESTERN),
    "de": ("äöüß", _WESTERN),
    "es": ("áéíñóúü¿¡", _WESTERN),
    "et": ("äõöüšž", (*_BALTIC, "cp1252")),
    "fi": ("äöå", _WESTERN),
    "fr": ("àâæçéèêëîïôœùûüÿ", _WESTERN),
    "hr": ("čćđšž", _CENTRAL),
    "hu": ("áéíóöőúüű", _CENTRAL),
    "is": ("áæéíðóöúþý", _WESTERN),
    "it": ("àèéìòù", _WESTERN),
    "lt": ("ąčęėįšųūž", _BALTIC),
    "lv": ("āčēģīķļņšūž", _BALTIC),
    "nb": ("æøåéò", _WESTERN),
    "nl": ("éëïóöü", _WESTERN),
    "no": ("æøåéò", _WESTERN),
    "pl": ("ąćęłńóśźż", _CENTRAL),
    "pt": ("áâãàçéêíóôõú", _WESTERN),
    "ro": ("ăâîşţ", _CENTRAL),
    "sk": ("áäčďéíĺľňóôŕšťúýž", _CENTRAL),
    "sl": ("čšž", _CENTRAL),
    "sv": ("åäöé", _WESTERN),
    "tr": ("çğıöşüâ\u0307", _TURKISH),
}

_PUNCTUATION = frozenset(
    "\u00a0\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2026\u20ac\u00a7\u00b0\u00ab\u00bb\u2022"
)


def latin_code_page(sample: bytes) -> str | None:
    """Python's name of the code page of a sample, or null when no language stands out."""
    found = _LANGUAGES.get(guess_language(sample.decode("cp1252", "replace")) or "")
    if found is None:
        return None
    letters = frozenset(found[0])
    best, most = None, 0.5
    for encoding in found[1]:
        try:
            text = sample.decode(encoding)
        except UnicodeDecodeError:
            continue
        high = [c for c in text.lower() if c > "\x7f" and c not in _PUNCTUATION]
        share = sum(c in letters for c in high) / max(1, len(high))
        if share > most:
            best, most = encoding, share
    return best


def is_hebrew(sample: bytes) -> bool:
    """Whether a sample is Hebrew in Windows-1255, which detectors by frequency take for Russian."""
    try:
        text = sample.decode("cp1255")
    except UnicodeDecodeError:
        return False
    return guess_language(text) == "he"
