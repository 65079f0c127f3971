"""HTML: parsed by lexbor to the HTML standard, then walked as a flat stream of tags.

The tree is written out again in its normal form, where every element is closed and every
attribute quoted, and split at its tags by one regular expression. That keeps depth out of the
picture (nothing recurses, nothing is cut at some depth) and is several times faster than
visiting nodes one by one. Inline markup is removed beforehand in one pass.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pipelines.ingest.parsers.base import Parsed, ParseError
from pipelines.ingest.parsers.htmlwalk import walk
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

_DROPPED = "script,style,template,iframe,noembed,noframes"
_META_CHARSET = re.compile(
    rb"""<meta[^>]*?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.-]+)|"""
    rb"""<\?xml[^>]*?encoding\s*=\s*["']([a-zA-Z0-9_:.-]+)""",
    re.IGNORECASE,
)
_HIDDEN_STYLE = re.compile(
    r'style="[^"]*?(?:display:\s*none|visibility:\s*hidden|font-size:\s*0(?:px|pt|em|%)?\s*[;"])'
)
_EMPTY_ELEMENT = re.compile(r"<([a-zA-Z][\w:.-]*)((?:\s[^<>]*?)?)\s*/>")
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param",
     "source", "track", "wbr"}
)  # fmt: skip
_NAME = re.compile(r"<(/?)([a-z][^\s>/]*)")
_MAX_DEPTH = 20_000
_NESTING = re.compile(
    r"<(/?)(?:div|section|article|blockquote|[uod]l|table|center|span|fieldset|form|nav|main|"
    r"aside|header|footer|details|figure)\b",
    re.IGNORECASE,
)
"""Elements that nothing closes but their end tag."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class HtmlParser:
    """HTML and XHTML pages to text and blocks."""

    name = "html"
    formats = frozenset({"html"})

    @property
    def version(self) -> str:
        """Of this parser and of the library behind it."""
        return f"2/selectolax-{version('selectolax')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a page. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `limit_elements` or `limit_size` above the limits.
        """
        markup, encoding = decode_html(data)
        if markup.startswith("<?xml"):
            markup = expand_empty(markup)
        build = TextBuilder(options.get("limits"))
        title, language = build_html(build, markup, page_parts=True)
        text, blocks = build.finish()
        return Parsed(
            text=text,
            blocks=blocks,
            data_type="html",
            media_type="text/html",
            title=title,
            language=language,
            source_encoding=encoding,
            empty_is_proven=not text,
            warnings=tuple(build.warnings),
        )


def build_html(
    build: TextBuilder, markup: str, *, page_parts: bool = False
) -> tuple[str | None, str | None]:
    """Parse `markup` and add its text and blocks to `build`.

    Args:
        build: where text and blocks go.
        markup: a page or a fragment of one.
        page_parts: whether `nav`, `header` and `footer` become header and footer blocks.

    Returns:
        The title and the ISO 639-1 language, each null when the page states none.

    Raises:
        ParseError: `limit_depth` when elements are nested beyond reason, or a limit of `build`.
    """
    from selectolax.lexbor import LexborHTMLParser

    _check_depth(markup)
    tree = LexborHTMLParser(markup)
    for node in tree.css(_DROPPED):
        node.decompose()
    for node in tree.css("xmp,plaintext"):
        # Raw text is written out unescaped, which the walk would take for tags.
        node.replace_with(node.text())
    root = tree.root
    if root is None:
        return None, None
    title_node = tree.css_first("head title") or tree.css_first("title")
    title = squeeze(title_node.text()) if title_node is not None else ""
    language = (root.attributes.get("lang") or "").strip().lower()[:2]
    body = tree.body
    html = (body if body is not None else root).html or ""
    hidden = html.count(' hidden=""') + len(_HIDDEN_STYLE.findall(html))
    if hidden:
        build.warn(f"the text of {hidden} hidden elements is kept")
    walk(build, html, page_parts=page_parts)
    if title and not build.position:
        build.leaf("heading", title, level=1)
    return title or None, language if len(language) == 2 and language.isalpha() else None


def _check_depth(markup: str) -> None:
    """Refuse nesting on which the algorithm of the HTML standard takes quadratic time."""
    if markup.count("<") <= _MAX_DEPTH:
        return
    depth = 0
    for closing in _NESTING.findall(markup):
        depth += -1 if closing else 1
        if depth > _MAX_DEPTH:
            raise ParseError("limit_depth", f"elements nested deeper than {_MAX_DEPTH:,} levels")


def nesting(markup: str) -> int:
    """How deep the elements of a page are nested once it is parsed.

    Raises:
        ParseError: `limit_depth` when that is too deep to be counted.
    """
    from selectolax.lexbor import LexborHTMLParser

    _check_depth(markup)
    tree = LexborHTMLParser(markup)
    for node in tree.css(_DROPPED):
        node.decompose()
    depth = deepest = 0
    for end, name in _NAME.findall(tree.html or ""):
        if end:
            depth -= 1
        elif name not in _VOID:
            depth += 1
            deepest = max(deepest, depth)
    return deepest


def expand_empty(markup: str) -> str:
    """Close the empty elements of XHTML (`<title/>`), which HTML would take for opening tags."""
    return _EMPTY_ELEMENT.sub(
        lambda found: found[0] if found[1] in _VOID else f"<{found[1]}{found[2]}></{found[1]}>",
        markup,
    )


def decode_html(data: bytes) -> tuple[str, str]:
    """Decode a page: its byte order mark, else what it declares, else UTF-8, else Windows-1252.

    A declaration that the bytes contradict is passed over. UTF-7 is never honoured, as the HTML
    standard demands, so no markup comes to life by decoding.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace"), encoding
    if len(data) > 3 and 0 in data[:64]:
        wide = wide_encoding(data)
        if wide:
            return data.decode(wide, "replace"), wide
    declared = _META_CHARSET.search(data, 0, 4096)
    candidates = ["utf-8"]
    if declared:
        label = (declared[1] or declared[2]).decode("ascii").lower()
        try:
            found = codecs.lookup(label).name
        except LookupError:
            found = "utf-8"
        if found in ("iso8859-1", "ascii"):
            found = "cp1252"
        if not found.startswith(("utf-16", "utf-32", "utf-7")) and _is_text_codec(found):
            candidates.insert(0, found)
    for candidate in candidates:
        try:
            return data.decode(candidate), candidate
        except UnicodeDecodeError:
            continue
    return _guess(data)


def _guess(data: bytes) -> tuple[str, str]:
    from charset_normalizer import from_bytes

    best = from_bytes(data[: 1 << 16], cp_exclusion=["utf_7"]).best()
    if best is not None and best.encoding.startswith(("shift", "euc", "gb", "big5", "iso2022")):
        return data.decode(best.encoding, "replace"), best.encoding
    return data.decode("cp1252", "replace"), "cp1252"


def _is_text_codec(name: str) -> bool:
    return bool(getattr(codecs.lookup(name), "_is_text_encoding", True))


def wide_encoding(data: bytes) -> str | None:
    """Tell UTF-16 without a byte order mark, by where the zero bytes of its Latin letters are."""
    sample = data[:512]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > len(sample) // 5 and even == 0:
        return "utf-16-le"
    if even > len(sample) // 5 and odd == 0:
        return "utf-16-be"
    return None
