"""The plan of an ingest run: what is listed against what is known, before anything is fetched.

Pure functions over small columns. A run whose plan is empty reads no document and writes no row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from lineage import TRANSIENT_CLASSES, Acl, ParserInfo, document_id
from lineage.schemas import DOCUMENT_LARGE, DOCUMENTS
from pipelines.ingest.sources.adls_rights import NARROWED
from pipelines.ingest.sources.base import Listed

SMALL_COLUMNS = tuple(name for name in DOCUMENTS.names if name not in DOCUMENT_LARGE)

_NAMED = 3
"""Documents to name in a note."""

ActionKind = Literal["acl", "delete", "reject", "fetch"]
_ORDER: Mapping[str, int] = {"acl": 0, "delete": 1, "reject": 2, "fetch": 3}
"""Rights first. Among what is fetched, documents whose rights changed as well come first."""


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be done about one document."""

    kind: ActionKind
    source: str
    document_id: str
    listed: Listed | None
    known: int | None
    """Row of the known state, or null for a document never seen or deleted since."""
    rights: bool = False
    """Whether the rights of a known document are no longer the known ones."""
    reparse: bool = False
    """Whether to parse it even if its bytes are the known ones."""

    @property
    def urgency(self) -> tuple[int, bool]:
        """What to sort by, so that a revocation waits for no content."""
        return _ORDER[self.kind], not self.rights


@dataclass(slots=True)
class Known:
    """The documents table's newest state of one source."""

    rows: pa.Table
    index: dict[str, int] = field(default_factory=dict)
    version: list[str] = field(default_factory=list)
    op: list[str] = field(default_factory=list)
    acl: list[str] = field(default_factory=list)
    labels: list[dict[str, str]] = field(default_factory=list)
    error_class: list[str | None] = field(default_factory=list)
    parser: list[ParserInfo | None] = field(default_factory=list)

    @classmethod
    def of(cls, state: pa.Table, source: str) -> Known:
        """The part of `state` (newest rows, small columns) that belongs to `source`."""
        mask = pc.and_(pc.equal(state["source"], source), pc.not_equal(state["op"], "delete"))
        rows = state.filter(mask)
        return cls(
            rows=rows,
            index={identifier: i for i, identifier in enumerate(rows["document_id"].to_pylist())},
            version=rows["source_version"].to_pylist(),
            op=rows["op"].to_pylist(),
            acl=pc.struct_field(rows["acl"], "fingerprint").to_pylist(),
            labels=[dict(value or ()) for value in rows["labels"].to_pylist()],
            error_class=pc.struct_field(rows["error"], "error_class").to_pylist(),
            parser=[
                ParserInfo(**value) if value and value["name"] else None
                for value in rows["parser"].to_pylist()
            ],
        )

    def rights_differ(self, row: int, listed: Listed) -> bool:
        """Whether a listed document's ACL or labels are others than those known."""
        return self.acl[row] != listed.acl.fingerprint or self.labels[row] != dict(listed.labels)

    def oldest_acl(self, rows: Iterable[int]) -> datetime | None:
        """When the rights of some rows were resolved, the longest ago; null without rows."""
        values = self.rows["acl_as_of"].take(pa.array(list(rows), pa.int64()))
        oldest: datetime | None = pc.min(values).as_py()
        return oldest

    def acls(self) -> dict[str, Acl]:
        """The ACLs of this source's documents by their origin."""
        origins = pc.struct_field(self.rows["acl"], "origin").to_pylist()
        first = {origin: row for row, origin in enumerate(origins) if origin}
        values = self.rows["acl"].take(pa.array(list(first.values()), pa.int64())).to_pylist()
        return {origin: Acl.from_dict(v) for origin, v in zip(first, values, strict=True)}

    def records(self, indices: Iterable[int]) -> dict[int, dict[str, Any]]:
        """The small columns of some rows, as plain values."""
        wanted = sorted(set(indices))
        rows = self.rows.take(pa.array(wanted, pa.int64())).to_pylist()
        return dict(zip(wanted, rows, strict=True))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do with one source."""

    actions: tuple[Action, ...]
    listed: int
    unchanged: int
    held: int
    """Known documents that were not listed and are kept by the guard."""
    unknown_acl: int
    missing: int = 0
    """Known documents that were not listed."""
    complete: bool = True
    """Whether the listing came to its end."""
    forgotten: int = 0
    """Listed documents that were erased on request; they are in no other count."""
    oldest_acl: datetime | None = None
    """When the rights of the documents that are held were resolved, the longest ago."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guard:
    """When documents that are gone from a listing are not deleted."""

    max_delete_ratio: float = 0.5
    min_documents: int = 5
    allow_deletes: bool = False

    def holds(self, *, listed: int, known: int, missing: int, complete: bool) -> str | None:
        """Why the deletions are held back, or null when they may go ahead."""
        if not missing:
            return None
        if not complete:
            return "the listing failed part-way"
        if self.allow_deletes:
            return None
        if not listed:
            return "the listing came back empty"
        if known >= self.min_documents and missing / known > self.max_delete_ratio:
            return f"the listing lost {missing} of {known} known documents"
        return None


