"""What DOCX, PPTX and XLSX packages share: parts, relationships, safe XML, core properties."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from pipelines.ingest.parsers.archive import Archive, preflight_zip
from pipelines.ingest.parsers.base import Limits, ParseError

if TYPE_CHECKING:
    from lxml.etree import _Element

MAX_DEPTH = 100
"""Deepest nesting of tables, groups or lists that is followed."""
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_R_STRICT = "http://purl.oclc.org/ooxml/officeDocument/relationships"


def parse_xml(data: bytes, where: str) -> _Element:
    """Parse untrusted XML: nothing is fetched, no entity expanded, a DOCTYPE's entities refused.

    Raises:
        ParseError: `malformed` when it is not well formed or declares entities; `limit_depth`
            when it is nested deeper than the XML library goes.
    """
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error).lower():
            raise ParseError("limit_depth", f"{where}: XML nested too deep: {error}") from error
        raise ParseError("malformed", f"{where}: not well-formed XML: {error}") from error
    if root is None:
        raise ParseError("malformed", f"{where}: no XML element")
    docinfo = root.getroottree().docinfo
    dtd = docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise ParseError("malformed", f"{where}: declares XML entities, which are refused")
    return root


def local(element: _Element) -> str:
    """An element's name without its namespace; empty for comments and entities."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: _Element, name: str) -> str | None:
    """An attribute by its local name, whatever its namespace."""
    value = element.get(name)
    if value is not None:
        return value
    for key, found in element.items():
        if isinstance(key, str) and key.rpartition("}")[2] == name:
            return str(found)
    return None


class Package:
    """An OOXML package: parts by name and the relationships between them.

    Raises:
        ParseError: as `preflight_zip`.
    """

    def __init__(self, data: bytes, limits: Limits | None) -> None:
        self.archive: Archive = preflight_zip(data, limits)
        self._relations: dict[str, dict[str, tuple[str, str]]] = {}

    def xml(self, part: str) -> _Element:
        """The part's root element."""
        return parse_xml(self.archive.read(part), part)

    def has(self, part: str) -> bool:
        """Whether the package holds the part."""
        return self.archive.find(part) is not None

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Id → (last word of the type, target part) of the part's internal relationships.

        External ones are left out: nothing outside the package is ever opened.
        """
        if part in self._relations:
            return self._relations[part]
        folder, name = posixpath.split(part)
        found: dict[str, tuple[str, str]] = {}
        path = posixpath.join(folder, "_rels", f"{name}.rels")
        if self.has(path):
            for element in self.xml(path):
                if local(element) != "Relationship" or element.get("TargetMode") == "External":
                    continue
                target = (element.get("Target") or "").replace("\\", "/")
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
                kind = (element.get("Type") or "").rpartition("/")[2]
                found[element.get("Id") or ""] = (kind, target)
        self._relations[part] = found
        return found

    def related(self, part: str, kind: str) -> list[str]:
        """Targets of the part's relationships of one type that are in the package, in order."""
        return [
            target
            for found, target in self.relations(part).values()
            if found == kind and self.has(target)
        ]

    def main_part(self, fallback: str) -> str:
        """The package's office document.

        Raises:
            ParseError: `malformed` when there is none.
        """
        for target in self.related("", "officeDocument"):
            return target
        if self.has(fallback):
            return fallback
        raise ParseError("malformed", f"the package has no {fallback!r}")

    def has_pictures(self) -> bool:
        """As `Archive.has_pictures`."""
        return self.archive.has_pictures()

    def embedded(self) -> list[str]:
        """Parts that are whole files put into the document."""
        return [name for name in self.archive.names if "/embeddings/" in name and name[-1] != "/"]

    def core(self) -> tuple[str | None, str | None]:
        """Title and ISO 639-1 language of the core properties, null where absent or broken."""
        for target in self.related("", "core-properties") or ["docProps/core.xml"]:
            if not self.has(target):
                continue
            try:
                root = self.xml(target)
            except ParseError:
                return None, None  # properties are not worth losing the document for
            title = root.findtext("{http://purl.org/dc/elements/1.1/}title")
            language = root.findtext("{http://purl.org/dc/elements/1.1/}language")
            return (title or "").strip() or None, iso_language(language)
        return None, None


def iso_language(tag: str | None) -> str | None:
    """The ISO 639-1 part of a language tag such as `en-GB`; null when it has none."""
    code = (tag or "").strip().lower().replace("_", "-").partition("-")[0]
    return code if len(code) == 2 and code.isalpha() else None


def relation_id(element: _Element, name: str = "id") -> str | None:
    """An attribute of the relationships namespace, transitional or strict."""
    return element.get(f"{{{_R}}}{name}") or element.get(f"{{{_R_STRICT}}}{name}")
