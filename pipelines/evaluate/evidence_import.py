"""Evidence from other layouts: the Chroma chunking benchmark, and qrels as in BEIR."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

from lineage.errors import ConfigError
from pipelines.evaluate.evidence import EvidenceError, EvidenceSet, Passage, Question
from pipelines.evaluate.evidence_files import json_lines

LAYOUTS = ("gristmill", "chroma", "beir")


def layout_of(path: Path) -> str:
    """Which layout a file or folder has: one of `LAYOUTS`.

    Raises:
        ConfigError: it has none of them.
    """
    if path.is_dir():
        if (path / "queries.jsonl").is_file():
            return "beir"
        if (path / "questions.csv").is_file():
            return "chroma"
        raise ConfigError(
            f"{path}: holds neither queries.jsonl and qrels/ (beir) nor questions.csv (chroma)"
        )
    if path.suffix.lower() == ".csv" and path.is_file():
        with open(path, encoding="utf-8-sig", newline="") as file:
            if "references" in (next(csv.reader(file), [])):
                return "chroma"
    return "gristmill"


def read_chroma(path: Path) -> EvidenceSet:
    """The layout of github.com/brandonstarxel/chunking_evaluation.

    A CSV with `question`, `references` (a JSON list of `content`, `start_index`, `end_index`) and
    `corpus_id`, which is the name of the document without its suffix. A folder with such a
    `questions.csv` will do.

    Raises:
        ConfigError: there is no such file.
        EvidenceError: it has other columns, or references that cannot be read.
    """
    path = path / "questions.csv" if path.is_dir() else path
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    csv.field_size_limit(1 << 30)
    questions = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        needed = {"question", "references", "corpus_id"}
        if not needed <= set(reader.fieldnames or ()):
            raise EvidenceError(
                f"{path}: needs the columns question, references and corpus_id, and has "
                f"{', '.join(reader.fieldnames or ())}"
            )
        for number, row in enumerate(reader, 1):
            place = f"{path}:{reader.line_num}"
            try:
                passages = tuple(
                    Passage(row["corpus_id"], r["start_index"], r["end_index"], r.get("content"))
                    for r in json.loads(row["references"])
                )
            except (ValueError, KeyError, TypeError) as error:
                raise EvidenceError(
                    f"{place}: `references` must be a JSON list of mappings with content, "
                    f"start_index and end_index: {error}"
                ) from error
            questions.append(Question(f"q{number}", row["question"], passages))
    return EvidenceSet(tuple(questions), str(path))


def read_beir(folder: Path, split: str = "test") -> EvidenceSet:
    """The layout of BEIR: `queries.jsonl` (`_id`, `text`) and `qrels/SPLIT.tsv` (query-id,
    corpus-id, score). A relevant document is evidence as a whole; a score is a grade.

    Args:
        folder: of both.
        split: `test`, `dev` …

    Raises:
        ConfigError: a file is missing.
        EvidenceError: a line cannot be read.
    """
    qrels = folder / "qrels" / f"{split}.tsv"
    queries = folder / "queries.jsonl"
    for path in (queries, qrels):
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such file; see --split")
    texts = {}
    for place, row in json_lines(queries):
        if not isinstance(row, dict) or "_id" not in row or "text" not in row:
            raise EvidenceError(f"{place}: a query has `_id` and `text`")
        texts[str(row["_id"])] = str(row["text"])
    judged: dict[str, list[Passage]] = {}
    with open(qrels, encoding="utf-8", newline="") as file:
        for number, cells in enumerate(csv.reader(file, delimiter="\t"), 1):
            if number == 1 and cells and not _is_number(cells[-1]):
                continue
            if len(cells) < 3 or not _is_number(cells[-1]):
                raise EvidenceError(
                    f"{qrels}:{number}: a judgement is query-id, corpus-id and score, with tabs"
                )
            query, document, score = cells[0], cells[-2], float(cells[-1])
            if query not in texts:
                raise EvidenceError(f"{qrels}:{number}: query {query!r} is not in {queries.name}")
            passage = Passage(document, whole=True, grade=max(score, 0.0))
            judged.setdefault(query, []).append(passage)
    questions = tuple(
        Question(name, texts[name], tuple(passages)) for name, passages in judged.items()
    )
    return EvidenceSet(questions, str(folder))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
