"""Bytes of text formats to text, character for character where they can be.

Cheap certain tests come first (byte order marks, UTF-8, the zeros of UTF-16), guessing last and
on a bounded sample.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from pipelines.ingest.parsers.codepages import is_hebrew, latin_code_page

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    # Before UTF-16, whose mark it begins with.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ESCAPES = (b"\x1b$B", b"\x1b$@")
_SAMPLE_BYTES = 16_384
_SURROGATES = re.compile("[\ud800-\udfff]")
_HIGH = re.compile(rb"[\x80-\xff]+")
_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']"""
    rb"""|^(?:[^\n]*\n)?[^\n]{0,80}coding[:=]\s*([-\w.]{1,40})"""
)
# Codecs for other purposes than text files; the first two take the square of the length.
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"}
)
# With nothing else besides, zeros are strays in an 8-bit text, unless there are very many.
_PLAIN = bytes(range(32, 127)) + b"\t\n\r\f\v\0"
_WORDLIKE = re.compile(r"[\w\s.,;:!?'\"()\u2010-\u2027\u20ac\u00a3\u00b0\u00a7\u00ab\u00bb-]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text and how it was got from the bytes."""

    text: str
    """Without byte order mark, NUL and lone surrogates; line ends as in the source."""
    encoding: str
    bom_bytes: int = 0
    exact: bool = True
    """Whether `text`, encoded again behind its byte order mark, gives the source's bytes."""
    warnings: tuple[str, ...] = ()


def decode(data: bytes) -> Decoded:
    """Decode the bytes of a text format. Always succeeds; see `Decoded.exact`."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding, len(mark))
    wide = wide_encoding(data)
    if wide is not None:
        return _decoded(data, wide, 0)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _decoded(data, _legacy(data), 0)
    if any(escape in data for escape in _ESCAPES) and _decodes(data, "iso2022_jp"):
        return _decoded(data, "iso2022_jp", 0)
    return _clean(text, "utf-8")


def wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a byte order mark, told by where its zero bytes are."""
    sample = data[: _SAMPLE_BYTES & ~3]
    if len(sample) < 4 or b"\0" not in sample:
        return None
    if sample.count(0) < 0.4 * len(sample) and not sample.translate(None, _PLAIN):
        return None
    quarters = [sample[i::4].count(0) / max(1, len(sample[i::4])) for i in range(4)]
    if len(data) % 4 == 0 and min(quarters[1:]) > 0.4 and quarters[0] < 0.1:
        candidates = ["utf-32-le"] if quarters[2] > 0.9 else []
    elif len(data) % 4 == 0 and min(quarters[:3]) > 0.4 and quarters[3] < 0.1:
        candidates = ["utf-32-be"] if quarters[1] > 0.9 else []
    else:
        candidates = []
    even, odd = sample[::2].count(0) / len(sample[::2]), sample[1::2].count(0) / len(sample[1::2])
    if len(data) % 2 == 0:
        if odd > 0.05 and even < odd / 10:
            candidates.append("utf-16-le")
        elif even > 0.05 and odd < even / 10:
            candidates.append("utf-16-be")
    for encoding in candidates:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(sample)
        except UnicodeDecodeError:
            continue
        if text and sum(c.isprintable() or c.isspace() for c in text) > 0.95 * len(text):
            return encoding
    return None


def _decoded(data: bytes, encoding: str, bom_bytes: int) -> Decoded:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode(encoding, errors="replace")
        undecodable = text.count("\ufffd")
    else:
        undecodable = 0
    # What the Unicode encodings decode they give back; elsewhere several bytes may stand for one.
    same = encoding.startswith("utf") or _encoded(text, encoding) == data
    return _clean(text, encoding, bom_bytes, undecodable, same)


def _clean(
    text: str, encoding: str, bom_bytes: int = 0, undecodable: int = 0, same: bool = True
) -> Decoded:
    warnings: list[str] = []
    if undecodable:
        warnings.append(
            f"{undecodable:,} places are not valid {encoding} and were replaced by U+FFFD"
        )
    elif not same:
        warnings.append(f"some characters of the {encoding} text can be written in several ways")
    if "\0" in text:
        warnings.append(f"{text.count(chr(0)):,} NUL characters were removed")
        text = text.replace("\0", "")
    # UTF-8 has no surrogates to give; other codecs' text may.
    if encoding != "utf-8" and not text.isascii():
        text, replaced = _SURROGATES.subn("\ufffd", text)
        if replaced:
            warnings.append(f"{replaced:,} lone surrogates were replaced by U+FFFD")
    return Decoded(text, encoding, bom_bytes, not warnings, tuple(warnings))


def _legacy(data: bytes) -> str:
    """The encoding of bytes that are not valid UTF-8."""
    declared = _DECLARED.search(data[:1024])
    if declared:
        name = _charset((declared.group(1) or declared.group(2)).decode("ascii"))
        if name is not None and _decodes(data, name):
            return name
    sample = _sample(data)
    valid = sum(len(found.group()) for found in _MULTIBYTE.finditer(sample))
    runs = [len(found.group()) for found in _HIGH.finditer(sample)]
    high = sum(runs)
    # Damaged UTF-8, cut characters included.
    if high and valid > 0.75 * high:
        return "utf-8"
    # High bytes one by one among ASCII letters are an accented Latin script.
    sparse = runs and high / len(runs) < 1.6 and high < 0.3 * len(sample)
    if sparse:
        page = latin_code_page(sample)
        if page is not None and _decodes(data, page):
            return page
        if _decodes(sample, "cp1252") and _plausible(sample.decode("cp1252")):
            return "cp1252"
    if high < 12:
        return "utf-8"
    if is_hebrew(sample) and _decodes(data, "cp1255"):
        return "cp1255"
    return _guess(data, sample)


def _charset(name: str) -> str | None:
    """Python's name of a declared 8-bit or multi-byte encoding, if it is one."""
    try:
        name = codecs.lookup(name).name
    except LookupError:
        return None
    usable = not name.startswith("utf") and name.replace("-", "_") not in _NO_CHARSETS
    return name if usable else None


def _sample(data: bytes) -> bytes:
    """A stretch of the data around its first bytes above ASCII, cut at white space."""
    first = _HIGH.search(data)
    start = max(0, first.start() - 512) if first else 0
    start = max(data.rfind(b"\n", 0, start), data.rfind(b" ", 0, start), 0)
    end = start + _SAMPLE_BYTES
    if end < len(data):
        # In no encoding looked for here is a line end a part of another character.
        end = max(data.rfind(b"\n", start, end), data.rfind(b" ", start, end), start + 512)
    return data[start:end]


def _guess(data: bytes, sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample, steps=5, chunk_size=512).best()
    if best is not None and best.encoding not in ("ascii", "utf_8"):
        # Of the supersets of Shift-JIS and GB2312 the widest fails least.
        name = {"shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}.get(
            best.encoding, best.encoding
        )
        if _decodes(data, name):
            return codecs.lookup(name).name
    return "cp1252" if _decodes(data, "cp1252") else "utf-8"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _encoded(text: str, encoding: str) -> bytes | None:
    try:
        return text.encode(encoding)
    except UnicodeError:
        return None


def _plausible(text: str) -> bool:
    """Whether what is above ASCII looks like letters and punctuation of western prose."""
    high = [character for character in text if character > "\x7f"]
    fitting = sum(c.isalpha() or _WORDLIKE.match(c) is not None for c in high)
    return fitting >= 0.7 * len(high)
