"""What a run would do and cost, without doing it: nothing is written anywhere.

The plan of each stage is made as always. Of the documents that would be chunked, as many are read,
parsed and chunked as it takes to know the sums; see `pipelines.queries.estimate`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from lineage import content_sha256, embedded_text
from pipelines.budget import BudgetExceeded, Meter, usage_value
from pipelines.config import Config, EmbedderConfig, StrategyConfig
from pipelines.embedding import open_cached
from pipelines.embedding.cache import text_key
from pipelines.embedding.once import CachingEmbedder
from pipelines.facts import source_roots
from pipelines.ingest.listing import Sources, plan_sources
from pipelines.ingest.plan import Action
from pipelines.ingest.sources.base import Fetched, FetchError
from pipelines.ingest.work import ParseItem
from pipelines.load.open import open_sink
from pipelines.options import RunOptions
from pipelines.pool import Failure
from pipelines.queries.estimate import Estimate, Unit, estimate
from pipelines.queries.forecast_work import Amounts, Probe, forecast_pool
from pipelines.storage import Storage
from pipelines.tables import Lake, Table, content_places, read_rows
from pipelines.tables.lake import by_file
from pipelines.transform.plan import Action as ChunkAction
from pipelines.transform.stage import plan_strategy, start_position
from pipelines.transform.work import blocks_of
from pipelines.usage import Ledger, Usage

PRECISION = 0.02
_REJECTED = "\0rejected"
_FETCH_THREADS = 8


def forecast(config: Config, options: RunOptions, precision: float = PRECISION) -> dict[str, Any]:
    """The documents, chunks, tokens, seconds and money of the next run.

    Args:
        config: the pipeline.
        options: as for a run.
        precision: how far the numbers of chunks and tokens may be off, as a share of them, with
            99 % confidence. What takes reading everything is read whole.

    Raises:
        ConfigError: a source that cannot be opened as configured.
        TransientError: a source that does not answer.
    """
    table = Lake(config.lake).documents
    sources = plan_sources(config, table, options)
    population = _Population(config, options, table, sources)
    options.progress.stage("sample", 0)
    result = estimate(
        [one.unit for one in population.members.values()],
        population.measure,
        precision=precision,
        judged=lambda name: name.endswith(("documents", "chunks", "tokens")),
        per_unit=lambda name: name.endswith(("documents", "rejected")),
    )
    return _value(config, options, sources, population, result)


@dataclass(slots=True)
class _Member:
    """A document that a run would chunk."""

    unit: Unit
    strategies: tuple[StrategyConfig, ...]
    fetch: Action | None = None
    stored: ChunkAction | None = None


@dataclass(slots=True)
class _Population:
    """All documents that a run would chunk, and how one is measured."""

    config: Config
    options: RunOptions
    table: Table
    sources: Sources
    members: dict[str, _Member] = field(default_factory=dict)
    caches: dict[EmbedderConfig, CachingEmbedder] = field(default_factory=dict)
    same: int = 0
    """Sampled documents whose version moved while their content did not."""

    def __post_init__(self) -> None:
        touched = set()
        for action in self.sources.actions():
            touched.add(action.document_id)
            if action.kind == "fetch":
                self._add(action)
        for strategy in self.config.strategies:
            for stored in self._behind(strategy):
                if stored.kind == "chunk" and stored.document["document_id"] not in touched:
                    self._add_stored(stored, strategy)

    @property
    def _vectors(self) -> Storage | None:
        folder = Lake(self.config.lake).vectors
        return folder if folder.is_local else None

    def _behind(self, strategy: StrategyConfig) -> list[ChunkAction]:
        chunks = Lake(self.config.lake).chunks(strategy.name)
        position = start_position(strategy, self.table, chunks)
        if not self.table.exists or position == self.table.seq:
            return []
        return plan_strategy(self.config, strategy, self.table, chunks, position)

    def _add(self, action: Action) -> None:
        listed = action.listed
        assert listed is not None
        kind = os.path.splitext(listed.key)[1].lower() or listed.media_type or ""
        known = "" if action.known is None else " known"
        sized = listed.size is not None
        stratum = f"{action.source} {kind}{known}{'' if sized else ' unsized'}"
        unit = Unit(action.document_id, stratum, float(listed.size or not sized), listed.labels)
        self.members[unit.key] = _Member(unit, self.config.strategies, fetch=action)

    def _add_stored(self, action: ChunkAction, strategy: StrategyConfig) -> None:
        row = action.document
        key = row["document_id"]
        if key in self.members:
            self.members[key].strategies += (strategy,)
            return
        stratum = f"stored {row['data_type']}"
        unit = Unit(key, stratum, float(row["size_bytes"] or 0), dict(row["labels"] or ()))
        self.members[key] = _Member(unit, (strategy,), stored=action)

    def measure(self, units: Sequence[Unit]) -> dict[str, dict[str, float]]:
        """Read, parse and chunk some documents."""
        members = [self.members[unit.key] for unit in units]
        amounts: dict[str, dict[str, float]] = {unit.key: {} for unit in units}
        with forecast_pool(self.options.workers) as pool:
            for probe, reply in pool.imap(self._probes(members)):
                if isinstance(reply, Failure) or not reply:
                    amounts[probe.key] = {_REJECTED: 1.0}
                else:
                    amounts[probe.key] = _flat(reply) | self._embedded(reply)
                self.options.progress.advance(1)
        return amounts

    def _embedded(self, reply: Mapping[str, Amounts]) -> dict[str, float]:
        """The tokens that no cache answers, of what the sinks of each strategy embed."""
        tokens: dict[str, float] = {}
        for sink in self.config.sinks:
            if sink.embedder is None or sink.strategy not in reply:
                continue
            cached = self.caches.setdefault(
                sink.embedder, open_cached(sink.embedder, self.config.lake)
            )
            texts = dict(reply[sink.strategy].texts)
            missing = sum(texts[text] for text in cached.missing(list(texts)))
            name = f"{sink.strategy}\0embedded_tokens"
            tokens[name] = max(missing, tokens.get(name, 0.0))
        return tokens

    def _probes(self, members: Sequence[_Member]) -> Iterator[Probe]:
        fetches = [one for one in members if one.fetch is not None]
        with ThreadPoolExecutor(_FETCH_THREADS) as executor:
            for start in range(0, len(fetches), 4 * _FETCH_THREADS):
                part = fetches[start : start + 4 * _FETCH_THREADS]
                for member, fetched in zip(part, executor.map(self._fetch, part), strict=True):
                    if fetched is not None and not self._is_same(member, fetched):
                        yield self._probe(member, fetched)
        yield from self._stored([one for one in members if one.stored is not None])

    def _fetch(self, member: _Member) -> Fetched | None:
        assert member.fetch is not None
        assert member.fetch.listed is not None
        listed = member.fetch.listed
        try:
            return self.sources.opened[member.fetch.source].fetch(listed.key, listed.version)
        except FetchError:
            return None

    def _is_same(self, member: _Member, fetched: Fetched) -> bool:
        assert member.fetch is not None
        known = member.fetch.known
        if known is None:
            return False
        row = self.sources.known[member.fetch.source].records([known])[known]
        same = row["content_seq"] is not None and row["content_sha256"] == content_sha256(
            fetched.data
        )
        self.same += same
        return bool(same)

    def _probe(self, member: _Member, fetched: Fetched) -> Probe:
        assert member.fetch is not None
        listed = member.fetch.listed
        assert listed is not None
        choice = {source.name: source.parser for source in self.config.sources}
        return Probe(
            key=member.unit.key,
            row={
                "document_id": member.unit.key,
                "source": member.fetch.source,
                "source_uri": listed.uri,
                "size_bytes": len(fetched.data),
                "title": listed.title,
                "labels": dict(listed.labels),
                "acl": listed.acl.as_dict(),
                "run_id": "",
            },
            roots=source_roots(self.config.sources),
            strategies=member.strategies,
            vectors=self._vectors,
            parse=ParseItem(
                fetched.data, listed.key, listed.media_type, choice[member.fetch.source]
            ),
        )

    def _stored(self, members: Sequence[_Member]) -> Iterator[Probe]:
        by_id = {one.unit.key: one for one in members}
        rows = {key: one.stored.document for key, one in by_id.items() if one.stored is not None}
        contents = {key: row["content_seq"] for key, row in rows.items()}
        places = content_places(self.table, contents)
        for place, wanted in by_file(places, contents):
            for found in read_rows(self.table.folder, place, ["text", "blocks"], wanted):
                ids, texts = found["document_id"].to_pylist(), found["text"].to_pylist()
                for key, text, blocks in zip(ids, texts, blocks_of(found["blocks"]), strict=True):
                    yield Probe(
                        key=key,
                        row=rows[key],
                        roots=source_roots(self.config.sources),
                        strategies=by_id[key].strategies,
                        text=text or "",
                        blocks=blocks,
                        vectors=self._vectors,
                    )


def _flat(reply: Mapping[str, Amounts]) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, amounts in reply.items():
        values[f"{name}\0documents"] = float(not amounts.rejected)
        values[f"{name}\0rejected"] = float(amounts.rejected)
        values[f"{name}\0chunks"] = amounts.chunks
        values[f"{name}\0tokens"] = amounts.tokens
        values[f"{name}\0seconds"] = amounts.seconds
    return values


def _value(
    config: Config,
    options: RunOptions,
    sources: Sources,
    population: _Population,
    result: Estimate,
) -> dict[str, Any]:
    plans = sources.plans.values()
    actions = sources.actions()
    fetched = [action for action in actions if action.kind == "fetch"]
    totals = result.totals()
    names = [strategy.name for strategy in config.strategies]
    widths = result.half_widths(list(totals))
    ledger = _ledger(config, result, names).merge(_behind(config, set(population.members)))
    value = {
        "dry_run": True,
        "ingest": {
            "listed": sum(plan.listed for plan in plans),
            "new": sum(action.known is None for action in fetched),
            "changed": sum(action.known is not None for action in fetched),
            "acl": sum(action.kind == "acl" for action in actions),
            "rejected": sum(action.kind == "reject" for action in actions),
            "rejected_when_read": round(totals.get(_REJECTED, 0.0)),
            "deleted": sum(action.kind == "delete" for action in actions),
            "held": sum(plan.held for plan in plans),
            "unchanged": sum(plan.unchanged for plan in plans),
        },
        "strategies": {
            name: {
                key: round(totals.get(f"{name}\0{key}", 0.0))
                for key in ("documents", "rejected", "chunks", "tokens")
            }
            | {"tokens_plus_minus": round(widths.get(f"{name}\0tokens", 0.0))}
            for name in names
        },
        "usage": usage_value(config, ledger),
        # How fast an embedder is, only embedding tells.
        "not_forecast": ["seconds of embedding"] if ledger.total().embedded_tokens else [],
        "sampled": len(result.sampled),
        "population": len(result.units),
        "over_budget": None,
    }
    try:
        Meter.of(config, options).allow("run", ledger.total())
    except BudgetExceeded as error:
        value["over_budget"] = error.ahead
    return value


def _behind(config: Config, chunked_anew: Set[str]) -> Ledger:
    """What sinks with an embedder have not loaded yet of chunks that are there: counted, whole."""
    ledger = Ledger(config.budget.labels)
    seen: set[tuple[str, str]] = set()
    for sink in config.sinks:
        table = Lake(config.lake).chunks(sink.strategy)
        if sink.embedder is None or not table.exists:
            continue
        position = open_sink(sink, table.identity).position()
        if position == table.seq:
            continue
        heads = table.headers(position).select(["document_id", "upsert_seq", "labels"]).to_pylist()
        live = {
            row["document_id"]: row
            for row in heads
            if row["upsert_seq"] is not None and row["document_id"] not in chunked_anew
        }
        cached = open_cached(sink.embedder, config.lake)
        contents = {key: row["upsert_seq"] for key, row in live.items()}
        columns = ["document_id", "level", "context", "text", "token_count"]
        for rows in table.chunk_batches(contents, columns) if contents else ():
            values = [row for row in rows.select(columns).to_pylist() if row["level"] == 0]
            texts = [embedded_text(each["context"] or "", each["text"]) for each in values]
            missing = set(cached.missing(texts))
            for each, text in zip(values, texts, strict=True):
                if text in missing and (cached.name, text_key(text)) not in seen:
                    seen.add((cached.name, text_key(text)))
                    labels = dict(live[each["document_id"]]["labels"] or ())
                    ledger.add(labels, embedded_tokens=each["token_count"])
    return ledger


def _ledger(config: Config, result: Estimate, names: Sequence[str]) -> Ledger:
    """The forecast by what pays; the rows add up to the totals."""
    ledger = Ledger(config.budget.labels)
    keys = {tuple(unit.labels.get(label) for label in ledger.labels) for unit in result.units}
    for key in keys:

        def chosen(unit: Unit, key: tuple[str | None, ...] = key) -> bool:
            return tuple(unit.labels.get(label) for label in ledger.labels) == key

        totals = result.totals(chosen)
        usage = Usage()
        for name in names:
            usage.add(
                Usage(
                    documents=round(totals.get(f"{name}\0documents", 0.0)),
                    chunks=round(totals.get(f"{name}\0chunks", 0.0)),
                    tokens=round(totals.get(f"{name}\0tokens", 0.0)),
                    embedded_tokens=round(totals.get(f"{name}\0embedded_tokens", 0.0)),
                    seconds=totals.get(f"{name}\0seconds", 0.0),
                )
            )
        ledger.rows[key] = usage
    return ledger
