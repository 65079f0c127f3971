r"""Chunkers: documents in, exact spans out.

    >>> from chunkers import chunk
    >>> pieces = chunk("# Leave\n\nTwenty days a year.", "structure", target_tokens=400)
    >>> pieces
    [<chunk [0:28] 8 tokens, '# Leave\n\nTwenty days a year.'>]

`show` takes the same and colours the boundaries, in a notebook or a terminal. `names()` lists the
chunkers. For pipelines: `build` makes one from a policy's parameters, and
`Chunker.spans(document, TokenMap(document.text))` cuts a document that was parsed before.

This package does no I/O but to read a file that it is given, and imports in no time: what is heavy
is loaded when it is first used.
"""

from chunkers.api import TextChunk as TextChunk
from chunkers.api import chunk as chunk
from chunkers.base import BaseChunker as BaseChunker
from chunkers.base import Chunker as Chunker
from chunkers.counting import count_tokens as count_tokens
from chunkers.display import show as show
from chunkers.registry import build as build
from chunkers.registry import names as names
from chunkers.spans import Span as Span
from chunkers.tokens import TokenMap as TokenMap
from chunkers.tokens import count_with_context as count_with_context
from chunkers.tokens import token_maps as token_maps
