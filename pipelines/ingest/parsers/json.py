"""JSON and JSON lines as they are, with their items as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chunkers.blocks.json import walk_json, walk_jsonl
from chunkers.blocks.scanner import checked
from pipelines.ingest.parsers.base import Parsed, ParseError
from pipelines.ingest.parsers.decode import decode
from pipelines.ingest.parsers.source import limits_of, source_parsed


class JsonParser:
    """JSON documents. Values are never built; a file that is cut off keeps its text."""

    name = "json"
    version = "1"
    formats = frozenset({"json", "jsonl"})
    checks_blocks = True

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Decode the text and find its records.

        Raises:
            ParseError: `limit_depth` above `max_depth` levels of nesting.
        """
        limits = limits_of(options)
        decoded = decode(data)
        walk = (walk_jsonl if format == "jsonl" else walk_json)(decoded.text)
        if walk.depth > limits.max_depth:
            raise ParseError(
                "limit_depth",
                f"nested {walk.depth:,} levels deep; the limit max_depth is {limits.max_depth:,}",
            )
        return source_parsed(
            decoded,
            checked(decoded.text, walk.blocks),
            format=format,
            data_type="structured",
            limits=limits,
            warnings=[] if walk.balanced else ["not whole: a bracket or quote is never closed"],
        )
