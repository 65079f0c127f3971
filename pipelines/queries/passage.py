"""Where in its source a chunk stands: bytes, lines, pages and boxes, and the text around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.tables import Lake
from pipelines.tables.lake import by_file
from pipelines.tables.reading import content_places, read_rows

_AROUND = 800
"""Characters before and after a passage that are looked at for context."""
_LINES = 3
_SIDES = ("left", "top", "right", "bottom")


def content(
    lake: Lake, document_id: str, content_seq: int | None
) -> tuple[str, list[dict[str, Any]]] | None:
    """Text and blocks of a document as of `content_seq`; null when the table has them no longer."""
    if content_seq is None:
        return None
    contents = {document_id: content_seq}
    table = lake.documents
    for place, wanted in by_file(content_places(table, contents), contents):
        for rows in read_rows(table.folder, place, ["text", "blocks"], wanted):
            for row in rows.to_pylist():
                return str(row["text"]), row["blocks"] or []
    return None


def byte_span(
    document: Mapping[str, Any], text: str, start: int, end: int
) -> tuple[int, int] | None:
    """The bytes of the source file that `text[start:end]` is, half-open.

    Null where the text is not the decoded source, or does not encode to as many bytes as it has.
    """
    encoding = document["source_encoding"]
    if not document["text_is_source"] or not encoding:
        return None
    bom = document["bom_bytes"] or 0
    try:
        before, passage, after = (
            len(part.encode(encoding)) for part in (text[:start], text[start:end], text[end:])
        )
    except (LookupError, UnicodeError):
        return None
    # Some encodings put a mark before every piece, or shift between pieces: the sum tells.
    if bom + before + passage + after != document["size_bytes"]:
        return None
    return bom + before, bom + before + passage


def places(blocks: Sequence[Mapping[str, Any]], start: int, end: int) -> list[dict[str, Any]]:
    """Pages, boxes and locators of the innermost blocks that overlap `[start:end]` and have any."""
    known = [
        block
        for block in blocks
        if block["start"] < end
        and block["end"] > start
        and (block["bbox"] is not None or block["locator"] is not None)
    ]
    inner = [
        block
        for n, block in enumerate(known)
        if not any(_within(other, block) for other in known[n + 1 :])
    ]
    return [
        {
            "kind": block["kind"],
            "page": block["page"],
            "bbox": [block["bbox"][side] for side in _SIDES] if block["bbox"] else None,
            "locator": block["locator"],
        }
        for block in inner
    ]


def _within(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> bool:
    return bool(outer["start"] <= inner["start"] and inner["end"] <= outer["end"])


def passage(text: str, start: int, end: int) -> dict[str, Any]:
    """`text[start:end]` between a few lines of what is around it, and its lines from 1."""
    before = text[max(0, start - _AROUND) : start]
    after = text[end : end + _AROUND]
    head = "".join(before.splitlines(keepends=True)[-_LINES - 1 :])
    tail = "".join(after.splitlines(keepends=True)[: _LINES + 1])
    first = text.count("\n", 0, start) + 1
    last = first + text.count("\n", start, max(start, end - 1))
    return {"before": head, "text": text[start:end], "after": tail, "lines": [first, last]}
