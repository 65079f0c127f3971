"""Scanners that find the structure of text whose canonical form is its source.

    >>> from chunkers.blocks import scan
    >>> [block.kind for block in scan("# Leave\\n\\nTwenty days.\\n", "markdown")]
    ['heading', 'paragraph']

They take any `str`, never raise, and take time linear in its length.
"""

from __future__ import annotations

from chunkers.blocks.scanner import FORMATS as FORMATS
from chunkers.blocks.scanner import scan as scan
