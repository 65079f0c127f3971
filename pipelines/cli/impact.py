"""`gristmill impact`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_pairs, print_table

_SHOWN = 20


@click.command("impact", context_settings=SETTINGS)
@config_argument
@click.argument("document", metavar="URI")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=_SHOWN,
    help="Chunks to show for each strategy [20].",
)  # fmt: skip
@common_options
def command(config: Path, document: str, limit: int, as_json: bool) -> int:
    """Show what the document URI came from and what came of it.

    URI is a source URI, a path, a key within its source, or a document id; documents that were
    deleted are found, too. Shown are its versions, the chunks that each strategy has made of it,
    and the sinks that hold them. Of a file of rights, such as _acl.yaml, the documents are shown
    whose rights come from it.
    """
    from pipelines.queries.impact import impact

    value = impact(open_config(config), document)
    if as_json:
        emit_json(value)
    elif "acl_file" in value:
        _print_governed(value)
    else:
        _print(value, limit)
    return 0


def _print_governed(value: dict[str, Any]) -> None:
    from pipelines.queries.explain import describe_acl

    print_table(
        f"documents with rights from {value['acl_file']}",
        ["document", "readable by"],
        [[one["uri"], describe_acl(one["acl"])] for one in value["documents"]],
    )


def _print(value: dict[str, Any], limit: int) -> None:
    origin = value["from"]
    parser = origin["parser"] or {}
    print_pairs(
        value["uri"],
        [
            ("document", value["document_id"]),
            ("state", _state(value["state"])),
            (
                "source",
                f"{origin['source']}{'' if origin['configured'] else ', not in the config'}",
            ),
            ("sha256", origin["sha256"]),
            ("parser", f"{parser['name']} {parser['version']}" if parser else None),
            ("warnings", "; ".join(origin["warnings"]) or None),
            ("rights", f"{origin['acl']['state']}, from {origin['acl']['origin'] or 'nowhere'}"),
            ("labels", origin["labels"]),
        ],
    )
    print_table(
        "versions",
        ["commit", "what", "version", "bytes", "parser", "run", "written"],
        [
            [
                row["seq"], _what(row), row["version"], row["size_bytes"],
                (row["parser"] or {}).get("name"), row["run_id"], row["written_at"],
            ]
            for row in value["versions"]
        ],
    )  # fmt: skip
    for name, strategy in value["strategies"].items():
        behind = "" if strategy["up_to_date"] else ", behind: run `gristmill transform`"
        title = f"strategy {name}" + ("" if strategy["configured"] else ", not in the config")
        print_table(
            title + behind,
            ["commit", "what", "chunks", "of document commit", "run", "written"],
            [
                [
                    row["seq"], row["op"], row["chunks"], row["document_seq"], row["run_id"],
                    row["written_at"],
                ]
                for row in strategy["commits"]
            ],
        )  # fmt: skip
        chunks = strategy["chunks"]
        more = f" (the first {limit} of {len(chunks)})" if len(chunks) > limit else ""
        if chunks:
            print_table(
                f"chunks of {name} by {strategy['chunker']}, rule {strategy['rule']}{more}",
                ["chunk", "span", "tokens"],
                [
                    [row["chunk_id"], f"{row['start']}:{row['end']}", row["token_count"]]
                    for row in chunks[:limit]
                ],
            )
    print_table(
        "sinks",
        ["sink", "kind", "strategy", "up to date", "by run", "loaded", "uri"],
        [
            [
                name,
                sink["kind"],
                sink["strategy"],
                sink["up_to_date"],
                sink["run_id"],
                sink["loaded_at"],
                sink["uri"],
            ]
            for name, sink in value["sinks"].items()
        ],
    )


def _state(op: str) -> str:
    return {"delete": "deleted", "reject": "rejected"}.get(op, "current")


def _what(row: dict[str, Any]) -> str:
    if row["error"]:
        return f"{row['op']}: {row['error']['error_class']}"
    return str(row["op"])
