"""`gristmill explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, excerpt, print_note, print_pairs, print_table, show


@click.command("explain", context_settings=SETTINGS)
@config_argument
@click.argument("document")
@click.option("--strategy", help="Only this strategy.")
@click.option("--chunks", is_flag=True, help="Preview the chunks.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=20, help="Chunks to show [20]."
)
@common_options
def command(
    config: Path, document: str, strategy: str | None, chunks: bool, limit: int, as_json: bool
) -> int:
    """Say which rule of the policy decides about DOCUMENT, and why the others do not.

    DOCUMENT is a path, a source URI, a key within its source, or a document id. A file need not
    have been ingested.
    """
    from pipelines.queries.explain import explain

    value = explain(open_config(config), document, strategy=strategy, chunks=chunks)
    if as_json:
        emit_json(value)
    else:
        _print(value, limit)
    return 0


def _print(value: dict[str, Any], limit: int) -> None:
    facts = [
        (key, item)
        for key, item in value["facts"].items()
        if key != "shape" and item not in (None, {})
    ]
    print_pairs(
        value["source_uri"],
        [
            *facts,
            ("structure", _shape(value["facts"]["shape"])),
            ("document id", value["document_id"]),
            ("parser", value["parser"] and value["parser"].rstrip("#").replace("@", " ")),
            ("readable by", value["acl"]),
        ],
    )
    if value["note"]:
        print_note(value["note"])
    for name, each in value["strategies"].items():
        print_table(
            f"strategy {name}",
            ["rule", "fires", "why"],
            [[rule["rule"], rule["fired"], rule["reason"]] for rule in each["rules"]],
        )
        parameters = show(each["parameters"])
        print_pairs(
            "",
            [
                ("chunker", each["chunker"]),
                ("parameters", "its defaults" if parameters == "-" else parameters),
                *((f"profile {name}", "; ".join(why)) for name, why in each["profiles"].items()),
                ("cap", f"{each['max_tokens']} tokens of {each['encoding']}, context included"),
            ],
        )
        if "size" in each:
            print_table(
                f"target: {each['target_tokens']} tokens",
                ["by", "tokens", "why"],
                [[step["name"], step["tokens"], step["why"]] for step in each["size"]],
            )
        if "chunks" in each:
            _print_chunks(each["chunks"], limit)


def _shape(shape: dict[str, Any] | None) -> str | None:
    """The figures that are not zero, in one line."""
    if shape is None:
        return None
    return ", ".join(
        f"{key.removesuffix('_share')} share {number:.2f}"
        if key.endswith("_share")
        else f"{number} {key}"
        for key, number in shape.items()
        if number
    )


def _print_chunks(chunks: list[dict[str, Any]], limit: int) -> None:
    levels = len({chunk["level"] for chunk in chunks}) > 1
    shown = sorted(chunks, key=lambda c: (c["start"], -c["level"]))[:limit] if levels else chunks
    print_table(
        f"chunks: {len(chunks)}" + (f", the first {limit}" if len(chunks) > limit else ""),
        [*(["size"] if levels else []), "start", "end", "tokens", "under", "text"],
        [
            [
                *([chunk["granularity"]] if levels else []),
                chunk["start"],
                chunk["end"],
                chunk["tokens"],
                excerpt(" > ".join(chunk["heading_path"]), 40),
                excerpt(chunk["text"], 120),
            ]
            for chunk in shown[:limit]
        ],
    )
