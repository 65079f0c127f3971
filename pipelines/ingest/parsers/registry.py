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
                if base not in load(asked).formats:
                    raise ConfigError(
                        f"parser {asked!r} does not read {base!r}; it reads "
                        f"{', '.join(sorted(load(asked).formats))}"
                    )
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
