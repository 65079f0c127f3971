"""EPUB: the chapters of a ZIP of XHTML pages, in reading order."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pipelines.ingest.parsers.archive import Archive, preflight_zip
from pipelines.ingest.parsers.base import Limits, Parsed, ParseError
from pipelines.ingest.parsers.html import build_html, decode_html, expand_empty
from pipelines.ingest.parsers.ooxml import iso_language, local, parse_xml
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element

_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/xml", "text/xml"})
_FONT_METHODS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


class EpubParser:
    """E-books to text and blocks."""

    name = "epub"
    formats = frozenset({"epub"})

    @property
    def version(self) -> str:
        """Of this parser and of the libraries behind it."""
        return f"2/selectolax-{version('selectolax')}/lxml-{version('lxml')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a book. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `encrypted` (DRM), `malformed`, or a limit.
        """
        limits: Limits | None = options.get("limits")
        archive = preflight_zip(data, limits)
        _refuse_drm(archive)
        path = _package_path(archive)
        root = parse_xml(archive.read(path), path)
        title, language, chapters = _contents(root, posixpath.dirname(path))
        build = TextBuilder(limits)
        for chapter in chapters:
            if archive.find(chapter) is None:
                build.warn(f"chapter {chapter!r} is missing from the package")
                continue
            markup, _ = decode_html(archive.read(chapter))
            build_html(build, expand_empty(markup))
        text, blocks = build.finish()
        return Parsed(
            text=text,
            blocks=blocks,
            data_type="prose",
            media_type="application/epub+zip",
            title=title,
            language=language,
            empty_is_proven=bool(chapters) and not archive.has_pictures(),
            warnings=tuple(build.warnings),
        )


def _refuse_drm(archive: Archive) -> None:
    """Refuse a book whose chapters are encrypted; obfuscated fonts are no matter."""
    if archive.find("META-INF/encryption.xml") is None:
        return
    root = parse_xml(archive.read("META-INF/encryption.xml"), "META-INF/encryption.xml")
    for element in root.iter():
        if local(element) == "EncryptionMethod":
            method = element.get("Algorithm") or ""
            if not method.startswith(_FONT_METHODS):
                raise ParseError("encrypted", f"the book is protected by DRM ({method})")


def _package_path(archive: Archive) -> str:
    if archive.find("META-INF/container.xml") is not None:
        root = parse_xml(archive.read("META-INF/container.xml"), "META-INF/container.xml")
        for element in root.iter():
            path = element.get("full-path")
            if local(element) == "rootfile" and path and archive.find(path) is not None:
                return path
    for name in archive.names:
        if name.lower().endswith(".opf"):
            return name
    raise ParseError("malformed", "the package has no OPF file that lists its chapters")


def _contents(root: _Element, folder: str) -> tuple[str | None, str | None, list[str]]:
    """Title, language, and the chapters in the order of the spine, or else of the manifest."""
    title = language = None
    items: dict[str, str] = {}
    spine: list[str] = []
    for element in root.iter():
        tag = local(element)
        if tag == "title" and title is None:
            title = squeeze("".join(element.itertext())) or None
        elif tag == "language" and language is None:
            language = iso_language(element.text)
        elif tag == "item" and element.get("media-type") in _PAGES:
            href = unquote(element.get("href") or "").partition("#")[0]
            items[element.get("id") or href] = posixpath.normpath(posixpath.join(folder, href))
        elif tag == "itemref":
            spine.append(element.get("idref") or "")
    ordered = [items[key] for key in dict.fromkeys(spine) if key in items]
    return title, language, ordered or list(items.values())