def plan_source(
    source: str,
    listing: Iterable[Listed],
    known: Known,
    *,
    guard: Guard,
    parser_changed: Callable[[ParserInfo], bool],
    verify_hash: bool = False,
    retry_rejects: bool = False,
    reparse: Callable[[ParserInfo], bool] = lambda _: False,
    failure: Callable[[], str | None] = lambda: None,
    forgotten: Collection[str] = (),
) -> Plan:
    """Join a source's listing with its known documents.

    Args:
        source: the source's name.
        listing: what the source lists; read once, to its end.
        known: the newest state of that source's documents.
        guard: when deletions are held back.
        parser_changed: whether a parser that rejected a document has changed since.
        verify_hash: fetch every document, trusting no version.
        retry_rejects: fetch every rejected document again.
        reparse: whether what a parser has parsed is to be parsed again.
        failure: called after the listing was read; says why it is incomplete, if it is.
        forgotten: ids of documents that are to stay away.
    """
    actions: list[Action] = []
    unreadable: list[str] = []
    narrowed: list[str] = []
    seen: set[str] = set()
    count: Counter[str] = Counter()
    for listed in listing:
        identifier = document_id(source, listed.key)
        if identifier in forgotten:
            count["forgotten"] += 1
            continue
        if identifier in seen:
            count["repeated"] += 1
            listed = _repeated(listed, count["repeated"])
            identifier = document_id(source, listed.key)
        seen.add(identifier)
        if listed.acl.origin.startswith(NARROWED):
            narrowed.append(listed.key)
        if listed.acl.state == "unknown":
            count["unknown"] += 1
            if ": " in listed.acl.origin:  # it gives a reason
                unreadable.append(f"{listed.key} ({listed.acl.origin})")
        row = known.index.get(identifier)
        kind = _decide(listed, row, known, parser_changed, verify_hash, retry_rejects)
        again = row is not None and not listed.problem and _parsed_by(known, row, reparse)
        if kind is None and not again:
            count["unchanged"] += 1
        else:
            rights = row is not None and known.rights_differ(row, listed)
            kind = "fetch" if again or kind is None else kind
            actions.append(Action(kind, source, identifier, listed, row, rights, again))
    missing = [identifier for identifier in known.index if identifier not in seen]
    problem = failure()
    reason = guard.holds(
        listed=len(seen), known=len(known.index), missing=len(missing), complete=problem is None
    )
    notes = [f"source {source!r}: {problem}; deletions are held back"] if problem else []
    if not seen and not count["forgotten"] and not known.index and not problem:
        notes.append(
            f"source {source!r} lists no document: nothing is there, or `include` and `exclude` "
            "leave nothing"
        )
    if count["forgotten"]:
        notes.append(
            f"source {source!r} lists {count['forgotten']} documents that were forgotten; they "
            "are not read. Remove them there, or let them back with `gristmill forget --restore`"
        )
    if narrowed:
        notes.append(
            f"source {source!r}: {len(narrowed)} documents have narrower rights than the lake "
            f"gives them, since no flat list says the same: {narrowed[0]}"
            f"{' …' * (len(narrowed) > 1)}"
        )
    if unreadable:
        named = "; ".join(unreadable[:_NAMED]) + ("; …" if len(unreadable) > _NAMED else "")
        notes.append(
            f"source {source!r}: the rights of {len(unreadable)} documents cannot be read or said, "
            f"so nobody can find them: {named}"
        )
    if reason is None:
        actions += [
            Action("delete", source, identifier, None, known.index[identifier])
            for identifier in missing
        ]
    elif not problem:
        notes.append(
            f"source {source!r}: {reason}, so {len(missing)} deletions are held back; "
            "run once with --allow-deletes if they are meant"
        )
    actions.sort(key=lambda action: action.urgency)
    return Plan(
        actions=tuple(actions),
        listed=len(seen),
        unchanged=count["unchanged"],
        held=len(missing) if reason else 0,
        unknown_acl=count["unknown"],
        missing=len(missing),
        complete=problem is None,
        forgotten=count["forgotten"],
        oldest_acl=known.oldest_acl(known.index[i] for i in missing) if reason else None,
        notes=tuple(notes),
    )


def _repeated(listed: Listed, number: int) -> Listed:
    message = f"another document of the source has the key {listed.key!r}; make keys distinct"
    return replace(listed, key=f"{listed.key}#repeated-{number}", problem=("malformed", message))


def _parsed_by(known: Known, row: int, reparse: Callable[[ParserInfo], bool]) -> bool:
    parser = known.parser[row]
    return parser is not None and reparse(parser)


def _decide(
    listed: Listed,
    row: int | None,
    known: Known,
    parser_changed: Callable[[ParserInfo], bool],
    verify_hash: bool,
    retry_rejects: bool,
) -> ActionKind | None:
    if row is None:
        return "reject" if listed.problem else "fetch"
    moved = known.version[row] != listed.version
    rejected = known.op[row] == "reject"
    rights = known.rights_differ(row, listed)
    if listed.problem:
        same = rejected and known.error_class[row] == listed.problem[0] and not moved
        return None if same and not rights else "reject"
    if rejected:
        parser = known.parser[row]
        again = moved or retry_rejects or (parser is not None and parser_changed(parser))
        if known.error_class[row] in TRANSIENT_CLASSES:
            # A parser's version says what it depends on, so one look at it stands for all tries.
            again = again or parser is None or known.error_class[row] != "missing_dependency"
        if again:
            return "fetch"
        return "acl" if rights else None
    if moved or verify_hash:
        return "fetch"
    return "acl" if rights else None
