"""Jupyter notebooks: cells as text, Markdown cells with their blocks, outputs as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from chunkers.blocks import scan
from lineage import Block
from pipelines.ingest.parsers.base import Parsed, ParseError
from pipelines.ingest.parsers.decode import decode
from pipelines.ingest.parsers.source import heading_title, limits_of

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_UNSTORABLE = re.compile("[\ud800-\udfff]")


class NotebookParser:
    """Notebooks of formats 3 and 4."""

    name = "notebook"
    version = "1"
    formats = frozenset({"notebook"})

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Text of the cells in order, a blank line between them.

        Code cells are `code` blocks with the notebook's language as locator, outputs are
        `record` blocks with the locator `output N`; `page` is the cell's number. Images and
        other outputs without text are left out.

        Raises:
            ParseError: `malformed` when it is no notebook, `limit_depth`, `limit_size`.
        """
        limits = limits_of(options)
        decoded = decode(data)
        try:
            notebook = json.loads(decoded.text, strict=False)
        except RecursionError as error:
            raise ParseError("limit_depth", "the notebook's JSON is nested too deeply") from error
        except ValueError as error:
            raise ParseError("malformed", f"the notebook is no JSON: {error}") from error
        cells = _cells(notebook)
        metadata = notebook.get("metadata") or {}
        language = _language(metadata)
        pieces: list[str] = []
        blocks: list[Block] = []
        position = 0
        for kind, page, content in _contents(cells):
            text = _clean(content)
            if not text:
                continue
            blocks += _blocks(kind, page, text, position, language)
            pieces.append(text)
            position += len(text) + 2
            if position > limits.max_chars:
                raise ParseError(
                    "limit_size", f"more than {limits.max_chars:,} characters; see max_chars"
                )
        text = "\n\n".join(pieces)
        title = metadata.get("title")
        return Parsed(
            text=text,
            blocks=blocks,
            data_type="notebook",
            media_type="application/x-ipynb+json",
            title=title if isinstance(title, str) and title else heading_title(text, blocks),
            source_encoding=decoded.encoding,
            bom_bytes=decoded.bom_bytes,
            empty_is_proven=all(not _join(cell.get("source")).strip() for cell in cells),
            warnings=decoded.warnings,
        )


def _cells(notebook: Any) -> list[dict[str, Any]]:
    if isinstance(notebook, dict):
        cells = notebook.get("cells")
        if cells is None and isinstance(notebook.get("worksheets"), list):
            cells = [
                cell
                for sheet in notebook["worksheets"]
                if isinstance(sheet, dict)
                for cell in sheet.get("cells") or ()
            ]
        if isinstance(cells, list) and all(isinstance(cell, dict) for cell in cells):
            return cells
    raise ParseError("malformed", "a notebook without a list of cells")


def _language(metadata: Any) -> str:
    for key, name in (("kernelspec", "language"), ("language_info", "name")):
        found = metadata.get(key) if isinstance(metadata, dict) else None
        if isinstance(found, dict) and isinstance(found.get(name), str) and found[name]:
            return str(found[name]).lower()
    return "python"


def _contents(cells: list[dict[str, Any]]) -> Iterator[tuple[str, int, str]]:
    for number, cell in enumerate(cells, start=1):
        kind = cell.get("cell_type")
        yield str(kind), number, _join(cell.get("source") or cell.get("input"))
        outputs = cell.get("outputs")
        if not isinstance(outputs, list):
            continue
        for output in outputs:
            if isinstance(output, dict):
                yield "output", number, _output(output)


def _output(output: Mapping[str, Any]) -> str:
    if output.get("traceback"):
        lines = output["traceback"]
        return _ANSI.sub("", "\n".join(map(str, lines)) if isinstance(lines, list) else str(lines))
    data = output.get("data")
    if isinstance(data, dict):
        for media_type in ("text/markdown", "text/plain", "text/latex"):
            if data.get(media_type):
                return _ANSI.sub("", _join(data[media_type]))
        return ""
    return _ANSI.sub("", _join(output.get("text")))


def _join(source: Any) -> str:
    """A cell's source: a string, or a list of lines that keep their ends."""
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def _clean(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text.replace("\0", "")).strip("\r\n")


def _blocks(kind: str, page: int, text: str, position: int, language: str) -> list[Block]:
    if not text.strip():
        return []
    end = position + len(text)
    if kind == "code":
        return [Block("code", position, end, None, page, None, language)]
    if kind == "output":
        return [Block("record", position, end, None, page, None, f"output {page}")]
    return [
        replace(block, start=block.start + position, end=block.end + position, page=page)
        for block in scan(text, "markdown" if kind in ("markdown", "heading") else "text")
    ]
