"""What a sink is, what can be asked of it, and what it is told.

A sink holds the newest chunks of every document, ready to be searched, and remembers by itself
how far into the chunk table it has come. `pipelines.load.open` finds one by its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from lineage import Acl, Principal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Replace:
    """Make `chunks` the only chunks of a document."""

    document_id: str
    chunks: pa.Table
    """Chunk rows in the columns of `lineage.schemas.CHUNKS`; none of them is fine. Their own `acl`
    and `labels` are of the time of chunking, and are not looked at."""
    acl: Acl
    labels: Mapping[str, str]
    vectors: npt.NDArray[np.float32] | None = None
    """`(chunks, dimensions)`, in the order of the rows, zeros for chunks of a higher level than 0;
    null for a sink without an embedder."""


@dataclass(frozen=True, slots=True)
class SetAcl:
    """Give all chunks that the sink holds of a document this ACL and these labels."""

    document_id: str
    acl: Acl
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Narrow:
    """Of those who may read what the sink holds of a document, keep whom this ACL permits too.

    It comes before a `Replace`, so that a revocation does not wait for the new chunks, and no one
    reads the old chunks by rights that were given to the new ones. What is held may be of any
    earlier load, so the sink goes by the ACL that it holds: `held.narrowed(acl)`. Labels stay.
    """

    document_id: str
    acl: Acl


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove all chunks of a document."""

    document_id: str


Change: TypeAlias = Replace | SetAcl | Narrow | Delete


class LeaseLike(Protocol):
    """A picklable proof of being the only loader."""

    def check(self) -> None:
        """Raise `CommitConflict` when the lease was lost."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that answers a query and that the caller may read."""

    chunk_id: str
    document_id: str
    source_uri: str
    text: str
    start: int
    end: int
    score: float
    context: str = ""
    heading_path: tuple[str, ...] = ()
    page_first: int | None = None
    page_last: int | None = None
    data_type: str = ""
    token_count: int = 0
    granularity: str = ""
    parent_chunk_id: str | None = None
    parent: Hit | None = None
    """The larger chunk around this one, when it was asked for."""
    acl: Acl = field(default_factory=Acl)
    """As the sink holds it, for a last check; without one, nobody may read the hit."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the keys of the command line's `search --json` come first.

        The ACL stays out of it: who else may read is not the caller's business.
        """
        names = (name for name in self.__dataclass_fields__ if name != "acl")
        return {name: _plain(getattr(self, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, Hit):
        return value.as_dict()
    return list(value) if isinstance(value, tuple) else value


class Sink(Protocol):
    """A place that chunks are loaded into. Constructors do no I/O.

    A sink may also have a method `check()`, which is called before anything of a run begins. It
    takes a quick look and raises `ConfigError`, beginning with `config.place.at(KEY)`, when the
    sink cannot be loaded into as configured.
    """

    def position(self) -> int | None:
        """The `seq` of the chunk table that has been applied in full.

        `None` when the sink is empty, was lost, or was filled from another table or with other
        options: then everything is loaded again. Answering needs no heavy library.
        """

    def lease(self) -> AbstractContextManager[LeaseLike]:
        """The right to write; raises `CommitConflict` while another loader has it."""

    def document_ids(self) -> Iterator[str]:
        """The documents that have chunks here, for a resync."""

    def begin_rebuild(self) -> None:
        """Prepare for everything being loaded again; what is held may stay readable meanwhile."""

    def apply(self, batch: Sequence[Change]) -> None:
        """Apply the changes of a batch, ACLs and deletes before replacements.

        Document by document and idempotent: after a crash the same batch, or a later one, can be
        applied again. No document may be in a batch twice.
        """

    def commit(self, position: int) -> None:
        """Finish what makes the sink fast, then move the position."""


class Searchable(Protocol):
    """What answers full-text queries, for one caller at a time."""

    def search(
        self, query: str, principal: Principal, limit: int, granularity: str | None = None
    ) -> list[Hit]:
        """The best `limit` chunks that `principal` may read; see `pipelines.load.search`."""

    def fetch(self, chunk_ids: Sequence[str], principal: Principal) -> dict[str, Hit]:
        """Of these chunks those that are here and that `principal` may read, by id; score 0."""


class SearchableSink(Sink, Searchable, Protocol):
    """A sink that answers full-text queries."""
