"""The page of guarantees names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "pipelines"
NAMED = re.compile(r"`(?:([\w/]+\.py)|…)::(test_\w+)`")


def test_every_test_that_the_page_names_exists() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    found = []
    for line in text.splitlines():
        file = ""
        for match in NAMED.finditer(line):
            file = match[1] or file
            path = TESTS / file if (TESTS / file).is_file() else ROOT / "tests" / file
            functions = {
                node.name
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.FunctionDef)
            }
            assert match[2] in functions, f"{file} has no {match[2]}"
            found.append(match[2])
    assert len(found) >= 30
