"""The command line called in this process, and the lake that its tests ask about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from pipelines.cli.main import cli
from pipelines.tables import read_chunks

CONFIG = """\
name: small
lake: lake
sources:
  - {name: docs, uri: docs, labels: {owner: hr}}
strategies:
  - name: default
    max_tokens: 64
    policy:
      default: {chunker: structure}
      rules:
        - {name: tables, when: {data_type: table}, use: {chunker: table}}
        - {name: hr, when: {path: "hr/**", data_type: markdown}, use: {chunker: sentence}}
sinks: [{name: index, kind: lancedb, uri: index}]
"""

LEAVE = "# Leave\n\nEverybody has twenty days of leave.\n\n" + "\n\n".join(
    f"## Case {n}\n\nIn case {n} there are {n} more days, on the word of the manager." * 2
    for n in range(6)
)


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="gristmill")


def answer(*args: str | Path, code: int = 0) -> dict[str, Any]:
    """The object that a verb prints with `--json`."""
    result = run(*args, "--json")
    assert result.exit_code == code, result.output
    assert len(result.stdout.splitlines()) == 1
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def chunks_of(made: Path, name: str) -> list[dict[str, Any]]:
    rows = read_chunks(str(made / "lake"), "default").to_pylist()
    return [row for row in rows if row["lineage"]["source_uri"].endswith(name)]
