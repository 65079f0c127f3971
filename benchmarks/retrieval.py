"""How good chunks are for retrieval, beside the splitters of others that are installed.

    python benchmarks/retrieval.py FOLDER --model MODEL [--sizes 90 140 180] [--cache FOLDER]

FOLDER holds texts (`NAME.md`) and `questions.csv` with the columns `question`, `corpus_id` (NAME)
and `references` (a JSON list of `start_index` and `end_index`: code points of the text), as in
github.com/brandonstarxel/chunking_evaluation. MODEL is the folder of a sentence encoder in ONNX.

Every chunker cuts to the same mean size: its limit is set so that the mean number of tokens
(cl100k_base) of its chunks, without context, comes nearest to each of `--sizes`. All chunks of all
texts are in one index; retrieval is the exact cosine, and nothing else. Printed are recall,
precision and IoU of the first five chunks, precision-Ω, which has no retrieval in it, recall
within 500, 1,000 and 2,000 retrieved tokens, all in percent, and for each figure of ours the
difference to the best peer with its interval of 95 % by a paired bootstrap over the questions.

Vectors are kept by text in `--cache`, so a second run is quick. Without `--model`, precision-Ω
alone.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import json
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from retrieval_peers import Ranges, peers

from chunkers import TokenMap, build, names
from chunkers.blocks import scan
from chunkers.spans import trim
from chunkers.vocabularies import vocabulary
from lineage import Document
from pipelines.embedding import Embedder, open_embedder
from pipelines.evaluate import spanmetrics as sm

ENCODING = "cl100k_base"
TOP = 5
BUDGETS = (500, 1000, 2000)
DEPTH = 120
FIGURES = ("recall", "precision", "omega", "iou", *(f"recall@{b}" for b in BUDGETS))
RESAMPLES = 2000


class Bench(NamedTuple):
    """Texts, questions and evidence."""

    names: list[str]
    texts: list[str]
    questions: list[str]
    evidence: sm.Grouped
    maps: list[TokenMap]


class Row(NamedTuple):
    """What one chunker reached at one size."""

    name: str
    limit: int
    chunks: int
    mean: float
    figures: dict[str, npt.NDArray[np.float64]]


def load(folder: Path) -> Bench:
    with (folder / "questions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["corpus_id"] for row in rows})
    texts = [(folder / f"{name}.md").read_bytes().decode() for name in names]
    evidence = [
        (i, names.index(row["corpus_id"]), span["start_index"], span["end_index"])
        for i, row in enumerate(rows)
        for span in json.loads(row["references"])
    ]
    maps = [TokenMap(text, ENCODING) for text in texts]
    return Bench(names, texts, [r["question"] for r in rows], sm.Grouped.of(evidence), maps)


class Vectors:
    """Vectors by text, kept on disk."""

    def __init__(self, embedder: Embedder, folder: Path) -> None:
        self.embedder = embedder
        self.folder = folder / embedder.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.known: dict[bytes, npt.NDArray[np.float32]] = {}
        for path in self.folder.glob("*.npz"):
            with np.load(path) as shard:
                self.known.update(zip(map(bytes, shard["keys"]), shard["vectors"], strict=True))

    def of(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        todo = list(new)
        for i in range(0, len(todo), 256):
            batch = todo[i : i + 256]
            vectors = self.embedder.embed([new[key] for key in batch])
            self.known.update(zip(batch, vectors, strict=True))
            name = hashlib.sha256(b"".join(batch)).hexdigest()[:24]
            stacked = np.frombuffer(b"".join(batch), np.uint8).reshape(-1, 32)
            np.savez(self.folder / f"{name}.npz", keys=stacked, vectors=vectors)
        return np.stack([self.known[key] for key in keys])

    @property
    def name(self) -> str:
        return self.embedder.name

    embed = of


Cut = Callable[[int], list[Ranges]]
"""From a limit, the chunks of each text."""


def ours(name: str, bench: Bench, cap: float, **parameters: Any) -> Cut:
    """Our chunker `name`: a limit is its target, and the hard cap `cap` times that."""
    documents = [
        Document(text=text, blocks=scan(text, "markdown"), language="en") for text in bench.texts
    ]

    @functools.cache
    def cut(limit: int) -> list[Ranges]:
        chunker = build(
            name,
            {"target_tokens": limit, "context": False, **parameters},
            max_tokens=max(round(limit * cap), 16),
        )
        return [
            [(span.start, span.end) for span in chunker.spans(document, tokens)]
            for document, tokens in zip(documents, bench.maps, strict=True)
        ]

    return cut


def theirs(make: Callable[[int], Callable[[str], Ranges]], bench: Bench) -> Cut:
    @functools.cache
    def cut(limit: int) -> list[Ranges]:
        split = make(limit)
        return [split(text) for text in bench.texts]

    return cut


def flat(bench: Bench, cuts: list[Ranges]) -> tuple[sm.Spans, npt.NDArray[np.int64]]:
    """The chunks without white space at their edges, and the tokens of each."""
    rows, tokens = [], []
    for document, ranges in enumerate(cuts):
        text, token_map = bench.texts[document], bench.maps[document]
        for start, end in ranges:
            left, right = trim(text, start, end)
            if left < right:
                rows.append((document, left, right))
                tokens.append(token_map.count(left, right))
    return sm.Spans.of(rows), np.array(tokens, np.int64)


def calibrated(bench: Bench, cut: Cut, mean: float) -> tuple[int, list[Ranges]]:
    """The limit at which chunks have a mean number of tokens nearest to `mean`, and those."""

    @functools.cache
    def at(limit: int) -> float:
        return float(flat(bench, cut(limit))[1].mean())

    limit = nearest(at, mean)
    return limit, cut(limit)


def calibrated_each(bench: Bench, cut: Cut, mean: float) -> tuple[int, list[Ranges]]:
    """The same with a limit for each text, so that the mean is the same in all; -1 as the limit."""
    chosen = []
    for document in range(len(bench.texts)):

        @functools.cache
        def at(limit: int, document: int = document) -> float:
            alone = [r if i == document else [] for i, r in enumerate(cut(limit))]
            return float(flat(bench, alone)[1].mean())

        chosen.append(cut(nearest(at, mean))[document])
    return -1, chosen


def nearest(at: Callable[[int], float], mean: float) -> int:
    """The limit whose value is nearest to `mean`, where the values rise with it."""
    low, high = round(mean * 0.6), round(mean * 3)
    while high - low > 1:
        middle = (low + high) // 2
        if at(middle) <= mean:
            low = middle
        else:
            high = middle
    return min((low, high), key=lambda limit: abs(at(limit) - mean))


def measured(
    bench: Bench, name: str, limit: int, cuts: list[Ranges], vectors: Vectors | None
) -> Row:
    chunks, tokens = flat(bench, cuts)
    count = len(bench.questions)
    figures = {"omega": sm.precision_omega(bench.evidence, chunks, count)}
    if vectors is not None:
        texts = [
            bench.texts[document][start:end]
            for document, start, end in zip(*(c.tolist() for c in chunks), strict=True)
        ]
        scores = vectors.of(bench.questions) @ vectors.of(texts).T
        ranking = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
        found = sm.ranked_spans(chunks, ranking[:, :TOP])
        at_top = sm.coverage_figures(bench.evidence, found, count)
        figures |= {"recall": at_top.recall, "precision": at_top.precision, "iou": at_top.iou}
        for budget in BUDGETS:
            figures[f"recall@{budget}"] = sm.recall_at_budget(
                bench.evidence, chunks, ranking, tokens, budget
            )
    return Row(name, limit, len(tokens), float(tokens.mean()), figures)


def interval(difference: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Of 95 %, of the mean of paired differences, by the bootstrap."""
    generator = np.random.default_rng(0)
    picks = generator.integers(0, len(difference), (RESAMPLES, len(difference)))
    low, high = np.quantile(difference[picks].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def print_rows(size: int, rows: Sequence[Row]) -> None:
    names = [name for name in FIGURES if name in rows[0].figures]
    print(f"\nmean size about {size} tokens\n")
    print("| chunker | limit | chunks | mean | " + " | ".join(names) + " |")
    print("|---|" + "---:|" * (len(names) + 3))
    for row in rows:
        values = " | ".join(f"{row.figures[name].mean() * 100:.2f}" for name in names)
        print(f"| {row.name} | {row.limit} | {row.chunks} | {row.mean:.1f} | {values} |")


def print_differences(mine: Sequence[Row], others: Sequence[Row]) -> None:
    """For each figure, ours against the peer that is best in it."""
    for row in mine:
        print(f"\n{row.name} against the best peer in each figure, points with 95 % interval:")
        for name in [name for name in FIGURES if name in row.figures]:
            best = max(others, key=lambda other: other.figures[name].mean())
            difference = (row.figures[name] - best.figures[name]) * 100
            low, high = interval(difference)
            print(f"  {name:<12}{difference.mean():+6.2f}  [{low:+.2f}, {high:+.2f}]  {best.name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="folder or name of the embedding model")
    parser.add_argument("--sizes", type=int, nargs="+", default=[90, 140, 180])
    parser.add_argument(
        "--each", action="store_true", help="the same mean size in each text, not over all of them"
    )
    parser.add_argument("--only", help="chunkers whose name contains this")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir(), "gristmill-retrieval")
    )
    given = parser.parse_args()

    bench = load(given.folder)
    vectors = None
    if given.model:
        vectors = Vectors(open_embedder(given.model, threads=given.threads), given.cache)
    print(
        f"{len(bench.texts)} texts, {sum(map(len, bench.texts)):,} characters, "
        f"{len(bench.questions)} questions; {ENCODING}; "
        f"{vectors.name if vectors else 'no model'}; Python {platform.python_version()}"
    )
    cuts = {name: theirs(make, bench) for name, make in peers(vocabulary(ENCODING).encoding)}
    mine = {"Gristmill optimal": ours("optimal", bench, CAP)}
    if vectors is not None and "semantic" in names():
        mine["Gristmill semantic"] = ours("semantic", bench, CAP, embedder=vectors)
    for size in given.sizes:
        rows: dict[str, Row] = {}
        for name, cut in {**cuts, **mine}.items():
            if given.only and given.only.lower() not in name.lower():
                continue
            calibrate = calibrated_each if given.each else calibrated
            limit, chosen = calibrate(bench, cut, size)
            rows[name] = measured(bench, name, limit, chosen, vectors)
        print_rows(size, list(rows.values()))
        others = [row for name, row in rows.items() if name in cuts]
        if others:
            print_differences([row for name, row in rows.items() if name in mine], others)


CAP = 2.0
"""Our hard cap, as a multiple of the target."""


if __name__ == "__main__":
    main()
