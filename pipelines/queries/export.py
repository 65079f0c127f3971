"""The current state of a table as one file: Parquet, JSON lines or CSV, rights included."""

from __future__ import annotations

import csv
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from chunkers.suggest import unknown
from lineage.errors import ConfigError
from lineage.schemas import CHUNKS, DOCUMENTS
from pipelines.config import Config
from pipelines.queries.find import require_documents
from pipelines.queries.values import plain
from pipelines.tables import iter_chunks, iter_documents

What = Literal["chunks", "documents"]
Format = Literal["parquet", "jsonl", "csv"]
FORMATS: dict[str, Format] = {
    ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv",
}  # fmt: skip
_ACL_PARTS = ("state", "allow_users", "allow_groups", "deny_users", "deny_groups", "origin",
              "fingerprint")  # fmt: skip


def export(
    config: Config,
    output: Path,
    *,
    what: What = "chunks",
    strategy: str | None = None,
    format: Format | None = None,
    columns: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the current chunks or documents to `output`, replacing it as a whole at the end.

    Rows are streamed. In CSV the ACL becomes one column a part (`acl_state`,
    `acl_allow_groups` …) and other nested values are JSON text.

    Returns:
        `output`, `format`, `rows`, `bytes`, `columns`.

    Raises:
        ConfigError: an unknown format, column or strategy, or nothing there to export.
    """
    chosen = format or FORMATS.get(output.suffix.lower())
    if chosen is None:
        raise ConfigError(
            f"{output}: cannot tell the format from the name; end it in .parquet, .jsonl or .csv, "
            "or give --format"
        )
    schema = CHUNKS if what == "chunks" else DOCUMENTS
    names = list(columns) or [name for name in schema.names if name != "error"]
    for name in names:
        if name not in schema.names:
            raise ConfigError(unknown(f"column of {what}", name, schema.names))
    if "acl" not in names:
        names.append("acl")  # What leaves the lake keeps saying who may read it.
    tables = _tables(config, what, strategy, names)
    if not output.parent.is_dir():
        raise ConfigError(f"{output}: there is no folder {output.parent}; create it first")
    if output.is_dir():
        raise ConfigError(f"{output}: is a folder; name a file in it")
    temporary = output.with_name(f".{output.name}.{uuid.uuid4().hex}")
    part = pa.schema([schema.field(name) for name in names])
    try:
        temporary.touch()
    except OSError as error:
        raise ConfigError(
            f"{output}: cannot be written ({error.strerror}): check the rights of {output.parent}, "
            "or name another place"
        ) from error
    try:
        rows = _WRITERS[chosen](temporary, part, tables)
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    return {
        "output": str(output),
        "format": chosen,
        "rows": rows,
        "bytes": output.stat().st_size,
        "columns": names,
    }


def _tables(
    config: Config, what: What, strategy: str | None, names: Sequence[str]
) -> Iterator[pa.Table]:
    lake = require_documents(config)
    if what == "documents":
        return iter_documents(lake, names)
    if strategy is None and len(config.strategies) > 1:
        known = ", ".join(s.name for s in config.strategies)
        raise ConfigError(f"there are several strategies; choose one with --strategy: {known}")
    chosen = config.strategy(strategy or config.strategies[0].name).name
    if not lake.chunks(chosen).exists:
        raise ConfigError(
            f"the lake has no chunks of strategy {chosen!r} yet: run "
            f"`gristmill transform {config.path}` first"
        )
    return iter_chunks(lake, chosen, names)


def _write_parquet(path: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.cast(schema))
            rows += table.num_rows
    return rows


def _write_jsonl(path: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:
    rows = 0
    with open(path, "w", encoding="utf-8") as file:
        for table in tables:
            for row in table.to_pylist(maps_as_pydicts="strict"):
                file.write(json.dumps(plain(row), ensure_ascii=False, allow_nan=False))
                file.write("\n")
                rows += 1
    return rows


def _write_csv(path: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:
    header: list[str] = []
    for name in schema.names:
        header += [f"acl_{part}" for part in _ACL_PARTS] if name == "acl" else [name]
    rows = 0
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        for table in tables:
            for row in table.to_pylist(maps_as_pydicts="strict"):
                acl = row.pop("acl") or {}
                row |= {f"acl_{part}": acl.get(part) for part in _ACL_PARTS}
                writer.writerow({key: _cell(plain(value)) for key, value in row.items()})
                rows += 1
    return rows


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


_WRITERS: dict[Format, Callable[[Path, pa.Schema, Iterator[pa.Table]], int]] = {
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
    "csv": _write_csv,
}
