"""What the configured sources list, compared with what the documents table knows of them.

Nothing is fetched and nothing is written in here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lineage import ConfigError, MissingExtra, ParserInfo, TransientError
from pipelines.config import Config, SourceConfig
from pipelines.ingest.identity import Names
from pipelines.ingest.plan import SMALL_COLUMNS, Action, Guard, Known, Plan, plan_source
from pipelines.ingest.sources import open_source
from pipelines.ingest.sources.base import Listed, Source
from pipelines.options import RunOptions
from pipelines.tables import Table, newest_documents
from pipelines.upkeep.forgotten import forgotten_ids

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Sources:
    """The configured sources, opened, with their plans."""

    opened: dict[str, Source] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    seq: int = 0
    """The commit of the documents table that the plans are based on."""
    listed_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the first listing began."""
    left_acl: datetime | None = None
    """When the rights of documents of sources that are not configured were resolved."""
    forgotten: frozenset[str] = frozenset()
    """Ids of documents that were erased on request and stay away."""

    def actions(self) -> list[Action]:
        """What is to be done, over all sources: rights and deletions first."""
        actions = [action for plan in self.plans.values() for action in plan.actions]
        return sorted(actions, key=lambda action: action.urgency)


def plan_sources(config: Config, table: Table, options: RunOptions) -> Sources:
    """List the sources and compare them with what is known; reads no document, writes nothing.

    Raises:
        ConfigError: a source that cannot be opened as configured.
        TransientError: a source that does not answer.
    """
    # First of all: what is forgotten from here on takes a number that this run counts on.
    forgotten = forgotten_ids(config.lake)
    state = newest_documents(table, SMALL_COLUMNS)
    sources = Sources(seq=table.seq, left_acl=_left_acl(config, state), forgotten=forgotten)
    for source in config.sources:
        options.progress.note(f"listing {source.uri}")
        sources.opened[source.name] = open_source(source)
        sources.known[source.name] = Known.of(state, source.name)
        sources.plans[source.name] = _plan(source, sources, config, options)
    return sources


def _plan(source: SourceConfig, sources: Sources, config: Config, options: RunOptions) -> Plan:
    known = sources.known[source.name]
    listing = _Listing(sources.opened[source.name], known, Names(config.identity.map))
    return plan_source(
        source.name,
        listing,
        known,
        guard=Guard(
            config.guard.max_delete_ratio, config.guard.min_documents, options.allow_deletes
        ),
        parser_changed=_ParserChanged(),
        verify_hash=options.verify_hash,
        retry_rejects=options.retry_rejects,
        reparse=_reparse(options.reparse),
        failure=lambda: listing.problem,
        forgotten=sources.forgotten,
    )


class _Listing:
    """A source's listing that survives a failure part-way and remembers it.

    A source that fails before its first document is an error of the run.
    """

    def __init__(self, source: Source, known: Known, names: Names) -> None:
        self._source = source
        self._known = known
        self._names = names
        self.problem: str | None = None

    def __iter__(self) -> Iterator[Listed]:
        count = 0
        try:
            for listed in self._source.list(self._names.untranslated(self._known.acls())):
                count += 1
                acl = self._names.translate(listed.acl)
                yield listed if acl is listed.acl else replace(listed, acl=acl)
        except TransientError as error:
            if not count:
                raise
            self.problem = f"the listing failed after {count} documents ({error})"


def _reparse(name: str | None) -> Callable[[ParserInfo], bool]:
    """Which parsers' documents are parsed again; see `RunOptions.reparse`.

    Raises:
        ConfigError: no parser is called so.
    """
    if name is None:
        return lambda _: False
    if not name:
        return _ParserChanged()
    from pipelines.ingest.parsers import registry

    registry.load(name)
    return lambda parser: parser.name == name


class _ParserChanged:
    """Whether the parser of a document is another version by now."""

    def __init__(self) -> None:
        self._seen: dict[ParserInfo, bool] = {}

    def __call__(self, parser: ParserInfo) -> bool:
        if parser not in self._seen:
            current = self._current(parser.name)
            self._seen[parser] = current is not None and current != parser
        return self._seen[parser]

    @staticmethod
    def _current(name: str) -> ParserInfo | None:
        from pipelines.ingest.parsers import registry
        from pipelines.ingest.parsers.base import ParseError

        try:
            return registry.info(registry.load(name))
        except (ConfigError, ModuleNotFoundError, MissingExtra, ParseError):
            # A parser that is gone cannot do better now; its rejects wait until it is back.
            return None


def _left_acl(config: Config, state: pa.Table) -> datetime | None:
    """The oldest `acl_as_of` of documents that no configured source can list."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = pa.array([source.name for source in config.sources], pa.string())
    left = pc.and_(pc.invert(pc.is_in(state["source"], names)), pc.is_valid(state["content_seq"]))
    oldest: datetime | None = pc.min(state.filter(left)["acl_as_of"]).as_py()
    return oldest
