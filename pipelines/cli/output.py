"""What commands print: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from pipelines.queries.values import plain

_WIDTH_OF_FILES = 200
"""Characters in a line of a table that does not go to a terminal."""


def emit_json(value: Mapping[str, Any]) -> None:
    """Print `value` as one line; as the last thing a command does."""
    click.echo(json.dumps(plain(value), ensure_ascii=True, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on stdout: numbers to the right, long text folded, never cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False)
    body = [list(row) for row in rows]
    for n, name in enumerate(columns):
        numeric = bool(body) and all(isinstance(row[n], int | float | None) for row in body)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        table.add_row(*(Text(show(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    console.print(table)


def print_pairs(title: str, pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values below a title, on stdout."""
    lines = [(name, show(value)) for name, value in pairs]
    width = max((len(name) for name, _ in lines), default=0)
    if title:
        click.secho(title, bold=True)
    for name, value in lines:
        click.echo(f"  {name:<{width}}  {value}")


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
    return " ".join(str(value).split())


def excerpt(text: str, length: int = 160) -> str:
    """The beginning of `text` on one line, in at most `length` characters."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
