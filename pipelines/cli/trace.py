"""`gristmill trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lineage.errors import TerminalError
from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import (
    emit_json,
    excerpt,
    print_folded,
    print_pairs,
    print_table,
    print_title,
    printable,
    show,
)
from pipelines.progress import styled

_SPOTS = 4
"""Places on pages to show."""


@click.command("trace", context_settings=SETTINGS)
@config_argument
@click.argument("chunk_id")
@click.option("--strategy", help="Look only in this strategy.")
@click.option("--open", "opened", is_flag=True, help="Show the passage among what is around it.")
@common_options
def command(config: Path, chunk_id: str, strategy: str | None, opened: bool, as_json: bool) -> int:
    """Show where the chunk CHUNK_ID came from and what made it.

    The beginning of the id is enough when no other chunk has it.
    """
    from pipelines.queries.trace import trace

    value = trace(open_config(config), chunk_id, strategy)
    if as_json:
        emit_json(value)
    elif opened:
        _open(value)
    else:
        _print(value)
    return 0


def _open(value: dict[str, Any]) -> None:
    """The passage by lines, those of the chunk marked in the margin."""
    passage, source, place = value["passage"], value["source"], value["position"]
    if passage is None:
        raise TerminalError(
            f"the lake no longer holds the text that chunk {value['chunk_id']} was made of; "
            "run `gristmill transform` and take the id of a current chunk"
        )
    first, last = passage["lines"]
    kind = "of the file" if source["span_of_source"] else "of the text parsed from it"
    where = [f"lines {first} to {last} {kind}", f"characters {place['start']} to {place['end']}"]
    if source["bytes"]:
        where.append(f"bytes {source['bytes'][0]} to {source['bytes'][1]}")
    where += _few(_spots(value["places"]))
    print_title(show(source["uri"]))
    print_folded("  ", "; ".join(where))
    if value["heading_path"]:
        print_folded("  ", f"under {' > '.join(value['heading_path'])}")
    number = first - passage["before"].count("\n")
    width = len(str(last + passage["after"].count("\n")))
    text, marks = "", []
    for part, inside in ((passage["before"], 0), (passage["text"], 1), (passage["after"], 0)):
        text += part
        marks += [inside] * len(part)
    position = 0
    for line in text.splitlines(keepends=True):
        inside = any(marks[position : position + len(line.rstrip())])
        position += len(line)
        mark = ">" if inside else " "
        shown = printable(line.rstrip("\r\n")).expandtabs(4)
        click.secho(f"{mark} {number:>{width}}  {shown}".rstrip(), bold=inside and styled())
        number += line.endswith("\n")


def _spots(places: list[dict[str, Any]]) -> list[str]:
    """Pages with boxes, and locators, each in few words."""
    spots = []
    for spot in places:
        words = [f"page {spot['page']}"] if spot["page"] is not None else []
        if spot["bbox"]:
            left, top, right, bottom = (round(float(value)) for value in spot["bbox"])
            words.append(f"from ({left}, {top}) to ({right}, {bottom})")
        if spot["locator"]:
            words.append(str(spot["locator"]))
        spots.append(" ".join(words))
    return list(dict.fromkeys(spots))


def _few(spots: list[str]) -> list[str]:
    """The first of them, and how many more there are; `--json` has all."""
    more = len(spots) - _SPOTS
    return [*spots[:_SPOTS], f"and {more} more"] if more > 1 else spots


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
            ("bytes", f"{source['bytes'][0]} to {source['bytes'][1]}" if source["bytes"] else None),
            ("pages", show(sorted(set(pages)))),
            ("at", "; ".join(_few(_spots(value["places"]))) or None),
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
            ("warnings", "; ".join(value["warnings"]) or None),
            ("chunker", f"{chunker['name']} {chunker['version']}"),
            ("rule", f"{rule}, strategy {value['strategy']}"),
            ("parameters", chunker["parameters"] or chunker["parameters_hash"]),
            ("written", value["runs"]["written_at"]),
        ],
    )
    print_table(
        "runs",
        ["stage", "run", "commit", "did", "at"],
        [
            [run["stage"], run["run_id"], run["seq"], run["did"], run["at"]]
            for run in value["history"]
        ],
    )
    print_pairs(
        "and",
        [
            ("readable by", describe_acl(value["acl"])),
            ("labels", value["labels"]),
            ("quality", quality),
            ("sinks", value["sinks"]),
            ("checks", value["checks"]),
        ],
    )


def _parent(parent: dict[str, Any]) -> str:
    """A larger chunk around, in one line."""
    place = f"characters {parent['start']} to {parent['end']}, {parent['token_count']} tokens"
    return f"{parent['chunk_id']}, {place}: {excerpt(parent['text'], 80)}"
