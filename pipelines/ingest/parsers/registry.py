"""Which parser reads which format. Importing this imports no parser.

A parser of another distribution joins by an entry point of group `gristmill.parsers` whose name
is the parser's and whose value is its class; it is used for the formats a source asks it for.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from chunkers.suggest import unknown
from lineage import ConfigError, MissingExtra, ParserInfo
from pipelines.ingest.parsers.base import ParseError, Parser

GROUP = "gristmill.parsers"
_PACKAGE = "pipelines.ingest.parsers"

# Parser name → ("module:Class", formats). Where two know a format, DEFAULTS says which is used.
BUILT_IN: dict[str, tuple[str, tuple[str, ...]]] = {
    "text": ("text:TextParser", ("text", "org", "rst", "bib")),
    "markdown": ("markdown:MarkdownParser", ("markdown",)),
    "code": ("code:CodeParser", ("code",)),
    "delimited": ("delimited:DelimitedParser", ("csv", "tsv")),
    "json": ("json:JsonParser", ("json", "jsonl")),
    "xml": ("xml:XmlParser", ("xml",)),
    "yaml": ("yaml:YamlParser", ("yaml",)),
    "notebook": ("notebook:NotebookParser", ("notebook",)),
    "log": ("log:LogParser", ("log",)),
    "transcript": ("transcript:TranscriptParser", ("vtt", "srt")),
    "html": ("html:HtmlParser", ("html",)),
    "pdf": ("pdf:PdfParser", ("pdf",)),
    "docx": ("docx:DocxParser", ("docx",)),
    "pptx": ("pptx:PptxParser", ("pptx",)),
    "spreadsheet": ("xlsx:SpreadsheetParser", ("xlsx", "xls", "ods")),
    "odf": ("odf:OdfParser", ("odt", "odp")),
    "rtf": ("rtf:RtfParser", ("rtf",)),
    "epub": ("epub:EpubParser", ("epub",)),
    "mail": ("mail:MailParser", ("eml", "mbox")),
    "msg": ("msg:MsgParser", ("msg",)),
    "unstructured": (
        "unstructured:UnstructuredParser",
        (
            "doc", "ppt", "text", "markdown", "html", "pdf", "docx", "pptx", "xlsx", "xls", "odt",
            "rtf", "epub", "eml", "msg", "csv", "tsv", "xml", "org", "rst", "json", "jsonl",
        ),
    ),
}  # fmt: skip


def family(format: str) -> str:
    """A format without its variant: `code:python` is `code`."""
    return format.partition(":")[0]


def _defaults() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, (_, formats) in BUILT_IN.items():
        for format in formats:
            found.setdefault(format, name)
    return found


DEFAULTS: Mapping[str, str] = _defaults()
"""Format → name of the parser used unless a source asks for another."""


def registry() -> dict[str, tuple[str, ...]]:
    """Names of the parsers of each format, the default one first."""
    found: dict[str, list[str]] = {}
    for name, (_, formats) in BUILT_IN.items():
        for format in formats:
            found.setdefault(format, []).append(name)
    for entry in entry_points(group=GROUP):
        if entry.name not in BUILT_IN:
            for format in sorted(load(entry.name).formats):
                found.setdefault(format, []).append(entry.name)
    return {format: tuple(names) for format, names in sorted(found.items())}


@functools.cache
def load(name: str) -> Parser:
    """The parser called `name`, its module imported on first use.

    Raises:
        ConfigError: no parser has that name; the message lists those that exist.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name][0].partition(":")
        return cast(Parser, getattr(import_module(f"{_PACKAGE}.{module}"), attribute)())
    for entry in entry_points(group=GROUP, name=name):
        return cast(Parser, entry.load()())
    known = sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))})
    raise ConfigError(f"no parser is called {name!r}; known are {', '.join(known)}")


def check_choice(choice: Mapping[str, str] | str) -> None:
    """Make sure that a source's choice of parsers can be met, before any document is read.

    Raises:
        ConfigError: it names a parser or a format that does not exist, or a parser for a format
            that it does not read.
    """
    if isinstance(choice, str):
        if choice not in BUILT_IN:
            load(choice)
        return
    for format, name in choice.items():
        if family(format) not in DEFAULTS and family(format) not in registry():
            raise ConfigError(unknown("format", format, sorted(registry())))
        _check_reads(name, family(format))


def _check_reads(name: str, format: str) -> None:
    formats = BUILT_IN[name][1] if name in BUILT_IN else load(name).formats
    if format not in formats:
        raise ConfigError(
            f"parser {name!r} does not read {format!r}; it reads {', '.join(sorted(formats))}"
        )


def choose(format: str, choice: Mapping[str, str] | str | None = None) -> Parser:
    """The parser for `format`.

    Args:
        format: a format as `detect` gives it.
        choice: a parser's name, used for every format it knows, or a mapping of formats (with or
            without their variant) to names; anything else takes the default.

    Raises:
        ConfigError: `choice` names a parser that does not exist, or one for a format it does not
            know.
        ParseError: `unsupported` when no parser knows the format; `missing_dependency` when the
            parser's library is not installed.
    """
    base = family(format)
    name = DEFAULTS.get(base)
    try:
        if isinstance(choice, str):
            if choice in BUILT_IN:
                formats: frozenset[str] | tuple[str, ...] = BUILT_IN[choice][1]
            else:
                formats = load(choice).formats
            name = choice if base in formats else name
        elif choice:
            asked = choice.get(format) or choice.get(base)
            if asked is not None:
                _check_reads(asked, base)
                name = asked
        if name is None:
            raise ParseError("unsupported", f"no parser reads the format {format!r}")
        return load(name)
    except (MissingExtra, ModuleNotFoundError) as error:
        raise ParseError("missing_dependency", str(error)) from error


def fingerprint(format: str, choice: Mapping[str, str] | str | None = None) -> ParserInfo:
    """Which parser would read `format`, exactly, without parsing anything.

    Raises:
        ConfigError, ParseError: as `choose`.
    """
    return info(choose(format, choice))


@functools.cache
def info(parser: Parser) -> ParserInfo:
    """A parser's name and version as documents carry them.

    Raises:
        ParseError: `missing_dependency` when its library, whose version counts, is not installed.
    """
    try:
        return ParserInfo(parser.name, parser.version)
    except ModuleNotFoundError as error:  # PackageNotFoundError is one
        raise ParseError(
            "missing_dependency",
            f"parser {parser.name!r} needs {error.name or error}, which is not installed; "
            "run `gristmill doctor` to see which extra brings it",
        ) from error
