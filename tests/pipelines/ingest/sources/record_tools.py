"""Tables of records, for the tests of their source."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_tools import records

from pipelines.ingest.sources import FetchError, Listed

KINDS = ("parquet", "jsonl", "csv")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The same rows in any of the three formats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=300)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(
                {k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()}
                for row in rows
            )
    return path


def found(path: Path, **settings: Any) -> dict[str, Listed]:
    return {one.key: one for one in records(path, **settings).list()}


def texts(path: Path, **settings: Any) -> dict[str, str]:
    source = records(path, **settings)
    return {
        one.key: source.fetch(one.key, one.version).data.decode()
        for one in source.list()
        if one.problem is None
    }


def refusal(path: Path, key: str, version: str, **settings: Any) -> str:
    with pytest.raises(FetchError) as caught:
        records(path, **settings).fetch(key, version)
    return caught.value.error_class
