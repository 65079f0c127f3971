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
_MANY = 1 << 40
NOT_IN_DATA_TABLES = frozenset({"table", "pre", *HEADING_TAGS})


def unescape(text: str) -> str:
    """Resolve the character references that a serialiser of HTML writes."""
    if "&" in text:
        text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">")
        text = text.replace("&quot;", '"').replace("&amp;", "&")
    return text


def data_tables(pieces: list[str]) -> list[bool]:
    """For each table, last one first, whether it holds data rather than layout.

    A table around another table, a heading or preformatted text lays out a page; so does one
    that has words in one cell of a row at most, unless it names its column.

    Args:
        pieces: the page split at its tags: text, then name, attributes and text of each tag.
    """
    tables: list[bool] = []
    open_tables: list[list[int]] = []
    """For each open table: its number, filled cells of the row, and whether a cell is open."""
    for name, text in zip(pieces[1::3], pieces[3::3], strict=True):
        if name in NOT_IN_DATA_TABLES:
            if name == "table":
                if open_tables:
                    tables[open_tables[-1][0]] = False
                    open_tables[-1][1] = -_MANY
                open_tables.append([len(tables), 0, 0])
                tables.append(False)
            elif open_tables:
                open_tables[-1][1] = -_MANY
        if not open_tables:
            continue
        innermost = open_tables[-1]
        if name == "tr":
            innermost[1] = min(innermost[1], 0)
        elif name == "td":
            innermost[2] = 1
        elif name == "th":
            innermost[2] = 2
        elif name == "/table":
            number, filled, _ = open_tables.pop()
            tables[number] = tables[number] and filled >= 0
            continue
        if innermost[2] and text and not text.isspace() and text.replace("&nbsp;", "").strip():
            innermost[1] += innermost[2]
            innermost[2] = 0
            if innermost[1] > 1:
                tables[innermost[0]] = True
    return tables[::-1]
