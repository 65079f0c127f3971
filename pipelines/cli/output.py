"""What commands print: tables for people, one JSON object for programs.

On a terminal, lines are folded at its width; into a file or a pipe they go whole. Colours and
bold type are for terminals only, and not where `NO_COLOR` is set.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from pipelines.progress import styled
from pipelines.queries.values import plain

_WIDTH_OF_FILES = 200
"""Characters in a line of a table that does not go to a terminal."""
_NARROWEST = 16
"""Characters below which a column of text is not folded."""


def emit_json(value: Mapping[str, Any]) -> None:
    """Print `value` as one line; as the last thing a command does."""
    click.echo(json.dumps(plain(value), ensure_ascii=True, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table: numbers to the right, long text folded, never cut.

    Where the terminal is too narrow for it, each row becomes a list of names and values.
    """
    body = [list(row) for row in rows]
    width = _terminal_width() or _WIDTH_OF_FILES
    if _narrowest(columns, body) > width:
        for row in body:
            print_pairs(f"{title} {show(row[0])}", zip(columns[1:], row[1:], strict=True))
        return
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, header_style="")
    for n, name in enumerate(columns):
        table.add_column(name, justify="right" if _numeric(body, n) else "left", overflow="fold")
    for row in body:
        table.add_row(*(Text(show(cell)) for cell in row))
    buffer = StringIO()
    Console(file=buffer, width=width, color_system=None, highlight=False).print(table)
    print_title(title)
    for line in buffer.getvalue().splitlines():
        click.echo(line.rstrip())


def print_pairs(title: str, pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values below a title."""
    lines = [(name, show(value)) for name, value in pairs]
    width = max((len(name) for name, _ in lines), default=0)
    if title:
        print_title(title)
    for name, value in lines:
        print_folded(f"  {name:<{width}}  ", value)


def print_entries(title: str, entries: Iterable[tuple[str, str]]) -> None:
    """Things with a long text each: a line that says which, never folded, and below it the text."""
    print_title(title)
    for head, text in entries:
        click.echo(f"  {show(head)}")
        print_folded("      ", show(text))


def print_title(text: str) -> None:
    """A title, bold on a terminal."""
    click.secho(printable(text), bold=True, color=None if styled() else False)


def print_note(text: str) -> None:
    """Something that the reader should know."""
    print_folded("! ", show(text))


def print_folded(lead: str, text: str) -> None:
    """`text` after `lead`, its further lines indented as far."""
    width = _terminal_width()
    if width is None:
        click.echo(f"{lead}{text}".rstrip())
        return
    room = max(width - len(lead), _NARROWEST)
    # Nothing is broken within a word: paths and ids stay fit to be copied.
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    click.echo(f"{lead}{lines[0]}".rstrip())
    for line in lines[1:]:
        click.echo(" " * len(lead) + line)


def show(value: Any) -> str:
    """A value as a person reads it, on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {show(item)}" for key, item in value.items()) or "-"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(show(item) for item in value) or "-"
    return " ".join(printable(str(value)).split())


def printable(text: str) -> str:
    """`text` without what would take hold of a terminal: names and texts come from anywhere."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c.isspace() else ascii(c)[1:-1] for c in text)


def excerpt(text: str, length: int = 160) -> str:
    """The beginning of `text` on one line, in at most `length` characters."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _terminal_width() -> int | None:
    """Columns of the terminal on stdout; null when it is none."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def _numeric(body: Sequence[Sequence[Any]], column: int) -> bool:
    return bool(body) and all(isinstance(row[column], int | float | None) for row in body)


def _narrowest(columns: Sequence[str], body: Sequence[Sequence[Any]]) -> int:
    """How many characters a table needs that folds its text and nothing else."""
    total = 0
    for n, name in enumerate(columns):
        widest = max((len(show(row[n])) for row in body), default=0)
        fold = widest if _numeric(body, n) else min(widest, _NARROWEST)
        total += max(fold, len(name)) + 3
    return total - 1
