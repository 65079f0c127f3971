"""The chunkers and their peers, on slices of text in turn, round by round, in CPU time."""

from __future__ import annotations

import contextlib
import gc
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import splitters

from chunkers import TokenMap, build, count_with_context, counting
from chunkers.blocks import scan
from chunkers.vocabularies import Vocabulary
from lineage import Document

FROM_RAW = ("recursive", "structure", "optimal", "code")
SUFFIXES = {".md": "markdown", ".txt": "text", ".py": "code:python"}
SLOW = 5.0
"""A contestant that takes more CPU seconds than this for a slice is run on it once."""
NEVER = 1 << 60
SLICE = 500_000

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
    slices: Sequence[Sequence[Text]], wanted: Sequence[str], encoding: str, cap: int
) -> list[Contestant]:
    """Our chunkers on these texts, with both encoders."""
    documents = [
        [Document(text=text, blocks=scan(text, form)) for text, form in part] for part in slices
    ]

    def maps(part: int) -> None:
        for text, _ in slices[part]:
            TokenMap(text, encoding)

    def scans(part: int) -> None:
        for text, form in slices[part]:
            scan(text, form)

    rows = [
        Contestant("token map", with_encoder(maps, False)),
        Contestant("block scan", scans),
    ]
    encoders = [False, True] if counting.counter(encoding).fast else [False]
    for fast in encoders:
        mark = " [fast]" if fast else ""
        for name in wanted:
            chunker = build(name, {}, max_tokens=cap)
            row = Contestant(name + mark, maps)

            def chunk(part: int, chunker: Any = chunker, row: Contestant = row) -> None:
                sizes = row.chunks[part] = []
                for document in documents[part]:
                    token_map = TokenMap(document.text, encoding)
                    for span in chunker.spans(document, token_map):
                        sizes.append(count_with_context(token_map, span))

            def from_raw(part: int, chunker: Any = chunker) -> None:
                for text, form in slices[part]:
                    blocks = scan(text, form) if chunker.reads_blocks else []
                    document = Document(text=text, blocks=blocks)
                    token_map = TokenMap(text, encoding)
                    for span in chunker.spans(document, token_map):
                        count_with_context(token_map, span)

            row.run = with_encoder(chunk, fast)
            rows.append(row)
            if name in FROM_RAW:
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
