"""JSON: a record per top-level item or member, and inside long ones per nested item.

Short scalars of an array are a record together (`$.values[0:80]`): a number alone says nothing.

One pass over the brackets and commas outside strings, with a stack of its own: neither depth nor
broken input can upset it. Values are not built, so numbers of any size and duplicate keys are
just text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from chunkers.blocks.common import complete, lines, trim
from lineage import Block

_LONG = 2_000
"""Records of more characters than this are divided into nested ones."""
_RUN = 500
"""Scalars of an array are records together up to so many characters."""
_DEPTH = 32
"""Levels below the top that get records of their own."""
_NEXT = re.compile(r'(?:[^"\[\]{},]++|"(?:[^"\\]++|\\.)*+")*+([\[\]{},])', re.DOTALL)
_REST = re.compile(r'(?:[^"\[\]{},]++|"(?:[^"\\]++|\\.)*+")*+\Z', re.DOTALL)
_KEY = re.compile(r'\s*"((?:[^"\\]++|\\.)*+)"\s*:', re.DOTALL)
_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_KEY_CHARS = 100


@dataclass(slots=True)
class _Open:
    """A container whose end has not been seen, and its place in the one around it."""

    closer: str
    start: int
    parent: _Open | None
    place: tuple[int, int]
    """Where this item of the parent starts, its key included, and its number."""
    item_start: int
    mark: int
    """Number of items noted before this container's own."""
    items: int = 0
    plain: bool = True
    """Whether the item that is being read holds no container."""
    run: int = -2
    """Which of the items noted is the open run of scalars."""
    path: str = ""


_Item = tuple[int, int, _Open, int, int]
"""Start and end before trimming, the container, the numbers in it of the first and last."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What one pass over a JSON text found."""

    blocks: list[Block]
    depth: int
    """Deepest nesting of arrays and objects."""
    balanced: bool
    """Whether every bracket and every string is closed."""


def scan_json(text: str) -> list[Block]:
    """Records of a JSON text, with their JSON paths (`$.users[3]`) as locators."""
    return walk_json(text).blocks


def scan_jsonl(text: str) -> list[Block]:
    """A record per line, `line N` its locator, divided like JSON where it is long."""
    return walk_jsonl(text).blocks


def walk_json(text: str) -> Walk:
    """The blocks of a JSON text, its depth and whether it is whole."""
    start, end = trim(text, 0, len(text))
    if start == end:
        return Walk([], 0, True)
    walk = _walk(text, start, end, "$")
    blocks = walk.blocks or [Block("record", start, end, None, None, None, "$")]
    # Opening and closing brackets and commas lie between records; they are part of the text.
    outer = Block("record", start, end, None, None, None, "$")
    if blocks[0] != outer:
        blocks.insert(0, outer)
    return Walk(blocks, walk.depth, walk.balanced)


def walk_jsonl(text: str) -> Walk:
    """The blocks of JSON lines, the deepest line's depth and whether all lines are whole."""
    blocks: list[Block] = []
    depth, balanced = 0, True
    for number, (a, b) in enumerate(lines(text), start=1):
        start, end = trim(text, a, b)
        if start == end:
            continue
        blocks.append(Block("record", start, end, None, None, None, f"line {number}"))
        walk = _walk(text, start, end, "$", levels=_DEPTH if end - start > _LONG else 0)
        depth, balanced = max(depth, walk.depth), balanced and walk.balanced
        blocks += walk.blocks
    return Walk(complete(text, blocks), depth, balanced)


def nested_json(text: str, start: int, end: int, path: str) -> list[Block]:
    """Records inside the one at `text[start:end]`, whose path is `path`, however short they are."""
    return _walk(text, start, end, path, long=0).blocks


def _walk(
    text: str, start: int, end: int, path: str, long: int = _LONG, levels: int = _DEPTH
) -> Walk:
    """Records of the items of the value at `start`, the value itself left out.

    Containers of at most `long` characters are not divided, and items that are nested deeper
    than so many levels get no records.
    """
    items: list[_Item] = []
    stack: list[_Open] = []
    depth = 0
    balanced = True
    position = start
    advance = _NEXT.match
    while (found := advance(text, position, end)) is not None:
        position = found.end()
        mark = found.group(1)
        if mark in "[{":
            parent = stack[-1] if stack else None
            if parent:
                parent.plain = False
            place = (parent.item_start, parent.items) if parent else (start, 0)
            closer = "]" if mark == "[" else "}"
            stack.append(_Open(closer, position - 1, parent, place, position, len(items)))
            depth = max(depth, len(stack))
        elif not stack:
            balanced = False
        else:
            top = stack[-1]
            if len(stack) <= levels:
                _note(items, top, position - 1)
            top.item_start = position
            top.items += 1
            top.plain = True
            if mark != ",":
                balanced = balanced and mark == top.closer
                stack.pop()
                if stack and position - top.start <= long:
                    del items[top.mark :]
    if stack:
        # Cut off: what is open is closed by the end of the text.
        balanced = False
        for level, top in enumerate(stack, start=1):
            if level <= levels and (level == 1 or end - top.start > long):
                items.append((top.item_start, end, top, top.items, top.items))
    elif _REST.match(text, position, end) is None:
        balanced = False
    return Walk(_blocks(text, items, path), depth, balanced)


def _note(items: list[_Item], container: _Open, end: int) -> None:
    """Add an item that ends; short scalars of an array become one record together."""
    start, number = container.item_start, container.items
    scalar = container.plain and container.closer == "]" and end - start <= _RUN
    if scalar and container.run == len(items) - 1 and end - items[-1][0] <= _RUN:
        items[-1] = (items[-1][0], end, container, items[-1][3], number)
        return
    container.run = len(items) if scalar else -2
    items.append((start, end, container, number, number))


def _blocks(text: str, items: list[_Item], root: str) -> list[Block]:
    blocks: list[Block] = []
    for item_start, item_end, container, number, last in items:
        start, end = trim(text, item_start, item_end)
        if start < end:
            path = _path(text, container, root)
            if last > number:
                path += f"[{number}:{last + 1}]"
            else:
                path += _step(text, container, item_start, number)
            blocks.append(Block("record", start, end, None, None, None, path))
    blocks.sort(key=lambda block: (block.start, -block.end))
    return blocks


def _path(text: str, container: _Open, root: str) -> str:
    if not container.path:
        if container.parent is None:
            container.path = root
        else:
            container.path = _path(text, container.parent, root) + _step(
                text, container.parent, *container.place
            )
    return container.path


def _step(text: str, container: _Open, item_start: int, number: int) -> str:
    if container.closer == "]":
        return f"[{number}]"
    found = _KEY.match(text, item_start)
    key = found.group(1) if found else ""
    if _SIMPLE_KEY.match(key) and len(key) <= _KEY_CHARS:
        return f".{key}"
    return f"[{key[:_KEY_CHARS]!r}]"
