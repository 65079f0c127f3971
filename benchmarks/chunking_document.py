"""Chunking one large document: time for twice the text, peak of memory, import and first use."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import json
import os
import resource
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunking_race import NEVER, cpu_seconds, load, progress

from chunkers import TokenMap, build, counting
from chunkers.blocks import scan
from lineage import Document


@dataclass(frozen=True)
class Series:
    """One document, from raw text, in several sizes."""

    folder: Path
    """Of Markdown files, which the document is made up of."""
    largest: int
    """Megabytes."""
    max_tokens: int
    encoding: str
    rounds: int

    @property
    def megabytes(self) -> list[int]:
        """1, 2, 4 … up to the largest."""
        return [1 << power for power in range(self.largest.bit_length())]


def doubling(series: Series, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Seconds for each size by chunker, and the factor of each doubling."""
    whole = "\n\n".join(text for text, _ in load(series.folder, (".md",), series.largest))
    counting.FAST_FROM = NEVER
    for name in wanted:
        chunker = build(name, {}, max_tokens=series.max_tokens)
        seconds = []
        for size in series.megabytes:
            text = (whole * (1 + int(size * 1e6) // len(whole)))[: int(size * 1e6)]
            progress(f"{name}, {size} MB")

            def run(text: str = text, chunker: Any = chunker) -> None:
                blocks = scan(text, "markdown") if chunker.reads_blocks else []
                document = Document(text=text, blocks=blocks)
                chunker.spans(document, TokenMap(text, series.encoding))

            times = []
            for _ in range(series.rounds if size <= 8 else 1):
                gc.collect()
                times.append(cpu_seconds(run))
            seconds.append(min(times))
        progress("")
        yield {
            "name": name,
            "megabytes": series.megabytes,
            "seconds": [round(s, 3) for s in seconds],
            "factors": [round(b / a, 2) for a, b in itertools.pairwise(seconds)],
        }


IMPORT = """
import time
begin = time.process_time()
import chunkers
imported = time.process_time()
chunkers.TokenMap("text", {encoding!r})
print(imported - begin, time.process_time() - imported)
"""


def imports(encoding: str, rounds: int) -> dict[str, float]:
    """CPU seconds of `import chunkers`, and of the first token map after it."""
    found = []
    for _ in range(max(3, rounds)):
        done = subprocess.run(
            [sys.executable, "-c", IMPORT.format(encoding=encoding)],
            capture_output=True, text=True, check=True, env=environment(),
        )  # fmt: skip
        found.append([float(part) for part in done.stdout.split()])
    first, use = (min(column) for column in zip(*found, strict=True))
    return {"import_seconds": round(first, 3), "first_use_seconds": round(use, 3)}


def memory(series: Series, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Peak memory of chunking the largest document, less what is there before, by chunker.

    Each in a process of its own: this module, run with the chunker and the series as JSON.
    """
    for name in wanted:
        command = [
            sys.executable, __file__, name,
            json.dumps(dataclasses.asdict(series), default=str),
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment()
        )
        yield {"name": name, **json.loads(done.stdout.splitlines()[-1])}


def peak_of(name: str, series: Series) -> dict[str, float]:
    """The growth of this process's peak of memory by chunking one document."""
    chunker = build(name, {}, max_tokens=series.max_tokens)
    small = "# Title\n\nSome text. And more of it.\n\n- item\n- item\n" * 2000
    document = Document(text=small, blocks=scan(small, "markdown"))
    # Loads all there is to load, the faster encoder as well.
    counting.counter(series.encoding).encode("word " * (counting.FAST_FROM // 5 + 1))
    chunker.spans(document, TokenMap(small, series.encoding))
    # What is read for the text is given back before the peak is reset.
    pieces = load(series.folder, (".md",), series.largest)
    text = "\n\n".join(piece for piece, _ in pieces)
    size = len(text.encode())
    del pieces, document
    gc.collect()
    before = current_rss() - sys.getsizeof(text)
    Path("/proc/self/clear_refs").write_text("5")
    blocks = scan(text, "markdown") if chunker.reads_blocks else []
    document = Document(text=text, blocks=blocks)
    chunker.spans(document, TokenMap(text, series.encoding))
    grown = peak_rss() - before
    return {"megabytes": size / 1e6, "bytes_per_byte": round(grown / size, 2)}


def current_rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak_rss() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    given = json.loads(sys.argv[2])
    made = Series(**{**given, "folder": Path(given["folder"])})
    print(json.dumps(peak_of(sys.argv[1], made)))
