"""Definitions of every language are found, and their signatures go with what continues them."""

from __future__ import annotations

import pytest

from chunkers import TokenMap, build, chunk
from chunkers.blocks import scan
from chunkers.blocks.code import _sane
from chunkers.blocks.code_languages import GRAMMARS
from chunkers.conformance import check
from chunkers.signatures import signature
from lineage import Document

# The head, a line of the body and the tail of a method in a class, or of a function where the
# language has no classes; its dotted name; and the context of what continues the body.
SOURCES: dict[str, tuple[str, str, str, str, str]] = {
    "python": (
        "class Stock:\n    '''Goods.'''\n\n    def weigh(self, grams: int) -> int:\n",
        "        total = total + grams * {}\n", "        return total\n",
        "Stock.weigh", "class Stock:\ndef weigh(self, grams: int) -> int:",
    ),
    "javascript": (
        "class Stock {\n  weigh(grams) {\n", "    total = total + grams * {};\n", "  }\n}\n",
        "Stock.weigh", "class Stock {\nweigh(grams) {",
    ),
    "typescript": (
        "export class Stock {\n  weigh(grams: number): number {\n",
        "    this.total = this.total + grams * {};\n", "  }\n}\n",
        "Stock.weigh", "export class Stock {\nweigh(grams: number): number {",
    ),
    "tsx": (
        "class Stock {\n  weigh(grams: number) {\n", "    total = total + grams * {};\n",
        "  }\n}\n", "Stock.weigh", "class Stock {\nweigh(grams: number) {",
    ),
    "java": (
        "/** Goods: all of them. */\npublic class Stock {\n  @Override\n"
        "  public int weigh(int grams) {\n", "    total = total + grams * {};\n", "  }\n}\n",
        "Stock.weigh", "public class Stock {\n@Override public int weigh(int grams) {",
    ),
    "c": (
        "/* Weighs:\n * all. */\nint weigh(int grams)\n{\n", "  total = total + grams * {};\n",
        "}\n", "weigh", "int weigh(int grams) {",
    ),
    "cpp": (
        "template <class T>\nclass Stock {\n public:\n  int weigh(int grams) {\n",
        "    total = total + grams * {};\n", "  }\n};\n",
        "Stock.weigh", "template <class T> class Stock {\nint weigh(int grams) {",
    ),
    "csharp": (
        "public class Stock {\n  public int Weigh(int grams) {\n",
        "    total = total + grams * {};\n", "  }\n}\n",
        "Stock.Weigh", "public class Stock {\npublic int Weigh(int grams) {",
    ),
    "go": (
        "func (s *Stock) Weigh(grams int) int {\n", "\ts.total = s.total + grams * {}\n", "}\n",
        "Stock.Weigh", "func (s *Stock) Weigh(grams int) int {",
    ),
    "rust": (
        "impl Stock {\n    fn weigh(&mut self, grams: u32) -> u32 {\n",
        "        self.total = self.total + grams * {};\n", "    }\n}\n",
        "Stock.weigh", "impl Stock {\nfn weigh(&mut self, grams: u32) -> u32 {",
    ),
    "ruby": (
        "class Stock\n  def weigh(grams)\n", "    @total = @total + grams * {}\n", "  end\nend\n",
        "Stock.weigh", "class Stock\ndef weigh(grams)",
    ),
    "php": (
        "<?php\nclass Stock {\n  public function weigh(int $grams): int {\n",
        "    $this->total = $this->total + $grams * {};\n", "  }\n}\n",
        "Stock.weigh", "class Stock {\npublic function weigh(int $grams): int {",
    ),
    "bash": (
        "weigh() {\n", "  total=$((total + $1 * {}))\n", "}\n", "weigh", "weigh() {",
    ),
    "scala": (
        "class Stock {\n  def weigh(grams: Int): Int = {\n", "    total = total + grams * {}\n",
        "  }\n}\n", "Stock.weigh", "class Stock {\ndef weigh(grams: Int): Int = {",
    ),
    "kotlin": (
        "class Stock {\n  fun weigh(grams: Int): Int {\n", "    total = total + grams * {}\n",
        "  }\n}\n", "Stock.weigh", "class Stock {\nfun weigh(grams: Int): Int {",
    ),
    "swift": (
        "class Stock {\n  func weigh(grams: Int) -> Int {\n", "    total = total + grams * {}\n",
        "  }\n}\n", "Stock.weigh", "class Stock {\nfunc weigh(grams: Int) -> Int {",
    ),
    "lua": (
        "-- Weighs.\nfunction weigh(grams)\n", "  total = total + grams * {}\n", "end\n",
        "weigh", "function weigh(grams)",
    ),
    "julia": (
        "module Stock\nfunction weigh(grams)\n", "    total = total + grams * {}\n",
        "end\nend\n", "Stock.weigh", "module Stock\nfunction weigh(grams)",
    ),
    "elixir": (
        "defmodule Stock do\n  def weigh(grams) do\n", "    total = total + grams * {}\n",
        "  end\nend\n", "Stock.weigh", "defmodule Stock do\ndef weigh(grams) do",
    ),
    "powershell": (
        "class Stock {\n  [int] Weigh([int] $grams) {\n",
        "    $this.total = $this.total + $grams * {}\n", "  }\n}\n",
        "Stock.Weigh", "class Stock {\n[int] Weigh([int] $grams) {",
    ),
    "objc": (
        "@implementation Stock\n- (int)weigh:(int)grams {\n",
        "  total = total + grams * {};\n", "}\n@end\n",
        "Stock.weigh", "@implementation Stock\n- (int)weigh:(int)grams {",
    ),
    "groovy": (
        "class Stock {\n  int weigh(int grams) {\n", "    total = total + grams * {}\n",
        "  }\n}\n", "Stock.weigh", "class Stock {\nint weigh(int grams) {",
    ),
}  # fmt: skip

