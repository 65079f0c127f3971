"""XML: a record per child of the root element, and inside long ones per nested element.

A tokenizer over the markup with a stack of its own; nothing is resolved, expanded or fetched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from chunkers.blocks.common import complete, trim
from lineage import Block

_LONG = 2_000
"""Elements of more characters than this are divided into nested ones."""
_DEPTH = 32
# The number of attributes is bounded, or quotes that enclose other tags would cost the square of
# the text's length.
_TOKEN = re.compile(
    r"<(?:"
    r"(?P<skip>!--|!\[CDATA\[|\?|!)"
    r"|/(?P<close>[^\s<>/]++)[^<>]*+>"
    r"|(?P<open>[^\s<>/!?]++)(?:[^\"'<>]++|\"[^\"]*+\"|'[^']*+'){0,512}+>)"
)
_ENDS = {"!--": "-->", "![CDATA[": "]]>", "?": "?>"}
_DOCTYPE = re.compile(r"""(?:[^\["'>]++|"[^"]*+"|'[^']*+')*+(?:\[(?P<subset>[^\]"']*+)?)?""")


@dataclass(slots=True)
class _Open:
    """An element whose end has not been seen."""

    name: str
    number: int
    """Which of the elements of its name in the one around."""
    parent: _Open | None
    start: int
    mark: int
    """Number of records noted before its own."""
    children: dict[str, int]
    path: str = ""


_Item = tuple[int, int, "_Open | None", str, int]
"""Start and end of an element, the one around, its name and number."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What one pass over an XML text found."""

    blocks: list[Block]
    depth: int
    """Deepest nesting of elements."""
    balanced: bool
    """Whether each element is closed, in order."""
    root: str
    """Name of the first element, empty when there is none."""
    longest_tag: int
    """Characters of the longest start tag."""


def scan_xml(text: str) -> list[Block]:
    """Records of an XML text, with their XPaths (`/catalog/book[2]`) as locators."""
    return walk_xml(text).blocks


def nested_xml(text: str, start: int, end: int, path: str) -> list[Block]:
    """Records inside the element at `text[start:end]`, whose path is `path`, however short."""
    walk = walk_xml(text[start:end], long=0)
    root = f"/{walk.root}"
    return [
        replace(
            block,
            start=start + block.start,
            end=start + block.end,
            locator=path + (block.locator or "").removeprefix(root),
        )
        for block in walk.blocks
        if block.kind == "record" and block.locator != root
    ]


def walk_xml(text: str, long: int = _LONG) -> Walk:
    """The blocks of an XML text and what shape it is in.

    Elements of at most `long` characters are not divided.
    """
    outside: list[Block] = []
    items: list[_Item] = []
    stack: list[_Open] = []
    top_level: dict[str, int] = {}
    depth = longest = 0
    balanced = True
    root = ""
    position = 0
    closed = 0
    unended: set[str] = set()
    search = _TOKEN.search
    while (found := search(text, position)) is not None:
        position = found.end()
        what = found.lastgroup
        if what == "skip":
            skip = found["skip"]
            # Once a kind of section was found not to end, none further down does.
            end = -1 if skip in unended else _section_end(text, skip, position)
            if end < 0:
                unended.add(skip)
                balanced = False
            else:
                if not stack:
                    kind = "comment" if skip == "!--" else "markup"
                    outside.append(Block(kind, found.start(), end))
                position = end
        elif what == "open":
            name = found["open"]
            root = root or name
            longest = max(longest, position - found.start())
            parent = stack[-1] if stack else None
            siblings = parent.children if parent else top_level
            number = siblings[name] = siblings.get(name, 0) + 1
            if text[position - 2] == "/":
                if len(stack) <= _DEPTH:
                    items.append((found.start(), position, parent, name, number))
            else:
                stack.append(_Open(name, number, parent, found.start(), len(items), {}))
                depth = max(depth, len(stack))
        elif stack:
            name = found["close"]
            # An end tag of an element further out closes what is open inside it. Looking for it
            # is bounded, or a text of stray end tags would cost its square.
            while (
                len(stack) > 1
                and stack[-1].name != name
                and any(entry.name == name for entry in stack[-8:-1])
            ):
                balanced = False
                _close(stack, found.start(), items, long)
            if stack[-1].name == name:
                _close(stack, position, items, long)
                closed = position
            else:
                balanced = False
        else:
            balanced = False
    if stack:
        balanced = False
        _, end = trim(text, 0, len(text))
        while stack:
            _close(stack, max(end, closed), items, long)
    blocks = outside + [
        Block("record", start, end, None, None, None, _path(parent, name, number))
        for start, end, parent, name, number in items
    ]
    blocks.sort(key=lambda block: (block.start, -block.end))
    return Walk(complete(text, blocks), depth, balanced, root, longest)


def _close(stack: list[_Open], end: int, items: list[_Item], long: int) -> None:
    element = stack.pop()
    if stack and end - element.start <= long:
        del items[element.mark :]
    if len(stack) <= _DEPTH:
        items.append((element.start, end, element.parent, element.name, element.number))


def _path(parent: _Open | None, name: str, number: int) -> str:
    """The XPath of an element."""
    if parent is None:
        return f"/{name}"
    if not parent.path:
        parent.path = _path(parent.parent, parent.name, parent.number)
    return f"{parent.path}/{name}[{number}]"


def _section_end(text: str, skip: str, position: int) -> int:
    """Where a comment, CDATA section, instruction or declaration ends, or -1."""
    if terminator := _ENDS.get(skip):
        end = text.find(terminator, position)
        return end if end < 0 else end + len(terminator)
    found = _DOCTYPE.match(text, position)
    end = found.end() if found else position
    if found and found["subset"] is not None:
        end = text.find("]", end)
        if end < 0:
            return -1
    end = text.find(">", end)
    return end if end < 0 else end + 1
