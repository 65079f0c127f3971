"""Reading ZIP containers (OOXML, OpenDocument, EPUB) without being blown up by them.

The central directory is checked first: number of members, sizes, ratio, names, encryption. It
may lie, so every read is counted as well.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib

from pipelines.ingest.parsers.base import Limits, ParseError

UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError,
)  # fmt: skip
"""What `zipfile` raises on damaged archives, and on those that it cannot read: of a later version
or with packing that it does not know, both `NotImplementedError`, which is a `RuntimeError`."""
_RATIO_FLOOR = 1 << 20
"""Members that expand to less than this many bytes are harmless at any ratio."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UTF16_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_CHUNK = 1 << 20
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".emf", ".wmf",
             ".svg", ".jp2", ".heic")  # fmt: skip


def preflight_zip(data: bytes, limits: Limits | None = None) -> Archive:
    """Open a ZIP held in `data` after checking its directory against `limits`.

    Returns:
        The archive, whose reads are counted against the same limits.

    Raises:
        ParseError: `malformed` when it is no ZIP, is cut off, or names a member twice (readers
            differ in which one they take); `encrypted`; `limit_elements` for too many members;
            `limit_size` for too many bytes once expanded; `limit_ratio` for a bomb's ratio.
    """
    limits = limits or Limits()
    if data[:8] == _OLE:
        if _UTF16_ENCRYPTED in data:
            raise ParseError("encrypted", "the file is encrypted; save it without a password")
        raise ParseError("mismatched_type", "an OLE2 file (Office 97-2003), not a ZIP package")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except UNREADABLE as error:
        raise ParseError("malformed", f"not a readable ZIP package: {error}") from error
    if len(members) > limits.max_members:
        raise ParseError(
            "limit_elements",
            f"{len(members):,} members in the package; the limit max_members is "
            f"{limits.max_members:,}",
        )
    expanded = 0
    names: set[str] = set()
    for member in members:
        if member.filename in names:
            raise ParseError("malformed", f"member {member.filename!r} is in the package twice")
        names.add(member.filename)
        expanded += member.file_size
        if (
            member.file_size > _RATIO_FLOOR
            and member.file_size > max(member.compress_size, 1) * limits.max_ratio
        ):
            raise ParseError(
                "limit_ratio",
                f"member {member.filename!r} expands from {member.compress_size:,} to "
                f"{member.file_size:,} bytes; the limit max_ratio is {limits.max_ratio}",
            )
    if expanded > limits.max_expanded_bytes:
        raise ParseError(
            "limit_size",
            f"the package expands to {expanded:,} bytes; the limit max_expanded_bytes is "
            f"{limits.max_expanded_bytes:,}",
        )
    return Archive(archive, limits)


class Archive:
    """A checked ZIP; `read` counts the bytes it really gets."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._members = {member.filename: member for member in archive.infolist()}
        self._folded = {name.lower().lstrip("/"): name for name in self._members}
        self._budget = limits.max_expanded_bytes

    @property
    def names(self) -> list[str]:
        """Names of all members, in directory order."""
        return list(self._members)

    def has_pictures(self) -> bool:
        """Whether there are pictures in the package, the reader's preview of it aside.

        A picture may show text, so a document of pictures alone is not proven empty.
        """
        return any(
            name.lower().endswith(_PICTURES) and "thumbnail" not in name.lower()
            for name in self._members
        )

    def find(self, name: str) -> str | None:
        """The member called `name`, whatever its case and leading slash; null if there is none."""
        if name in self._members:
            return name
        return self._folded.get(name.lower().lstrip("/"))

    def read(self, name: str) -> bytes:
        """The member's bytes.

        Raises:
            ParseError: `malformed` when it is missing or damaged, `encrypted`, `limit_size` when
                it gives more bytes than its directory entry said.
        """
        found = self.find(name)
        if found is None:
            raise ParseError("malformed", f"the package has no member {name!r}")
        member = self._members[found]
        if member.flag_bits & 0x1:
            raise ParseError("encrypted", f"member {name!r} is encrypted")
        parts: list[bytes] = []
        size = 0
        try:
            with self._archive.open(member) as stream:
                while part := stream.read(_CHUNK):
                    size += len(part)
                    if size > member.file_size or size > self._budget:
                        raise ParseError(
                            "limit_size",
                            f"member {name!r} expands to more than the {member.file_size:,} "
                            f"bytes it declares, or than what is left of max_expanded_bytes",
                        )
                    parts.append(part)
        except UNREADABLE as error:
            raise ParseError("malformed", f"member {name!r} cannot be read: {error}") from error
        self._budget -= size
        return b"".join(parts)
