"""What a PDF's raw bytes tell and PDFium does not: bombs, damage, emptiness."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator

from pipelines.ingest.parsers.base import Limits, ParseError

_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_DICTIONARY = 4_096
"""Bytes before a stream in which its dictionary is looked for."""
_FILTER = re.compile(rb"/(Fl|RL|LZW|A85|AHx|\w+Decode|Crypt)(?![A-Za-z])")
_SHORT_NAMES = {b"Fl": b"FlateDecode", b"RL": b"RunLengthDecode", b"A85": b"ASCII85Decode",
                b"AHx": b"ASCIIHexDecode"}  # fmt: skip
_EXPANDING = frozenset({b"FlateDecode", b"RunLengthDecode"})
_IMAGE = re.compile(rb"/Subtype\s*/Image\b|/Type\s*/(?:Metadata|XRef)\b")
_SHOWS = re.compile(rb"(?<![A-Za-z0-9.*])(?:T[jJ]|Do|BI)\b|[)>]\s{0,8}['\"]")
_FLATE_MOST = 1_032
"""Deflate cannot expand anything further."""
_CONTENT_MOST = 32 << 20
"""Bytes that a stream other than an image may expand to, whatever its ratio."""
_LOOK_MOST = 50 << 20
"""Bytes of decoded streams that are searched before emptiness counts as not proven."""
_CATALOG = re.compile(
    rb"(\d{1,10})\s+(\d{1,5})\s+obj\b(?:(?!endobj).){0,400}?/Type\s*/Catalog", re.DOTALL
)
_COUNT = re.compile(rb"/Count\s+(\d{1,19})")
_HEADER = b"%PDF-"
_ACTIVE = re.compile(rb"/(?:JavaScript|JS|Launch|ImportData|SubmitForm)\b")


def refuse_bombs(data: bytes, limits: Limits) -> None:
    """Refuse a PDF with a stream that expands beyond reason, before PDFium expands it.

    Raises:
        ParseError: `limit_ratio` for a content stream that grows by more than
            `limits.max_ratio`, to more than 32 MiB.
    """
    for filters, body in _streams(data):
        expanding = sum(name in _EXPANDING for name in filters)
        if not expanding or (expanding == 1 and len(body) * _FLATE_MOST <= _CONTENT_MOST):
            continue
        _, size = _decoded(body, filters, _CONTENT_MOST)
        if size > _CONTENT_MOST and size > limits.max_ratio * len(body):
            raise ParseError(
                "limit_ratio",
                f"a stream of {len(body):,} bytes expands to {size:,} or more; the limit "
                f"max_ratio is {limits.max_ratio}",
            )


def repairs(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Other readings of a PDF that does not open, each with what was done to get it."""
    start = data.find(_HEADER)
    if start > 0:
        yield data[start:], f"{start:,} bytes before the PDF's beginning are left out"
        data = data[start:]
    roots = _CATALOG.findall(data)
    if roots:
        # The last one is in force.
        root = b" ".join(roots[-1])
        tail = b"\nendstream\nendobj\ntrailer\n<< /Root " + root + b" R >>\nstartxref\n0\n%%EOF\n"
        yield data + tail, "the PDF is cut off or damaged; what could be recovered is kept"


def claimed_pages(data: bytes) -> int:
    """The most pages that any node of the page tree claims, for a PDF that does not open."""
    return max((int(count) for count in _COUNT.findall(data)), default=0)


def has_actions(data: bytes) -> bool:
    """Whether scripts or programs hang on the document, as far as plain bytes show."""
    return _ACTIVE.search(data) is not None


def draws_nothing(data: bytes) -> bool:
    """Whether no stream of the file shows text or draws another object.

    PDFium gives an empty page, and no error, for content that it cannot decode. So emptiness is
    only proven when every stream can be looked into.
    """
    budget = _LOOK_MOST
    for filters, body in _streams(data):
        content, size = _decoded(body, filters, budget)
        budget -= size
        if content is None or budget <= 0 or _SHOWS.search(content):
            return False
    return True


def _streams(data: bytes) -> Iterator[tuple[list[bytes], bytes]]:
    """Filters and raw bytes of each stream but images, metadata and cross-references."""
    at = 0
    while (found := _STREAM.search(data, at)) is not None:
        end = data.find(b"endstream", found.end())
        end = end if end >= 0 else len(data)
        at = max(end, found.end())
        head = data[max(0, found.start() - _DICTIONARY) : found.start()]
        dictionary = head[head.rfind(b"obj") + 3 :]
        if not _IMAGE.search(dictionary):
            names = [_SHORT_NAMES.get(name, name) for name in _FILTER.findall(dictionary)]
            yield names, data[found.end() : end]


def _decoded(body: bytes, filters: list[bytes], most: int) -> tuple[bytes | None, int]:
    """A stream's content, null when it is not to be had, and its size, counted to just above
    `most`.
    """
    for name in filters:
        try:
            if name == b"ASCII85Decode":
                body = base64.a85decode(body.strip().removesuffix(b"~>"))
            elif name == b"ASCIIHexDecode":
                body = bytes.fromhex(body.strip().removesuffix(b">").decode("ascii"))
            elif name == b"FlateDecode":
                body = zlib.decompressobj().decompress(body, most + 1)
            elif name == b"RunLengthDecode":
                # The most that run lengths can make of it.
                return None, sum(257 - byte for byte in body[::2] if byte > 128)
            else:
                return None, len(body)
        except (zlib.error, ValueError):
            return None, len(body)
        if len(body) > most:
            return None, len(body)
    return body, len(body)
