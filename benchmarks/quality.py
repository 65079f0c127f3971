"""What the label-free figures cost beside the chunking that they measure.

    python benchmarks/quality.py [--encoder tiktoken|fast] FILE|FOLDER…

CPU time on one core, each document once: the token map, spans and exact counts, against all figures
together. Documents are told apart by size, because what a document costs at least weighs on the
small ones. `fast` is the encoder of the extra of that name, loaded from the start; it keeps what it
has seen, so all documents are encoded once before anything is measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from chunkers import TokenMap, build, count_with_context, counting
from chunkers.blocks import scan
from chunkers.quality import measure
from lineage import Document

CHUNKERS = ("optimal", "structure", "recursive", "sentence", "fixed")
CAPS = (256, 512)
SIZES = (2_000, 8_000, 32_000, sys.maxsize)
KINDS = {".md": "markdown", ".txt": "text"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--encoder", choices=("tiktoken", "fast"), default="tiktoken")
    asked = parser.parse_args()
    if asked.encoder == "fast":
        if counting.counter().fast is None:
            sys.exit("the faster encoder is not installed: pip install 'gristmill[fast]'")
        counting.counter().hurry()
    else:
        counting.FAST_FROM = sys.maxsize
    documents = list(read(asked.paths))
    for document in documents:
        TokenMap(document.text)
    print(f"{'characters':<12} {'documents':>9} {'MB':>6}  {'chunker':<10} {'cap':>4} ", end="")
    print(f"{'chunk ms':>9} {'figures ms':>10} {'share':>6}")
    low = 0
    for high in SIZES:
        among = [document for document in documents if low <= len(document.text) < high]
        if among:
            label = f"from {low:,}" if high == sys.maxsize else f"below {high:,}"
            report(label, among)
        low = high


def read(paths: Sequence[Path]) -> Iterator[Document]:
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and file.suffix in KINDS:
                text = file.read_text("utf-8", errors="replace")
                yield Document(text=text, blocks=scan(text, KINDS[file.suffix]))


def report(label: str, documents: Sequence[Document]) -> None:
    size = sum(len(document.text) for document in documents) / 1e6
    for name in CHUNKERS:
        for cap in CAPS:
            chunking, figures = cost(name, cap, documents)
            print(
                f"{label:<12} {len(documents):9} {size:6.2f}  {name:<10} {cap:4} "
                f"{chunking * 1e3:9.1f} {figures * 1e3:10.1f} {figures / chunking:6.0%}"
            )


def cost(name: str, cap: int, documents: Sequence[Document]) -> tuple[float, float]:
    """CPU seconds of chunking and of the figures."""
    chunker = build(name, {}, max_tokens=cap)
    chunking = figures = 0.0
    counting.counter().forget()
    for document in documents:
        begin = time.thread_time()
        made = TokenMap(document.text)
        spans = chunker.spans(document, made)
        counts = [count_with_context(made, span) for span in spans]
        middle = time.thread_time()
        measure(document, spans, counts, cap, cap)
        chunking += middle - begin
        figures += time.thread_time() - middle
    return chunking, figures


if __name__ == "__main__":
    main()