TABLES = (
    "CREATE TABLE goods (\n  id INTEGER PRIMARY KEY\n);\n\nCREATE VIEW all_goods AS SELECT 1;\n"
)


def test_every_language_has_a_sample() -> None:
    assert set(GRAMMARS) == {*SOURCES, "sql"}
    assert [block.locator for block in scan(TABLES, "code:sql")] == ["goods", "all_goods"]


@pytest.mark.parametrize("language", SOURCES)
def test_what_continues_a_definition_has_its_signature_as_context(language: str) -> None:
    head, line, tail, name, context = SOURCES[language]
    text = head + "".join(line.replace("{}", str(number)) for number in range(40)) + tail
    blocks = scan(text, f"code:{language}")
    assert name in [block.locator for block in blocks]
    chunker = build("code", {}, max_tokens=128)
    spans = check(chunker, Document(text=text, blocks=blocks, data_type="code"))
    begun = line.strip()[:6]
    inside = [span for span in spans if text[span.start : span.end].lstrip().startswith(begun)]
    assert len(inside) > 1
    for span in inside:
        assert span.context == context
        assert ".".join(span.heading_path) in (name, name.rsplit(".", 1)[-1])


@pytest.mark.parametrize("language", SOURCES)
def test_a_definition_that_fits_is_not_torn_apart(language: str) -> None:
    head, line, tail, _, _ = SOURCES[language]
    one = head + line.replace("{}", "1") + tail
    text = "\n".join([one] * 12)
    room = len(TokenMap(one)) + 40
    spans = build("code", {"context": False}, max_tokens=room).spans(
        Document(text=text, blocks=scan(text, f"code:{language}")), TokenMap(text)
    )
    opening = head.splitlines()[-1].strip()
    for span in spans:
        piece = text[span.start : span.end]
        assert piece.count(opening) == piece.count(line.replace("{}", "1").strip())


def test_signatures() -> None:
    sources = {
        "# Note:\n# so\ndef f(\n    a: int,\n) -> None:\n    pass\n": "def f( a: int, ) -> None:",
        "@app.get('/x')\ndef f(a):\n    return {\n    }\n": "@app.get('/x') def f(a):",
        f"/**\n * Weighs: {'all ' * 90}\n */\nint weigh(int a) {{\n": "int weigh(int a) {",
        "class A\n    extends B\n    implements C {\n  a;\n": "class A extends B implements C {",
        "def weigh(grams)\n  h = {\n    1 => 2\n  }\nend\n": "def weigh(grams)",
        "def weigh(grams,\n          other)\n  a\n\n  b\nend\n": "def weigh(grams, other)",
        "-- Adds.\nfunction add(a)\n  return a\nend\n": "function add(a)",
        "# only a comment\n": "# only a comment",
        "": "",
    }
    for text, expected in sources.items():
        assert signature(text, 0, len(text)) == expected


@pytest.mark.parametrize("unit", ["# x\n", "\n", "(", "x\n", " ", '"""'])
def test_a_signature_of_a_very_long_definition_is_short(unit: str) -> None:
    """Quadratic work in a pattern would end at the time limit of tests: it would take hours."""
    text = unit * (4_000_000 // len(unit))
    assert len(signature(text, 0, len(text))) <= 240


@pytest.mark.parametrize(
    ("text", "sane"),
    [
        ("(" * 400 + ")" * 400, True),
        ("(" * 401, False),
        (") " * 900 + "(" * 390 + " )" * 900 + "(" * 390, True),
        (") " * 900 + "(" * 390 + " )" * 10 + "(" * 30, False),
        ("([{" * 200 + "é" * 200, False),
        ("x = 1;\n" * 300 + "!" * 401, False),
        ("x = 1;\n" * 300 + "!" * 399, True),
        ("a" * 9_000 + "=" * 9_000 + " " * 9_000, True),
        ("<a " * 100, False),
        ("<a> " * 500, True),
    ],
)
def test_what_no_programmer_writes_is_not_parsed(text: str, sane: bool) -> None:
    assert _sane(text, text.encode()) is sane


def test_names_beyond_ascii() -> None:
    text = "# größe\nclass Größe:\n    def wäge(self):\n        return 'ß'\n"
    blocks = scan(text, "code:python")
    assert [(block.locator, text[block.start : block.end]) for block in blocks] == [
        ("Größe", text.rstrip()),
        ("Größe.wäge", "def wäge(self):\n        return 'ß'"),
    ]
    assert chunk(text, "code", data_type="code:python")[0].text == text.rstrip()
