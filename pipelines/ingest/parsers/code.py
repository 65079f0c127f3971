"""Source code as it is, with its definitions as blocks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from chunkers.blocks import scan
from lineage import fingerprint
from pipelines.ingest.parsers.base import Parsed
from pipelines.ingest.parsers.decode import decode
from pipelines.ingest.parsers.source import limits_of, source_parsed


class CodeParser:
    """Source code of any language; definitions are found in those of `GRAMMARS`."""

    name = "code"
    formats = frozenset({"code"})
    checks_blocks = True

    @cached_property
    def version(self) -> str:
        """Of this parser, of tree-sitter and of the grammars installed, as one hash."""
        from chunkers.blocks.code_languages import GRAMMARS

        grammars: dict[str, str] = {}
        for grammar in GRAMMARS.values():
            package = "tree-sitter-" + grammar.module.partition(":")[0].replace("_", "-")
            try:
                grammars[package] = version(package)
            except PackageNotFoundError:
                grammars[package] = ""
        return f"1+tree-sitter-{version('tree-sitter')}+grammars-{fingerprint(grammars)[:8]}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Decode the source and find its definitions."""
        from chunkers.blocks.code import missing_grammar

        decoded = decode(data)
        missing = missing_grammar(format.partition(":")[2])
        return source_parsed(
            decoded,
            scan(decoded.text, format),
            format=format,
            data_type="code",
            limits=limits_of(options),
            warnings=[missing] if missing else [],
        )
