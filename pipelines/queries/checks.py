"""The checks behind `verify`, on plain values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lineage import chunk_id
from lineage.acl import Acl
from lineage.records import embedded_text, uncovered


def chunk_problems(chunk: Mapping[str, Any], text: str, encoding: str) -> Iterator[tuple[str, str]]:
    """What is wrong with one chunk row by itself: pairs of promise and message.

    `text` is the document's; `encoding` is for rows whose lineage names none.
    """
    from chunkers.counting import count_tokens

    start, end = chunk["start"], chunk["end"]
    if not 0 <= start < end <= len(text) or text[start:end] != chunk["text"]:
        yield (
            "P1",
            f"its text is not characters [{start}:{end}] of the document's {len(text)}: "
            f"{text[start:end][:60]!r} is there, {chunk['text'][:60]!r} is stored",
        )
    lineage = chunk["lineage"] or {}
    tokens = count_tokens(
        embedded_text(chunk["context"] or "", chunk["text"]),
        lineage.get("encoding") or encoding,
    )
    if tokens > chunk["max_tokens"]:
        yield "P9", f"has {tokens} tokens with its context, above its cap of {chunk['max_tokens']}"
    if tokens != chunk["token_count"]:
        yield "P9", f"has {tokens} tokens with its context, and its row says {chunk['token_count']}"
    problem = acl_problem(chunk["acl"])
    if problem:
        yield "P3", problem


def acl_problem(value: Mapping[str, Any] | None) -> str | None:
    """What is wrong with a stored ACL, or null."""
    if value is None or not value.get("state"):
        return "has no ACL state"
    try:
        acl = Acl.from_dict({**value, "fingerprint": ""})
    except ValueError as error:
        return f"has an ACL that makes no sense: {error}"
    lists = ("allow_users", "allow_groups", "deny_users", "deny_groups")
    fresh = Acl(
        state=acl.state,
        allow_users=acl.allow_users,
        allow_groups=acl.allow_groups,
        deny_users=acl.deny_users,
        deny_groups=acl.deny_groups,
    )
    if fresh.fingerprint != value["fingerprint"]:
        names = ", ".join(f"{name} {value[name]}" for name in lists if value[name])
        return f"has an ACL whose fingerprint does not fit its entries ({names or 'none'})"
    return None


def coverage_problems(chunks: Sequence[Mapping[str, Any]], text: str) -> Iterator[str]:
    """The stretches of `text` that no chunk covers, at each level of each granularity."""
    levels: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for chunk in chunks:
        levels[chunk["granularity"] or "", chunk["level"]].append((chunk["start"], chunk["end"]))
    if not levels:
        levels["", 0] = []
    for (granularity, level), spans in levels.items():
        where = f" at {granularity or 'level'} {level}" if granularity or level else ""
        for start, end in uncovered(text, spans):
            yield f"characters [{start}:{end}] are in no chunk{where}: {text[start:end][:60]!r}"


def id_problems(chunks: Sequence[Mapping[str, Any]], strategy: str) -> Iterator[tuple[str, str]]:
    """Chunk ids that are not what their content says, and parents that are not there."""
    seen: Counter[tuple[int, str, str]] = Counter()
    known = {chunk["chunk_id"]: chunk for chunk in chunks}
    if len(known) != len(chunks):
        yield "", f"{len(chunks) - len(known)} of its chunk ids occur twice"
    for chunk in sorted(chunks, key=lambda c: (c["start"], c["end"], c["ordinal"])):
        key = (chunk["level"], chunk["context"] or "", chunk["text"])
        expected = chunk_id(chunk["document_id"], strategy, *key, seen[key])
        seen[key] += 1
        if expected != chunk["chunk_id"]:
            yield chunk["chunk_id"], f"should have the id {expected}"
        problem = _parent_problem(chunk, known)
        if problem:
            yield chunk["chunk_id"], problem


def _parent_problem(chunk: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> str | None:
    identifier = chunk["parent_chunk_id"]
    if identifier is None:
        return None
    parent = known.get(identifier)
    if parent is None:
        return f"names the parent {identifier}, which is not there"
    if parent["level"] <= chunk["level"]:
        return f"names the parent {identifier}, which is of level {parent['level']}"
    if not parent["start"] <= chunk["start"] < chunk["end"] <= parent["end"]:
        return (
            f"has characters [{chunk['start']}:{chunk['end']}], and its parent {identifier} has "
            f"[{parent['start']}:{parent['end']}]"
        )
    return None
