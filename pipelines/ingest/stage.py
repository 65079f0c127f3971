"""The ingest stage: list, plan, fetch, parse, commit, batch by batch.

>>> from pipelines.config import load_config
>>> from pipelines.options import RunOptions
>>> run(load_config("configs/quickstart.yaml"), RunOptions()).as_dict()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lineage import ConfigError, MissingExtra, ParserInfo, TerminalError, TransientError
from pipelines.budget import BudgetExceeded, Meter, usage_value
from pipelines.config import Config, SourceConfig
from pipelines.ingest.identity import Names
from pipelines.ingest.plan import SMALL_COLUMNS, Action, Guard, Known, Plan, plan_source
from pipelines.ingest.sources import open_source
from pipelines.ingest.sources.base import Listed, Source
from pipelines.options import RunOptions
from pipelines.tables import Lake, Table, newest_documents
from pipelines.upkeep.forgotten import forgotten_ids
from pipelines.usage import Ledger, Usage

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.ingest.rows import RowStamp
    from pipelines.ingest.slices import Slice
    from pipelines.pool import ProcessPool
    from pipelines.tables import Batch

REMOTE_SLICE = 500
"""Documents in a slice on a remote runner; locally a batch is one slice."""

COUNTS = (
    "listed", "new", "changed", "acl", "touched", "unchanged", "rejected", "deleted", "held",
    "empty", "parsed", "warned",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What an ingest run did: its counts in sum and per source."""

    counts: dict[str, int]
    sources: dict[str, dict[str, int]]
    rows_written: int
    version: int | None
    """Version of the documents table after the run."""
    unknown_acl: int = 0
    """Listed documents that nobody may read, because no ACL was found or it was unreadable."""
    notes: tuple[str, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    usage: dict[str, Any] = field(default_factory=dict)
    """What the run cost, by the labels that pay; see `pipelines.budget.usage_value`."""
    stopped: str | None = None
    """Why the run ended before its plan did, when the budget was at its limit."""
    acl_as_of: datetime | None = None
    """When the oldest rights in force were resolved: those of listed documents are of this run,
    those of documents that it did not see are older."""
    incomplete: int = 0
    """Sources whose listing did not come to its end."""
    warnings: dict[str, str] = field(default_factory=dict)
    """What parsers warned of, by document URI: damage repaired, parts that could not be read. At
    most twenty of a batch; `counts["warned"]` are all."""

    @property
    def held(self) -> int:
        """Deletions that the guard held back."""
        return self.counts["held"]

    @property
    def rejected(self) -> int:
        """Rejects that this run added."""
        return self.counts["rejected"]

    def as_dict(self) -> dict[str, Any]:
        """The stage's entry in the `--json` output."""
        return {
            **self.counts,
            "rows_written": self.rows_written,
            "version": self.version,
            "unknown_acl": self.unknown_acl,
            "acl_as_of": self.acl_as_of,
            "incomplete": self.incomplete,
            "warnings": self.warnings,
            "sources": self.sources,
            "usage": self.usage,
            "stopped": self.stopped,
        }


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


def run(config: Config, options: RunOptions) -> IngestSummary:
    """Bring the documents table in step with the sources.

    Raises:
        ConfigError: a source that cannot be opened as configured.
        TransientError: a source that does not answer.
        CommitConflict: another run committed meanwhile.
    """
    table = Lake(config.lake).documents
    consumer = f"ingest:{config.name}"
    meter = Meter.of(config, options)
    notes = []
    for batch in table.adopt(consumer):
        notes.append(f"committed a batch that run {batch.run_id} had finished and not committed")
        meter.record("ingest", batch.batch_id, Ledger.from_value(batch.facts.get("usage", ())))
    sources = plan_sources(config, table, options)
    actions = sources.actions()
    options.progress.stage("ingest", len(actions))
    done: list[Batch] = []
    left = actions
    stopped = None
    size = options.batch or config.batch.documents
    with ExitStack() as stack:
        pool = _open_pool(options, stack) if actions else None
        for members in _batches(actions, size, apart=meter.limited):
            try:
                meter.allow("ingest", _expected(done, members))
            except BudgetExceeded as error:
                stopped = str(error)
                break
            batch = _run_batch(config, options, table, consumer, sources, members, pool)
            meter.record("ingest", batch.batch_id, Ledger.from_value(batch.facts["usage"]))
            if batch.parts:
                sources.seq = batch.seq
            done.append(batch)
            left = left[len(members) :]
    if not table.exists and not left:
        # Sources without a document are a state of the lake as well: the next stage finds it.
        table.create()
    return _summary(config, table, sources, done, notes, stopped, left)


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


def _batches(actions: Sequence[Action], size: int, *, apart: bool) -> Iterator[tuple[Action, ...]]:
    """The plan in batches. With `apart`, what costs nothing is not held up by what does."""
    if not apart:
        yield from _chunks(actions, size)
        return
    yield from _chunks([action for action in actions if action.kind != "fetch"], size)
    yield from _chunks([action for action in actions if action.kind == "fetch"], size)


def _expected(done: Sequence[Batch], members: Sequence[Action]) -> Usage:
    """The seconds that a batch will take, at the rate of this run so far."""
    fetches = sum(action.kind == "fetch" for action in members)
    spent = Usage()
    for batch in done:
        spent.add(Ledger.from_value(batch.facts["usage"]).total())
    return Usage(seconds=spent.seconds / spent.documents * fetches if spent.documents else 0.0)


def _open_pool(options: RunOptions, stack: ExitStack) -> ProcessPool | None:
    """Parse processes for all batches; none on a remote runner, whose workers have their own."""
    from pipelines.beam import runs_locally
    from pipelines.ingest.work import parse_pool

    if not runs_locally(options.beam_args):
        return None
    return stack.enter_context(parse_pool(options.workers))


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


def _chunks(actions: Sequence[Action], size: int) -> Iterator[tuple[Action, ...]]:
    for start in range(0, len(actions), size):
        yield tuple(actions[start : start + size])


def _run_batch(
    config: Config,
    options: RunOptions,
    table: Table,
    consumer: str,
    sources: Sources,
    actions: tuple[Action, ...],
    pool: ProcessPool | None,
) -> Batch:
    from pipelines.ingest.rows import RowStamp

    batch = table.begin(consumer, sources.seq + 1, options.run_id, after=sources.seq)
    stamp = RowStamp(
        config.name, batch.seq, options.run_id, datetime.now(UTC), config.budget.labels
    )
    if any(action.kind == "fetch" for action in actions):
        width = REMOTE_SLICE if pool is None else len(actions)
        slices = [
            _slice(config, sources, stamp, index, members)
            for index, members in enumerate(_chunks(actions, width))
        ]
        _run_pipeline(config, options, batch, slices, pool)
    else:
        _run_here(table, batch, _slice(config, sources, stamp, 0, actions), options)
    finished = table.finished(batch)
    if finished.parts:
        table.commit(finished)
    else:
        table.manifests.drop(batch.batch_id)
    return finished


def _run_pipeline(
    config: Config,
    options: RunOptions,
    batch: Batch,
    slices: Sequence[Slice],
    pool: ProcessPool | None,
) -> None:
    from pipelines.beam import ProgressHandle, lend, run_pipeline
    from pipelines.ingest.pipeline import Ingest

    with ExitStack() as stack:
        local = pool is not None
        ingest = Ingest(
            lake=Lake(config.lake).storage,
            batch=batch,
            slices=[stack.enter_context(lend(each)) if local else each for each in slices],
            pool=stack.enter_context(lend(pool)) if pool is not None else None,
            progress=ProgressHandle.to(options.progress),
        )
        run_pipeline(lambda pipeline: pipeline | "Ingest" >> ingest, options)


def _run_here(table: Table, batch: Batch, work: Slice, options: RunOptions) -> None:
    """Rights and deletions alone: small rows, for which Beam need not even be imported."""
    from pipelines.ingest.slices import SliceIngest, finished
    from pipelines.pool import NoPool
    from pipelines.tables import PartWriter

    writer = PartWriter(table.folder, table.part_path(batch, "00000"), table.schema)
    try:
        result = SliceIngest(work, writer, options.progress.advance).run(NoPool())
    except BaseException:
        writer.abort()
        raise
    table.manifests.write(finished(batch, result))


def _slice(
    config: Config, sources: Sources, stamp: RowStamp, index: int, actions: tuple[Action, ...]
) -> Slice:
    from pipelines.ingest.slices import Slice

    return Slice(
        index=index,
        actions=actions,
        known=_known_rows(sources, actions),
        sources=sources.opened,
        choices={source.name: source.parser for source in config.sources},
        stamp=stamp,
    )


def _known_rows(sources: Sources, actions: Sequence[Action]) -> dict[str, dict[str, Any]]:
    by_source: dict[str, list[Action]] = {}
    for action in actions:
        if action.known is not None:
            by_source.setdefault(action.source, []).append(action)
    rows: dict[str, dict[str, Any]] = {}
    for source, members in by_source.items():
        records = sources.known[source].records(a.known for a in members if a.known is not None)
        rows |= {a.document_id: records[a.known] for a in members if a.known is not None}
    return rows


def _summary(
    config: Config,
    table: Table,
    sources: Sources,
    done: Sequence[Batch],
    notes: Sequence[str],
    stopped: str | None,
    left: Sequence[Action],
) -> IngestSummary:
    per_source: dict[str, dict[str, int]] = {}
    rows = sum(part.rows for batch in done for part in batch.parts)
    for source in config.sources:
        plan = sources.plans[source.name]
        counts = Counter(listed=plan.listed, unchanged=plan.unchanged, held=plan.held)
        for batch in done:
            counts.update(batch.facts["counts"].get(source.name, {}))
        per_source[source.name] = {name: counts[name] for name in COUNTS}
        check_counts(source.name, per_source[source.name], plan.missing, left)
    ledger = Ledger(config.budget.labels)
    for batch in done:
        ledger = ledger.merge(Ledger.from_value(batch.facts["usage"]))
    total = {name: sum(counts[name] for counts in per_source.values()) for name in COUNTS}
    return IngestSummary(
        counts=total,
        sources=per_source,
        rows_written=rows,
        version=table.version,
        unknown_acl=sum(plan.unknown_acl for plan in sources.plans.values()),
        notes=(*notes, *(note for plan in sources.plans.values() for note in plan.notes)),
        ledger=ledger,
        usage=usage_value(config, ledger),
        stopped=stopped,
        acl_as_of=_oldest_acl(sources),
        incomplete=sum(not plan.complete for plan in sources.plans.values()),
        warnings={uri: text for b in done for uri, text in b.facts.get("warnings", {}).items()},
    )


def check_counts(
    source: str, counts: Mapping[str, int], missing: int, left: Sequence[Action] = ()
) -> None:
    """Make sure that every document is accounted for, once.

    Every listed one is new, changed, acl, touched, unchanged or rejected, and every known one
    that was not listed (`missing` of them) is deleted or held; or it is among the actions that a
    budget at its limit has `left` undone.

    Raises:
        TerminalError: the counts do not add up; what was committed stays.
    """
    outcomes = ("new", "changed", "acl", "touched", "unchanged", "rejected")
    undone = Counter(action.kind == "delete" for action in left if action.source == source)
    found = sum(counts[name] for name in outcomes) + undone[False]
    gone = counts["deleted"] + counts["held"] + undone[True]
    if found == counts["listed"] and gone == missing:
        return
    terms = " + ".join(f"{counts[name]} {name}" for name in outcomes)
    raise TerminalError(
        f"source {source!r}: the counts of this run do not add up: {counts['listed']} listed, and "
        f"{terms} = {found}; {missing} known and not listed, and {counts['deleted']} deleted + "
        f"{counts['held']} held = {gone}. What was committed stays. This is a fault in gristmill: "
        "run `gristmill verify --sources` to see which documents it concerns"
    )


def _left_acl(config: Config, state: pa.Table) -> datetime | None:
    """The oldest `acl_as_of` of documents that no configured source can list."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = pa.array([source.name for source in config.sources], pa.string())
    left = pc.and_(pc.invert(pc.is_in(state["source"], names)), pc.is_valid(state["content_seq"]))
    oldest: datetime | None = pc.min(state.filter(left)["acl_as_of"]).as_py()
    return oldest


def _oldest_acl(sources: Sources) -> datetime | None:
    found = [plan.oldest_acl for plan in sources.plans.values()] + [sources.left_acl]
    if any(plan.listed for plan in sources.plans.values()):
        found.append(sources.listed_at)
    return min((value for value in found if value is not None), default=None)
