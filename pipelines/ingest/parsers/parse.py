"""One document through detection, parsing and the checks that hold for every parser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from lineage import GristmillError, MissingExtra, ParserInfo, check_blocks

# The module, not the function: `detect` imports this package in its turn.
from pipelines.ingest import detect as detection
from pipelines.ingest.parsers.base import Limits, Parsed, ParseError, Parser
from pipelines.ingest.parsers.language import guess_language
from pipelines.ingest.parsers.registry import choose, info

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_PROSE = frozenset(
    {"prose", "markdown", "html", "pdf", "slides", "email", "transcript", "notebook"}
)


def parse_bytes(
    data: bytes,
    *,
    name: str,
    declared: str | None = None,
    choice: Mapping[str, str] | str | None = None,
    limits: Limits | None = None,
) -> tuple[Parsed, ParserInfo]:
    """Detect what `data` is and parse it.

    Args:
        data: the whole source.
        name: its key, for hints from its suffix and for messages.
        declared: the media type that its store declares.
        choice: see `registry.choose`.
        limits: what the document may cost; time and memory are the process pool's to keep.

    Returns:
        The text with blocks that describe it (`lineage.check_blocks`), and the parser.

    Raises:
        ParseError: with its `parser` set once one was chosen.
        ConfigError: `choice` names a parser that does not exist.
    """
    limits = limits or Limits()
    if len(data) > limits.max_bytes:
        raise ParseError(
            "limit_size",
            f"{len(data):,} bytes; the limit max_bytes is {limits.max_bytes:,}",
        )
    detected = detection.detect(data, name, declared)
    parser = choose(detected.format, choice)
    described = info(parser)
    try:
        parsed = _parse(parser, data, name, detected.format, limits)
        parsed = _finished(parsed, data, getattr(parser, "checks_blocks", False))
    except ParseError as error:
        if error.parser is None:
            error.parser = described
        raise
    return parsed, described


def _parse(parser: Parser, data: bytes, name: str, format: str, limits: Limits) -> Parsed:
    try:
        return parser.parse(data, name=name, format=format, options={"limits": limits})
    except ParseError:
        raise
    except (MissingExtra, ModuleNotFoundError) as error:
        raise ParseError("missing_dependency", str(error)) from error
    except GristmillError:
        raise
    except RecursionError as error:
        raise ParseError("limit_depth", f"nested too deeply for parser {parser.name!r}") from error
    except MemoryError as error:
        raise ParseError("memory", f"parser {parser.name!r} ran out of memory") from error
    except Exception as error:
        # Bytes are untrusted and libraries raise what they like on them.
        raise ParseError(
            "malformed", f"parser {parser.name!r} gave up: {type(error).__name__}: {error}"[:500]
        ) from error


def _is_storable(text: str) -> bool:
    """Whether there is neither NUL nor a surrogate in it; many times as fast as by the pattern."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _finished(parsed: Parsed, data: bytes, blocks_checked: bool) -> Parsed:
    text = parsed.text
    if not _is_storable(text):
        # One for one, so that the blocks' offsets stay right.
        text, count = _UNSTORABLE.subn("\ufffd", text)
        parsed = replace(
            parsed,
            text=text,
            text_is_source=False,
            warnings=(*parsed.warnings, f"{count:,} characters that are no text were replaced"),
        )
    if not blocks_checked:
        problem = check_blocks(text, parsed.blocks)
        if problem is not None:
            raise ParseError("span_violation", problem)
    if not text or text.isspace():
        if data and not parsed.empty_is_proven:
            raise ParseError(
                "empty_suspect",
                f"no text came out of {len(data):,} bytes; the document may hold images only, or "
                "be damaged",
            )
        return replace(parsed, empty_is_proven=True)
    if parsed.language is None and parsed.data_type in _PROSE:
        parsed = replace(parsed, language=guess_language(text))
    return parsed
