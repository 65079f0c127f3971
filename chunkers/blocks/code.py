"""Source code: nested `code` blocks of definitions, found with tree-sitter.

A query picks the definitions out of the syntax tree in compiled code, so the cost in Python is
one of definitions, not of tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from chunkers.blocks.code_languages import GRAMMARS, Grammar, load_grammar
from chunkers.blocks.common import complete, encodable, paragraphs
from lineage import Block, MissingExtra

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Query

_LONGEST = 2 << 20
"""Bytes of source; generated files above it are cut at blank lines only."""
_NESTING = 400
_DEPTH = 32
_PIECE = 1 << 16
# Steps in hundreds, as the library counts them. Real code takes up to 25 for a thousand bytes, and
# C++ read as C a few hundred within errors. Recovering from errors can take the square of the
# length or worse.
_STEPS_PER_BYTE = 0.035
_STEPS_AT_LEAST = 300
_STEPS_IN_ERROR = 600
_BARE_CHILDREN = 2_000
# What no programmer writes and what takes some grammars the square of its length.
_RUN_LENGTH = 400
_RUN = re.compile(rf"([^\s\w=*/#-])\1{{{_RUN_LENGTH}}}")
_PAIR = re.compile(r"([^\s\w=*/#-])\1")
_ANGLES = 100
_ANGLED = re.compile(rf"(?:<\s*+\w++\s*+){{{_ANGLES}}}")
_BRACKETS = np.zeros(256, np.int8)
_BRACKETS[list(b"([{")] = 1
_BRACKETS[list(b")]}")] = -1
_NAMES = frozenset(
    {"identifier", "type_identifier", "field_identifier", "simple_identifier", "constant",
     "property_identifier", "function_name", "simple_name", "namespace_identifier", "word",
     "qualified_identifier", "scoped_identifier", "destructor_name", "operator_name",
     "object_reference", "alias", "name", "dot_index_expression", "scope_resolution"}
)  # fmt: skip
_HEADS = frozenset({"signature", "call_expression", "type_head", "type_spec", "type_alias"})
_ELIXIR = frozenset({"defmodule", "def", "defp", "defmacro", "defprotocol", "defimpl"})


@dataclass(slots=True)
class _Found:
    """A definition in bytes of the source."""

    start: int
    end: int
    name: str


def scan_code(text: str, language: str) -> list[Block]:
    """Definitions as nested `code` blocks, and what is between them as flat ones.

    A definition's locator is its dotted name (`Parser.parse`), its level its depth from 1, and
    it takes in the comments, decorators and annotations right above it. What has no definitions,
    or a language without grammar here, is cut at blank lines.

    Args:
        text: the source.
        language: a key of `GRAMMARS`.
    """

    def fill(start: int, end: int) -> list[Block]:
        return paragraphs(text, start, end, kind="code")

    grammar = GRAMMARS.get(language)
    if grammar is None or len(text) > _LONGEST:
        return fill(0, len(text))
    source = encodable(text).encode()
    if not _sane(text, source):
        return fill(0, len(text))
    try:
        found = _definitions(source, language, grammar)
    except MissingExtra:
        # The caller learns of it from `missing_grammar`; here the text still gets its blocks.
        return fill(0, len(text))
    return complete(text, _blocks(text, source, found, grammar), fill)


def missing_grammar(language: str) -> str | None:
    """Why definitions of `language` cannot be found on this installation, or null."""
    if language in GRAMMARS:
        try:
            load_grammar(language)
        except MissingExtra as error:
            return str(error)
    return None


def _sane(text: str, source: bytes) -> bool:
    # A run that long shows at two neighbours of every so many characters.
    if _PAIR.search(text[:: _RUN_LENGTH // 2]) and _RUN.search(text):
        return False
    if text.count("<") >= _ANGLES and _ANGLED.search(text):
        return False
    if sum(map(source.count, (b"(", b"[", b"{"))) <= _NESTING:
        return True
    steps = _BRACKETS[np.frombuffer(source, np.uint8)]
    depth = np.cumsum(steps[np.flatnonzero(steps)], dtype=np.int32)
    # What closes and was never opened does not count.
    depth -= np.minimum.accumulate(np.minimum(depth, 0))
    return int(depth.max()) <= _NESTING


@cache
def _tools(language: str) -> tuple[Parser, Query]:
    from tree_sitter import Parser, Query

    grammar = GRAMMARS[language]
    loaded = load_grammar(language)
    definitions = " ".join(f"({node})" for node in grammar.definitions)
    wrappers = " ".join(f"({node})" for node in grammar.wrappers)
    source = f"[{definitions}] @definition"
    if wrappers:
        source += f"\n[{wrappers}] @wrapper"
    return Parser(loaded), Query(loaded, source)


def _definitions(source: bytes, language: str, grammar: Grammar) -> list[_Found]:
    from tree_sitter import QueryCursor

    parser, query = _tools(language)
    root = _parsed(parser, source)
    if root is None or _hopeless(root):
        return []
    captures = QueryCursor(query).captures(root)
    found: list[_Found] = []
    elixir = language == "elixir"
    for node in captures.get("definition", ()):
        if node.type in grammar.bodied and node.child_by_field_name("body") is None:
            continue
        name = _elixir_name(node, source) if elixir else _name(node, language, source)
        if name:
            found.append(_Found(node.start_byte, node.end_byte, name))
    found.sort(key=lambda definition: (definition.start, -definition.end))
    wrappers = sorted((node.start_byte, node.end_byte) for node in captures.get("wrapper", ()))
    _widen(found, wrappers, source)
    for definition in found:
        if source[definition.end : definition.end + 1] == b";":
            definition.end += 1
    return found


def _parsed(parser: Parser, source: bytes) -> Node | None:
    """The root of the syntax tree, or null when it takes more steps than code ever does."""
    left = _STEPS_AT_LEAST + int(_STEPS_PER_BYTE * len(source))
    left_in_error = _STEPS_IN_ERROR

    def read(offset: int, _point: object) -> bytes:
        return source[offset : offset + _PIECE]

    def stop(_offset: int, has_error: bool) -> bool:
        nonlocal left, left_in_error
        left -= 1
        left_in_error -= has_error
        return left < 0 or left_in_error < 0

    try:
        return parser.parse(read, progress_callback=stop).root_node
    except ValueError:
        parser.reset()
        return None


def _hopeless(root: Node) -> bool:
    """Whether a query would take the square of a node's bare tokens: an error of nothing else."""
    pending = [root] if root.has_error else []
    while pending:
        node = pending.pop()
        if node.child_count - node.named_child_count > _BARE_CHILDREN:
            return True
        pending += [child for child in node.children if child.has_error and child.child_count]
    return False


