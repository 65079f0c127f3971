"""`gristmill trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, excerpt, print_pairs, show


@click.command("trace", context_settings=SETTINGS)
@config_argument
@click.argument("chunk_id")
@click.option("--strategy", help="Look only in this strategy.")
@common_options
def command(config: Path, chunk_id: str, strategy: str | None, as_json: bool) -> int:
    """Show where the chunk CHUNK_ID came from and what made it.

    The beginning of the id is enough when no other chunk has it.
    """
    from pipelines.queries.trace import trace

    value = trace(open_config(config), chunk_id, strategy)
    if as_json:
        emit_json(value)
    else:
        _print(value)
    return 0


def _print(value: dict[str, Any]) -> None:
    from pipelines.queries.explain import describe_acl

    place, source, document = value["position"], value["source"], value["document"]
    parser, chunker, size = value["parser"] or {}, value["chunker"], value["size"]
    kind = "of the source file" if source["span_of_source"] else "of the text parsed from it"
    pages = [page for page in (place["page_first"], place["page_last"]) if page is not None]
    quality = {key: item for key, item in (value["quality"] or {}).items() if item is not None}
    rule = chunker["rule"]
    if chunker["rule_now"] != rule:
        rule = f"{rule} (now {chunker['rule_now']}: run `gristmill transform`)"
    print_pairs(
        f"chunk {value['chunk_id']}",
        [
            ("text", excerpt(value["text"], 200)),
            ("under", " > ".join(value["heading_path"]) or None),
            ("span", f"characters {place['start']} to {place['end']} {kind}"),
            ("pages", show(sorted(set(pages)))),
            *((f"in {p['granularity']}", _parent(p)) for p in value["parents"]),
            ("size", f"{size['tokens']} of {size['max_tokens']} tokens of {size['encoding']}"),
        ],
    )
    print_pairs(
        "from",
        [
            ("source", f"{source['name']}: {source['key']}"),
            ("uri", source["uri"]),
            ("version", source["version"]),
            ("sha256", source["sha256"]),
            ("document", f"{document['document_id']}, content of commit {document['content_seq']}"),
            ("type", f"{document['data_type']} ({document['media_type']})"),
        ],
    )
    print_pairs(
        "made by",
        [
            ("parser", f"{parser.get('name')} {parser.get('version')}"),
            ("chunker", f"{chunker['name']} {chunker['version']}"),
            ("rule", f"{rule}, strategy {value['strategy']}"),
            ("parameters", chunker["parameters_hash"]),
            ("ingest run", value["runs"]["ingest"]),
            ("transform run", value["runs"]["transform"]),
            ("written", value["runs"]["written_at"]),
        ],
    )
    print_pairs(
        "and",
        [
            ("readable by", describe_acl(value["acl"])),
            ("labels", value["labels"]),
            ("quality", quality),
            ("checks", value["checks"]),
        ],
    )


def _parent(parent: dict[str, Any]) -> str:
    """A larger chunk around, in one line."""
    place = f"characters {parent['start']} to {parent['end']}, {parent['token_count']} tokens"
    return f"{parent['chunk_id']}, {place}: {excerpt(parent['text'], 80)}"
