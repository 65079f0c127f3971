"""Erasing a document on request: everywhere it is, everywhere it was, and in a way that lasts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from lineage import CommitConflict, ConfigError, GristmillError, document_id
from lineage.records import embedded_text
from pipelines.config import Config, SinkConfig
from pipelines.facts import document_key, source_roots
from pipelines.tables import Lake, Table, newest_documents
from pipelines.upkeep import forgotten, sinks
from pipelines.upkeep.erase_tables import erase_from, rows_of
from pipelines.upkeep.erasers import ERASERS, Outcome, Trace, erase_vectors

_SHORTEST_PREFIX = 8


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased, and what could not be."""

    document_id: str
    run_id: str
    outcomes: tuple[Outcome, ...]
    source_uri: str = ""
    """Where it may still lie; not part of the record."""

    @property
    def complete(self) -> bool:
        """Whether nothing that was found is left."""
        return all(outcome.erased for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "document_id": self.document_id,
            "run_id": self.run_id,
            "complete": self.complete,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }


def find(config: Config, target: str) -> tuple[str, str]:
    """Id and URI of the document that `target` means: one that is known, deleted ones included.

    Args:
        config: whose lake.
        target: a document id or at least 8 characters of one, a source URI, a local path, or a key
            relative to its source's root.

    Raises:
        ConfigError: it means none, or several.
    """
    from pathlib import Path

    lake = Lake(config.lake)
    roots = source_roots(config.sources)
    uri = target if "://" in target else Path(target).absolute().as_uri()
    rows = newest_documents(lake.documents, ["source", "source_uri"])
    found: dict[str, str] = {}
    for identifier, source, source_uri in zip(
        *(rows[name].to_pylist() for name in ("document_id", "source", "source_uri")), strict=True
    ):
        names = (identifier, source_uri, document_key(source_uri, roots.get(source)))
        short = len(target) >= _SHORTEST_PREFIX and identifier.startswith(target)
        if short or (source_uri and (target in names or uri == source_uri)):
            found[identifier] = source_uri
    for identifier in forgotten.forgotten_ids(config.lake):
        if identifier in _possible_ids(config, target) or (
            len(target) >= _SHORTEST_PREFIX and identifier.startswith(target)
        ):
            found.setdefault(identifier, "")
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        listed = "\n".join(f"  {i}  {name}" for i, name in sorted(found.items())[:10])
        raise ConfigError(f"{target!r} means {len(found)} documents; name one by its id:\n{listed}")
    raise ConfigError(
        f"the lake {config.lake} knows no document {target!r}, and never did; "
        f"`gristmill export {config.path} documents.csv --what documents` lists those that it has"
    )


def _possible_ids(config: Config, target: str) -> set[str]:
    """The ids that a document of this name has in the configured sources."""
    from pathlib import Path

    uri = target if "://" in target else Path(target).absolute().as_uri()
    roots = source_roots(config.sources)
    return {
        document_id(name, key)
        for name, root in roots.items()
        for key in (target, document_key(uri, root))
    }


def forget(config: Config, target: str, run_id: str) -> Forgotten:
    """Erase a document; a run that was interrupted is taken up by calling this again.

    It stays away, though its source may still list it, until `restore`.

    Raises:
        ConfigError: `target` means no document, or several.
        CommitConflict: a stage committed meanwhile, or loads a sink; call it again.
    """
    identifier, uri = find(config, target)
    started = datetime.now(UTC).isoformat()
    record: dict[str, Any] = {"run_id": run_id, "started_at": started, "outcomes": []}
    forgotten.write(config.lake, identifier, record)
    lake = Lake(config.lake)
    outcomes: list[Outcome] = []
    trace = _trace(lake, identifier, uri)
    # What is found by its content goes before the tables that have the content; and each table
    # goes before those that are made of it, so that nobody makes them of it again.
    for eraser in ERASERS:
        outcomes += eraser(config, trace)
    consumers = {strategy.name: strategy.consumer() for strategy in config.strategies}
    tables: list[tuple[Table, str]] = [(lake.documents, f"ingest:{config.name}")]
    tables += [
        (lake.chunks(name), consumers.get(name, "forget"))
        for name in (lake.storage / "chunks").folders()
    ]
    for table, consumer in tables:
        rows = erase_from(table, identifier, consumer, run_id)
        outcomes.append(Outcome(table.name, True, f"{rows} rows, their history and files"))
    for sink in (*config.sinks, *sinks.left_behind(config).values()):
        outcomes.append(_erase_from_sink(lake, sink, identifier))
    # A run that was under way may have embedded its texts once more.
    list(erase_vectors(config, trace))
    done = Forgotten(identifier, run_id, tuple(outcomes), uri)
    forgotten.write(
        config.lake,
        identifier,
        record
        | {
            "finished_at": datetime.now(UTC).isoformat(),
            "outcomes": [asdict(outcome) for outcome in outcomes],
        },
    )
    return done


def restore(config: Config, target: str) -> str:
    """Let a forgotten document be ingested again by the next run; returns its id.

    Raises:
        ConfigError: `target` means no document that was forgotten.
    """
    known = forgotten.forgotten_ids(config.lake)
    found = set(known & _possible_ids(config, target))
    if len(target) >= _SHORTEST_PREFIX:
        found |= {identifier for identifier in known if identifier.startswith(target)}
    if len(found) != 1:
        raise ConfigError(
            f"{target!r} means {'several' if found else 'no'} forgotten documents; those of this "
            f"lake are: {', '.join(sorted(found or known)) or 'none'}"
        )
    identifier = found.pop()
    forgotten.restore(config.lake, identifier)
    return identifier


def _trace(lake: Lake, identifier: str, uri: str) -> Trace:
    chunk_ids: set[str] = set()
    texts: set[str] = set()
    uris = {uri} if uri else set()
    columns = ["chunk_id", "context", "text", "lineage"]
    for name in (lake.storage / "chunks").folders():
        for rows in rows_of(lake.chunks(name), identifier, columns):
            for row in rows.to_pylist():
                uris.add(row["lineage"]["source_uri"])
                if row["chunk_id"] is not None:
                    chunk_ids.add(row["chunk_id"])
                    texts.add(embedded_text(row["context"] or "", row["text"]))
    for rows in rows_of(lake.documents, identifier, ["source_uri"]):
        uris |= {name for name in rows["source_uri"].to_pylist() if name}
    return Trace(
        identifier, tuple(sorted(uris - {""})), tuple(sorted(chunk_ids)), tuple(sorted(texts))
    )


def _erase_from_sink(lake: Lake, sink: SinkConfig, identifier: str) -> Outcome:
    from pipelines.load.open import open_sink
    from pipelines.load.sink import Delete

    place = f"sink {sink.name!r}"
    table = lake.chunks(sink.strategy)
    try:
        opened = open_sink(sink, table.identity if table.exists else "")
        erase = getattr(opened, "erase", None)
        if erase is not None:
            erase([identifier])
            return Outcome(place, True, "its chunks, the versions before and the text index")
        with opened.lease() as lease:
            lease.check()
            opened.apply([Delete(identifier)])
    except CommitConflict:
        raise
    except (GristmillError, OSError) as error:
        return Outcome(place, False, f"not reachable: {' '.join(str(error).split())[:200]}")
    return Outcome(
        place, False, "its chunks are deleted; whether the store keeps older versions is unknown"
    )
