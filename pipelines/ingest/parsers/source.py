"""What parsers share whose text is the decoded source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lineage import Block
from pipelines.ingest.detect_names import media_type_of
from pipelines.ingest.parsers.base import Limits, Parsed
from pipelines.ingest.parsers.decode import Decoded

_MERGED_CHARS = 2_000
_TITLE_CHARS = 300
_RAW_TITLE_CHARS = 3_000
_MARKS = re.compile(r"^\s*(?:[#=*]+\s+|<[^>]{1,200}>\s*)*|(?:\s+[#=]+)?\s*$")
_UNDERLINE = re.compile(r"""([=\-~^"*+#])\1{2,}\s*""")
_LINKS = re.compile(
    r"!?\[([^\]\[]{0,200})\](?:\([^()\s]{0,500}(?:\s+\"[^\"]{0,200}\")?\)|\[[^\]]{0,200}\])"
)

_ROLES = re.compile(r":[A-Za-z][\w:+.-]{0,60}:`([^`]{1,200})`")


def limits_of(options: Mapping[str, Any]) -> Limits:
    """The limits among a parser's options, or the usual ones."""
    found = options.get("limits")
    return found if isinstance(found, Limits) else Limits()


def source_parsed(
    decoded: Decoded,
    blocks: Sequence[Block],
    *,
    format: str,
    data_type: str,
    limits: Limits,
    title: str | None = None,
    warnings: Sequence[str] = (),
) -> Parsed:
    """A document whose canonical text is its source.

    A text with more blocks than the limit keeps the outer ones, joined where they are short:
    nothing of the text is lost by it.
    """
    notes = [*decoded.warnings, *warnings]
    if len(blocks) > limits.max_blocks:
        count = len(blocks)
        blocks = coarse(blocks, limits.max_blocks)
        notes.append(f"{count:,} blocks joined to {len(blocks):,}; the limit is max_blocks")
    return Parsed(
        text=decoded.text,
        blocks=blocks,
        data_type=data_type,
        media_type=media_type_of(format),
        title=title,
        text_is_source=decoded.exact,
        source_encoding=decoded.encoding,
        bom_bytes=decoded.bom_bytes,
        empty_is_proven=not decoded.text.strip(),
        warnings=tuple(notes),
    )


def coarse(blocks: Sequence[Block], most: int) -> list[Block]:
    """At most `most` blocks that cover what `blocks` cover, in the same order."""
    size = _MERGED_CHARS
    found = [block for block in blocks if block.level is None or block.kind == "heading"]
    while True:
        out: list[Block] = []
        end = -1
        for block in found:
            if block.start < end and not (block.end <= end and block.kind == "table_row"):
                continue
            last = out[-1] if out else None
            if (
                last is not None
                and last.kind == block.kind
                and block.kind not in ("heading", "table")
                and last.locator != "header"
                and block.start >= last.end
                and block.end - last.start <= size
            ):
                out[-1] = Block(
                    last.kind, last.start, block.end, last.level, last.page, None, last.locator
                )
            else:
                out.append(block)
            end = max(end, block.end)
        if len(out) <= most:
            return out
        if size > 1 << 30:
            return [Block("paragraph", out[0].start, end)]
        size *= 4


def heading_title(text: str, blocks: Sequence[Block]) -> str | None:
    """The text of the first heading of the highest rank near the beginning."""
    headings = [block for block in blocks[:40] if block.kind == "heading"][:5]
    if not headings:
        return None
    best = min(headings, key=lambda block: (block.level or 1, block.start))
    return clean_title(text[best.start : best.end])


def clean_title(raw: str) -> str | None:
    """A heading's text on one line, without its marks and links."""
    rows = [row for row in raw.splitlines() if row.strip() and not _UNDERLINE.fullmatch(row)]
    # Runs of spaces first: the patterns below look at each of their characters anew.
    title = " ".join(" ".join(rows).split())[:_RAW_TITLE_CHARS]
    title = " ".join(_MARKS.sub("", title).split())
    title = _ROLES.sub(r"\1", _LINKS.sub(r"\1", title)).strip()
    for mark in ("**", "__", "*", "_", "`"):
        inner = title[len(mark) : -len(mark)]
        if title.startswith(mark) and title.endswith(mark) and inner and mark not in inner:
            title = inner
    return title[:_TITLE_CHARS] or None
