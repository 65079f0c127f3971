"""Formats that their first bytes give away."""

from __future__ import annotations

import io
import zipfile

from pipelines.ingest.detect_ole import SIGNATURE as OLE
from pipelines.ingest.detect_ole import root_names
from pipelines.ingest.parsers.archive import UNREADABLE
from pipelines.ingest.parsers.base import ParseError

_PDF_WITHIN = 1_024
_PDF_WITHIN_NAMED = 64 << 10

# Offset, bytes, what it is: recognised to be refused by name.
_REFUSED = (
    (0, b"\x7fELF", "an ELF program"),
    (0, b"MZ", "a Windows program"),
    (0, b"\xfe\xed\xfa", "a Mach-O program"),
    (0, b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (0, b"\xce\xfa\xed\xfe", "a Mach-O program"),
    (0, b"\xca\xfe\xba\xbe", "a Java class or universal program"),
    (0, b"\0asm", "a WebAssembly module"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF87a", "a GIF image"),
    (0, b"GIF89a", "a GIF image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (0, b"8BPS", "a Photoshop image"),
    (0, b"\0\0\1\0", "an icon"),
    (0, b"\x1f\x8b", "gzip data; unpack it first"),
    (0, b"BZh", "bzip2 data; unpack it first"),
    (0, b"\xfd7zXZ\0", "xz data; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard data; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it first"),
    (0, b"Rar!\x1a\x07", "a RAR archive; unpack it first"),
    (257, b"ustar", "a tar archive; unpack it first"),
    (0, b"ID3", "an MP3 recording"),
    (0, b"OggS", "an Ogg recording"),
    (0, b"fLaC", "a FLAC recording"),
    (4, b"ftyp", "an MP4 film, a HEIF image or a relative"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM film"),
    (0, b"SQLite format 3\0", "a SQLite database"),
    (0, b"PAR1", "a Parquet file; list it as a source of records"),
    (0, b"ARROW1", "an Arrow file"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"Obj\x01", "an Avro file"),
    (0, b"wOFF", "a font"),
    (0, b"wOF2", "a font"),
    (0, b"OTTO", "a font"),
    (0, b"\0\1\0\0\0", "a font"),
    (0, b"%!PS", "PostScript; convert it to PDF"),
    (0, b"\x09\x00\x04\x00", "an Excel 2 worksheet; save it as XLSX"),
    (0, b"\x09\x02\x06\x00", "an Excel 3 worksheet; save it as XLSX"),
    (0, b"\x09\x04\x06\x00", "an Excel 4 worksheet; save it as XLSX"),
)
_RIFF = {b"WAVE": "a WAV recording", b"AVI ": "an AVI film", b"WEBP": "a WebP image"}
_OLE_KINDS = (
    ("encryptedpackage", "encrypted"),
    ("__properties_version1.0", "msg"),
    ("worddocument", "doc"),
    ("powerpoint document", "ppt"),
    ("workbook", "xls"),
    ("book", "xls"),
)
_ODF_KINDS = {
    "text": "odt", "spreadsheet": "ods", "presentation": "odp", "text-template": "odt",
    "spreadsheet-template": "ods", "presentation-template": "odp", "text-master": "odt",
}  # fmt: skip
_ZIP_KINDS = (
    ("word/document.xml", "docx"),
    ("word/document2.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
    ("xl/workbook.bin", "xlsx"),
)
_OOXML = {"word/": "docx", "ppt/": "pptx", "xl/": "xlsx"}


def detect_binary(data: bytes, suffix: str) -> str | None:
    """The format of binary data, or null when its beginning says nothing.

    Args:
        data: the whole source.
        suffix: of its name, lower case, without the dot; settles what the content leaves open.

    Raises:
        ParseError: `unsupported` for formats without text or without a parser, `encrypted` for
            encrypted Office packages, `malformed` for containers that cannot be read.
    """
    if b"%PDF-" in data[:_PDF_WITHIN]:
        return "pdf"
    if suffix == "pdf" and b"%PDF-" in data[:_PDF_WITHIN_NAMED]:
        return "pdf"
    if data.startswith(OLE):
        return _ole(data, suffix)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip(data, suffix)
    if data.startswith(b"{\\rtf"):
        return "rtf"
    for offset, magic, what in _REFUSED:
        # Two printable letters alone may begin a text as well.
        if data.startswith(magic, offset) and (len(magic) > 3 or not _printable(data[:64])):
            raise ParseError("unsupported", f"the content is {what}")
    if data.startswith(b"RIFF") and data[8:12] in _RIFF:
        raise ParseError("unsupported", f"the content is {_RIFF[data[8:12]]}")
    if data.startswith(b"BM") and len(data) > 26 and not _printable(data[:64]):
        raise ParseError("unsupported", "the content is a BMP image")
    return None


def _printable(head: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\r\n\f" for byte in head)


def _ole(data: bytes, suffix: str) -> str:
    names = root_names(data)
    for name, kind in _OLE_KINDS:
        if name in names:
            if kind == "encrypted":
                raise ParseError(
                    "encrypted", "an encrypted Office document; save it without a password"
                )
            return kind
    if not names:
        if suffix in ("doc", "xls", "ppt", "msg"):
            return suffix
        raise ParseError("malformed", "an OLE2 file whose directory cannot be read")
    raise ParseError(
        "unsupported",
        "an OLE2 file that is no Word, Excel, PowerPoint or Outlook document; it holds "
        + ", ".join(sorted(name for name in names if name.isprintable())[:5]),
    )


def _zip(data: bytes, suffix: str) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = frozenset(archive.namelist())
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                media_type = archive.read("mimetype").decode("ascii", errors="replace").strip()
                if media_type == "application/epub+zip":
                    return "epub"
                prefix = "application/vnd.oasis.opendocument."
                kind = _ODF_KINDS.get(media_type.removeprefix(prefix))
                if media_type.startswith(prefix) and kind:
                    return kind
    except UNREADABLE:
        return _broken_zip(data, suffix)
    for name, kind in _ZIP_KINDS:
        if name in names:
            return kind
    if "META-INF/container.xml" in names:
        return "epub"
    if "[Content_Types].xml" in names:
        for prefix, kind in _OOXML.items():
            if any(name.startswith(prefix) for name in names):
                return kind
        if suffix in ("docx", "pptx", "xlsx"):
            return suffix
    raise ParseError("unsupported", "the content is a ZIP archive; unpack it first")


def _broken_zip(data: bytes, suffix: str) -> str:
    """What a ZIP without its directory was: for the message of the parser that refuses it."""
    head = data[: 64 << 10]
    for prefix, kind in _OOXML.items():
        if prefix.encode() in head:
            return kind
    if suffix in ("docx", "pptx", "xlsx", "odt", "ods", "odp", "epub"):
        return suffix
    raise ParseError("malformed", "a ZIP archive that is cut off or damaged")
