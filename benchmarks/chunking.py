"""Speed of the chunkers, beside bare tiktoken and the splitters of others that are installed.

    python benchmarks/chunking.py [FOLDER] [--code FOLDER] [--megabytes 20] [--rounds 3] [--json]

Takes the Markdown and text files under FOLDER ($GRISTMILL_TEST_DATA/corpus when not given), the
Python files under the folder of `--code` (Python's own library when not given), and measures on
one core, in CPU time:

- MB/s, and the ratio to the floor: one pass of `tiktoken.encode_ordinary` over the same text. Our
  chunkers with blocks given, as in the pipeline, and from raw text; with tiktoken and with the
  faster encoder of the extra `fast`; the exact token count of every chunk is part of the work.
  The peers of `benchmarks/peers/splitters.txt`, with the same tokenizer and cap.
- one document of 1 to 32 MB: how much longer twice the text takes.
- the import, the first use, and the peak of memory.

The text is divided into slices, and on each of them all run in turn, round by round. A figure is
the sum over the slices of the best round, so that what else runs on the machine disturbs all
alike and little. What is not installed is left out, with a line that says so.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import importlib.metadata
import itertools
import json
import os
import platform
import random
import resource
import subprocess
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import splitters

from chunkers import TokenMap, build, count_with_context, counting, names
from chunkers.blocks import scan
from chunkers.vocabularies import Vocabulary, vocabulary
from lineage import Document

OURS = ("fixed", "recursive", "sentence", "structure", "table", "semantic", "optimal")
FROM_RAW = ("recursive", "structure", "optimal")
SUFFIXES = {".md": "markdown", ".txt": "text", ".py": "code:python"}
SLOW = 5.0
"""A contestant that takes more CPU seconds than this for a slice is run on it once."""
NEVER = 1 << 60
SLICE = 500_000
SERIES = ("fixed", "recursive", "structure", "optimal")

Text = tuple[str, str]
"""A text and its format."""


@dataclass
class Contestant:
    """One row of a table: what is run, and the best of its times."""

    name: str
    run: Callable[[int], object]
    """Does the work of one slice."""
    best: list[float] = field(default_factory=list)
    """CPU seconds of each slice."""
    chunks: dict[int, list[int]] = field(default_factory=dict)
    """Tokens of each chunk by slice, for ours."""

    @property
    def seconds(self) -> float:
        return sum(self.best)


def load(folder: Path, suffixes: Sequence[str], megabytes: float) -> list[Text]:
    """Texts with their formats: whole files in random order, repeated or cut to the size."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in suffixes and "site-packages" not in path.parts and path.is_file()
    ]
    texts = []
    for path in files:
        with contextlib.suppress(UnicodeDecodeError):
            texts.append((path.read_bytes().decode(), SUFFIXES[path.suffix]))
    if not texts:
        raise SystemExit(f"no {' or '.join(suffixes)} files in UTF-8 under {folder}")
    random.Random(1).shuffle(texts)
    chosen: list[Text] = []
    left = megabytes * 1e6
    while left > 0:
        for text, form in texts:
            # Special tokens in a text make some of the peers raise.
            text = text.replace("<|endof", "<|end of")[: int(left)]
            chosen.append((text, form))
            left -= len(text.encode())
            if left <= 0:
                break
    return chosen


def sliced(texts: Sequence[Text]) -> list[list[Text]]:
    """The texts in groups of about `SLICE` characters."""
    slices: list[list[Text]] = [[]]
    size = 0
    for text in texts:
        if size > SLICE:
            slices.append([])
            size = 0
        slices[-1].append(text)
        size += len(text[0])
    return slices


def megabytes_of(texts: Sequence[Text]) -> float:
    return sum(len(text.encode()) for text, _ in texts) / 1e6


def floor(slices: Sequence[Sequence[Text]], words: Vocabulary) -> Contestant:
    encode = words.encoding.encode_ordinary

    def run(part: int) -> None:
        for text, _ in slices[part]:
            encode(text)

    return Contestant("tiktoken encode_ordinary (floor)", run)


def ours(
    slices: Sequence[Sequence[Text]], given: argparse.Namespace, wanted: Sequence[str]
) -> list[Contestant]:
    """Our chunkers on these texts, with both encoders."""
    documents = [
        [Document(text=text, blocks=scan(text, form)) for text, form in part] for part in slices
    ]

    def maps(part: int) -> None:
        for text, _ in slices[part]:
            TokenMap(text, given.encoding)

    def scans(part: int) -> None:
        for text, form in slices[part]:
            scan(text, form)

    rows = [
        Contestant("token map", with_encoder(maps, False)),
        Contestant("block scan", scans),
    ]
    encoders = [False, True] if counting.counter(given.encoding).fast else [False]
    for fast in encoders:
        mark = " [fast]" if fast else ""
        for name in wanted:
            chunker = build(name, {}, max_tokens=given.max_tokens)
            row = Contestant(name + mark, maps)

            def chunk(part: int, chunker: Any = chunker, row: Contestant = row) -> None:
                sizes = row.chunks[part] = []
                for document in documents[part]:
                    token_map = TokenMap(document.text, given.encoding)
                    for span in chunker.spans(document, token_map):
                        sizes.append(count_with_context(token_map, span))

            def from_raw(part: int, chunker: Any = chunker) -> None:
                for text, form in slices[part]:
                    blocks = scan(text, form) if chunker.reads_blocks else []
                    document = Document(text=text, blocks=blocks)
                    token_map = TokenMap(text, given.encoding)
                    for span in chunker.spans(document, token_map):
                        count_with_context(token_map, span)

            row.run = with_encoder(chunk, fast)
            rows.append(row)
            if name in FROM_RAW or name == "code":
                raw = Contestant(f"{name}, from raw text{mark}", with_encoder(from_raw, fast))
                rows.append(raw)
    return rows


