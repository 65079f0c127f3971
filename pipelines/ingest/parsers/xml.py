"""XML as it is, with its elements as records; of SVG the words.

No entity is expanded and nothing is fetched. A document whose entities would expand beyond the
limits is refused all the same: whoever reads its text later might expand them.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from chunkers.blocks.scanner import checked
from chunkers.blocks.xml import walk_xml
from lineage import Block
from pipelines.ingest.parsers.base import Limits, Parsed, ParseError
from pipelines.ingest.parsers.decode import Decoded, decode
from pipelines.ingest.parsers.source import limits_of, source_parsed

_ENTITY = re.compile(r"""<!ENTITY\s+(%\s+)?([^\s%"'>]{1,200})\s+(?:"([^"]*+)"|'([^']*+)')""")
_REFERENCE = re.compile(r"&([^\s;&#]{1,200});")
_HUGE = 1 << 60
"""Where counting ends: sizes that grow tenfold a level soon have thousands of digits."""
_LONGEST_TAG = 10_000_000
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<!\[CDATA\[|\]\]>"
    r"|<((?:\w+:)?(?:script|style|metadata))\b[^<>]*+(?<!/)>.*?(?:</\1\s*>|\Z)",
    re.DOTALL,
)
_TAG = re.compile(r"<[^<>]*(?:>|\Z)")


class XmlParser:
    """XML documents, SVG drawings among them."""

    name = "xml"
    version = "1"
    formats = frozenset({"xml"})
    checks_blocks = True

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Decode the text and find its records.

        Raises:
            ParseError: `limit_depth` above `max_depth` levels, `limit_ratio` for entities that
                would expand beyond `max_ratio`, `limit_size` for a tag above 10 million
                characters.
        """
        limits = limits_of(options)
        decoded = decode(data)
        check_entities(decoded.text, limits)
        walk = walk_xml(decoded.text)
        if walk.depth > limits.max_depth:
            raise ParseError(
                "limit_depth",
                f"nested {walk.depth:,} levels deep; the limit max_depth is {limits.max_depth:,}",
            )
        if walk.longest_tag > _LONGEST_TAG:
            raise ParseError(
                "limit_size", f"a tag of {walk.longest_tag:,} characters; {_LONGEST_TAG:,} is most"
            )
        if walk.root.rpartition(":")[2] == "svg":
            return _drawing(decoded)
        return source_parsed(
            decoded,
            checked(decoded.text, walk.blocks),
            format=format,
            data_type="structured",
            limits=limits,
            warnings=[] if walk.balanced else ["not well-formed: some tags have no partner"],
        )


def check_entities(text: str, limits: Limits) -> None:
    """Refuse entity declarations that would blow up whoever expands them.

    Raises:
        ParseError: `limit_ratio`.
    """
    if "<!ENTITY" not in text:
        return
    values = {found[2]: found[3] or found[4] or "" for found in _ENTITY.finditer(text)}
    sizes = _expanded(values)
    body = text[max(0, text.rfind("<!ENTITY")) :]
    total = len(text) + sum(
        sizes.get(found[1], 0) for found in _REFERENCE.finditer(body[body.find(">") + 1 :])
    )
    if total > max(limits.max_ratio * len(text), 1 << 20) or max(sizes.values(), default=0) > (
        limits.max_expanded_bytes
    ):
        raise ParseError(
            "limit_ratio",
            f"its entities expand {len(text):,} characters to {total:,} or more; the limit "
            f"max_ratio is {limits.max_ratio}",
        )


def _expanded(values: Mapping[str, str]) -> dict[str, int]:
    """The size of each entity when expanded, at most `_HUGE`, without recursion."""
    inner = {
        name: Counter(found[1] for found in _REFERENCE.finditer(value) if found[1] in values)
        for name, value in values.items()
    }
    sizes: dict[str, int] = {}
    pending = list(values)
    entered: set[str] = set()
    while pending:
        name = pending[-1]
        missing = [part for part in inner[name] if part not in sizes and part not in entered]
        if name not in entered and missing:
            entered.add(name)
            pending += missing
            continue
        # What contains itself counts once: no reader expands it further.
        pending.pop()
        parts = sum(sizes.get(part, 0) * count for part, count in inner[name].items())
        sizes.setdefault(name, min(len(values[name]) + parts, _HUGE))
    return sizes


def _drawing(decoded: Decoded) -> Parsed:
    """The words of an SVG drawing, a paragraph per text element."""
    bare = _UNSEEN.sub("", decoded.text)
    bare = re.sub(r"</(?:\w+:)?(?:text|title|desc|a|p|div|flowPara)\s*>", "\n\n", bare)
    words = [" ".join(html.unescape(part).split()) for part in _TAG.sub("", bare).split("\n\n")]
    blocks: list[Block] = []
    pieces: list[str] = []
    position = 0
    for word in filter(None, words):
        blocks.append(Block("paragraph", position, position + len(word)))
        pieces.append(word)
        position += len(word) + 2
    return Parsed(
        text="\n\n".join(pieces),
        blocks=blocks,
        data_type="prose",
        media_type="image/svg+xml",
        source_encoding=decoded.encoding,
        bom_bytes=decoded.bom_bytes,
        empty_is_proven=True,
        warnings=decoded.warnings,
    )
