"""Choice of the scanner for a format, and the promise that its blocks describe the text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import cast

from chunkers.blocks.common import paragraphs
from lineage import Block, check_blocks

Scanner = Callable[[str], list[Block]]

_SCANNERS = {
    "text": "text:scan_text",
    "rst": "rst:scan_rst",
    "bib": "text:scan_text",
    "org": "org:scan_org",
    "markdown": "markdown:scan_markdown",
    "csv": "delimited:scan_csv",
    "tsv": "delimited:scan_tsv",
    "json": "json:scan_json",
    "jsonl": "json:scan_jsonl",
    "xml": "xml:scan_xml",
    "yaml": "yaml:scan_yaml",
    "log": "log:scan_log",
    "transcript": "transcript:scan_transcript",
}

FORMATS = (*_SCANNERS, "code")
"""What `scan` knows; `code` takes a language behind a colon, as in `code:python`."""


def scan(text: str, format: str) -> list[Block]:
    """The blocks of `text`, in pre-order.

    Args:
        text: any string; offsets count its code points.
        format: one of `FORMATS`. An unknown one is read as plain text, an unknown language as
            code without definitions.

    Returns:
        Blocks that pass `lineage.check_blocks`: ordered, nested, covering all characters that
        are not whitespace.
    """
    base, _, language = format.partition(":")
    if base == "code":
        code = cast(Callable[[str, str], list[Block]], _load("code:scan_code"))
        blocks = code(text, language)
    else:
        blocks = cast(Scanner, _load(_SCANNERS.get(base, _SCANNERS["text"])))(text)
    return checked(text, blocks)


def checked(text: str, blocks: list[Block]) -> list[Block]:
    """`blocks` if they describe `text`, otherwise its paragraphs.

    Formats are scanned by several libraries; should one of them ever place a block wrongly, the
    document keeps its text and loses only the finer structure.
    """
    return blocks if check_blocks(text, blocks) is None else paragraphs(text)


@cache
def _load(target: str) -> object:
    module, _, function = target.partition(":")
    return getattr(import_module(f"chunkers.blocks.{module}"), function)
