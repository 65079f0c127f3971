"""Globs on documents' paths: one language for policies and for what sources include."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache


def glob_matches(pattern: str, path: str) -> bool:
    """Whether `path` matches the glob `pattern`, case-sensitively.

    `*` and `?` stay within one folder, `**` spans folders, `[…]` is a set of characters and
    `{a,b}` either. A pattern without `/` is tried on the last part of the path alone; any other
    one on the whole path from the source's root.
    """
    if "/" not in pattern:
        path = path.rpartition("/")[2]
    return _glob(pattern.removeprefix("./").removeprefix("/")).fullmatch(path) is not None


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(_translate(pattern), re.DOTALL)


def _translate(pattern: str) -> str:
    result = ""
    position = 0
    depth = 0
    while position < len(pattern):
        rest = pattern[position:]
        if rest.startswith("**/"):
            result, position = f"{result}(?:.*/)?", position + 3
        elif rest.startswith("**"):
            result, position = f"{result}.*", position + 2
        elif rest[0] == "*":
            result, position = f"{result}[^/]*", position + 1
        elif rest[0] == "?":
            result, position = f"{result}[^/]", position + 1
        elif rest[0] == "[" and "]" in rest[2:]:
            end = rest.index("]", 2) + 1
            result, position = f"{result}{_set(rest[:end])}", position + end
        elif rest[0] == "{" and "}" in rest:
            result, position, depth = f"{result}(?:", position + 1, depth + 1
        elif rest[0] == "}" and depth:
            result, position, depth = f"{result})", position + 1, depth - 1
        elif rest[0] == "," and depth:
            result, position = f"{result}|", position + 1
        else:
            result, position = result + re.escape(rest[0]), position + 1
    return result + ")" * depth


def _set(glob: str) -> str:
    """A glob's character set as a regular expression's; fnmatch knows the corner cases."""
    translated = fnmatch.translate(glob)
    return translated.removeprefix("(?s:").removesuffix(r")\Z").removesuffix(r")\z")
