"""`gristmill view`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.common import SETTINGS, common_options, config_argument, open_config
from pipelines.cli.output import emit_json, print_note, print_title
from pipelines.progress import styled

if TYPE_CHECKING:
    from pipelines.config import Config
    from pipelines.queries.view import Cut, View

_TINTS = (17, 58, 22, 53, 54, 23)
_TINTS_LIGHT = (153, 223, 157, 218, 189, 159)
"""Backgrounds of 256-colour terminals, dark and light."""
_INK, _INK_LIGHT = 255, 16
"""The text on them, because the terminal's own may be as dark, or as light."""


@click.command("view", context_settings=SETTINGS)
@config_argument
@click.argument("document")
@click.option(
    "-s", "--strategy", "strategies", multiple=True, help="This strategy; may be repeated."
)
@click.option("--text", "as_text", is_flag=True, help="Show it here, not in the browser.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Write the page here, and open nothing."
)
@common_options
def command(
    config: Path,
    document: str,
    strategies: tuple[str, ...],
    as_text: bool,
    output: Path | None,
    as_json: bool,
) -> int:
    """Show DOCUMENT with its chunks in colour, strategies side by side.

    DOCUMENT is a path, a source URI, a key within its source, or a document id. A file need not
    have been ingested. Strategies may be the pipeline's own or those of `evaluation`.
    """
    from pipelines.queries.view import view

    loaded = open_config(config)
    found = view(loaded, document, strategies)
    if as_text and not as_json:
        for cut in found.cuts:
            _print(found, cut)
        return 0
    path = None if as_json and output is None else _write(loaded, found, output)
    if as_json:
        emit_json({**_value(found), "page": None if path is None else str(path)})
    elif path is not None:
        click.echo(f"Page: {path}")
        if output is None and sys.stdout.isatty():
            import webbrowser

            webbrowser.open(path.as_uri())
    return 0


def _write(config: Config, found: View, output: Path | None) -> Path:
    """Write the page to `output`, or where reports go."""
    from pipelines.evaluate.publish import report_folder, write_whole
    from pipelines.evaluate.report.single import single_page

    page = single_page(found).encode("utf-8", "replace")
    if output is None:
        name = "".join(c if c.isalnum() or c in "._-" else "-" for c in found.key)[-80:]
        path = report_folder(config) / f"view-{name}.html"
    else:
        path = output.absolute()
    write_whole(path, page)
    return path


def _value(found: View) -> dict[str, Any]:
    return {
        "source_uri": found.document.source_uri,
        "key": found.key,
        "characters": len(found.document.text),
        "note": found.note,
        "strategies": {
            cut.strategy: {
                "rule": cut.rule,
                "chunker": cut.chunker,
                "chunks": [
                    {"start": span.start, "end": span.end, "tokens": tokens}
                    for span, tokens in zip(cut.spans, cut.tokens, strict=True)
                ],
            }
            for cut in found.cuts
        },
    }


def _print(found: View, cut: Cut) -> None:
    from chunkers.display import visible
    from chunkers.segments import segments

    total = sum(cut.tokens)
    print_title(f"{found.key}: {cut.strategy}")
    click.echo(f"  {len(cut.spans):,} chunks by {cut.chunker}, {total:,} tokens; rule {cut.rule}")
    if found.note:
        print_note(found.note)
    text = found.document.text
    coloured = sys.stdout.isatty() and styled()
    parts = []
    spans = [(span.start, span.end) for span in cut.spans]
    for segment in segments(spans, 0, len(text)):
        words = visible(text[segment.start : segment.end])
        mark = ""
        if segment.begins:
            number = segment.begins[-1]
            size = f"{cut.tokens[number]:,}"
            mark = f"\x1b[1;7m {number + 1} \xb7 {size} \x1b[0m" if coloured else (
                f"\u2503{number + 1} \xb7 {size}\u2503"
            )  # fmt: skip
        if coloured and segment.chunks:
            words = _tinted(words, segment.chunks[-1], len(segment.chunks) > 1)
        parts.append(mark + words)
    click.echo("".join(parts), color=coloured)
    click.echo("")


def _tinted(words: str, number: int, shared: bool) -> str:
    """Text on a chunk's background, line by line, so that no line is filled to its end."""
    light = os.environ.get("COLORFGBG", "").endswith((";7", ";15"))
    tints, ink = (_TINTS_LIGHT, _INK_LIGHT) if light else (_TINTS, _INK)
    code = f"\x1b[38;5;{ink};48;5;{tints[number % len(tints)]}m" + ("\x1b[4m" if shared else "")
    return "\n".join(f"{code}{line}\x1b[0m" if line else "" for line in words.split("\n"))
