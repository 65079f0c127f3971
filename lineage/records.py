"""The records that cross the walls between stages.

All are frozen. Offsets are Unicode code points, half-open, into the document's `text`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from datetime import datetime
from typing import Any, Literal, cast

from lineage.acl import Acl

DocumentOp = Literal["upsert", "acl", "touch", "delete", "reject"]
HeaderOp = Literal["upsert", "acl", "delete", "reject"]

BLOCK_KINDS = (
    "heading", "paragraph", "list", "list_item", "table", "table_row", "code", "quote", "formula",
    "page_break", "slide", "message", "header", "footer", "caption", "footnote", "figure",
    "front_matter", "markup", "definition", "comment", "record", "turn", "sheet", "attachment",
)  # fmt: skip
_KINDS = frozenset(BLOCK_KINDS)

TRANSIENT_CLASSES = frozenset({"transient_io", "changed_during_read", "missing_dependency"})
"""Reject classes that keep the last good content and are tried again on every run."""

REJECT_CLASSES = frozenset(
    {
        "unsupported", "mismatched_type", "encrypted", "malformed", "limit_size", "limit_ratio",
        "limit_depth", "limit_pages", "limit_elements", "timeout", "memory", "crash",
        "empty_suspect", "not_found", "span_violation", "cap_violation", "chunker_error",
    }
) | TRANSIENT_CLASSES  # fmt: skip
"""The closed set of reasons for which a document is rejected."""


@dataclass(frozen=True, slots=True)
class Block:
    """A structural part of a document's text: `text[start:end]`.

    Blocks are ordered by (start, -end), properly nested, and their union covers every
    non-whitespace character of the text.
    """

    kind: str
    """One of `BLOCK_KINDS`."""
    start: int
    end: int
    level: int | None = None
    """Heading rank from 1; nesting depth from 1 for lists and quotes; definition depth in code."""
    page: int | None = None
    """Page, slide or sheet, from 1."""
    bbox: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom on the page, in points from the top left corner."""
    locator: str | None = None
    """Where in the source's own terms: `Sheet1!A1:C9`, `slide 3`, an XPath, a definition's name,
    a code block's language."""


_Draft = make_dataclass(
    "_Draft", [field.name for field in fields(Block)], slots=True, eq=False, repr=False
)


def new_block(
    kind: str, start: int, end: int, level: int | None = None, locator: str | None = None
) -> Block:
    """A block outside of pages, for scanners, which make ten thousand for a megabyte.

    A frozen dataclass sets its fields one by one through `object.__setattr__`, which takes three
    times as long as to fill in a draft with the same slots and to declare it a block.
    """
    draft = _Draft(kind, start, end, level, None, None, locator)
    draft.__class__ = Block
    return cast(Block, draft)


@dataclass(frozen=True, slots=True)
class ParserInfo:
    """Which parser made a document's text, exactly."""

    name: str
    version: str
    options_hash: str = ""

    @property
    def fingerprint(self) -> str:
        """One string that changes when the parser, its version or its options do."""
        return f"{self.name}@{self.version}#{self.options_hash}"


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a document was rejected."""

    stage: str
    error_class: str
    """One of `REJECT_CLASSES`."""
    message: str
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A document at one commit of the documents table.

    Only `text` is needed to chunk it; the rest is what the pipeline knows about it.
    """

    text: str = ""
    blocks: Sequence[Block] = ()
    document_id: str = ""
    pipeline: str = ""
    source: str = ""
    source_uri: str = ""
    seq: int = 0
    content_seq: int | None = None
    """The `seq` of the row that holds the current text; null when there is none."""
    op: DocumentOp = "upsert"
    source_version: str = ""
    content_sha256: str | None = None
    size_bytes: int | None = None
    source_modified_at: datetime | None = None
    media_type: str | None = None
    data_type: str = "prose"
    language: str | None = None
    """ISO 639-1 code, or null when unsure. For source code, see `media_type` and block locators."""
    title: str | None = None
    text_is_source: bool = True
    source_encoding: str | None = None
    bom_bytes: int = 0
    acl: Acl = field(default_factory=Acl)
    acl_as_of: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    parser: ParserInfo | None = None
    warnings: Sequence[str] = ()
    """What the parser could not read as it stands: damage it repaired, parts it left out."""
    error: ErrorInfo | None = None
    run_id: str = ""
    written_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """Label-free quality figures, each from 0 to 1; null where it does not apply.

    On a chunk row they are the chunk's own, on a header row the document's.
    """

    size_compliance: float | None = None
    coverage: float | None = None
    boundary_cleanliness: float | None = None
    block_integrity: float | None = None
    redundancy: float | None = None
    cohesion: float | None = None
    separation: float | None = None
    dangling_references: float | None = None
    context_overhead: float | None = None


