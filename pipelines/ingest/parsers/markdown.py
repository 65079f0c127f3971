"""Markdown as it is, with the blocks of CommonMark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from chunkers.blocks import scan
from pipelines.ingest.parsers.base import Parsed
from pipelines.ingest.parsers.decode import decode
from pipelines.ingest.parsers.source import heading_title, limits_of, source_parsed

# Front matter is read by a line, not as YAML: it is untrusted, and only the title is wanted.
_FRONT_TITLE = re.compile(
    r"""^title[ \t]*[:=][ \t]*(?:[>|][-+]?[ \t]*\r?\n[ \t]+)?(["']?)(\S[^\n]{0,300}?)\1\s*$""",
    re.MULTILINE | re.IGNORECASE,
)


class MarkdownParser:
    """Markdown documents, front matter included."""

    name = "markdown"
    formats = frozenset({"markdown"})
    checks_blocks = True

    @property
    def version(self) -> str:
        """Of this parser and of the library behind it."""
        return f"1+pyromark-{version('pyromark')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Decode the text and find its blocks; the title is the front matter's or a heading."""
        decoded = decode(data)
        text = decoded.text
        blocks = scan(text, "markdown")
        title = None
        if blocks and blocks[0].kind == "front_matter":
            found = _FRONT_TITLE.search(text, blocks[0].start, blocks[0].end)
            title = found.group(2) if found else None
        return source_parsed(
            decoded,
            blocks,
            format=format,
            data_type="markdown",
            limits=limits_of(options),
            title=title or heading_title(text, blocks),
        )
