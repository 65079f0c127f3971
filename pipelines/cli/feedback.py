"""`gristmill feedback`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lineage.errors import ConfigError
from pipelines.cli.common import (
    SETTINGS,
    common_options,
    config_argument,
    open_config,
    principal_options,
)
from pipelines.cli.output import emit_json, excerpt, print_entries, print_pairs, show

if TYPE_CHECKING:
    from pipelines.config import Config

SHOWN = 20
AT_A_TIME = 10_000
"""Lines that are anchored and kept together."""
WITH_PROBLEMS = 3


@click.command("feedback", context_settings=SETTINGS)
@config_argument
@click.argument("action", type=click.Choice(["add", "list", "evidence"]))
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True), required=False)
@click.option("--output", type=click.Path(path_type=Path), help="Where the evidence goes, .jsonl.")
@principal_options
@common_options
def command(
    config: Path,
    action: str,
    path: Path | None,
    output: Path | None,
    user: str | None,
    groups: tuple[str, ...],
    as_json: bool,
) -> int:
    """Keep what readers thought of what they found, and make evidence of it.

    `add` reads PATH, lines of JSON (- for stdin): judgements, clicks, thumbs, corrected passages.
    Each is anchored to a span of its document. What cannot be is reported, and the exit code is 3.

    `list` shows what was given, `evidence` writes it as an evidence set to --output. With --user
    and --group, only what is about documents that they may read.
    """
    from lineage import Principal

    loaded = open_config(config)
    principal = Principal(user, frozenset(groups)) if user or groups else None
    if action == "add":
        return _add(loaded, path, as_json)
    if action == "list":
        return _list(loaded, principal, as_json)
    return _evidence(loaded, principal, output, as_json)


def _add(config: Config, path: Path | None, as_json: bool) -> int:
    if path is None:
        raise ConfigError(
            f"feedback add needs what to read: gristmill feedback {config.path} add FILE.jsonl"
        )
    added = _Added()
    try:
        with click.open_file(str(path), encoding="utf-8-sig") as file:
            while lines := list(islice(file, AT_A_TIME)):
                added.add(config, lines)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: there is no such file; name one with lines of JSON, or - for stdin"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"not UTF-8, byte {error.start}"
        kept = f"; what its first {added.lines} lines say is kept" if added.lines else ""
        raise ConfigError(f"{path}: cannot be read: {why}{kept}") from error
    problems = sorted(added.problems)
    if as_json:
        emit_json(
            {
                "added": added.added,
                "duplicates": added.duplicates,
                "conflicts": added.conflicts,
                "problems": [{"line": line, "message": message} for line, message in problems],
            }
        )
    else:
        print_pairs(
            "feedback",
            [
                ("added", added.added),
                ("known already", added.duplicates),
                ("not usable", len(problems)),
                ("disputed", len(added.conflicts)),
            ],
        )
        print_conflicts(added.conflicts)
        if problems:
            entries = [(f"line {line}", message) for line, message in problems[:SHOWN]]
            print_entries("not usable", entries)
    return WITH_PROBLEMS if problems else 0


@dataclass
class _Added:
    """What became of the lines of a file, some thousands at a time."""

    lines: int = 0
    added: int = 0
    duplicates: int = 0
    problems: list[tuple[int, str]] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)

    def add(self, config: Config, lines: Sequence[str]) -> None:
        from pipelines.feedback import add_feedback, read_lines

        numbered, unreadable = read_lines(lines)
        added = add_feedback(config, [item for _, item in numbered])
        said = unreadable + [(numbered[place][0], message) for place, message in added.problems]
        self.problems += [(self.lines + line, message) for line, message in said]
        self.lines += len(lines)
        self.added += added.added
        self.duplicates += added.duplicates
        # What these lines settle is not disputed any more.
        self.conflicts = [
            each
            for each in self.conflicts
            if (each["query"], each["document_id"]) not in added.touched
        ]
        self.conflicts += added.conflicts


def print_conflicts(conflicts: list[dict[str, Any]]) -> None:
    """Passages on which people disagree."""
    if conflicts:
        entries = [
            (
                f"{show(c['source_uri'])}[{c['start']}:{c['end']}]",
                f"“{c['query']}”: {_votes(c)}",
            )
            for c in conflicts[:SHOWN]
        ]
        print_entries("disputed", entries)


def _votes(conflict: dict[str, Any]) -> str:
    """Such as `1 judgement for, 2 against`."""
    number = conflict["for"]
    kind = conflict["kind"] if number == 1 else f"{conflict['kind']}s"
    return f"{number} {kind} for, {conflict['against']} against"


def _list(config: Config, principal: Any, as_json: bool) -> int:
    from pipelines.feedback import read_feedback

    rows = read_feedback(config, principal)
    if as_json:
        emit_json({"feedback": rows})
        return 0
    entries = [
        (
            f"{show(row['source_uri'])}[{row['start']}:{row['end']}]",
            f"“{row['query']}”: {row['kind']} {row['grade']:g}, "
            f"{row['user'] or 'no name'}: {excerpt(row['quote'] or '', 120)}",
        )
        for row in rows[-SHOWN:]
    ]
    print_entries(f"feedback: {len(rows)}", entries)
    return 0


def _evidence(config: Config, principal: Any, output: Path | None, as_json: bool) -> int:
    from pipelines.evaluate.evidence_files import write_evidence
    from pipelines.feedback import feedback_evidence

    if output is None:
        raise ConfigError(
            f"feedback evidence needs where to write: gristmill feedback {config.path} evidence "
            "--output evidence.jsonl"
        )
    found = feedback_evidence(config, principal)
    write_evidence(output, found.evidence)
    value: dict[str, Any] = {
        "pieces": found.pieces,
        "questions": len(found.evidence),
        "passages": sum(len(question.passages) for question in found.evidence.questions),
        "conflicts": list(found.conflicts),
        "output": str(output),
    }
    if as_json:
        emit_json(value)
    else:
        print_pairs(
            "evidence of feedback",
            [(name, value[name]) for name in ("pieces", "questions", "passages")],
        )
        print_conflicts(value["conflicts"])
        click.echo(f"Written to {output}.")
    return 0
