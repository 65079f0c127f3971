"""YAML as it is, with its documents, keys and items as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chunkers.blocks import scan
from pipelines.ingest.parsers.base import Parsed
from pipelines.ingest.parsers.decode import decode
from pipelines.ingest.parsers.source import limits_of, source_parsed


class YamlParser:
    """YAML documents. Nothing is constructed: tags and aliases are text."""

    name = "yaml"
    version = "1"
    formats = frozenset({"yaml"})
    checks_blocks = True

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Decode the text and find its records."""
        decoded = decode(data)
        return source_parsed(
            decoded,
            scan(decoded.text, "yaml"),
            format=format,
            data_type="structured",
            limits=limits_of(options),
        )
