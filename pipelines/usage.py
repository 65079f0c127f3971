"""What work has cost: documents, chunks, tokens and seconds, by the labels that pay for it.

    >>> ledger = Ledger(("owner",))
    >>> ledger.add({"owner": "hr"}, tokens=120, seconds=0.5)
    >>> ledger.add({}, tokens=30)
    >>> ledger.by("owner")["hr"].tokens, ledger.total().tokens
    (120, 150)

Ledgers add up in any order, so workers keep one each. What carries no such label is a row of its
own: the rows always add up to the total.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

UNLABELLED = "(none)"
"""How a missing label is shown, and its key in `Ledger.by`."""


@dataclass(slots=True)
class Usage:
    """Amounts of work."""

    documents: int = 0
    """Documents that were parsed, chunked or loaded."""
    chunks: int = 0
    tokens: int = 0
    """Tokens of the chunks made, contexts included."""
    embedded_tokens: int = 0
    """Tokens sent to an embedder; what a cache answered is not in it."""
    seconds: float = 0.0
    """Of processor time for parsing and chunking, of waiting for an embedder. Starting programs
    and committing is in none of it."""

    def add(self, other: Usage) -> None:
        """Add `other` to this."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(slots=True)
class Ledger:
    """Usage for each combination of the values of some labels."""

    labels: tuple[str, ...] = ()
    rows: dict[tuple[str | None, ...], Usage] = field(default_factory=dict)

    def add(self, labels: Mapping[str, str] | None, **amounts: float) -> None:
        """Charge `amounts`, the fields of `Usage`, to the document with these labels."""
        values = labels or {}
        key = tuple(values.get(name) for name in self.labels)
        self.rows.setdefault(key, Usage()).add(Usage(**amounts))  # type: ignore[arg-type]

    def merge(self, other: Ledger) -> Ledger:
        """Both together. An empty ledger takes the other's labels."""
        merged = Ledger(self.labels or other.labels)
        for ledger in (self, other):
            for key, usage in ledger.rows.items():
                merged.rows.setdefault(key, Usage()).add(usage)
        return merged

    def total(self) -> Usage:
        """All rows in one."""
        total = Usage()
        for usage in self.rows.values():
            total.add(usage)
        return total

    def seconds_only(self) -> Ledger:
        """The same work, as if nothing had come of it."""
        rows = {key: Usage(seconds=usage.seconds) for key, usage in self.rows.items()}
        return Ledger(self.labels, rows)

    def by(self, label: str) -> dict[str, Usage]:
        """Usage for each value of one label, the missing one as `UNLABELLED`, sorted."""
        place = self.labels.index(label)
        values: dict[str, Usage] = {}
        for key, usage in self.rows.items():
            values.setdefault(key[place] or UNLABELLED, Usage()).add(usage)
        return dict(sorted(values.items(), key=lambda item: (item[0] == UNLABELLED, item[0])))

    def as_value(self) -> list[dict[str, Any]]:
        """Plain values, for a manifest or a file."""
        return [
            {"labels": dict(zip(self.labels, key, strict=True)), **asdict(usage)}
            for key, usage in sorted(self.rows.items(), key=lambda item: str(item[0]))
        ]

    @classmethod
    def from_value(cls, rows: Iterable[Mapping[str, Any]]) -> Ledger:
        """The inverse of `as_value`; amounts that this version does not know are left out."""
        ledger = cls()
        known = [each.name for each in fields(Usage)]
        for row in rows:
            ledger.labels = ledger.labels or tuple(row["labels"])
            key = tuple(row["labels"].get(name) for name in ledger.labels)
            amounts = {name: row[name] for name in known if name in row}
            ledger.rows.setdefault(key, Usage()).add(Usage(**amounts))
        return ledger