@dataclass(frozen=True, slots=True)
class ChunkLineage:
    """Where a chunk came from and what made it."""

    source_uri: str
    source_version: str
    content_sha256: str | None
    document_seq: int
    """The row of the documents table that this answers to."""
    content_seq: int | None
    parser: ParserInfo | None
    chunker: str | None
    chunker_version: str | None
    rule: str | None
    parameters_hash: str | None
    encoding: str | None
    ingest_run_id: str
    transform_run_id: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk: `document.text[start:end] == text`, readable by whom `acl` permits.

    What is embedded and counted is `embedded_text`, in the tokens of `lineage.encoding`.
    """

    chunk_id: str
    document_id: str
    ordinal: int
    start: int
    end: int
    text: str
    context: str
    token_count: int
    max_tokens: int
    level: int = 0
    granularity: str = ""
    parent_chunk_id: str | None = None
    overlap_chars: int = 0
    """Leading code points of `text` that repeat the end of the chunk before it."""
    heading_path: tuple[str, ...] = ()
    page_first: int | None = None
    page_last: int | None = None
    data_type: str = "prose"
    seq: int = 0
    op: str = "chunk"
    acl: Acl = field(default_factory=Acl)
    labels: Mapping[str, str] = field(default_factory=dict)
    lineage: ChunkLineage | None = None
    quality: Quality | None = None

    @property
    def embedded_text(self) -> str:
        """`context`, a blank line, `text`; just `text` when there is no context."""
        return embedded_text(self.context, self.text)


def embedded_text(context: str, text: str) -> str:
    """What is embedded and counted for a chunk."""
    return f"{context}\n\n{text}" if context else text


def uncovered(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The stretches of `text` outside all `spans` that hold a non-whitespace character.

    Spans are (start, end) in any order and may overlap. Each stretch is trimmed to its
    non-whitespace characters.
    """
    position = 0
    for start, end in [*sorted(spans), (len(text), len(text))]:
        if start > position:
            gap = text[position:start]
            bare = gap.strip()
            if bare:
                left = position + len(gap) - len(gap.lstrip())
                yield left, left + len(bare)
        position = max(position, end)


def check_blocks(text: str, blocks: Sequence[Block]) -> str | None:
    """What is wrong with `blocks` as a description of `text`, or null when nothing is.

    Checks the order by (start, -end), the nesting, the bounds, the kinds and the coverage.
    """
    open_ends: list[int] = []
    last_start, last_end = -1, 0
    top: list[tuple[int, int]] = []
    length = len(text)
    for block in blocks:
        start, end = block.start, block.end
        if block.kind not in _KINDS:
            return f"{_where(block)} is of an unknown kind"
        if not 0 <= start <= end <= length:
            return f"{_where(block)} is outside the text of {length} characters"
        if start < last_start or (start == last_start and end > last_end):
            return f"{_where(block)} is out of order"
        last_start, last_end = start, end
        while open_ends and open_ends[-1] <= start:
            open_ends.pop()
        if not open_ends:
            top.append((start, end))
        elif end > open_ends[-1]:
            return f"{_where(block)} crosses the end of the block around it at {open_ends[-1]}"
        open_ends.append(end)
    for start, end in uncovered(text, top):
        return f"characters [{start}:{end}] are in no block: {text[start : start + 60]!r}"
    return None


def _where(block: Block) -> str:
    return f"{block.kind} block [{block.start}:{block.end}]"


def record_dict(record: Any) -> dict[str, Any]:
    """A record as nested plain values, for JSON and for Arrow."""
    if isinstance(record, Acl):
        return record.as_dict()
    return {name: _plain(getattr(record, name)) for name in record.__dataclass_fields__}


_SCALARS = frozenset({str, int, float, bool, type(None)})


def _plain(value: Any) -> Any:
    if type(value) in _SCALARS:  # nearly all are, and abstract classes are slow to ask
        return value
    if hasattr(value, "__dataclass_fields__"):
        return record_dict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
