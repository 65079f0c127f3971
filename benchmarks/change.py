"""What a change costs beside a full run, and what compaction costs beside ingesting anew.

    python benchmarks/change.py                    # 5,000, 10,000 and 1,000 documents
    python benchmarks/change.py --rights 1000 --one 2000 --compact 200   # smaller

Runs are commands of their own; CPU is of the command and all its processes. A run with nothing to
do is measured first, and what it takes is taken off.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from pipeline import Run, make_folder, measured

SIZE = 10_000
RUNS = 100


def command(work: Path, folder: Path, verb: str, *, rights: str = "public") -> Run:
    """A verb over the folder, without MLflow."""
    config = work / "change.yaml"
    config.write_text(
        f"name: benchmark\nlake: {work}/state/lake\n"
        f"sources: [{{name: files, uri: {folder}, acl: {{default: {rights}}}}}]\n"
        "strategies: [{name: default, max_tokens: 512}]\n"
        f"sinks: [{{name: index, kind: lancedb, uri: {work}/state/index, strategy: default}}]\n"
    )
    program = str(Path(sys.executable).with_name("gristmill"))
    options = ["--workers", "2"] if verb == "run" else []
    return measured([program, verb, str(config), "--json", *options])


def first(work: Path, folder: Path) -> Run:
    """A full run into an empty lake."""
    shutil.rmtree(work / "state", ignore_errors=True)
    return command(work, folder, "run")


def rights_of_all(work: Path, documents: int) -> None:
    """The rights of every document change, and nothing else does."""
    folder = work / f"change-{documents}"
    megabytes = make_folder(folder, documents, SIZE)
    full = first(work, folder)
    idle = command(work, folder, "run")
    changed = command(work, folder, "run", rights="{allow_groups: [hr]}")
    stages = changed.output["stages"]
    assert stages["ingest"]["acl"] == stages["load"]["acl_updated"] == documents
    assert not stages["ingest"]["parsed"]
    assert not stages["transform"]["documents"]
    beyond = changed.cpu_seconds - idle.cpu_seconds
    print(f"\nrights of all {documents} documents ({megabytes:.0f} MB)")
    print(_row("full run", full))
    print(_row("nothing changed", idle))
    print(_row("rights of all changed", changed))
    share = 100 * beyond / full.cpu_seconds
    print(f"  CPU beyond a run with nothing to do: {beyond:.1f} s, {share:.1f} % of the full run's")


def one_of_many(work: Path, documents: int) -> None:
    """One file among many changes."""
    folder = work / f"change-{documents}"
    make_folder(folder, documents, SIZE)
    full = first(work, folder)
    idle = command(work, folder, "run")
    target = next(path for path in sorted(folder.rglob("*.md")))
    text = target.read_text("utf-8")
    target.write_text(text + "\nOne more sentence.\n", "utf-8")
    changed = command(work, folder, "run")
    target.write_text(text, "utf-8")
    assert changed.output["stages"]["ingest"]["changed"] == 1
    beyond = changed.seconds - idle.seconds
    cpu = changed.cpu_seconds - idle.cpu_seconds
    print(f"\none of {documents} documents")
    print(_row("full run", full))
    print(_row("nothing changed", idle))
    print(_row("one changed", changed))
    print(f"  beyond a run with nothing to do: {beyond:.1f} s wall, {cpu:.1f} s CPU")


def compaction(work: Path, documents: int) -> None:
    """A hundred runs of one per cent of changes each, folded; beside a full run over the same."""
    from pipelines.config import load_config
    from pipelines.ingest import stage as ingest
    from pipelines.load import stage as load
    from pipelines.options import RunOptions
    from pipelines.transform import stage as transform

    folder = work / f"compact-{documents}"
    make_folder(folder, documents, SIZE)
    first(work, folder)
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".md", ".txt"))
    config = load_config(work / "change.yaml")
    portion = max(1, documents // 100)
    for run in range(RUNS):
        for number in range(portion):
            path = files[(run * portion + number) % len(files)]
            path.write_text(path.read_text("utf-8") + f"\nRun {run}.\n", "utf-8")
        for stage in (ingest, transform, load):
            stage.run(config, RunOptions(workers=1))
    before = _megabytes(work / "state/lake")
    compacted = command(work, folder, "compact")
    idle = command(work, folder, "run")
    assert not idle.output["stages"]["ingest"]["rows_written"]
    anew = first(work, folder)
    print(f"\n{RUNS} runs of {portion} changes among {documents} documents")
    print(_row("compact", compacted))
    print(_row("full run over the same", anew))
    tables = compacted.output["tables"]
    for name, each in tables.items():
        folded = each["folded"]
        print(
            f"  {name}: {folded['files_before']} files to {folded['files_after']}, "
            f"{folded['rows_before']} rows to {folded['rows_after']}, "
            f"{folded['bytes_before'] / 1e6:.1f} MB to {folded['bytes_after'] / 1e6:.1f} MB"
        )
    print(f"  lake on disk before: {before:.1f} MB")


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _row(name: str, run: Run) -> str:
    return (
        f"  {name:26}{run.seconds:8.1f} s wall{run.cpu_seconds:8.1f} s CPU"
        f"{run.peak_mb:8.0f} MB at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rights", type=int, default=5000, help="documents; 0 leaves it out")
    parser.add_argument("--one", type=int, default=10_000, help="documents; 0 leaves it out")
    parser.add_argument("--compact", type=int, default=1000, help="documents; 0 leaves it out")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "gristmill-bench")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for measure, documents in (
        (rights_of_all, arguments.rights),
        (one_of_many, arguments.one),
        (compaction, arguments.compact),
    ):
        if documents:
            measure(arguments.work, documents)


if __name__ == "__main__":
    main()
