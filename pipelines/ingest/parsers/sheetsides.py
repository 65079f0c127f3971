"""What workbooks say beside their cells: comments, drawings, charts, margins, embedded files."""

from __future__ import annotations

import html
import io
import re
import struct
from typing import TYPE_CHECKING

from pipelines.ingest.parsers.archive import Archive
from pipelines.ingest.parsers.attachments import Attachments
from pipelines.ingest.parsers.base import ParseError
from pipelines.ingest.parsers.biff import MARGIN_CODE, records, write_side_texts
from pipelines.ingest.parsers.embedded import add_embedded, add_storage
from pipelines.ingest.parsers.ooxml import Package, attribute, local, parse_xml, relation_id
from pipelines.ingest.parsers.pptx import chart_lines
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

if TYPE_CHECKING:
    from lxml.etree import _Element

_MARGIN = re.compile(rb"<(odd|even|first)(Header|Footer)>(.*?)</", re.DOTALL)
_COMMENTS = re.compile(r"xl/(?:threadedComments|comments)/?[^/]*\.xml")
_STAND_IN = "[Threaded comment]"
"""How the copy of a threaded comment begins that is there for older programs."""
_DRAWINGS = 0x00EB
"""The record of an XLS workbook in which its drawings, pictures included, are."""
_FIELDS = frozenset({"sheet-name", "page-number", "page-count", "date", "time", "title",
                     "file-name"})  # fmt: skip
_OBJECT_STORAGE = re.compile(r"MBD[0-9A-F]{8}")


def write_xlsx_sides(build: TextBuilder, package: Package) -> None:
    """Add what an XLSX package holds beside its cells."""
    owners = _owners(package)
    seen: set[tuple[str, str]] = set()
    for part in package.archive.names:
        sheet = owners.get(part)
        if part.startswith("xl/worksheets/") and part.endswith(".xml"):
            for _, kind, raw in _MARGIN.findall(package.archive.read(part)):
                # Codes are written in XML, and the text between them is as well.
                text = html.unescape(raw.decode("utf-8", "replace"))
                entry = (kind.decode().lower(), squeeze(MARGIN_CODE.sub(" ", text)))
                if entry not in seen:
                    seen.add(entry)
                    build.leaf(*entry)
            add_embedded(build, package, part)
        elif _COMMENTS.fullmatch(part):
            for element in package.xml(part).iter():
                if local(element) in ("comment", "threadedComment"):
                    words = [t.text or "" for t in element.iter() if local(t) in ("t", "text")]
                    text = squeeze(" ".join(words))
                    if not text.startswith(_STAND_IN):
                        reference = element.get("ref")
                        locator = f"{sheet}!{reference}" if sheet and reference else reference
                        build.leaf("comment", text, locator=locator)
        elif part.startswith("xl/drawings/drawing") and part.endswith(".xml"):
            for element in package.xml(part).iter():
                if local(element) == "txBody":
                    words = [t.text or "" for t in element.iter() if local(t) == "t"]
                    build.leaf("figure", squeeze(" ".join(words)), locator=sheet)
        elif part.startswith("xl/charts/chart") and part.endswith(".xml"):
            lines = dict.fromkeys(line for line in chart_lines(package.xml(part)) if line)
            build.leaf("figure", "\n".join(lines), locator=sheet)


def _owners(package: Package) -> dict[str, str]:
    """Part → name of the sheet that it belongs to, as far as relationships say."""
    owners: dict[str, str] = {}
    try:
        main = package.main_part("xl/workbook.xml")
        workbook = package.xml(main)
    except ParseError:
        return owners  # a binary workbook (XLSB): calamine reads it, its parts stay unnamed
    relations = package.relations(main)
    for element in workbook.iter():
        found = relations.get(relation_id(element) or "") if local(element) == "sheet" else None
        if found is None:
            continue
        name = element.get("name") or ""
        pending = [found[1]]
        for _ in range(3):
            targets = [t for part in pending for _, t in package.relations(part).values()]
            owners.update((part, name) for part in pending if part not in owners)
            pending = [target for target in targets if target not in owners]
    return owners


def write_xls_sides(build: TextBuilder, data: bytes) -> bool:
    """Add what an XLS workbook holds beside its cells; gives whether it holds pictures."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            names = {entry.name.lower(): entry.name for entry in container.root.kids}
            stream = names.get("workbook") or names.get("book")
            if stream is None:
                return True
            content = bytes(container.openstream([stream]).read())
            write_side_texts(build, content)
            attachments = Attachments(build)
            for entry in container.root.kids:
                if _OBJECT_STORAGE.fullmatch(entry.name):
                    add_storage(build, attachments, container, (entry.name,), "embedded file")
    except (OSError, ValueError, IndexError, AttributeError, struct.error) as error:
        build.warn(f"notes, charts and embedded files are not readable: {error}")
        return True
    return any(kind == _DRAWINGS for _, kind, _ in records(content))


def write_ods_sides(build: TextBuilder, archive: Archive) -> None:
    """Add comments and page margins of an OpenDocument spreadsheet."""
    content = parse_xml(archive.read("content.xml"), "content.xml")
    for element in content.iter():
        if local(element) == "annotation":
            author = next((c.text or "" for c in element if local(c) == "creator"), "")
            text = squeeze(" ".join(_paragraphs(element)))
            if text:
                build.leaf("comment", f"{author}: {text}" if author else text)
    if not archive.find("styles.xml"):
        return
    used = {attribute(style, "master-page-name") for style in content.iter()} - {None, ""}
    seen: set[tuple[str, str]] = set()
    for master in parse_xml(archive.read("styles.xml"), "styles.xml").iter():
        if local(master) != "master-page" or attribute(master, "name") not in used:
            continue
        for element in master:
            kind = local(element).partition("-")[0]
            if kind in ("header", "footer") and attribute(element, "display") != "false":
                entry = (kind, squeeze(" ".join(_paragraphs(element))))
                if entry not in seen:
                    seen.add(entry)
                    build.leaf(*entry)


def _paragraphs(element: _Element) -> list[str]:
    """Texts of the paragraphs in an element, without what programs fill in."""
    found: list[str] = []
    for paragraph in element.iter():
        if local(paragraph) == "p":
            parts = [paragraph.text or ""]
            for child in paragraph:
                parts += [] if local(child) in _FIELDS else ["".join(child.itertext())]
                parts.append(child.tail or "")
            found.append("".join(parts))
    return found
