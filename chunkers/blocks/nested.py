"""The records inside a record, found when it has to be divided.

Scanners leave short containers whole, or a large file would be a block a number. Where even a short
one does not fit a chunk, what is in it is looked at then.
"""

from __future__ import annotations

import re

from chunkers.blocks.json import nested_json
from chunkers.blocks.xml import nested_xml
from chunkers.blocks.yaml import nested_yaml
from lineage import Block

_JSON = re.compile(r'\s*(?:"(?:[^"\\\n]|\\.){0,200}"\s*:\s*)?[\[{]')
_XML = re.compile(r"\s*<[A-Za-z_]")


def nested_records(text: str, start: int, end: int, path: str) -> list[Block]:
    """Records inside the one at `text[start:end]`, in pre-order; none where it has no parts.

    `path` is the record's own locator, with which theirs begin.
    """
    if _JSON.match(text, start, end):
        return nested_json(text, start, end, path)
    if _XML.match(text, start, end):
        return nested_xml(text, start, end, path)
    if path.startswith(("$", "document ")):
        return nested_yaml(text, start, end, path)
    return []
