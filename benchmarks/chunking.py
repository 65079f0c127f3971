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
import importlib.metadata
import itertools
import json
import os
import platform
import sysconfig
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chunking_document import Series, doubling, imports, memory
from chunking_race import Contestant, floor, load, megabytes_of, others, ours, race, sliced
from peers import splitters

from chunkers import names
from chunkers.vocabularies import vocabulary

OURS = ("fixed", "recursive", "sentence", "structure", "table", "semantic", "optimal")
SERIES = ("fixed", "recursive", "structure", "optimal")


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


def one_document(given: argparse.Namespace) -> dict[str, Any]:
    """Prints what one document takes, in time and memory, and returns it."""
    series = Series(given.folder, given.largest, given.max_tokens, given.encoding, given.rounds)
    wanted = [name for name in SERIES if name in given.only]
    sizes = "".join(f"{size:>7} MB" for size in series.megabytes)
    print(f"\n{'one document, from raw text: seconds at':<42}{sizes}")
    times, peaks = [], []
    for row in doubling(series, wanted):
        factors = "".join(f"{f'x{factor:.2f}':>10}" for factor in row["factors"])
        print(f"{row['name']:<42}" + "".join(f"{s:>10.2f}" for s in row["seconds"]))
        print(f"{'':<42}{'':>10}{factors}")
        times.append(row)
    for row in memory(series, wanted):
        print(
            f"peak memory of {row['name']} on {row['megabytes']:.0f} MB, the text included: "
            f"{row['bytes_per_byte']:.1f} bytes a byte"
        )
        peaks.append(row)
    return {"doubling": times, "memory": peaks}


def first_use(given: argparse.Namespace) -> dict[str, float]:
    """Prints what the import and the first use take, and returns it."""
    row = imports(given.encoding, given.rounds)
    print(
        f"\nimport chunkers: {row['import_seconds']:.2f} s; first token map, vocabulary included: "
        f"{row['first_use_seconds']:.2f} s"
    )
    return row


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
    given = parser.parse_args()
    if given.folder is None or not given.folder.is_dir():
        parser.error("name a folder of Markdown and text files, or set GRISTMILL_TEST_DATA")
    return given


def main() -> None:
    warnings.simplefilter("ignore")
    given = arguments()
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
        here = [name for name in wanted if name in names()]
        rows += ours(slices, here, given.encoding, given.max_tokens)
        if not given.no_peers:
            rows += others(slices, makers, words, given.max_tokens)
        heading = f"{title}: {size:.1f} MB in {len(group)} files, cap {given.max_tokens}"
        found[title] = table(heading, race(rows, len(slices), given.rounds, given.encoding), size)
    if given.largest:
        found.update(one_document(given))
    found.update(first_use(given))
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
