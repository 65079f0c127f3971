"""Rows of the documents table, out of an action and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from lineage import TRANSIENT_CLASSES, Acl
from lineage.schemas import BLOCKS, DOCUMENTS
from pipelines.ingest.plan import SMALL_COLUMNS, Action
from pipelines.ingest.sources.base import Listed
from pipelines.ingest.work import ParseOutcome

_SMALL = pa.schema([DOCUMENTS.field(name) for name in SMALL_COLUMNS])
_WARNINGS = 20
"""Warnings to keep of a document."""
_WARNING_CHARS = 500


@dataclass(frozen=True, slots=True)
class RowStamp:
    """What all rows of a batch have in common."""

    pipeline: str
    seq: int
    run_id: str
    now: datetime
    payers: tuple[str, ...] = ()
    """The labels by which costs are reported."""


def _base(action: Action, listed: Listed, stamp: RowStamp) -> dict[str, Any]:
    return {
        "document_id": action.document_id,
        "pipeline": stamp.pipeline,
        "source": action.source,
        "source_uri": listed.uri,
        "seq": stamp.seq,
        "source_version": listed.version,
        "size_bytes": listed.size,
        "source_modified_at": listed.modified_at,
        "media_type": listed.media_type,
        "acl": listed.acl.as_dict(),
        "acl_as_of": stamp.now,
        "labels": dict(listed.labels),
        "run_id": stamp.run_id,
        "written_at": stamp.now,
    }


def upsert_row(
    action: Action, outcome: ParseOutcome, sha256: str, size_bytes: int, stamp: RowStamp
) -> dict[str, Any]:
    """The small columns of a document whose content was parsed now."""
    assert action.listed is not None
    return _base(action, action.listed, stamp) | {
        "op": "upsert",
        "content_seq": stamp.seq,
        "content_sha256": sha256,
        "size_bytes": size_bytes,
        "media_type": outcome.media_type,
        "data_type": outcome.data_type,
        "language": outcome.language,
        "title": outcome.title or action.listed.title,
        "text_is_source": outcome.text_is_source,
        "source_encoding": outcome.source_encoding,
        "bom_bytes": outcome.bom_bytes,
        "parser": _parser(outcome),
        "warnings": _warnings(outcome),
    }


def same_content_row(
    action: Action, known: dict[str, Any], stamp: RowStamp, *, rights_differ: bool
) -> dict[str, Any]:
    """A document whose bytes did not change: `acl` when its rights did, else `touch`.

    A document that stays rejected keeps its `reject`, with the rights as they are now; if it
    still serves older content, as far as they narrow those that it had.
    """
    assert action.listed is not None
    listed = action.listed
    row = known | _base(action, listed, stamp)
    row["media_type"] = known["media_type"]
    row["size_bytes"] = known["size_bytes"] if listed.size is None else listed.size
    if known["op"] == "reject" and action.kind == "acl":
        row["op"] = "reject"
        if known["content_seq"] is not None:
            row["acl"] = _narrowed(known, listed)
    else:
        row["op"] = "acl" if rights_differ else "touch"
        row["error"] = None
    return row


def same_rights(row: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether two rows of a document carry the same ACL and the same labels."""
    return bool(row["acl"]["fingerprint"] == known["acl"]["fingerprint"]) and dict(
        row["labels"] or ()
    ) == dict(known["labels"] or ())


def delete_row(known: dict[str, Any], stamp: RowStamp) -> dict[str, Any]:
    """A document that its source does not list any more."""
    return known | {
        "op": "delete",
        "seq": stamp.seq,
        "content_seq": None,
        "error": None,
        "run_id": stamp.run_id,
        "written_at": stamp.now,
    }


def reject_row(
    action: Action,
    known: dict[str, Any] | None,
    error_class: str,
    message: str,
    stamp: RowStamp,
    *,
    outcome: ParseOutcome | None = None,
    sha256: str | None = None,
) -> dict[str, Any]:
    """A document that failed. A transient failure keeps the last good content in force.

    The rights that were listed are those of content that could not be read. What is kept is older,
    and may have been meant for fewer: it gets no reader whom it did not have.
    """
    assert action.listed is not None
    keep = known is not None and error_class in TRANSIENT_CLASSES
    row = dict(known) if keep and known is not None else {}
    previous = (known or {}).get("error") or {}
    attempts = previous.get("attempts", 0) if previous.get("error_class") == error_class else 0
    row |= _base(action, action.listed, stamp)
    row |= {
        "op": "reject",
        "content_seq": known["content_seq"] if keep and known is not None else None,
        "error": {
            "stage": "ingest",
            "error_class": error_class,
            "message": message[:2000],
            "attempts": attempts + 1,
        },
    }
    if keep and known is not None:
        row["media_type"] = known["media_type"]
        if known["content_seq"] is not None:
            row["acl"] = _narrowed(known, action.listed)
    else:
        row["content_sha256"] = sha256
        row["parser"] = _parser(outcome) if outcome is not None else None
    return row


def _narrowed(known: dict[str, Any], listed: Listed) -> dict[str, Any]:
    return Acl.from_dict(known["acl"]).narrowed(listed.acl).with_origin(listed.acl.origin).as_dict()


def _parser(outcome: ParseOutcome) -> dict[str, str] | None:
    info = outcome.parser
    if info is None:
        return None
    return {"name": info.name, "version": info.version, "options_hash": info.options_hash}


def _warnings(outcome: ParseOutcome) -> list[str] | None:
    """What the parser warned of, bounded: a damaged file may have thousands of one kind."""
    told = [text[:_WARNING_CHARS] for text in outcome.warnings]
    if len(told) > _WARNINGS:
        told[_WARNINGS - 1 :] = [f"and {len(told) - _WARNINGS + 1} more"]
    return told or None


def small_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows without content, as the table's schema wants them."""
    table = pa.Table.from_pylist(list(rows), schema=_SMALL)
    return with_content(table, pa.nulls(len(rows), pa.string()), pa.nulls(len(rows), BLOCKS))


def content_table(rows: Sequence[dict[str, Any]], content: pa.Table) -> pa.Table:
    """Rows with their content: `content` has the columns `text` and `blocks`, row by row."""
    table = pa.Table.from_pylist(list(rows), schema=_SMALL)
    return with_content(table, content["text"], content["blocks"])


def with_content(small: pa.Table, text: Any, blocks: Any) -> pa.Table:
    """Put the two large columns in their places."""
    columns = {name: small[name] for name in SMALL_COLUMNS} | {"text": text, "blocks": blocks}
    return pa.table([columns[name] for name in DOCUMENTS.names], schema=DOCUMENTS)
