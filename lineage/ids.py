"""Deterministic identifiers: the same on every machine, runner and run, and free of collisions.

Every variable-length part is length-prefixed before it is hashed, so no two different inputs
share an encoding. Hashes are SHA-256 cut to 128 bits, in hexadecimal.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from typing import Any

_DIGITS = 32


def _digest(kind: str, parts: Iterable[str]) -> str:
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(b"|%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()[:_DIGITS]


def normalise_key(key: str) -> str:
    """A document's key relative to its source's root, with `/` as separator, in Unicode NFC.

    NFC makes a name typed on one machine equal to the same name listed on another one whose
    file system decomposes characters.
    """
    return unicodedata.normalize("NFC", key).removeprefix("./")


def document_id(source: str, key: str) -> str:
    """Id of the document at `key` of the source named `source`."""
    return _digest("document", (source, normalise_key(key)))


def chunk_id(
    document: str, strategy: str, level: int, context: str, text: str, occurrence: int
) -> str:
    """Id of a chunk: positions, versions and parameters stay out of it.

    `occurrence` counts the chunks of one document that are equal in everything else, in order
    of position, from 0. Text that an edit elsewhere did not touch therefore keeps its id.
    """
    return _digest("chunk", (document, strategy, str(level), context, text, str(occurrence)))


def fingerprint(value: Any) -> str:
    """Hash of a JSON-like value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return _digest("value", (text,))


def content_sha256(data: bytes) -> str:
    """SHA-256 of a source's bytes, in hexadecimal, uncut."""
    return hashlib.sha256(data).hexdigest()
