"""`gristmill evidence`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lineage.errors import ConfigError
from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_entries, print_note, print_pairs

if TYPE_CHECKING:
    from pipelines.config import Config
    from pipelines.evaluate.evidence import EvidenceSet
    from pipelines.evaluate.resolve import Resolution

SHOWN = 20


@click.command("evidence", context_settings=SETTINGS)
@config_argument
@click.argument("action", type=click.Choice(["check", "import"]))
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option(
    "--layout",
    type=click.Choice(["gristmill", "chroma", "beir"]),
    help="Layout of what is imported; told from the file when not given.",
)
@click.option("--split", default="test", help="Of BEIR's qrels [test].")
@click.option("--output", type=click.Path(path_type=Path), help="Where the evidence goes, .jsonl.")
@common_options
def command(
    config: Path,
    action: str,
    path: Path | None,
    layout: str | None,
    split: str,
    output: Path | None,
    as_json: bool,
) -> int:
    """Check evidence against the documents of today, or import some.

    `check` says which passages do not resolve any more, because a document is gone or says
    something else now. PATH is an evidence file; the configuration's when not given. With
    --output, what moved is written down anew. Exits with 1 when something does not resolve.

    `import` reads PATH (.jsonl, .csv, .parquet, the Chroma benchmark's layout, or a folder with
    BEIR's queries and qrels), finds each quote once, and writes spans to --output.
    """
    from pipelines.cli.failure import with_extra

    loaded = open_config(config)
    if action == "import" and (path is None or output is None):
        raise ConfigError(
            f"import needs what to read and where to write: gristmill evidence {config} import "
            "PATH --output evidence.jsonl"
        )
    with with_extra("evaluate"):
        evidence = _read(loaded, path, layout, split)
        from pipelines.evaluate.corpus import read_corpus
        from pipelines.evaluate.evidence_files import write_evidence
        from pipelines.evaluate.resolve import resolve

        resolution = resolve(evidence, read_corpus(loaded, limit=0, names=evidence.documents))
        if output is not None:
            write_evidence(output, resolution.updated)
    value = _value(evidence, resolution, output)
    if as_json:
        emit_json(value)
    else:
        _print(value, config)
    return 1 if resolution.problems and action == "check" else 0


def _read(config: Config, path: Path | None, layout: str | None, split: str) -> EvidenceSet:
    from pipelines.evaluate.evidence_files import read_evidence
    from pipelines.evaluate.evidence_import import layout_of, read_beir, read_chroma
    from pipelines.evaluate.inputs import read_configured

    if path is None:
        return read_configured(config)
    layout = layout or layout_of(path)
    if layout == "chroma":
        return read_chroma(path)
    if layout == "beir":
        return read_beir(path, split)
    return read_evidence(path)


def _value(evidence: EvidenceSet, resolution: Resolution, output: Path | None) -> dict[str, Any]:
    passages = sum(len(question.passages) for question in evidence.questions)
    lost = len([p for p in resolution.problems if p.kind not in ("no_evidence", "not_readable")])
    return {
        "evidence": evidence.origin,
        "questions": len(evidence),
        "answerable": sum(bool(r.found) for r in resolution.questions),
        "unanswerable": sum(r.question.unanswerable for r in resolution.questions),
        "passages": passages,
        "resolved": passages - lost,
        "moved": resolution.moved,
        "problems_by_kind": resolution.counts,
        "problems": [
            {"question": p.question, "kind": p.kind, "document": p.document, "message": p.message}
            for p in resolution.problems
        ],
        "output": None if output is None else str(output),
    }


def _print(value: dict[str, Any], config: Path) -> None:
    print_pairs(
        f"evidence {value['evidence']}",
        [
            ("questions", value["questions"]),
            ("answerable", value["answerable"]),
            ("unanswerable", value["unanswerable"]),
            ("passages", value["passages"]),
            ("resolved", value["resolved"]),
            ("moved", value["moved"]),
        ],
    )
    problems = value["problems"]
    if problems:
        shown = f", the first {SHOWN}" if len(problems) > SHOWN else ""
        print_entries(
            f"not usable: {len(problems)}{shown}",
            [(f"{p['question']}  {p['kind']}", p["message"]) for p in problems[:SHOWN]],
        )
    if value["output"]:
        click.echo(f"Written to {value['output']}.")
    elif value["moved"]:
        print_note(
            f"{value['moved']} passages are elsewhere than they were marked; write them down anew "
            f"with `gristmill evidence {config} check --output FILE`"
        )
