"""What the walk over HTML knows of tags: which are inline, which end a paragraph, which hold text.

The patterns rely on the form that lexbor writes: lower-case names, quoted attributes.
"""

from __future__ import annotations

import re

from pipelines.ingest.parsers.textbuild import word_list

_ATTRIBUTES = r"[^>\"]*+(?:\"[^\"]*+\"[^>\"]*+)*+"
INLINE = re.compile(  # the frequent ones first: the alternatives are tried in turn
    r"<!--.*?-->|</?(?:span|a|em|strong|b|i|tt|abbr|acronym|bdi|bdo|big|cite|data|del|dfn|font|"
    r"ins|kbd|label|mark|q|rb|rp|rt|rtc|ruby|s|samp|slot|small|strike|sub|sup|time|u|var|wbr|"
    r"path|use|g|code(?![^>]*(?:lang|highlight|brush|sourceCode)))"
    rf"(?:\s{_ATTRIBUTES})?>",
    re.DOTALL,
)
TAG = re.compile(rf"<(/?[a-z][^\s>\"]*+)({_ATTRIBUTES})>")
LANGUAGE = re.compile(r'class="[^"]*?\b(?:lang(?:uage)?|highlight|brush:?|sourceCode)[-_ ]+(\w+)')
ALT = re.compile(r'\salt="([^"]+)"')
ROLE = re.compile(r'\srole="(navigation|banner|contentinfo)"')
BREAK = "\0"
"""Stands for a `<br>` until whitespace is collapsed; lexbor lets no NUL through."""

HEADING_TAGS = tuple(f"h{level}" for level in range(1, 7))
BOUNDARY_TAGS = word_list(
    "address aside body center details dialog dir fieldset figure form frameset hgroup hr html "
    "legend menu optgroup option search select summary noscript video audio canvas object "
    "marquee tbody tfoot thead tr td th"
)
SPACED_TAGS = ("button", "text", "tspan", "desc", "title")
LEAVES = frozenset({"heading", "caption", "list_item", "quote", "definition", "header", "footer"})
"""Kinds that hold bare text themselves; elsewhere bare text becomes a paragraph."""
NOT_IN_DATA_TABLES = frozenset({"table", "pre", *HEADING_TAGS})


def unescape(text: str) -> str:
    """Resolve the character references that a serialiser of HTML writes."""
    if "&" in text:
        text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">")
        text = text.replace("&quot;", '"').replace("&amp;", "&")
    return text


def data_tables(names: list[str]) -> list[bool]:
    """For each table, last one first, whether it holds data rather than layout.

    A table around another table, a heading or preformatted text lays out a page; so does one
    with a single cell.
    """
    tables: list[bool] = []
    cells: list[int] = []
    open_tables: list[int] = []
    for name in names:
        if name in NOT_IN_DATA_TABLES:
            if open_tables:
                tables[open_tables[-1]] = False
            if name == "table":
                open_tables.append(len(tables))
                tables.append(True)
                cells.append(0)
        elif name == "td" or name == "th":
            if open_tables:
                cells[open_tables[-1]] += 1
        elif name == "/table" and open_tables:
            inner = open_tables.pop()
            tables[inner] = tables[inner] and cells[inner] > 1
    return tables[::-1]