def with_encoder(run: Callable[[int], None], fast: bool) -> Callable[[int], None]:
    def chosen(part: int) -> None:
        counting.FAST_FROM = 0 if fast else NEVER
        run(part)

    return chosen


def others(
    slices: Sequence[Sequence[Text]],
    makers: dict[str, tuple[str, splitters.Maker]],
    words: Vocabulary,
    cap: int,
) -> list[Contestant]:
    rows = []
    for name, split, note in splitters.available(makers, words.encoding, cap):
        if split is None:
            print(f"left out: {name} ({note.splitlines()[0][:100]})", flush=True)
            continue

        def run(part: int, split: splitters.Split = split) -> None:
            for text, _ in slices[part]:
                split(text)

        rows.append(Contestant(f"{name} {note}", run))
    return rows


def race(rows: list[Contestant], slices: int, rounds: int, encoding: str) -> list[Contestant]:
    """Runs all in turn on every slice; those that raise are left out, with a line."""
    gc.collect()
    gc.freeze()  # what is loaded costs the collector nothing from now on
    failed = set()
    for part in range(slices):
        for row in rows:
            row.best.append(float("inf"))
        for number in range(rounds):
            for row in rows:
                if row.name in failed or (number and row.best[-1] > SLOW):
                    continue
                progress(f"slice {part + 1} of {slices}, round {number + 1}: {row.name}")
                counting.counter(encoding).forget()
                gc.collect()
                try:
                    row.best[-1] = min(row.best[-1], cpu_seconds(row.run, part))
                except Exception as error:
                    failed.add(row.name)
                    progress("")
                    reason = f"{type(error).__name__}: {str(error)[:80]}"
                    print(f"left out: {row.name} raised {reason}", flush=True)
    progress("")
    return [row for row in rows if row.name not in failed]


def cpu_seconds(run: Callable[..., object], *arguments: object) -> float:
    begin = time.process_time()
    run(*arguments)
    return time.process_time() - begin


def progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def table(title: str, rows: Sequence[Contestant], size: float) -> list[dict[str, Any]]:
    """Prints MB/s and ratios to the first row, and returns them."""
    print(f"\n{title:<42}{'MB/s':>8} {'x floor':>8} {'chunks':>8} {'tokens':>7}")
    out = []
    for row in rows:
        figures: dict[str, Any] = {
            "name": row.name,
            "mb_per_s": round(size / row.seconds, 3),
            "ratio": round(rows[0].seconds / row.seconds, 3),
        }
        counts = ""
        if row.chunks:
            sizes = list(itertools.chain.from_iterable(row.chunks.values()))
            figures["chunks"] = len(sizes)
            figures["mean_tokens"] = round(sum(sizes) / len(sizes), 1)
            counts = f" {figures['chunks']:>8} {figures['mean_tokens']:>7.0f}"
        print(f"{row.name:<42}{figures['mb_per_s']:>8.2f} {figures['ratio']:>8.2f}{counts}")
        out.append(figures)
    return out


def doubling(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Time for one document of 1, 2, 4 … MB from raw text, and the factor of each doubling."""
    whole = "\n\n".join(text for text, _ in load(given.folder, (".md",), given.largest))
    sizes = [1]
    while sizes[-1] * 2 <= given.largest:
        sizes.append(sizes[-1] * 2)
    print(
        f"\n{'one document, from raw text: seconds at':<42}" + "".join(f"{s:>7} MB" for s in sizes)
    )
    out = []
    counting.FAST_FROM = NEVER
    for name in (name for name in SERIES if name in given.only):
        chunker = build(name, {}, max_tokens=given.max_tokens)
        seconds = []
        for size in sizes:
            text = (whole * (1 + int(size * 1e6) // len(whole)))[: int(size * 1e6)]
            progress(f"{name}, {size} MB")

            def run(text: str = text, chunker: Any = chunker) -> None:
                blocks = scan(text, "markdown") if chunker.reads_blocks else []
                document = Document(text=text, blocks=blocks)
                chunker.spans(document, TokenMap(text, given.encoding))

            times = []
            for _ in range(given.rounds if size <= 8 else 1):
                gc.collect()
                times.append(cpu_seconds(run))
            seconds.append(min(times))
        progress("")
        factors = [round(b / a, 2) for a, b in itertools.pairwise(seconds)]
        print(f"{name:<42}" + "".join(f"{s:>10.2f}" for s in seconds))
        print(f"{'':<42}{'':>10}" + "".join(f"{f'x{f:.2f}':>10}" for f in factors))
        out.append(
            {"name": name, "megabytes": sizes, "seconds": [round(s, 3) for s in seconds],
             "factors": factors}
        )  # fmt: skip
    return out


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
    print(f"\nimport chunkers: {first:.2f} s; first token map, vocabulary included: {use:.2f} s")
    return {"import_seconds": round(first, 3), "first_use_seconds": round(use, 3)}


def memory(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory of chunking one document, in a process of its own, less what is there before."""
    out = []
    for name in (name for name in SERIES if name in given.only):
        command = [
            sys.executable, __file__, str(given.folder), "--peak-of", name, "--largest",
            str(given.largest), "--max-tokens", str(given.max_tokens), "--encoding", given.encoding,
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment()
        )
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"peak memory of {name} on {found['megabytes']:.0f} MB, the text included: "
            f"{found['bytes_per_byte']:.1f} bytes a byte"
        )
        out.append({"name": name, **found})
    return out


