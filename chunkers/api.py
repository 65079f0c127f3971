"""The face for people: `chunk(text_or_path)`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chunkers.registry import build
from chunkers.suggest import unknown
from chunkers.tokens import TokenMap, count_with_context
from chunkers.vocabularies import DEFAULT_ENCODING
from lineage.errors import ConfigError, TerminalError
from lineage.records import Block, Document, embedded_text

_SHOWN = 60

FORMATS = {
    "": "text", ".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown",
    ".mdx": "markdown", ".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl",
    ".ndjson": "jsonl", ".xml": "xml", ".yaml": "yaml", ".yml": "yaml", ".log": "log",
    ".vtt": "transcript", ".srt": "transcript", ".py": "code:python", ".js": "code:javascript",
    ".ts": "code:typescript", ".tsx": "code:tsx", ".java": "code:java", ".go": "code:go",
    ".rs": "code:rust", ".c": "code:c", ".h": "code:c", ".cc": "code:cpp", ".cpp": "code:cpp",
    ".hpp": "code:cpp", ".cs": "code:csharp", ".rb": "code:ruby", ".php": "code:php",
    ".sh": "code:bash", ".scala": "code:scala", ".kt": "code:kotlin", ".swift": "code:swift",
    ".lua": "code:lua", ".sql": "code:sql",
}  # fmt: skip
"""Formats of files by suffix, for files whose text is their source."""

DATA_TYPES = {
    "prose": "text", "text": "text", "markdown": "markdown", "table": "csv", "csv": "csv",
    "tsv": "tsv", "structured": "json", "json": "json", "jsonl": "jsonl", "xml": "xml",
    "yaml": "yaml", "log": "log", "transcript": "transcript",
}  # fmt: skip
"""The format that `data_type=` stands for."""

_CLASSES = {
    "text": "prose", "markdown": "markdown", "csv": "table", "tsv": "table", "json": "structured",
    "jsonl": "structured", "xml": "structured", "yaml": "structured", "log": "log",
    "transcript": "transcript",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A chunk of a text: `source[start:end] == text`, in code points."""

    text: str
    start: int
    end: int
    tokens: int
    """Tokens of what is embedded: context, a blank line, text."""
    context: str = ""
    heading_path: tuple[str, ...] = ()
    overlap_chars: int = 0
    level: int = 0
    granularity: str = ""
    parent: int | None = None
    """Index of the larger chunk around this one in the returned list."""
    chunker: str = field(default="", compare=False)

    @property
    def embedded_text(self) -> str:
        """What is embedded and counted."""
        return embedded_text(self.context, self.text)

    def __repr__(self) -> str:
        shown = self.text if len(self.text) <= _SHOWN else f"{self.text[: _SHOWN - 1]}\u2026"
        under = f", context={self.context!r}" if self.context else ""
        return f"<chunk [{self.start}:{self.end}] {self.tokens} tokens, {shown!r}{under}>"

    def __str__(self) -> str:
        return self.text


def chunk(
    source: str | Path,
    chunker: str = "optimal",
    *,
    max_tokens: int = 512,
    target_tokens: int | str | Mapping[str, int] | None = None,
    overlap_tokens: int = 0,
    encoding: str = DEFAULT_ENCODING,
    context: bool = True,
    data_type: str | None = None,
    **parameters: Any,
) -> list[TextChunk]:
    """Cuts a text, or the file at a path, into chunks.

    Args:
        source: a `str` is always the text itself. A `Path` is read as bytes, decoded as UTF-8 (a
            byte order mark is dropped), and its newlines are left alone.
        chunker: a name from `chunkers.names()`.
        max_tokens: hard cap on the tokens of a chunk, its context included.
        target_tokens: tokens that a chunk should have; the cap when not given. `auto` fits the
            size to the text (`chunkers.adaptive`).
        overlap_tokens: at most so many tokens of the chunk before are repeated.
        encoding: a tiktoken encoding.
        context: whether chunks carry headings, table headers and signatures as context.
        data_type: `markdown`, `prose`, `table`, `json`, `code:python` …; by the suffix of a path,
            and Markdown for a `str`, when not given.
        parameters: further ones of the chunker.

    Raises:
        ConfigError: a name, a parameter or the data type is not known, or a value is refused.
        TerminalError: the file cannot be read, or is not UTF-8.
    """
    name = source.suffix.lower() if isinstance(source, Path) else ".md"
    text_format = format_of(data_type) if data_type else FORMATS.get(name, "text")
    made = build(
        chunker,
        {
            "target_tokens": target_tokens,
            "overlap_tokens": overlap_tokens,
            "context": context,
            **parameters,
        },
        max_tokens=max_tokens,
    )
    text = read(source) if isinstance(source, Path) else source
    document = Document(
        text=text,
        blocks=scan_blocks(text, text_format) if getattr(made, "reads_blocks", True) else [],
        data_type=_CLASSES.get(text_format, "code"),
    )
    tokens = TokenMap(text, encoding, threads=os.cpu_count() or 1)
    return [
        TextChunk(
            text[span.start : span.end],
            span.start,
            span.end,
            count_with_context(tokens, span),
            span.context,
            span.heading_path,
            span.overlap_chars,
            span.level,
            span.granularity,
            span.parent,
            chunker,
        )
        for span in made.spans(document, tokens)
    ]


def read(path: Path) -> str:
    """The text of a UTF-8 file, newlines untouched, without a byte order mark.

    Raises:
        TerminalError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TerminalError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TerminalError(
            f"{path} is not UTF-8 (byte {error.start}): decode it and give the text, or run the "
            "file through the ingest stage, which detects encodings and parses other formats"
        ) from error


def format_of(data_type: str) -> str:
    """The scanner's format that a data type stands for.

    Raises:
        ConfigError: there is none.
    """
    if data_type.startswith("code:"):
        return data_type
    if data_type not in DATA_TYPES:
        raise ConfigError(unknown("data type", data_type, [*DATA_TYPES, "code:python"]))
    return DATA_TYPES[data_type]


def scan_blocks(text: str, text_format: str) -> list[Block]:
    """The blocks of a text."""
    from chunkers.blocks import scan

    return scan(text, text_format)