def _widen(found: list[_Found], wrappers: Sequence[tuple[int, int]], source: bytes) -> None:
    """Give each wrapper's span to the definition in it: the outermost, if it ends there."""
    index = 0
    for start, end in wrappers:
        while index < len(found) and found[index].start < start:
            index += 1
        if index == len(found):
            return
        definition = found[index]
        if definition.end <= end and not source[definition.end : end].strip(b"; \t\r\n"):
            definition.start, definition.end = start, end
        elif definition.end < end and b"\n" not in source[definition.end : end]:
            # `typedef struct {…} name;`
            definition.start, definition.end = start, end


def _name(node: Node, language: str, source: bytes) -> str:
    if language == "rust" and node.type == "impl_item":
        kind = _text(node.child_by_field_name("type"), source)
        trait = _text(node.child_by_field_name("trait"), source)
        return f"{trait} for {kind}" if trait else kind
    named = node.child_by_field_name("name")
    name = _text(named, source) if named is not None else _declared(node, source)
    if language == "go" and node.type == "method_declaration":
        receiver = _text(node.child_by_field_name("receiver"), source).strip("()").split()
        if receiver:
            name = receiver[-1].lstrip("*").partition("[")[0] + "." + name
    return name


def _declared(node: Node, source: bytes) -> str:
    """The name inside a declarator, or the first child that is a name."""
    inner: Node | None = node
    for _ in range(12):
        if inner is None:
            break
        following = inner.child_by_field_name("declarator")
        if following is None:
            if inner is not node and inner.type in _NAMES:
                return _text(inner, source)
            children = inner.named_children[:6]
            following = next((child for child in children if child.type in _HEADS), None)
            if following is None:
                name = next((child for child in children if child.type in _NAMES), None)
                if name is not None:
                    return _text(name, source)
        inner = following
    if node.type == "init_declaration":
        return "init"
    return "constructor" if node.type == "constructor_declaration" else ""


def _elixir_name(node: Node, source: bytes) -> str:
    target = node.child_by_field_name("target")
    if _text(target, source) not in _ELIXIR:
        return ""
    arguments = next((child for child in node.named_children if child.type == "arguments"), None)
    if arguments is None or not arguments.named_children:
        return ""
    first = arguments.named_children[0]
    inner = first.child_by_field_name("target") if first.type == "call" else None
    return _text(inner or first, source)


def _text(node: Node | None, source: bytes) -> str:
    if node is None:
        return ""
    # Not `node.text`: that asks the parser's callback again, a whole piece of the source a node.
    start = node.start_byte
    part = source[start : min(node.end_byte, start + 200)]
    return " ".join(part.decode(errors="replace").split())


def _blocks(text: str, source: bytes, found: Sequence[_Found], grammar: Grammar) -> list[Block]:
    spans = _characters(text, source, found)
    blocks: list[Block] = []
    around: list[tuple[int, str]] = []
    floor = 0
    for definition, (start, end) in zip(found, spans, strict=True):
        while around and around[-1][0] <= start:
            floor = around.pop()[0]
        if (around and end > around[-1][0]) or len(around) >= _DEPTH or end <= start:
            continue
        start = _with_comments(text, start, floor, grammar.comments)
        name = f"{around[-1][1]}.{definition.name}" if around else definition.name
        around.append((end, name))
        # Names nested as deep as this are of no use, and their sum is quadratic in the depth.
        locator = name if len(name) <= 500 else definition.name
        blocks.append(Block("code", start, end, len(around), None, None, locator))
        floor = start + 1
    return blocks


def _with_comments(text: str, start: int, floor: int, marks: tuple[str, ...]) -> int:
    """The start of the comments and annotations on the lines right above `start`."""
    line = text.rfind("\n", floor, start) + 1
    if line == 0 or text[line:start].strip():
        return start
    result = start
    while line > floor:
        above = text.rfind("\n", floor, line - 1) + 1 or floor
        content = text[above : line - 1].strip()
        if not content or not content.startswith(marks):
            break
        result = above + len(text[above:line]) - len(text[above:line].lstrip())
        line = above
    return result


def _characters(text: str, source: bytes, found: Sequence[_Found]) -> Sequence[tuple[int, int]]:
    if text.isascii():
        return [(definition.start, definition.end) for definition in found]
    data = np.frombuffer(source, dtype=np.uint8)
    continuation = np.flatnonzero((data & 0xC0) == 0x80)
    offsets = np.array([(d.start, d.end) for d in found], dtype=np.int64).reshape(-1, 2)
    offsets -= np.searchsorted(continuation, offsets)
    return [(start, end) for start, end in offsets.tolist()]
