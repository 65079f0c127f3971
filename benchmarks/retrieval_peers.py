"""How the splitters of others are called for `benchmarks/retrieval.py`, and where their pieces lie.

Each is given a limit in tokens and cuts without overlap. A piece is found again in its text from
where the one before it ended, white space at its edges aside.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator

import tiktoken

Ranges = list[tuple[int, int]]
Split = Callable[[str], Ranges]
Make = Callable[[int], Split]


def located(text: str, pieces: Iterable[str]) -> Ranges:
    """Where `pieces` lie in `text`, in order; what was altered is looked for nowhere else."""
    found: Ranges = []
    position = 0
    for piece in pieces:
        bare = piece.strip()
        if not bare:
            continue
        start = text.find(bare, position)
        if start < 0:
            raise SystemExit(f"a piece is not in the text any more: {bare[:80]!r}")
        found.append((start, start + len(bare)))
        position = start + len(bare)
    return found


def peers(encoder: tiktoken.Encoding) -> Iterator[tuple[str, Make]]:
    """Name with version, and what makes a splitter of a limit, for each one that is installed."""

    def count(text: str) -> int:
        return len(encoder.encode_ordinary(text))

    def named(label: str, package: str) -> str:
        return f"{label} {importlib.metadata.version(package)}"

    try:
        from langchain_text_splitters import RecursiveCharacterTextSplitter
    except ImportError:
        pass
    else:

        def langchain(limit: int) -> Split:
            splitter = RecursiveCharacterTextSplitter(
                chunk_size=limit, chunk_overlap=0, length_function=count
            )
            return lambda text: located(text, splitter.split_text(text))

        yield named("LangChain Recursive", "langchain-text-splitters"), langchain
    try:
        import semchunk
    except ImportError:
        pass
    else:

        def sem(limit: int) -> Split:
            chunker = semchunk.chunkerify(count, limit)
            return lambda text: list(chunker(text, offsets=True)[1])

        yield named("semchunk", "semchunk"), sem
    try:
        import chonkie
    except ImportError:
        pass
    else:

        def recursive(limit: int) -> Split:
            chunker = chonkie.RecursiveChunker(tokenizer=encoder, chunk_size=limit)
            return lambda text: [(c.start_index, c.end_index) for c in chunker.chunk(text)]

        def sentence(limit: int) -> Split:
            chunker = chonkie.SentenceChunker(tokenizer=encoder, chunk_size=limit, chunk_overlap=0)
            return lambda text: [(c.start_index, c.end_index) for c in chunker.chunk(text)]

        yield named("Chonkie Recursive", "chonkie"), recursive
        yield named("Chonkie Sentence", "chonkie"), sentence
    try:
        import semantic_text_splitter
    except ImportError:
        pass
    else:

        def rust(limit: int) -> Split:
            splitter = semantic_text_splitter.TextSplitter.from_callback(count, limit)
            return lambda text: [(i, i + len(c)) for i, c in splitter.chunk_indices(text)]

        yield named("semantic-text-splitter", "semantic-text-splitter"), rust
    try:
        from llama_index.core.node_parser import SentenceSplitter
    except ImportError:
        pass
    else:

        def llama(limit: int) -> Split:
            splitter = SentenceSplitter(
                chunk_size=limit, chunk_overlap=0, tokenizer=encoder.encode_ordinary
            )
            return lambda text: located(text, splitter.split_text(text))

        yield named("LlamaIndex Sentence", "llama-index-core"), llama
