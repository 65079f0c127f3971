"""What every parser takes and gives: bytes in, text and blocks out, or a classified error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lineage import REJECT_CLASSES, Block, ParserInfo


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's canonical text and its structure."""

    text: str
    """Without NUL and without lone surrogates."""
    blocks: Sequence[Block]
    data_type: str
    """The class that chunking routes on: `prose`, `markdown`, `code`, `table`, …"""
    media_type: str
    title: str | None = None
    language: str | None = None
    """ISO 639-1 code of the natural language, or null when unsure."""
    text_is_source: bool = False
    """Whether `text` is the decoded source, character for character."""
    source_encoding: str | None = None
    """Python's name of the encoding, for text formats."""
    bom_bytes: int = 0
    empty_is_proven: bool = False
    """Whether an empty `text` is known to be all that the source holds."""
    warnings: tuple[str, ...] = ()


class ParseError(Exception):
    """A document that cannot be parsed, and the class it is rejected with.

    Raises:
        ValueError: `error_class` is not one of `lineage.REJECT_CLASSES`.
    """

    def __init__(self, error_class: str, message: str, parser: ParserInfo | None = None) -> None:
        if error_class not in REJECT_CLASSES:
            raise ValueError(
                f"{error_class!r} is no reject class; known are {', '.join(sorted(REJECT_CLASSES))}"
            )
        super().__init__(error_class, message)
        self.error_class = error_class
        self.message = message
        self.parser = parser
        """Which parser refused, once one was chosen."""

    def __reduce__(self) -> tuple[type[ParseError], tuple[str, str, ParserInfo | None]]:
        # `parser` is often filled in later, and has to survive pickling between processes too.
        return type(self), (self.error_class, self.message, self.parser)

    def __str__(self) -> str:
        return f"{self.error_class}: {self.message}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one document may cost; above them it is rejected, never cut."""

    max_bytes: int = 100 << 20
    """Size of the source."""
    max_expanded_bytes: int = 500 << 20
    """Sum of an archive's members, or of a stream, once decompressed."""
    max_ratio: int = 100
    """Decompressed to compressed bytes of one archive member."""
    max_members: int = 10_000
    """Members of an archive."""
    max_pages: int = 5_000
    max_blocks: int = 200_000
    max_chars: int = 20_000_000
    """Code points of the extracted text, for formats whose text is not the source."""
    max_depth: int = 1_000
    """Nesting of arrays, objects and elements in JSON and XML."""
    seconds: float = 60
    """Wall-clock time, kept by the process pool."""
    memory_bytes: int = 2 << 30
    """Address space of a parse process, kept by the process pool."""


@runtime_checkable
class Parser(Protocol):
    """Turns the bytes of some formats into text and blocks. Built once, without arguments."""

    name: str
    formats: frozenset[str]

    def __hash__(self) -> int:
        """By identity, as objects are: a parser is asked for its version once."""

    @property
    def version(self) -> str:
        """Changes whenever the output may: this parser's own revision and its library's version."""

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse one document.

        Args:
            data: the source's bytes.
            name: the source's key, for messages and for hints from its suffix; never opened.
            format: what `detect` found, one of `formats`.
            options: `limits`, a `Limits`; a parser may know more.

        Raises:
            ParseError: the document is broken, encrypted, unsupported or above a limit.
        """