def peak_of(given: argparse.Namespace) -> None:
    """Prints the growth of the peak of memory by chunking one document, as JSON."""
    chunker = build(given.peak_of, {}, max_tokens=given.max_tokens)
    small = "# Title\n\nSome text. And more of it.\n\n- item\n- item\n" * 2000
    document = Document(text=small, blocks=scan(small, "markdown"))
    # Loads all there is to load, the faster encoder as well.
    counting.counter(given.encoding).encode("word " * (counting.FAST_FROM // 5 + 1))
    chunker.spans(document, TokenMap(small, given.encoding))
    # What is read for the text is given back before the peak is reset.
    pieces = load(given.folder, (".md",), given.largest)
    text = "\n\n".join(piece for piece, _ in pieces)
    size = len(text.encode())
    del pieces, document
    gc.collect()
    before = current_rss() - sys.getsizeof(text)
    Path("/proc/self/clear_refs").write_text("5")
    blocks = scan(text, "markdown") if chunker.reads_blocks else []
    document = Document(text=text, blocks=blocks)
    chunker.spans(document, TokenMap(text, given.encoding))
    grown = peak_rss() - before
    print(json.dumps({"megabytes": size / 1e6, "bytes_per_byte": round(grown / size, 2)}))


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


def machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    packages = ("tiktoken", "gigatoken", "numpy", "pyromark", "sentencex", "tree-sitter")
    versions = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "processor": model,
        "cores": os.cpu_count(),
        "load": [round(part, 1) for part in os.getloadavg()],
        "versions": versions,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    root = os.environ.get("GRISTMILL_TEST_DATA")
    corpus = Path(root, "corpus") if root else None
    parser.add_argument(
        "folder", type=Path, nargs="?", default=corpus, help="Markdown and text files"
    )
    parser.add_argument(
        "--code", type=Path, default=Path(sysconfig.get_paths()["stdlib"]), help="Python files"
    )
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--code-megabytes", type=float, default=5)
    parser.add_argument("--largest", type=int, default=32, help="MB of the largest document")
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--encoding", default="o200k_base")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[*OURS, "code"], help="chunkers of ours")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", action="store_true", help="the figures as the last line")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder is None or not given.folder.is_dir():
        parser.error("name a folder of Markdown and text files, or set GRISTMILL_TEST_DATA")
    return given


def main() -> None:
    warnings.simplefilter("ignore")
    given = arguments()
    if given.peak_of:
        return peak_of(given)
    words = vocabulary(given.encoding)
    about = machine()
    print(
        f"{about['date']}, Python {about['python']}, {about['processor']}, {about['cores']} cores, "
        f"load {about['load'][0]}, "
        + ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    )
    found: dict[str, Any] = {"machine": about, "max_tokens": given.max_tokens}
    groups = []
    if given.megabytes:
        texts = load(given.folder, (".md", ".txt"), given.megabytes)
        groups.append(("text", texts, splitters.TEXT, [n for n in OURS if n in given.only]))
    if "code" in given.only and given.code_megabytes:
        code = load(given.code, (".py",), given.code_megabytes)
        groups.append(("code", code, splitters.CODE, ["recursive", "code"]))
    for title, group, makers, wanted in groups:
        size = megabytes_of(group)
        slices = sliced(group)
        rows = [floor(slices, words)]
        rows += ours(slices, given, [name for name in wanted if name in names()])
        if not given.no_peers:
            rows += others(slices, makers, words, given.max_tokens)
        heading = f"{title}: {size:.1f} MB in {len(group)} files, cap {given.max_tokens}"
        found[title] = table(heading, race(rows, len(slices), given.rounds, given.encoding), size)
    if given.largest:
        found["doubling"] = doubling(given)
        found["memory"] = memory(given)
    found.update(imports(given.encoding, given.rounds))
    if given.json:
        print(json.dumps(found))
    return None


if __name__ == "__main__":
    main()
