"""What `show` prints, and what a notebook gets."""

from __future__ import annotations

import io
import re
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from rich.cells import cell_len

import chunkers
from chunkers import chunk, show
from chunkers.display import ChunkView, visible
from lineage import ConfigError

PROSE = "Every sentence of this paragraph is about as long as the last one was. "
TEXT = "# Guide\n\n" + "".join(f"## Part {i}\n\n{(PROSE * 3 + chr(10) * 2) * 2}" for i in range(3))
TREE = {"parents": [{"granularity": "large", "target_tokens": 200}]}


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(*args: object, terminal: bool = False, **parameters: object) -> str:
    file = Terminal() if terminal else io.StringIO()
    show(*args, file=file, **parameters)  # type: ignore[arg-type]
    return file.getvalue()


def test_every_chunk_is_there_with_its_span_size_and_context() -> None:
    out = shown(TEXT, "structure", max_tokens=90)
    pieces = chunk(TEXT, "structure", max_tokens=90)
    assert out.startswith(f"{len(pieces)} chunks of ")
    for number, piece in enumerate(pieces, start=1):
        assert f"| {number}  {piece.tokens} tokens  [{piece.start}:{piece.end}]" in out
    assert "| context: Guide > Part 2\n" in out
    assert "\x1b" not in out
    words = re.sub(r"[|\s]+", " ", out)
    assert re.sub(r"\s+", " ", PROSE * 3).strip() in words


def test_colour_on_a_terminal_and_none_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = shown(TEXT, "structure", max_tokens=90, terminal=True, width=80)
    assert "\x1b[" in coloured
    assert "\u258c" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown(TEXT, "structure", max_tokens=90, terminal=True, width=80)
    assert "\x1b" not in plain
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in shown(TEXT, "structure", max_tokens=90, terminal=True, width=80)


@pytest.mark.parametrize("width", [24, 33, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = f"{TEXT}\n\n{'没有空格的句子' * 30}\n\n{'longword' * 40}\n\n\tindented\n"
    for parameters in ({}, {"overlap_tokens": 12}):
        out = shown(text, "optimal", max_tokens=90, width=width, **parameters)
        assert max(cell_len(line) for line in out.splitlines()) <= width
    out = shown(TEXT, "hierarchical", max_tokens=60, width=width, **TREE)
    assert max(cell_len(line) for line in out.splitlines()) <= width


def test_what_is_repeated_is_marked() -> None:
    out = shown(PROSE * 20, "sentence", max_tokens=90, overlap_tokens=20, width=200)
    assert f"[{PROSE.strip()}]" in out.replace(" ]", "]")


def test_larger_chunks_are_around_the_smaller() -> None:
    out = shown(TEXT, "hierarchical", max_tokens=60, **TREE)
    assert re.search(r"^\| large 1 ", out, re.MULTILINE)
    assert re.search(r"^\| \| small 1 ", out, re.MULTILINE)
    assert "larger ones" in out


def test_only_the_first_are_shown_and_it_says_so() -> None:
    out = shown(TEXT, "structure", max_tokens=60, limit=2)
    assert "the first 2 are shown" in out
    assert len(re.findall(r"^\| \d+  ", out, re.MULTILINE)) == 2


def test_a_text_cannot_act_on_the_terminal_or_the_page() -> None:
    nasty = "a\x1b[31m b\x07 c\u202e d <script>alert(1)</script> &amp; <b>x</b>\rnew"
    out = shown(nasty, "fixed", max_tokens=60)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", out)
    assert "\u241b[31m" in out
    html = ChunkView(chunk(nasty, "fixed", max_tokens=60), 60).html()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;amp; &lt;b&gt;" in html


def test_white_space_alone() -> None:
    assert shown(" \n ", "optimal") == "no chunks: there is nothing but white space\n"


class Boxes(HTMLParser):
    """Checks that tags are closed in order, and collects the text of the boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        if tag == "pre":
            self.texts.append("")
        self.inside = self.inside or tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.inside = self.inside and tag != "pre"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[-1] += data


def test_html_holds_the_chunks_whole_and_is_self_contained() -> None:
    for name, parameters in (("optimal", {"overlap_tokens": 12}), ("hierarchical", TREE)):
        pieces = chunk(TEXT, name, max_tokens=70, **parameters)
        html = ChunkView(pieces, 70)._repr_html_()
        boxes = Boxes()
        boxes.feed(html)
        assert boxes.open == []
        assert boxes.texts == [piece.text for piece in pieces if piece.level == 0]
        assert not re.search(r"https?:|src=|@import|url\(", html)
        assert "prefers-color-scheme:dark" in html


def test_a_notebook_gets_html(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[ChunkView] = []
    display = SimpleNamespace(display=got.append)
    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    show(TEXT, "structure", max_tokens=90)
    assert "gristmill-chunks" in got[0]._repr_html_()


def test_ipython_in_a_terminal_gets_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    show(TEXT, "structure", max_tokens=90)
    assert "| 1  " in capsys.readouterr().out


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'optimal'"):
        show(TEXT, "optimla")
    assert chunkers.show is show


def test_line_ends_and_controls_become_visible() -> None:
    assert visible("a\r\nb\rc\x00\x7f\x9b") == "a\nb\nc\u2400\u2421\ufffd"
