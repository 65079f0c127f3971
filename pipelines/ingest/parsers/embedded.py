"""Files put into Office documents: whole packages, and OLE objects with a file inside."""

from __future__ import annotations

import posixpath
import struct
from typing import Any

from pipelines.ingest.parsers.attachments import Attachments
from pipelines.ingest.parsers.biff import write_side_texts
from pipelines.ingest.parsers.ooxml import Package
from pipelines.ingest.parsers.textbuild import TextBuilder

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_NATIVE, _EQUATION = "\x01Ole10Native", "Equation Native"
_WHOLE = ("worddocument", "workbook", "book", "powerpoint document", "__properties_version1.0")
"""Streams of formats that have a parser of their own."""
_FILES = ("CONTENTS", "Package", "EmbeddedOdf", "Contents")
"""Streams that are a file by themselves."""


def add_embedded(build: TextBuilder, package: Package, part: str) -> None:
    """Add the files that a part of an OOXML package embeds, each as an attachment.

    The workbooks behind charts are not among them: what a chart shows is in the chart.
    """
    targets = [*package.related(part, "package"), *package.related(part, "oleObject")]
    for target in dict.fromkeys(targets):
        add_file(build, package.archive.read(target), posixpath.basename(target))


def add_file(build: TextBuilder, data: bytes, name: str) -> None:
    """Add a file as an attachment; when it is an OLE object, the file in it."""
    attachments = Attachments(build)
    if data.startswith(_OLE):
        _add_object(build, attachments, data, name)
    else:
        attachments.add(name, None, data)


def _add_object(build: TextBuilder, attachments: Attachments, data: bytes, name: str) -> None:
    import olefile

    try:
        with olefile.OleFileIO(data) as container:
            if any(entry.name.lower() in _WHOLE for entry in container.root.kids):
                attachments.add(name.removesuffix(".bin"), None, data)
            else:
                add_storage(build, attachments, container, (), name)
    except (OSError, ValueError, IndexError, AttributeError, struct.error) as error:
        build.warn(f"embedded file {name!r} is not read: a damaged OLE object: {error}")


def add_storage(
    build: TextBuilder,
    attachments: Attachments,
    container: Any,
    path: tuple[str, ...],
    name: str,
) -> None:
    """Add the file that an OLE object holds.

    Args:
        build: takes warnings, and the words of a workbook that is no file of its own.
        attachments: takes the file.
        container: an open `olefile.OleFileIO`.
        path: of the object's storage in it; empty for the root.
        name: what to call a file without a name.
    """
    names = {
        entry[-1]
        for entry in container.listdir()
        if len(entry) == len(path) + 1 and tuple(entry[:-1]) == path
    }

    def read(stream: str) -> bytes:
        return bytes(container.openstream([*path, stream]).read())

    for stream in _FILES:
        if stream in names:
            attachments.add(name, None, read(stream))
            return
    if _NATIVE in names:
        label, content = unpack_native(read(_NATIVE))
        attachments.add(label or name, None, content)
    elif "Workbook" in names or "Book" in names:
        build.open("attachment", locator=name)
        build.write(name)
        write_side_texts(build, read("Workbook" if "Workbook" in names else "Book"))
        build.close()
        build.warn(f"of the workbook {name!r} within the workbook only charts and notes are read")
    elif _EQUATION in names:
        build.warn("formulas of the old equation editor are not read")
    else:
        build.warn(f"embedded file {name!r} is not read: an object of an unknown program")


def add_packed(build: TextBuilder, data: bytes, name: str) -> None:
    """Add the file in an OLE 1 object, as RTF holds them ([MS-OLEDS] 2.2.5)."""
    try:
        at = 8
        program = b""
        for field in range(3):
            size = struct.unpack_from("<I", data, at)[0]
            program = data[at + 4 : at + 4 + size] if field == 0 else program
            at += 4 + size
        size = struct.unpack_from("<I", data, at)[0]
    except struct.error:
        build.warn(f"{name!r} is not read: a damaged OLE object")
        return
    content = data[at + 4 : at + 4 + size]
    if program.rstrip(b"\0").lower() == b"package":
        label, content = unpack_native(struct.pack("<I", len(content)) + content)
        name = label or name
    add_file(build, content, name)


def unpack_native(data: bytes) -> tuple[str, bytes]:
    """Name and content of a file that the system's packager wrapped; as it is, when not wrapped.

    Layout after [MS-OLEDS] 2.3.6 and what packagers write.
    """
    if len(data) < 6:
        return "", data[4:]
    at = 4
    if struct.unpack_from("<H", data, at)[0] != 2:
        return "", data[at:]
    at += 2
    texts: list[bytes] = []
    for _ in range(2):
        end = data.find(b"\0", at)
        if end < 0:
            return "", data[4:]
        texts.append(data[at:end])
        at = end + 1
    at += 4
    if at + 4 > len(data):
        return "", data[4:]
    at += 4 + struct.unpack_from("<I", data, at)[0]
    if at + 4 > len(data):
        return "", data[4:]
    size = struct.unpack_from("<I", data, at)[0]
    at += 4
    label = (texts[0] or texts[1]).decode("cp1252", "replace")
    return posixpath.basename(label.replace("\\", "/")), data[at : at + size]
