"""`gristmill status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_note, print_pairs, print_table


@click.command("status", context_settings=SETTINGS)
@config_argument
@common_options
def command(config: Path, as_json: bool) -> int:
    """Say what is in the lake of CONFIG, and how far each stage is behind."""
    from pipelines.queries.status import status

    value = status(open_config(config))
    if as_json:
        emit_json(value)
    else:
        _print(value)
    return 0


def _print(value: dict[str, Any]) -> None:
    documents = value["documents"]
    if not documents["exists"]:
        print_pairs(f"{value['name']}: {value['lake']}", [("documents", "none yet")])
        for warning in value["warnings"]:
            print_note(warning)
        return
    print_pairs(
        f"{value['name']}: {value['lake']}",
        [
            ("documents", documents["current"]),
            ("by source", documents["by_source"]),
            ("by type", documents["by_data_type"]),
            ("by access", documents["by_acl"]),
            ("last change", documents["by_op"]),
            ("rejected", documents["rejected_by_class"]),
            ("with warnings", documents["warned"]),
            ("table", f"version {documents['version']}, commit {documents['seq']}"),
        ],
    )
    columns = ("documents", "chunks", "tokens", "rejected", "position", "behind")
    print_table(
        "strategies",
        ["strategy", *columns],
        [[name, *(each[c] for c in columns)] for name, each in value["strategies"].items()],
    )
    for name, each in value["strategies"].items():
        if each["by_data_type"]:
            print_pairs(
                f"chunks of {name}",
                [("by type", each["by_data_type"]), ("documents by rule", each["by_rule"])],
            )
    if value["sinks"]:
        print_table(
            "sinks",
            ["sink", "kind", "strategy", "position", "behind"],
            [
                [name, each["kind"], each["strategy"], each["position"], each["behind"]]
                for name, each in value["sinks"].items()
            ],
        )
    for warning in value["warnings"]:
        print_note(warning)
