"""The markup of `sample_content`: a small part of Markdown, read into plain nodes.

Headings (`#`), paragraphs on one line, bullets (`- `), numbered items (`1. `), pipe tables and
quotes (`> `, speaker notes on slides). `**` and `*` marks are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Node:
    """A heading, paragraph, list, table or note."""

    kind: Literal["heading", "paragraph", "bullets", "numbers", "table", "note"]
    text: str = ""
    level: int = 0
    """Heading rank from 1."""
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def read(text: str) -> list[Node]:
    """The nodes of a content file, in order."""
    return [_node(block) for block in re.split(r"\n{2,}", text.strip())]


def sections(nodes: list[Node]) -> Iterator[tuple[str, list[Node]]]:
    """Split at headings of rank 1: (title, the nodes below it). Slides and chapters."""
    title, below = "", []
    for node in nodes:
        if node.kind == "heading" and node.level == 1:
            if title:
                yield title, below
            title, below = node.text, []
        else:
            below.append(node)
    yield title, below


def _plain(text: str) -> str:
    return re.sub(r"\*+([^*]+)\*+", r"\1", text).strip()


def _node(block: str) -> Node:
    lines = block.split("\n")
    first = lines[0]
    if match := re.match(r"(#+) (.*)", first):
        return Node("heading", _plain(match[2]), level=len(match[1]))
    if first.startswith("|"):
        rows = [tuple(_plain(c) for c in line.strip("|").split("|")) for line in lines]
        return Node("table", rows=tuple(row for i, row in enumerate(rows) if i != 1))
    if first.startswith("- "):
        return Node("bullets", items=tuple(_plain(line[2:]) for line in lines))
    if re.match(r"\d+\. ", first):
        return Node("numbers", items=tuple(_plain(line.split(". ", 1)[1]) for line in lines))
    if first.startswith("> "):
        return Node("note", _plain(" ".join(line[2:] for line in lines)))
    return Node("paragraph", _plain(" ".join(lines)))
