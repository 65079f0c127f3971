"""Removing what belongs to a source, strategy or sink that has left the configuration.

Taking something out of the configuration deletes nothing by itself, since it may have been a
mistake. This is how it is deleted on purpose.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lineage import ConfigError, TerminalError
from pipelines.config import Config
from pipelines.ingest.plan import SMALL_COLUMNS
from pipelines.ingest.rows import RowStamp, delete_row, small_table
from pipelines.tables import Lake, PartWriter, newest_documents
from pipelines.upkeep import sinks

KINDS = ("source", "strategy", "sink")


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was dropped."""

    kind: str
    name: str
    documents: int = 0
    """Documents of a source that are deleted now; the next transform and load pass it on."""
    files: int = 0
    """Files of a strategy's table that were removed."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def drop(config: Config, target: str, run_id: str) -> Dropped:
    """Drop `target`: a name, or `source:NAME`, `strategy:NAME` or `sink:NAME`.

    Raises:
        ConfigError: it is still in the configuration, is nothing, or is several things.
        CommitConflict: a stage committed meanwhile; nothing was dropped.
        TerminalError: a sink of that kind cannot be emptied from here.
    """
    lake = Lake(config.lake)
    kind, name = _resolve(config, lake, target)
    if kind == "source":
        return Dropped(kind, name, documents=_drop_source(config, lake, name, run_id))
    if kind == "strategy":
        return Dropped(kind, name, files=_drop_strategy(lake, name))
    _drop_sink(config, name)
    return Dropped(kind, name)


def left_sources(config: Config, lake: Lake) -> set[str]:
    """Sources that have documents in the lake and are not in the configuration."""
    rows = newest_documents(lake.documents, ["source", "op"])
    live = rows.filter(pc.not_equal(rows["op"], "delete"))
    return set(pc.unique(live["source"]).to_pylist()) - {s.name for s in config.sources}


def left_strategies(config: Config, lake: Lake) -> set[str]:
    """Strategies that have a chunk table in the lake and are not in the configuration."""
    return set((lake.storage / "chunks").folders()) - {s.name for s in config.strategies}


def _resolve(config: Config, lake: Lake, target: str) -> tuple[str, str]:
    left = {
        "source": left_sources(config, lake),
        "strategy": left_strategies(config, lake),
        "sink": set(sinks.left_behind(config)),
    }
    prefix, _, rest = target.partition(":")
    kinds, name = ((prefix,), rest) if prefix in KINDS and rest else (KINDS, target)
    found = [kind for kind in kinds if name in left[kind]]
    if len(found) == 1:
        return found[0], name
    if found:
        choices = " or ".join(f"{kind}:{name}" for kind in found)
        raise ConfigError(f"{target!r} means several things; write {choices}")
    configured = {
        "source": [s.name for s in config.sources],
        "strategy": [s.name for s in config.strategies],
        "sink": [s.name for s in config.sinks],
    }
    for kind in kinds:
        if name in configured[kind]:
            raise ConfigError(
                f"{kind} {name!r} is in {config.path}: what is dropped here would be made again by "
                "the next run. Take it out of the configuration first"
            )
    known = sorted(f"{kind}:{each}" for kind in KINDS for each in left[kind])
    raise ConfigError(
        f"the lake holds nothing called {target!r} that is not in {config.path}; "
        + (f"what can be dropped is {', '.join(known)}" if known else "there is nothing to drop")
    )


def _drop_source(config: Config, lake: Lake, name: str, run_id: str) -> int:
    table = lake.documents
    rows = newest_documents(table, SMALL_COLUMNS)
    rows = rows.filter(
        pc.and_(pc.equal(rows["source"], name), pc.not_equal(rows["op"], "delete"))
    ).select(SMALL_COLUMNS)
    after = table.seq
    batch = table.begin(f"ingest:{config.name}", after + 1, run_id, after=after)
    stamp = RowStamp(config.name, batch.seq, run_id, datetime.now(UTC))
    writer = PartWriter(table.folder, table.part_path(batch, "drop"), table.schema)
    for piece in rows.to_batches(max_chunksize=1000):
        known = pa.Table.from_batches([piece]).to_pylist()
        writer.write(small_table([delete_row(row, stamp) for row in known]))
    part = writer.close()
    assert part is not None
    batch = replace(batch, parts=(part,))
    table.manifests.write(batch)
    table.commit(batch)
    return int(rows.num_rows)


def _drop_strategy(lake: Lake, name: str) -> int:
    removed = (lake.storage / "chunks" / name).delete_folder()
    (lake.storage / "_batches" / f"chunks-{name}").delete_folder()
    return removed


def _drop_sink(config: Config, name: str) -> None:
    from pipelines.load.open import open_sink

    sink = open_sink(sinks.left_behind(config)[name])
    drop_all = getattr(sink, "drop", None)
    if drop_all is None:
        raise TerminalError(
            f"a sink of kind {sinks.left_behind(config)[name].kind!r} cannot be emptied by "
            "gristmill; remove what it holds with its own tools"
        )
    drop_all()
    sinks.forget_sink(config.lake, name)
