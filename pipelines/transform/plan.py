"""The plan of a transform run: the documents' newest state against the chunks' headers.

Pure functions over small columns. What decides is the content, the route's parameters and the
rights, so a run that was interrupted, or whose policy changed, does just what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from chunkers.policy import Facts, Policy

DOCUMENT_COLUMNS = (
    "source", "source_uri", "op", "content_seq", "source_version", "content_sha256", "size_bytes",
    "media_type", "data_type", "language", "title", "text_is_source", "acl", "labels", "parser",
    "error", "run_id",
)  # fmt: skip

ActionKind = Literal["acl", "delete", "reject", "chunk"]


@dataclass(frozen=True, slots=True)
class Routed:
    """A route, resolved: what is going to chunk the document, and the hash of all that matters."""

    rule: str
    chunker: str
    chunker_version: str
    parameters: Mapping[str, Any]
    parameters_hash: str


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be done about one document."""

    kind: ActionKind
    document: Mapping[str, Any]
    """The newest row of the documents table, small columns."""
    header: Mapping[str, Any] | None
    """The newest header row of the chunk table."""
    routed: Routed | None = None


class Router:
    """Routes documents by a policy and remembers each rule's resolved parameters.

    Args:
        policy: the strategy's policy.
        encoding: token encoding.
        max_tokens: the hard cap in tokens of `encoding`.
        version_of: version of the chunker that (name, parameters) builds.
    """

    def __init__(
        self,
        policy: Policy,
        encoding: str,
        max_tokens: int,
        version_of: Callable[[str, Mapping[str, Any]], str],
    ) -> None:
        self._policy = policy
        self._encoding = encoding
        self._max_tokens = max_tokens
        self._version_of = version_of
        self._routed: dict[str, Routed] = {}

    def route(self, facts: Facts) -> Routed:
        """The resolved route of a document with these facts."""
        route = self._policy.route(facts)
        known = self._routed.get(route.rule)
        if known is None:
            version = self._version_of(route.chunker, route.parameters)
            known = Routed(
                rule=route.rule,
                chunker=route.chunker,
                chunker_version=version,
                parameters=dict(route.parameters),
                parameters_hash=route.parameters_hash(self._encoding, self._max_tokens, version),
            )
            self._routed[route.rule] = known
        return known


def plan(
    documents: pa.Table,
    headers: pa.Table,
    route: Callable[[Mapping[str, Any]], Routed],
    *,
    whole: bool = False,
) -> list[Action]:
    """What each changed document needs: rights and withdrawals first, then new content.

    Among those with new content, the ones whose rights changed as well come first.

    Args:
        documents: newest rows of the documents in question, `DOCUMENT_COLUMNS`.
        headers: newest header rows of the chunk table.
        route: the resolved route of a document's row.
        whole: `documents` are all that there are, so what has a header and is none of them is
            gone.
    """
    known = {row["document_id"]: row for row in headers.to_pylist()}
    actions = []
    for document in documents.to_pylist():
        action = decide(document, known.pop(document["document_id"], None), route)
        if action is not None:
            actions.append(action)
    if whole:
        actions += [
            Action("delete", gone(header), header)
            for header in known.values()
            if header["op"] != "delete"
        ]
    actions.sort(key=_urgency)
    return actions


def _urgency(action: Action) -> int:
    if action.kind != "chunk":
        return 0
    return 2 if action.header is None or same_rights(action.header, action.document) else 1


def same_rights(header: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a header carries the ACL and the labels of its document."""
    return bool(header["acl"]["fingerprint"] == document["acl"]["fingerprint"]) and dict(
        header["labels"] or ()
    ) == dict(document["labels"] or ())


def gone(header: Mapping[str, Any]) -> dict[str, Any]:
    """A stand-in for the row of a document that the documents table no longer tells of."""
    lineage = header["lineage"] or {}
    return {
        **dict.fromkeys(DOCUMENT_COLUMNS),
        **{name: header[name] for name in ("document_id", "data_type", "acl", "labels")},
        **{name: lineage.get(name) for name in ("source_uri", "source_version", "content_sha256")},
        "parser": lineage.get("parser"),
        "seq": lineage.get("document_seq"),
        "run_id": lineage.get("ingest_run_id"),
        "op": "delete",
    }


def decide(
    document: Mapping[str, Any],
    header: Mapping[str, Any] | None,
    route: Callable[[Mapping[str, Any]], Routed],
) -> Action | None:
    """What one document needs, or null."""
    if document["content_seq"] is None:
        if header is None or header["op"] in ("delete", "reject"):
            return None
        kind: ActionKind = "delete" if document["op"] == "delete" else "reject"
        return Action(kind, document, header)
    routed = route(document)
    lineage = (header or {}).get("lineage") or {}
    same = (
        header is not None
        and header["op"] != "delete"
        and lineage["content_seq"] == document["content_seq"]
        and lineage["parameters_hash"] == routed.parameters_hash
    )
    if not same:
        return Action("chunk", document, header, routed)
    assert header is not None
    if header["op"] == "reject":
        return None
    return None if same_rights(header, document) else Action("acl", document, header, routed)
