"""`gristmill feedback`."""

from __future__ import annotations

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
    from pipelines.feedback import add_feedback, read_lines

    if path is None:
        raise ConfigError(
            f"feedback add needs what to read: gristmill feedback {config.path} add FILE.jsonl"
        )
    try:
        with click.open_file(str(path), encoding="utf-8-sig") as file:
            lines = file.readlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    numbered, unreadable = read_lines(lines)
    added = add_feedback(config, [item for _, item in numbered])
    problems = unreadable + [(numbered[place][0], message) for place, message in added.problems]
    value = added.as_dict() | {
        "problems": [{"line": line, "message": message} for line, message in sorted(problems)]
    }
    if as_json:
        emit_json(value)
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
        print_conflicts(value["conflicts"])
        if problems:
            entries = [(f"line {line}", message) for line, message in sorted(problems)[:SHOWN]]
            print_entries("not usable", entries)
    return WITH_PROBLEMS if problems else 0


def print_conflicts(conflicts: list[dict[str, Any]]) -> None:
    """Passages on which people disagree."""
    if conflicts:
        entries = [
            (
                f"{show(c['source_uri'])}[{c['start']}:{c['end']}]",
                f"“{c['query']}”: {c['for']} for, {c['against']} against",
            )
            for c in conflicts[:SHOWN]
        ]
        print_entries("disputed", entries)


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
