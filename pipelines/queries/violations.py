"""What a verification finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that is not kept."""

    promise: str
    """`P1` exact spans, `P2` nothing lost, `P3` access, `P5` ids, `P6` deletes, `P9` token cap,
    `source` bytes that no longer hash to what lineage says, `table` rows that contradict."""
    strategy: str | None
    document_id: str
    source_uri: str
    chunk_id: str | None
    message: str


@dataclass(slots=True)
class Report:
    """What a verification looked at and found."""

    documents: int = 0
    chunks: int = 0
    behind: int = 0
    """Documents whose chunks answer to an older state, because transform has not run since: of
    these only what can be judged is."""
    violations: list[Violation] = field(default_factory=list)
    """The first `MAX_LISTED`."""
    violation_count: int = 0
    sources: dict[str, int] | None = None

    def add(self, violation: Violation) -> None:
        """Count a violation, and list it unless there are very many."""
        self.violation_count += 1
        if len(self.violations) < MAX_LISTED:
            self.violations.append(violation)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        value: dict[str, Any] = {
            "documents": self.documents,
            "chunks": self.chunks,
            "behind": self.behind,
            "violations": [asdict(violation) for violation in self.violations],
            "violation_count": self.violation_count,
        }
        return value if self.sources is None else {**value, "sources": self.sources}
