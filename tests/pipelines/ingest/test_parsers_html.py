from __future__ import annotations

import re
from collections import Counter

import pytest
from parsing_tools import corpus, error_class, needs_data, outcomes, parse, shape, texts

from pipelines.ingest.parsers.base import Limits
from pipelines.ingest.parsers.html import HtmlParser, decode_html

PAGE = """<!DOCTYPE html><html lang="en-GB"><head><title> Leave
 policy </title><style>p {}</style></head><body>
<nav><ul><li>Home</li><li>Docs</li></ul></nav>
<header><h1>Leave</h1></header>
<p>Ask <b>your</b> manager&nbsp;first,<br>then file&amp;wait &lt;here&gt;.</p>
<ul><li>one<ul><li>inner</li></ul></li><li><p>two</p><p>more</p></li></ul>
<table><caption>Days</caption><tr><th>kind</th><th>days</th></tr>
<tr><td>sick</td><td>as <i>needed</i></td></tr></table>
<pre class="x"><code class="language-python">def f():
    return 1
</code></pre>
<blockquote><p>Rest.</p><blockquote>Again.</blockquote></blockquote>
<dl><dt>term</dt><dd>meaning</dd></dl>
<figure><img alt="A chart"><figcaption>Figure 1</figcaption></figure>
<script>bad()</script><template>no</template>
<footer><h2>Imprint</h2><p>ACME</p></footer>
</body></html>"""


def test_page_becomes_blocks() -> None:
    parsed = parse(PAGE, "html")
    assert parsed.title == "Leave policy"
    assert parsed.language == "en"
    assert parsed.data_type == "html"
    assert shape(parsed) == [
        ("header", None, "Home\nDocs"),
        ("heading", 1, "Leave"),
        ("paragraph", None, "Ask your manager first,\nthen file&wait <here>."),
        ("list", 1, "one\ninner\n\ntwo\n\nmore"),
        ("list_item", 1, "one\ninner"),
        ("list", 2, "inner"),
        ("list_item", 2, "inner"),
        ("list_item", 1, "two\n\nmore"),
        ("paragraph", None, "two"),
        ("paragraph", None, "more"),
        ("table", None, "Days\n\nkind | days\nsick | as needed"),
        ("caption", None, "Days"),
        ("table_row", None, "kind | days"),
        ("table_row", None, "sick | as needed"),
        ("code", None, "def f():\n    return 1"),
        ("quote", 1, "Rest.\n\nAgain."),
        ("paragraph", None, "Rest."),
        ("quote", 2, "Again."),
        ("list", 1, "term\nmeaning"),
        ("definition", 1, "term"),
        ("list_item", 1, "meaning"),
        ("paragraph", None, "A chart"),
        ("caption", None, "Figure 1"),
        ("footer", None, "Imprint\nACME"),
    ]
    locators = [b.locator for b in parsed.blocks if b.locator]
    assert locators == ["header", "python"]
    assert "bad" not in parsed.text


def test_headers_of_sections_and_roles() -> None:
    parsed = parse(
        "<main><article><header><h2>Own</h2>by me</header><p>x</p></article></main>"
        '<div role="navigation"><div>a</div><div>b</div></div><p>after</p>',
        "html",
    )
    assert shape(parsed) == [
        ("heading", 2, "Own"),
        ("paragraph", None, "by me"),
        ("paragraph", None, "x"),
        ("header", None, "a\nb"),
        ("paragraph", None, "after"),
    ]


def test_layout_tables_are_no_tables() -> None:
    parsed = parse(
        "<table><tr><td><h1>T</h1></td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr>"
        "</table><table><tr><td><pre>code</pre></td></tr></table>",
        "html",
    )
    assert [kind for kind, _, _ in shape(parsed)] == ["heading", "table", "table_row", "code"]


def test_hidden_text_is_kept_and_noted() -> None:
    parsed = parse('<p hidden>a</p><p style="display: none">b</p><p>c</p>', "html")
    assert parsed.text == "a\n\nb\n\nc"
    assert parsed.warnings == ("the text of 2 hidden elements is kept",)


