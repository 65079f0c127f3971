"""Speed of the chunkers, beside bare tiktoken and the splitters of others that are installed.

    python benchmarks/chunking.py FOLDER [--megabytes 20] [--max-tokens 512] [--repeat 3]

Reads the Markdown and text files under FOLDER, and prints MB/s of CPU time on one core: the floor
(one pass of `tiktoken.encode_ordinary`), our chunkers with blocks given and from the raw text, and
peers (langchain-text-splitters, chonkie, semchunk, llama-index-core) with the same tokenizer. All
run in turn in one process; each figure is the best of `--repeat` runs.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chunkers import TokenMap, build, count_with_context, tokens
from chunkers.blocks import scan
from chunkers.vocabularies import vocabulary
from lineage import Document

OURS = ("fixed", "recursive", "sentence", "structure", "table", "optimal")
SUFFIXES = {".md": "markdown", ".txt": "text"}


def load(folder: Path, megabytes: float) -> list[tuple[str, str]]:
    """Texts with their formats, repeated or cut to about so many megabytes."""
    texts = [
        (path.read_bytes().decode("utf-8", "replace"), SUFFIXES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.suffix in SUFFIXES and path.is_file()
    ]
    if not texts:
        raise SystemExit(f"no {' or '.join(SUFFIXES)} files under {folder}")
    chosen: list[tuple[str, str]] = []
    size = 0.0
    while size < megabytes * 1e6:
        for text, form in texts:
            chosen.append((text, form))
            size += len(text.encode())
            if size >= megabytes * 1e6:
                break
    return chosen


def seconds(run: Callable[[], object], repeat: int) -> float:
    best = float("inf")
    for _ in range(repeat):
        begin = time.process_time()
        run()
        best = min(best, time.process_time() - begin)
    return best


def peers(cap: int, encoding: str) -> Iterator[tuple[str, Callable[[str], object]]]:
    """Name and version, and a function of one text, for every peer that is installed."""
    encoder = vocabulary(encoding).encoding

    def count(text: str) -> int:
        return len(encoder.encode_ordinary(text))

    def version(package: str) -> str:
        return importlib.metadata.version(package)

    try:
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        splitter = RecursiveCharacterTextSplitter(
            chunk_size=cap, chunk_overlap=0, length_function=count
        )
        yield f"langchain recursive {version('langchain-text-splitters')}", splitter.split_text
    except ImportError:
        pass
    try:
        import chonkie

        recursive = chonkie.RecursiveChunker(tokenizer=encoder, chunk_size=cap)
        yield f"chonkie recursive {version('chonkie')}", recursive.chunk
    except ImportError:
        pass
    try:
        import semchunk

        yield f"semchunk {version('semchunk')}", semchunk.chunkerify(count, cap)
    except ImportError:
        pass
    try:
        from llama_index.core.node_parser import SentenceSplitter

        sentences = SentenceSplitter(
            chunk_size=cap, chunk_overlap=0, tokenizer=encoder.encode_ordinary
        )
        yield f"llama-index sentence {version('llama-index-core')}", sentences.split_text
    except ImportError:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--encoding", default="o200k_base")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--fast", action="store_true", help="use gigatoken for our chunkers")
    given = parser.parse_args()

    tokens.FAST_FROM = 0 if given.fast else 1 << 60
    texts = load(given.folder, given.megabytes)
    documents = [Document(text=text, blocks=scan(text, form)) for text, form in texts]
    size = sum(len(text.encode()) for text, _ in texts) / 1e6
    encoder = vocabulary(given.encoding).encoding
    print(
        f"{size:.1f} MB in {len(texts)} files, cap {given.max_tokens}, {given.encoding}, "
        f"Python {platform.python_version()}, tiktoken {importlib.metadata.version('tiktoken')}"
        f"{', gigatoken' if given.fast else ''}"
    )
    floor = seconds(lambda: [encoder.encode_ordinary(t) for t, _ in texts], given.repeat)

    def row(name: str, taken: float, chunks: int = 0, mean: float = 0) -> None:
        counts = f"{chunks:>8} {mean:>7.0f}" if chunks else ""
        print(f"{name:<36}{size / taken:>8.2f} {floor / taken:>7.2f} {counts}", flush=True)

    print(f"{'':<36}{'MB/s':>8} {'x floor':>7} {'chunks':>8} {'tokens':>7}")
    row("tiktoken encode_ordinary (floor)", floor)
    row("TokenMap", seconds(lambda: [map_of(t, given) for t, _ in texts], given.repeat))
    row("block scan alone", seconds(lambda: [scan(t, f) for t, f in texts], given.repeat))
    for name in OURS:
        chunker = build(name, {}, max_tokens=given.max_tokens)
        sizes: list[int] = []

        def run(chunker=chunker, sizes=sizes) -> None:  # type: ignore[no-untyped-def]
            sizes.clear()
            for document in documents:
                token_map = map_of(document.text, given)
                spans = chunker.spans(document, token_map)
                sizes.extend(count_with_context(token_map, span) for span in spans)

        def raw(chunker=chunker) -> None:  # type: ignore[no-untyped-def]
            for text, form in texts:
                chunker.spans(Document(text=text, blocks=scan(text, form)), map_of(text, given))

        taken = seconds(run, given.repeat)
        row(name, taken, len(sizes), sum(sizes) / len(sizes))
        if name in ("structure", "optimal"):
            row(f"{name}, from raw text", seconds(raw, given.repeat))
    for name, split in peers(given.max_tokens, given.encoding):
        row(name, seconds(lambda split=split: [split(t) for t, _ in texts], 1))  # type: ignore[misc]


def map_of(text: str, given: argparse.Namespace) -> TokenMap:
    return TokenMap(text, given.encoding)


if __name__ == "__main__":
    main()
