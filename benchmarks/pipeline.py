"""Whole pipelines side by side: a folder of small files to stored chunks.

    python benchmarks/pipeline.py                        # 20,000 files against LlamaIndex
    python benchmarks/pipeline.py --documents 2000 --no-peer
    python benchmarks/pipeline.py --memory               # peak memory at 1,000 and 10,000 files

The files are cut from real Markdown, HTML and text: $GRISTMILL_TEST_DATA/corpus where that is
set, else the samples. Each contestant runs as a command of its own, in turn; start-up is
measured by the smallest run that each can do and reported apart. CPU time is that of all
processes; on a busy machine it says more than the clock. The peer gets an environment of
its own, made on first use from benchmarks/peers/requirements.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SUFFIXES = (".md", ".html", ".txt")


@dataclass(frozen=True)
class Run:
    """One command: what it printed last, how long it took, what it needed at most."""

    output: dict
    seconds: float
    cpu_seconds: float
    peak_mb: float


def measured(command: list[str], **environment: str) -> Run:
    """Run a command in a child of its own, so that its peak memory is its own."""
    code = (
        "import json, resource, subprocess, sys, time\n"
        "began = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)\n"
        "usage = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "lines = done.stdout.strip().splitlines()\n"
        "print(json.dumps([done.returncode, lines[-1] if lines else '', "
        "time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    status, line, seconds, cpu, peak = json.loads(done.stdout)
    if status not in (0, 3):
        sys.exit(f"{' '.join(command)} ended with exit code {status}")
    return Run(json.loads(line) if line.startswith("{") else {}, seconds, cpu, peak)


def make_folder(folder: Path, count: int, size: int, seed: int = 7) -> float:
    """Fill `folder` with `count` files of about `size` bytes; returns the megabytes."""
    marker = folder / ".complete"
    if marker.exists():
        return float(marker.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    data = os.environ.get("GRISTMILL_TEST_DATA")
    corpus = Path(data) / "corpus" if data else ROOT / "samples"
    texts = {
        suffix: [path.read_text("utf-8", "ignore") for path in sorted(corpus.rglob(f"*{suffix}"))]
        for suffix in SUFFIXES
    }
    shuffle = random.Random(seed)
    total = 0
    for number in range(count):
        suffix = SUFFIXES[number % len(SUFFIXES)]
        body = ""
        while len(body) < size:
            text = shuffle.choice(texts[suffix])
            start = shuffle.randrange(max(1, len(text) - size))
            start = text.find("\n", start) + 1
            body += text[start : start + size]
        body = body[: size + shuffle.randrange(-size // 4, size // 4)]
        if suffix == ".html":
            body = f"<html><head><title>{number}</title></head><body>{body}</body></html>"
        path = folder / f"{number // 1000:03d}" / f"{number:06d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        total += path.write_text(body, "utf-8")
    marker.write_text(str(total / 1e6))
    return total / 1e6


def gristmill(work: Path, folder: Path, workers: int, *, fresh: bool = True) -> Run:
    """`gristmill run` over the folder: ingest, transform and load, without MLflow."""
    if fresh:
        shutil.rmtree(work / "state", ignore_errors=True)
    config = work / "benchmark.yaml"
    config.write_text(
        f"name: benchmark\nlake: {work}/state/lake\n"
        f"sources: [{{name: files, uri: {folder}, acl: {{default: public}}}}]\n"
        "strategies: [{name: default, max_tokens: 512}]\n"
        f"sinks: [{{name: index, kind: lancedb, uri: {work}/state/index, strategy: default}}]\n"
    )
    command = str(Path(sys.executable).with_name("gristmill"))
    return measured([command, "run", str(config), "--json", "--workers", str(workers)])


def peer_python(work: Path) -> str:
    """The peer's interpreter, in an environment made on first use."""
    environment = work / "peers"
    python = environment / "bin" / "python"
    if not python.exists():
        print("installing the peer (once) …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        requirements = str(HERE / "peers" / "requirements.txt")
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", requirements], check=True)
    return str(python)


def compare(work: Path, documents: int, size: int, workers: int, peer: bool) -> None:
    """Print documents per second of both, their ratio, and where our time goes."""
    folder, tiny = work / f"files-{documents}", work / "files-1"
    megabytes = make_folder(folder, documents, size)
    make_folder(tiny, 1, size)
    start = gristmill(work, tiny, workers)
    ours = gristmill(work, folder, workers)
    again = gristmill(work, folder, workers, fresh=False)
    print(f"{documents} files, {megabytes:.1f} MB, {workers} workers\n")
    columns = ("wall s", "start s", "docs/s", "CPU s", "start CPU", "docs/CPU s", "peak MB")
    print(" " * 26 + "".join(f"{name:>11}" for name in (*columns, "chunks")))
    chunks = ours.output["stages"]["transform"]["chunks"]
    print(_row("gristmill run", ours, start, documents, chunks))
    print(_row("  again, nothing changed", again, None, documents, 0))
    if peer:
        script = str(HERE / "peers" / "llamaindex_pipeline.py")
        command = [peer_python(work), script]
        warm = measured([*command, str(tiny), str(work / "tiny.parquet"), "1"])
        theirs = measured([*command, str(folder), str(work / "peer.parquet"), str(workers)])
        print(_row("LlamaIndex", theirs, warm, documents, theirs.output["chunks"]))
        wall = (theirs.seconds - warm.seconds) / (ours.seconds - start.seconds)
        cpu = (theirs.cpu_seconds - warm.cpu_seconds) / (ours.cpu_seconds - start.cpu_seconds)
        print(f"\nas fast, start-up apart: {wall:.2f}x by the clock, {cpu:.2f}x by CPU time")
        print(f"start-up included: {theirs.seconds / ours.seconds:.2f}x by the clock")
    print("\nwhere our time goes (seconds):")
    for stage, facts in ours.output["stages"].items():
        print(f"  {stage:12}{facts.get('seconds', 0):8.1f}")
    print(f"  {'whole run':12}{ours.seconds:8.1f}")


def _row(name: str, run: Run, start: Run | None, documents: int, chunks: int) -> str:
    wall, cpu = (start.seconds, start.cpu_seconds) if start else (0.0, 0.0)
    return (
        f"{name:26}{run.seconds:11.1f}{wall:11.1f}{documents / (run.seconds - wall):11.0f}"
        f"{run.cpu_seconds:11.1f}{cpu:11.1f}{documents / (run.cpu_seconds - cpu):11.0f}"
        f"{run.peak_mb:11.0f}{chunks:11}"
    )


def memory(work: Path, size: int, workers: int) -> None:
    """Print the peak memory of the largest process at 1,000 and at 10,000 files."""
    peaks = []
    for count in (1000, 10_000):
        folder = work / f"files-{count}"
        make_folder(folder, count, size)
        peaks.append(gristmill(work, folder, workers).peak_mb)
        print(f"{count:6} files: peak {peaks[-1]:.0f} MB", flush=True)
    print(f"growth: {100 * (peaks[1] / peaks[0] - 1):+.0f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=10_000, help="bytes of a file")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "gristmill-bench")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    if arguments.memory:
        memory(arguments.work, arguments.size, arguments.workers)
    else:
        compare(
            arguments.work,
            arguments.documents,
            arguments.size,
            arguments.workers,
            not arguments.no_peer,
        )
    own = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    print(f"\nthe benchmark itself: {time.perf_counter() - began:.0f} s wall, {own:.1f} s CPU")


if __name__ == "__main__":
    main()