def test_markup_in_text_and_attributes_misleads_nobody() -> None:
    parsed = parse('<p title="a > b <i> c">x</p><xmp><b>raw</b></xmp><p>1 &lt; 2</p>', "html")
    assert parsed.text == "x\n\n<b>raw</b>\n\n1 < 2"


def test_nothing_but_a_title_is_a_heading_and_nothing_at_all_is_proven() -> None:
    assert shape(parse("<title>Only</title>", "html")) == [("heading", 1, "Only")]
    empty = parse("<p> </p><script>x</script>", "html")
    assert (empty.text, empty.empty_is_proven) == ("", True)


def test_xhtml_empty_elements_swallow_nothing() -> None:
    page = '<?xml version="1.0"?><html><head><title/></head><body><p/>a<br/>b</body></html>'
    parsed = parse(page, "html")
    assert parsed.text == "a\nb"


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        ("é".encode(), "utf-8", "é"),
        ("é".encode("cp1252"), "cp1252", "é"),
        (b'<meta charset="utf-8">\xe9', "cp1252", "é"),
        ('<meta charset="shift_jis">日'.encode("shift_jis"), "shift_jis", "日"),
        ("\ufeffé".encode("utf-16-le"), "utf-16-le", "é"),
        ("<p>plain</p>".encode("utf-16-be"), "utf-16-be", "plain"),
        (b'<meta charset="utf-7">+ADw-b+AD4-', "utf-8", "+ADw-b+AD4-"),
        (b'<meta charset="base64">x', "utf-8", "x"),
    ],
)
def test_encodings(data: bytes, encoding: str, text: str) -> None:
    decoded, found = decode_html(data)
    assert found == encoding
    assert text in decoded


@pytest.mark.parametrize("depth", [300, 5000])
def test_depth_loses_nothing(depth: int) -> None:
    for tag in ("div", "span", "ul", "table"):
        parsed = parse(f"<p>first</p>{f'<{tag}>' * depth}deep<p>last</p>", "html")
        words = ["first", "deep", "last"]
        assert sorted(re.findall(r"\w+", parsed.text)) == sorted(words), tag


def test_absurd_depth_and_sizes_are_refused() -> None:
    assert error_class(b"<div>" * 100_000 + b"x", "html") == "limit_depth"
    assert error_class(b"<p>x</p>" * 50, "html", Limits(max_blocks=10)) == "limit_elements"
    assert error_class(b"<p>" + b"x" * 50, "html", Limits(max_chars=10)) == "limit_size"


def test_versions_name_the_library() -> None:
    assert "selectolax-" in HtmlParser().version


@needs_data
def test_real_pages_keep_every_word() -> None:
    from selectolax.lexbor import LexborHTMLParser

    pages = corpus("html/**/*.html")[::5]
    assert pages
    for path in pages:
        data = path.read_bytes()
        parsed = parse(data, "html", name=path.name)
        tree = LexborHTMLParser(decode_html(data)[0])
        for node in tree.css("script,style,template,iframe"):
            node.decompose()
        letters = Counter(c for c in tree.body.text() if c.isalnum())  # type: ignore[union-attr]
        missing = letters - Counter(parsed.text)
        assert not missing, (path, missing)


@needs_data
def test_every_real_page_gives_text() -> None:
    assert {outcome for _, outcome in outcomes(corpus("**/*.html"), "html")} <= {"ok"}


def test_a_table_with_one_filled_cell_to_a_row_lays_out() -> None:
    layout = "<table><tr><td>&nbsp;</td><td><p>One.</p><p>Two.</p></td><td></td></tr></table>"
    assert shape(parse(layout, "html")) == [
        ("paragraph", None, "One."),
        ("paragraph", None, "Two."),
    ]
    named = "<table><tr><th>Name</th></tr><tr><td>Ann</td></tr></table>"
    assert texts(parse(named, "html"), "table_row") == ["Name", "Ann"]
    data = "<table><tr><td>a</td><td>b</td></tr><tr><td></td><td>c</td></tr></table>"
    assert texts(parse(data, "html"), "table_row") == ["a | b", "| c"]
    outer = f"<table><tr><td>left</td><td>{data}</td></tr></table>"
    assert texts(parse(outer, "html"), "table_row") == ["a | b", "| c"]
