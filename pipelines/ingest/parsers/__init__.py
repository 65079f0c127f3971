"""Parsers: the bytes of a source to text and blocks.

    >>> from pipelines.ingest.parsers import parse_bytes
    >>> parsed, parser = parse_bytes(b"# Leave\\n\\nTwenty days.\\n", name="leave.md")
    >>> parsed.title, [block.kind for block in parsed.blocks], parser.name
    ('Leave', ['heading', 'paragraph'], 'markdown')

`pipelines.ingest.parsers.registry` says which parser reads what; parsers are imported on use.
"""

from __future__ import annotations

from pipelines.ingest.parsers import registry as registry
from pipelines.ingest.parsers.base import Limits as Limits
from pipelines.ingest.parsers.base import Parsed as Parsed
from pipelines.ingest.parsers.base import ParseError as ParseError
from pipelines.ingest.parsers.base import Parser as Parser
from pipelines.ingest.parsers.parse import parse_bytes as parse_bytes
from pipelines.ingest.parsers.registry import fingerprint as fingerprint
