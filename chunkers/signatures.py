"""The signature of a definition in source code: what its continuation needs as context."""

from __future__ import annotations

import re

_LIMIT = 240
"""Characters, from the first that is no comment."""
_COMMENT = re.compile(
    r"(?:[^\S\n]*(?:#(?!\[)|//|/\*|\*|--(?!\S*>)|<#)[^\n]*\n|[^\S\n]*\n"
    r'|[^\S\n]*"""(?s:.*?)"""[^\S\n]*\n)+'
)
_OPENS_BODY = re.compile(r"[:{][^\S\n]*(?:\n|$)")
_GOES_ON = re.compile(
    r"\s*(?:extends|implements|where|throws|with|permits|requires|noexcept)\b|\s*->"
)
_INDENT = re.compile(r"[^\S\n]*")


def signature(text: str, start: int, end: int) -> str:
    """The opening of the definition in `text[start:end]`, up to where its body begins, on one line.

    Comments above it are left out, decorators and annotations are not. Without a colon or a brace
    that opens the body, as in Ruby or Lua, it is the first line and what that line's brackets
    enclose.
    """
    comment = _COMMENT.match(text, start, end)
    begin = comment.end() if comment and comment.end() < end else start
    stop = min(end, begin + _LIMIT)
    body = _OPENS_BODY.search(text, begin, stop)
    lines = text[begin : body.start() + 1 if body else stop].splitlines()
    if not lines:
        return ""
    column = begin - (text.rfind("\n", 0, begin) + 1)
    margin = max(column, _width(lines[0]))
    kept = lines[:1]
    for line in lines[1:]:
        inside = sum(map(_depth, kept)) > 0
        if not (inside or _width(line) <= margin or _GOES_ON.match(line)):
            break
        if not inside and body is None and line.strip():
            break
        kept.append(line)
    return " ".join(" ".join(kept).split())


def _depth(line: str) -> int:
    """How many more brackets a line opens than it closes."""
    return sum(map(line.count, "([")) - sum(map(line.count, ")]"))


def _width(line: str) -> int:
    found = _INDENT.match(line)
    return found.end() if found else 0
