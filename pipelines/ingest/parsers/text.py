"""Plain text, reStructuredText, Org and BibTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chunkers.blocks import scan
from pipelines.ingest.parsers.base import Parsed
from pipelines.ingest.parsers.decode import decode
from pipelines.ingest.parsers.source import heading_title, limits_of, source_parsed

_ORG_TITLE = re.compile(r"^#\+title:[ \t]*(\S[^\n]{0,300})$", re.MULTILINE | re.IGNORECASE)


class TextParser:
    """Text as it is."""

    name = "text"
    version = "1"
    formats = frozenset({"text", "org", "rst", "bib"})
    checks_blocks = True

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Decode the text and find its paragraphs, headings and pages."""
        decoded = decode(data)
        blocks = scan(decoded.text, format)
        title = None
        if format == "org" and (found := _ORG_TITLE.search(decoded.text[:4000])):
            title = found.group(1).strip()
        return source_parsed(
            decoded,
            blocks,
            format=format,
            data_type="prose",
            limits=limits_of(options),
            title=title or heading_title(decoded.text, blocks),
        )
