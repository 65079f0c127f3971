"""Names as keys: one line, valid Unicode, NFC, and the way back to the exact name.

A key is the name as it is, except for what cannot stand in one line of text: control and line
separating characters, bytes that are not UTF-8, and a `%` that would read as an escape are
written as `%XX`, byte by byte. So keys stay readable, and no two names share one.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from urllib.parse import quote

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff]|%(?=[0-9A-Fa-f]{2})")
_OTHER_SURROGATES = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")
_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def escape(name: str) -> str:
    """Write what cannot stand in a key as `%XX`."""
    if name.isascii() and name.isprintable() and "%" not in name:
        return name
    name = _UNSAFE.sub(lambda match: _bytes(match[0]), name)
    return _OTHER_SURROGATES.sub("\ufffd", name)


def exact_key(name: str) -> str:
    """Key of a name that must not be normalised, such as a blob's or a record's.

    A name that is not in NFC, or begins with `./`, is escaped where it is not ASCII, or at that
    dot: its key cannot be mistaken for that of its normalised twin.
    """
    key = _composed_key(name)
    return f"%2E{key[1:]}" if key.startswith("./") else key


def _composed_key(name: str) -> str:
    key = escape(name)
    # Even of a name in NFC it may not be: an accent after a line end would join its escape.
    return key if unicodedata.is_normalized("NFC", key) else _escape_all(name)


def name_of(key: str) -> str:
    """The exact name behind a key; bytes that are not UTF-8 come back as surrogate escapes."""
    if "%" not in key:
        return key
    data = key.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), data).decode(
        "utf-8", "surrogateescape"
    )


def component_keys(names: Iterable[str]) -> dict[str, str]:
    """Key of each of a folder's names.

    File systems disagree on how to compose characters, so a key is in NFC, and the same file
    has the same key everywhere. Where two names of one folder differ in nothing else, the one
    that is in NFC keeps the plain key, and the others are escaped.
    """
    keys = {name: _composed_key(unicodedata.normalize("NFC", name)) for name in names}
    often = Counter(keys.values())
    for name, key in keys.items():
        if often[key] > 1 and not unicodedata.is_normalized("NFC", name):
            keys[name] = _escape_all(name)
    return keys


def uri_of(base: str, name: str) -> str:
    """`base` followed by `name`, percent-encoded as URIs want it."""
    if _PLAIN.fullmatch(name):
        return base + name
    return base + quote(name.encode("utf-8", "surrogateescape"), safe="/~!$&'()*+,;=:@")


def printable(path: str | os.PathLike[str]) -> str:
    """A path for a message: on one line and valid Unicode."""
    return escape(os.fspath(path))


def _bytes(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def _escape_all(name: str) -> str:
    return "".join(c if c.isascii() else _bytes(c) for c in escape(name))
