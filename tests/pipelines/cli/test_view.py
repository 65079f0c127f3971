from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli_tools import LEAVE, answer, chunks_of, run


def test_the_chunks_are_those_of_transform(made: Path, config: Path) -> None:
    value = answer("view", config, "hr/leave.md")
    (shown,) = value["strategies"].values()
    stored = [(row["start"], row["end"], row["token_count"]) for row in chunks_of(made, "leave.md")]
    assert [(c["start"], c["end"], c["tokens"]) for c in shown["chunks"]] == sorted(stored)
    assert value["characters"] == len(LEAVE)


def test_as_text_every_word_and_where_chunks_begin(config: Path) -> None:
    result = run("view", config, "people.csv", "--text")
    assert result.exit_code == 0, result.output
    assert "\u25031 \xb7 " in result.output
    assert "Larkmoor" in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize(("terminal", "dark"), [("15;0", True), ("0;15", False)])
def test_text_in_colour_is_readable_on_any_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: str, dark: bool
) -> None:
    from pipelines.cli.view import _tinted

    monkeypatch.setenv("COLORFGBG", terminal)
    for number in range(6):
        (line, empty, _) = _tinted("some words\n\nmore", number, False).split("\n")
        assert empty == ""
        ink, tint = (int(c) for c in re.findall(r"[34]8;5;(\d+)", line))
        assert (ink, tint < 100) == ((255, True) if dark else (16, False))


def test_a_page_of_a_file_that_was_not_ingested(config: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "new <b>.md"
    hostile.write_text("# A <script>alert(1)</script>\n\nSome\x07 text.\n")
    page = tmp_path / "page.html"
    result = run("view", config, hostile, "--output", page)
    assert result.exit_code == 0, result.output
    text = page.read_text("utf-8")
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "\x07" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.md"], "neither a document"),
        (["hr/leave.md", "--strategy", "defualt"], "default"),
        (["hr/leave.md", "--output", "/nowhere/page.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_shown_is_said(config: Path, arguments: list[str], says: str) -> None:
    value = answer("view", config, *arguments, code=2)
    assert says in value["error"]["message"]
