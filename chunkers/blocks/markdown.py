"""Markdown (CommonMark with tables, footnotes, formulas and front matter).

Block structure comes from pulldown-cmark through pyromark, whose events carry byte ranges of
the source; they become character offsets only where the text is not ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from chunkers.blocks.common import complete, encodable, paragraphs
from lineage import Block
from lineage.records import new_block

_DEPTH = 64
"""Containers nested deeper are read (their text is covered) but get no blocks of their own."""
_DEFINITION = re.compile(r"\[[^\]\n]+\]:")

# kind, start byte, end byte, level, locator
_Raw = tuple[str, int, int, int | None, str | None]


def scan_markdown(text: str) -> list[Block]:
    """Headings, paragraphs, lists, tables, code, quotes, formulas, footnotes and markup."""
    source = text if text.isascii() else encodable(text)
    raw = _events(source)
    spans = _characters(source, raw)
    blocks: list[Block] = []
    ends: list[int] = []
    for (kind, _, _, level, locator), (start, end) in zip(raw, spans, strict=True):
        while ends and ends[-1] <= start:
            ends.pop()
        if ends and end > ends[-1]:
            end = ends[-1]
        while end > start and text[end - 1].isspace():
            end -= 1
        if end <= start:
            continue
        ends.append(end)
        if kind == "markup" and text.startswith("<!--", start) and text.endswith("-->", start, end):
            kind = "comment"
        blocks.append(new_block(kind, start, end, level, locator))
    return complete(text, blocks, lambda a, b: _gap(text, a, b))


def _gap(text: str, start: int, end: int) -> Sequence[Block]:
    """What lies between blocks: mostly definitions of link targets, which render to nothing."""
    found = paragraphs(text, start, end)
    return [
        Block("definition", block.start, block.end)
        if _DEFINITION.match(text, block.start)
        else block
        for block in found
    ]


def _events(source: str) -> list[_Raw]:
    raw: list[_Raw] = []
    lists = quotes = depth = 0
    paragraph: tuple[int, int] | None = None
    for event, span in _parse(source):
        if type(event) is dict:
            start = event.get("Start")
            if start is not None:
                if type(start) is str:
                    if start == "Paragraph":
                        if depth < _DEPTH:
                            raw.append(("paragraph", span["start"], span["end"], None, None))
                            paragraph = (span["start"], span["end"])
                    elif start == "Item":
                        depth += 1
                        if depth < _DEPTH:
                            raw.append(("list_item", span["start"], span["end"], lists, None))
                    elif start in _SIMPLE:
                        kind, locator = _SIMPLE[start]
                        raw.append((kind, span["start"], span["end"], None, locator))
                    continue
                ((name, value),) = start.items()
                if name == "List":
                    lists += 1
                    depth += 1
                    if depth < _DEPTH:
                        raw.append(("list", span["start"], span["end"], lists, None))
                elif name == "BlockQuote":
                    quotes += 1
                    depth += 1
                    if depth < _DEPTH:
                        raw.append(("quote", span["start"], span["end"], quotes, None))
                elif name in _VALUED:
                    kind, describe = _VALUED[name]
                    level, locator = describe(value)
                    raw.append((kind, span["start"], span["end"], level, locator))
                continue
            end = event.get("End")
            if end is not None:
                if type(end) is str:
                    if end == "Item":
                        depth -= 1
                elif "List" in end:
                    lists -= 1
                    depth -= 1
                elif "BlockQuote" in end:
                    quotes -= 1
                    depth -= 1
            elif "DisplayMath" in event and paragraph is not None:
                # A formula that fills its paragraph is a block of its own kind.
                start_byte, end_byte = paragraph
                if span["start"] == start_byte and span["end"] >= end_byte - 2:
                    raw[-1] = ("formula", start_byte, end_byte, None, None)
        elif event == "Rule":
            raw.append(("markup", span["start"], span["end"], None, None))
    return raw


def _parse(source: str) -> Any:
    from pyromark import Markdown, Options

    options = (
        Options.ENABLE_TABLES
        | Options.ENABLE_FOOTNOTES
        | Options.ENABLE_MATH
        | Options.ENABLE_GFM
        | Options.ENABLE_TASKLISTS
        | Options.ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options.ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
    )
    return Markdown(options=options).events_with_range(source)


def _heading(value: Any) -> tuple[int | None, str | None]:
    return int(value["level"][1]), None


def _code(value: Any) -> tuple[int | None, str | None]:
    if value == "Indented":
        return None, None
    info = value["Fenced"].split(None, 1)
    return None, (info[0].strip("{}").lstrip(".").rstrip(",").lower() or None) if info else None


def _label(value: Any) -> tuple[int | None, str | None]:
    return None, str(value)


def _plain(value: Any) -> tuple[int | None, str | None]:
    return None, None


_SIMPLE: dict[str, tuple[str, str | None]] = {
    "TableHead": ("table_row", "header"),
    "TableRow": ("table_row", None),
    "HtmlBlock": ("markup", None),
}
_VALUED: dict[str, tuple[str, Callable[[Any], tuple[int | None, str | None]]]] = {
    "Heading": ("heading", _heading),
    "CodeBlock": ("code", _code),
    "Table": ("table", _plain),
    "MetadataBlock": ("front_matter", _plain),
    "FootnoteDefinition": ("footnote", _label),
}


def _characters(source: str, raw: Sequence[_Raw]) -> Iterable[tuple[int, int]]:
    if source.isascii():
        return ((start, end) for _, start, end, _, _ in raw)
    data = np.frombuffer(source.encode(), np.int8)
    # A character's continuation bytes come after its first; a byte offset less the number of
    # continuation bytes before it is a character offset.
    continuation = np.flatnonzero(data < -64)
    starts = np.array([block[1] for block in raw], np.int64)
    ends = np.array([block[2] for block in raw], np.int64)
    starts -= np.searchsorted(continuation, starts)
    ends -= np.searchsorted(continuation, ends)
    return zip(starts.tolist(), ends.tolist(), strict=True)
