"""Folding and sweeping the tables of a lake, and dropping what has left the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from lineage import ConfigError
from pipelines.config import Config
from pipelines.tables import ChunkTable, Lake, Table
from pipelines.tables.fold import Folded, fold, join_files

RETENTION_HOURS = 168
LEAST_RETENTION_HOURS = 24


@dataclass(slots=True)
class Compacted:
    """What a compaction did, by table."""

    folded: dict[str, Folded] = field(default_factory=dict)
    horizons: dict[str, int] = field(default_factory=dict)
    """Up to which `seq` each table's readers have come."""
    swept: dict[str, int] = field(default_factory=dict)
    """How many files were removed from disk."""
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "tables": {
                name: {
                    "horizon": self.horizons[name],
                    "folded": asdict(self.folded[name]) if name in self.folded else None,
                    "swept": self.swept.get(name, 0),
                }
                for name in self.horizons
            },
            "notes": self.notes,
        }


def compact(
    config: Config, *, vacuum: bool = False, retention_hours: int = RETENTION_HOURS
) -> Compacted:
    """Fold the change logs of the lake below the lowest position of those who read them.

    Safe beside running stages and readers: what is folded away stays on disk until it is swept.
    A strategy or sink that was not in the configuration compares everything when it comes back.

    Args:
        config: whose lake, strategies and sinks.
        vacuum: also remove files that no table refers to.
        retention_hours: files that stopped being referred to, or were written, later than so many
            hours ago stay. It must be longer than the longest run and the longest reader.

    Raises:
        ConfigError: there is no lake yet.
        CommitConflict: another compaction came first.
    """
    from pipelines.embedding.cache import VectorCache
    from pipelines.feedback.table import feedback_table

    lake = Lake(config.lake)
    if not lake.documents.exists:
        raise ConfigError(
            f"there is no documents table in the lake {config.lake}; there is nothing to compact"
        )
    done = Compacted()
    tables: list[tuple[Table, int]] = [(lake.documents, documents_horizon(config, lake))]
    for strategy in config.strategies:
        chunks = lake.chunks(strategy.name)
        if chunks.exists:
            tables.append((chunks, chunks_horizon(config, chunks, strategy.name, done.notes)))

    def tend(table: Table, horizon: int, folded: Folded | None) -> None:
        done.horizons[table.name] = horizon
        if folded is not None:
            done.folded[table.name] = folded
            table.opened().create_checkpoint()
        if vacuum:
            done.swept[table.name] = sweep(table, retention_hours)

    for table, horizon in tables:
        tend(table, horizon, fold(table, horizon))
    given = feedback_table(lake.storage)
    if given.exists:
        # There every row is needed: its files are only joined.
        tend(given, given.seq, join_files(given))
    vectors = VectorCache.of(config.lake)
    vectors.compact()
    if vacuum:
        vectors.sweep(retention_hours)
    return done


def documents_horizon(config: Config, lake: Lake) -> int:
    """Up to which commit all configured strategies have read the documents table."""
    documents = lake.documents
    positions = (
        lake.chunks(strategy.name).position(strategy.consumer()) for strategy in config.strategies
    )
    return _lowest(positions, documents)


def chunks_horizon(config: Config, table: ChunkTable, strategy: str, notes: list[str]) -> int:
    """Up to which commit all configured sinks have read a chunk table."""
    from pipelines.load.open import open_sink

    sinks = [sink for sink in config.sinks if sink.strategy == strategy]
    if not sinks:
        notes.append(f"strategy {strategy!r} has no sink in the configuration")
    return _lowest((open_sink(sink, table.identity).position() for sink in sinks), table)


def _lowest(positions: Iterable[int | None], table: Table) -> int:
    """The lowest position of those who go on from one.

    Whoever has none, or one from before an earlier fold, compares everything anyway.
    """
    going_on = [p for p in positions if p is not None and table.horizon <= p <= table.seq]
    return min(going_on, default=table.seq)


def sweep(table: Table, retention_hours: float) -> int:
    """Remove files that a table has not referred to for so many hours, and records of old batches.

    Uncommitted part files of runs that died are among them. Returns how many.
    """
    from pipelines.steps import step

    table.refresh()
    with step("sweep"):
        gone = table.opened().vacuum(
            retention_hours=int(retention_hours),
            dry_run=False,
            enforce_retention_duration=False,
            full=True,
        )
    table.refresh()
    for batch in list(table.manifests.all()):
        # Its number is taken: it was committed, or never can be.
        if batch.seq <= table.seq:
            table.manifests.drop(batch.batch_id)
    return len(gone)
