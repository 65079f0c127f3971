"""One slice of an ingest plan: fetch, compare, parse, write rows. No Beam in here."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pyarrow as pa

from lineage import TRANSIENT_CLASSES, content_sha256
from pipelines.ingest.plan import Action
from pipelines.ingest.rows import (
    RowStamp,
    content_table,
    delete_row,
    reject_row,
    same_content_row,
    same_rights,
    small_table,
    upsert_row,
)
from pipelines.ingest.sources.base import Fetched, FetchError, Source
from pipelines.ingest.work import ParseItem, ParseOutcome, ParseReply
from pipelines.pool import Failure
from pipelines.tables import Batch, Part, PartWriter
from pipelines.usage import Ledger

GROUP_BYTES = 256 << 10
"""A group of documents goes to a parse process once it holds this many bytes."""
GROUP_DOCUMENTS = 16
NAMED_WARNINGS = 20
"""Documents of a batch whose parsers' warnings are named; the others are counted."""
FETCH_THREADS = 8
FETCH_WINDOW = 32
"""Documents fetched ahead of the parsers."""


class Pool(Protocol):
    """What a slice needs of `pipelines.pool.ProcessPool`."""

    def imap(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Results in the order of the tasks."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some actions of a plan and what is known about their documents."""

    index: int
    actions: tuple[Action, ...]
    known: Mapping[str, dict[str, Any]]
    """Small columns of the newest row, by document id."""
    sources: Mapping[str, Source]
    choices: Mapping[str, Mapping[str, str] | str | None]
    """Which parser each source asks for."""
    stamp: RowStamp


@dataclass(slots=True)
class SliceResult:
    """The part file of a slice, its counts by (source, name), its costs, and what parsers warned
    of, by document URI."""

    parts: list[Part] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    ledger: Ledger = field(default_factory=Ledger)
    warnings: dict[str, str] = field(default_factory=dict)

    def merge(self, other: SliceResult) -> SliceResult:
        """Both together."""
        return SliceResult(
            [*self.parts, *other.parts],
            self.counts + other.counts,
            self.ledger.merge(other.ledger),
            dict(sorted({**self.warnings, **other.warnings}.items())[:NAMED_WARNINGS]),
        )


@dataclass(slots=True)
class _Fetched:
    action: Action
    data: bytes
    sha256: str


class SliceIngest:
    """Carries out the actions of one slice."""

    def __init__(self, work: Slice, writer: PartWriter, advance: Callable[[int], None]) -> None:
        self._work = work
        self._writer = writer
        self._advance = advance
        self._counts: Counter[tuple[str, str]] = Counter()
        self._ledger = Ledger(work.stamp.payers)
        self._warnings: dict[str, str] = {}
        self._small: list[dict[str, Any]] = []

    def run(self, pool: Pool) -> SliceResult:
        """Do it all; the part file is finished, and visible to nobody until it is committed."""
        retry: list[_Fetched] = []
        self._parse(pool, self._groups(), retry)
        self._parse(pool, ([item] for item in retry), None)
        self._flush_small()
        part = self._writer.close()
        parts = [part] if part else []
        return SliceResult(parts, self._counts, self._ledger, self._warnings)

    def _count(self, action: Action, *names: str) -> None:
        for name in names:
            self._counts[action.source, name] += 1

    def _known(self, action: Action) -> dict[str, Any] | None:
        return None if action.known is None else self._work.known[action.document_id]

    def _add_small(self, row: dict[str, Any]) -> None:
        self._small.append(row)
        if len(self._small) >= 1000:
            self._flush_small()

    def _flush_small(self) -> None:
        if self._small:
            self._writer.write(small_table(self._small))
            self._small = []

    def _groups(self) -> Iterator[list[_Fetched]]:
        group: list[_Fetched] = []
        size = 0
        for item in self._to_parse():
            if group and (size + len(item.data) > GROUP_BYTES or len(group) >= GROUP_DOCUMENTS):
                yield group
                group, size = [], 0
            group.append(item)
            size += len(item.data)
        if group:
            yield group

    def _to_parse(self) -> Iterator[_Fetched]:
        """Settle every action that needs no parse; yield the rest with their bytes."""
        fetches = []
        for action in self._work.actions:
            if action.kind == "fetch":
                fetches.append(action)
            else:
                self._settle(action)
                self._advance(1)
        for action, outcome in self._fetch_ahead(fetches):
            if isinstance(outcome, FetchError):
                self._reject(action, outcome.error_class, outcome.message)
                self._advance(1)
                continue
            sha256 = content_sha256(outcome.data)
            if self._same_content(action, sha256):
                self._advance(1)
                continue
            yield _Fetched(action, outcome.data, sha256)

    def _settle(self, action: Action) -> None:
        known = self._known(action)
        if action.kind == "delete":
            assert known is not None
            self._add_small(delete_row(known, self._work.stamp))
            self._count(action, "deleted")
        elif action.kind == "acl":
            assert known is not None
            row = same_content_row(action, known, self._work.stamp, rights_differ=True)
            if same_rights(row, known):
                self._count(action, "unchanged")
                return
            self._add_small(row)
            self._count(action, "acl")
        else:
            assert action.listed is not None
            assert action.listed.problem is not None
            self._reject(action, *action.listed.problem)

    def _fetch_ahead(
        self, actions: Iterable[Action]
    ) -> Iterator[tuple[Action, Fetched | FetchError]]:
        pending: deque[tuple[Action, Future[Fetched | FetchError]]] = deque()
        with ThreadPoolExecutor(FETCH_THREADS, thread_name_prefix="fetch") as executor:
            try:
                for action in actions:
                    pending.append((action, executor.submit(self._fetch, action)))
                    if len(pending) >= FETCH_WINDOW:
                        ready, future = pending.popleft()
                        yield ready, future.result()
                while pending:
                    ready, future = pending.popleft()
                    yield ready, future.result()
            finally:
                for _, future in pending:
                    future.cancel()

    def _fetch(self, action: Action) -> Fetched | FetchError:
        assert action.listed is not None
        try:
            return self._work.sources[action.source].fetch(action.listed.key, action.listed.version)
        except FetchError as error:
            return error

    def _same_content(self, action: Action, sha256: str) -> bool:
        """Whether the content in force is these bytes; if so, the row it takes is written."""
        known = self._known(action)
        if known is None or known["content_seq"] is None or known["content_sha256"] != sha256:
            return False
        if action.reparse:
            return False
        assert action.listed is not None
        listed = action.listed
        rights_differ = known["acl"]["fingerprint"] != listed.acl.fingerprint or dict(
            known["labels"] or ()
        ) != dict(listed.labels)
        moved = known["source_version"] != listed.version or known["op"] == "reject"
        if not moved and not rights_differ:
            self._count(action, "unchanged")
            return True
        self._add_small(
            same_content_row(action, known, self._work.stamp, rights_differ=rights_differ)
        )
        self._count(action, "acl" if rights_differ else "touched")
        return True

    def _reject(
        self,
        action: Action,
        error_class: str,
        message: str,
        outcome: ParseOutcome | None = None,
        sha256: str | None = None,
    ) -> None:
        known = self._known(action)
        row = reject_row(
            action,
            known,
            error_class,
            message,
            self._work.stamp,
            outcome=outcome,
            sha256=sha256,
        )
        if (
            known is not None
            and known["op"] == "reject"
            and error_class in TRANSIENT_CLASSES
            and known["error"]["error_class"] == error_class
            and same_rights(row, known)
        ):
            self._count(action, "unchanged")
            return
        self._add_small(row)
        self._count(action, "rejected")

    def _parse(
        self, pool: Pool, groups: Iterable[list[_Fetched]], retry: list[_Fetched] | None
    ) -> None:
        waiting: deque[list[_Fetched]] = deque()

        def tasks() -> Iterator[tuple[ParseItem, ...]]:
            for group in groups:
                waiting.append(group)
                yield tuple(self._item(fetched) for fetched in group)

        for _, reply in pool.imap(tasks()):
            group = waiting.popleft()
            if isinstance(reply, Failure):
                if retry is not None and len(group) > 1:
                    retry += group
                    continue
                for fetched in group:
                    error_class = "crash" if reply.kind == "error" else reply.kind
                    self._reject(
                        fetched.action,
                        reply.error_class or error_class,
                        reply.message,
                        sha256=fetched.sha256,
                    )
            else:
                self._store(group, reply)
            self._advance(len(group))

    def _item(self, fetched: _Fetched) -> ParseItem:
        listed = fetched.action.listed
        assert listed is not None
        return ParseItem(
            data=fetched.data,
            name=listed.key,
            declared=listed.media_type,
            choice=self._work.choices.get(fetched.action.source),
        )

    def _store(self, group: list[_Fetched], reply: ParseReply) -> None:
        rows: list[dict[str, Any]] = []
        kept: list[bool] = []
        for fetched, outcome in zip(group, reply.outcomes, strict=True):
            action = fetched.action
            self._count(action, "parsed")
            assert action.listed is not None
            self._ledger.add(action.listed.labels, documents=1, seconds=outcome.seconds)
            kept.append(outcome.error_class is None)
            if outcome.error_class is not None:
                self._reject(action, outcome.error_class, outcome.message, outcome, fetched.sha256)
                continue
            rows.append(
                upsert_row(action, outcome, fetched.sha256, len(fetched.data), self._work.stamp)
            )
            self._count(action, "new" if action.known is None else "changed")
            if outcome.empty:
                self._count(action, "empty")
            if outcome.warnings:
                self._count(action, "warned")
                if len(self._warnings) < NAMED_WARNINGS:
                    self._warnings[action.listed.uri] = "; ".join(outcome.warnings)
        if rows:
            content = reply.table().filter(pa.array(kept, pa.bool_()))
            self._writer.write(content_table(rows, content))


def finished(batch: Batch, result: SliceResult) -> Batch:
    """The batch with its parts, counts, costs and warnings."""
    counts: dict[str, dict[str, int]] = {}
    for (source, name), count in sorted(result.counts.items()):
        counts.setdefault(source, {})[name] = count
    parts = tuple(sorted(result.parts, key=lambda part: part.path))
    facts = {
        "counts": counts,
        "usage": result.ledger.as_value(),
        "warnings": result.warnings,
    }
    return replace(batch, parts=parts, facts=facts)
