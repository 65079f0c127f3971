"""Reading and writing evidence sets: JSON lines, Parquet, CSV."""

from __future__ import annotations

import csv
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from lineage.errors import ConfigError
from pipelines.evaluate.evidence import (
    PASSAGE_KEYS,
    QUESTION_KEYS,
    EvidenceError,
    EvidenceSet,
    Question,
    question_from,
)

_FLAT = tuple(key for key in (*QUESTION_KEYS, *PASSAGE_KEYS) if key != "evidence")


def read_evidence(path: Path) -> EvidenceSet:
    """The evidence set in a file; the end of its name tells the format.

    JSON lines have a question each. Parquet has the same columns, `evidence` a list of structs.
    In CSV, and in Parquet without the column `evidence`, a row is one passage of a question, and
    rows with the same `id` (without ids: the same `question`) are one question; `groups` are
    separated by semicolons.

    Raises:
        ConfigError: there is no such file, or its name tells no format.
        EvidenceError: it cannot be read as evidence; the message names the line or row.
    """
    readers: dict[str, Callable[[Path], Iterable[tuple[str, dict[str, Any]]]]] = {
        ".jsonl": json_lines, ".ndjson": json_lines, ".csv": _csv, ".parquet": _parquet,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            f"{path}: evidence is read from .jsonl, .csv and .parquet; other layouts become such "
            "a file with `gristmill evidence CONFIG import`"
        )
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such evidence file")
    try:
        rows = list(reader(path))
    except UnicodeDecodeError as error:
        raise EvidenceError(f"{path}: is not UTF-8 (byte {error.start})") from error
    if path.suffix.lower() != ".csv" and not any(_is_flat(row) for _, row in rows):
        questions = [question_from(row, place, n) for n, (place, row) in enumerate(rows, 1)]
    else:
        questions = list(_grouped(rows))
    if not questions:
        raise EvidenceError(
            f"{path}: holds no question; for example "
            '{"question": "…", "evidence": [{"document": "a.md", "quote": "…"}]}'
        )
    _unique(path, questions)
    return EvidenceSet(tuple(questions), str(path))


def write_evidence(path: Path, evidence: EvidenceSet) -> None:
    """Write an evidence set as JSON lines, whole or not at all.

    Raises:
        ConfigError: the folder is not there or not writable.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            for question in evidence.questions:
                file.write(json.dumps(question.as_value(), ensure_ascii=False) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}): create the folder, check its rights, "
            "or name another place with --output"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Where each line stands, for messages, and what it holds; empty ones are passed over.

    Raises:
        EvidenceError: a line is not JSON.
    """
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield f"{path}:{number}", json.loads(line)
            except json.JSONDecodeError as error:
                raise EvidenceError(f"{path}:{number}: is not JSON: {error}") from error


def _csv(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(1 << 30)
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        _comma_separated(path, list(reader.fieldnames or ()))
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row:
                raise EvidenceError(f"{place}: has more cells than the header has columns")
            yield place, {key: _cell(key, cell, place) for key, cell in row.items() if cell}


def _comma_separated(path: Path, header: list[str]) -> None:
    if len(header) != 1:
        return
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if separator in header[0]:
            raise EvidenceError(
                f"{path}:1: its columns seem to be separated by {name}; save it with commas as "
                "the separator"
            )


def _cell(key: str, cell: str, place: str) -> Any:
    try:
        if key in ("start", "end"):
            return int(cell)
        if key == "grade":
            return float(cell)
    except ValueError as error:
        raise EvidenceError(f"{place}: `{key}` must be a number, not {cell!r}") from error
    if key == "unanswerable":
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        return words.get(cell.strip().lower(), cell)
    return cell


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise EvidenceError(f"{path}: cannot be read as Parquet: {error}") from error
    for number, row in enumerate(table.to_pylist(maps_as_pydicts="strict"), 1):
        for passage in row.get("evidence") or []:
            for key in [key for key, value in passage.items() if value is None]:
                del passage[key]
        yield f"{path}, row {number}", {k: v for k, v in row.items() if v is not None}


def _is_flat(row: object) -> bool:
    return isinstance(row, dict) and "evidence" not in row and "document" in row


def _grouped(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Question]:
    """Questions from rows of one passage each."""
    groups: dict[str, tuple[str, dict[str, Any]]] = {}
    for place, row in rows:
        for key in row:
            if key not in _FLAT:
                from chunkers.suggest import unknown

                raise EvidenceError(f"{place}: {unknown('column', str(key), _FLAT)}")
        name = str(row.get("id") or row.get("question") or place)
        passage = {key: row[key] for key in PASSAGE_KEYS if key in row}
        own = {key: value for key, value in row.items() if key not in PASSAGE_KEYS}
        _, first = groups.setdefault(name, (place, {**own, "evidence": []}))
        if passage:
            first["evidence"].append(passage)
    for number, (place, value) in enumerate(groups.values(), 1):
        yield question_from(value, place, number)


def _unique(path: Path, questions: Iterable[Question]) -> None:
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise EvidenceError(
                f"{path}: two questions have the id {question.id!r}; ids are unique in a file"
            )
        seen.add(question.id)
