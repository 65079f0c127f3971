"""Comma- and tab-separated values as they are, a table of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chunkers.blocks import scan
from pipelines.ingest.parsers.base import Parsed
from pipelines.ingest.parsers.decode import decode
from pipelines.ingest.parsers.source import limits_of, source_parsed


class DelimitedParser:
    """CSV and TSV files."""

    name = "delimited"
    version = "1"
    formats = frozenset({"csv", "tsv"})
    checks_blocks = True

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Decode the text and find its rows."""
        decoded = decode(data)
        return source_parsed(
            decoded,
            scan(decoded.text, format),
            format=format,
            data_type="table",
            limits=limits_of(options),
        )
