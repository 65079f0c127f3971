"""Logs as they are, an entry a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chunkers.blocks import scan
from pipelines.ingest.parsers.base import Parsed
from pipelines.ingest.parsers.decode import decode
from pipelines.ingest.parsers.source import limits_of, source_parsed


class LogParser:
    """Log files of the usual notations."""

    name = "log"
    version = "1"
    formats = frozenset({"log"})
    checks_blocks = True

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Decode the text and find its entries."""
        decoded = decode(data)
        return source_parsed(
            decoded,
            scan(decoded.text, "log"),
            format=format,
            data_type="log",
            limits=limits_of(options),
        )
