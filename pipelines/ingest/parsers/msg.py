"""Outlook messages (MSG): properties read from the OLE2 container after [MS-OXMSG]."""

from __future__ import annotations

import datetime
import struct
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pipelines.ingest.parsers.attachments import MAX_DEPTH, Attachments
from pipelines.ingest.parsers.base import Parsed, ParseError
from pipelines.ingest.parsers.html import build_html, decode_html
from pipelines.ingest.parsers.mailbody import write_headers, write_plain
from pipelines.ingest.parsers.rtf import build_rtf, html_of_rtf
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

_SHOWN = (
    ("Subject", 0x0037), ("From", 0x0C1A), ("To", 0x0E04), ("Cc", 0x0E03), ("Bcc", 0x0E02),
)  # fmt: skip
_CONTACT = (
    ("Name", 0x3001), ("Company", 0x3A16), ("Title", 0x3A17), ("Department", 0x3A18),
    ("Business phone", 0x3A08), ("Home phone", 0x3A09), ("Mobile", 0x3A1C), ("Fax", 0x3A24),
    ("Business address", 0x3A15), ("Street", 0x3A29), ("City", 0x3A27), ("State", 0x3A28),
    ("Postal code", 0x3A2A), ("Country", 0x3A26), ("Home page", 0x3A51),
)  # fmt: skip
_CLASS, _BODY, _HTML, _RTF, _SENT, _RECEIVED, _CODE_PAGE, _INTERNET_CODE_PAGE = (
    0x001A, 0x1000, 0x1013, 0x1009, 0x0039, 0x0E06, 0x3FFD, 0x3FDE,
)  # fmt: skip
_SENDER_ADDRESS = (0x5D01, 0x39FE, 0x0C1F)
_ATTACHED_DATA, _LONG_NAME, _SHORT_NAME, _DISPLAY_NAME, _MIME = (
    0x3701,
    0x3707,
    0x3704,
    0x3001,
    0x370E,
)
_EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_RTF_PREFIX = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern "
    b"\\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0"
    b"\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)


_DAMAGE = (OSError, struct.error, IndexError, ValueError, AttributeError, zlib.error)
"""What the library and the formats within raise on damaged files."""


class MsgParser:
    """Outlook messages to text and blocks."""

    name = "msg"
    formats = frozenset({"msg"})

    @property
    def version(self) -> str:
        """Of this parser and of the libraries behind it."""
        return f"2/olefile-{version('olefile')}/selectolax-{version('selectolax')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a message. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `encrypted`, `malformed`, or a limit.
        """
        import olefile

        build = TextBuilder(options.get("limits"))
        try:
            with olefile.OleFileIO(data) as container:
                message = _Storage(container, ())
                if not message.streams:
                    raise ParseError("malformed", "an OLE2 file without message properties")
                _write(build, message, 0)
                title = message.text(0x0037)
        except _DAMAGE as error:
            raise ParseError("malformed", f"not a readable Outlook message: {error}") from error
        text, blocks = build.finish()
        return Parsed(
            text=text,
            blocks=blocks,
            data_type="email",
            media_type="application/vnd.ms-outlook",
            title=squeeze(title) or None,
            warnings=tuple(build.warnings),
        )


def add_attachments(build: TextBuilder, data: bytes) -> None:
    """Add the files and messages attached to a message, without its own headers and body."""
    import olefile

    try:
        with olefile.OleFileIO(data) as container:
            message = _Storage(container, ())
            attachments = Attachments(build)
            for child in message.children:
                _write_attachment(build, attachments, message, child, 0)
    except _DAMAGE as error:
        build.warn(f"attachments are not readable: {error}")


class _Storage:
    """A message's or attachment's properties."""

    def __init__(self, container: Any, path: tuple[str, ...], codec: str = "cp1252") -> None:
        self.container = container
        self.path = path
        self.streams: dict[int, tuple[int, str]] = {}
        """Property id → (type, stream name)."""
        self.children: list[str] = []
        for entry in container.listdir(streams=True, storages=True):
            if tuple(entry[: len(path)]) != path or len(entry) != len(path) + 1:
                continue
            name = entry[-1]
            if name.startswith("__substg1.0_") and len(name) == 20:
                self.streams[int(name[12:16], 16)] = (int(name[16:20], 16), name)
            elif name.startswith("__attach_version1.0_"):
                self.children.append(name)
        self.children.sort()
        self.fixed = self._fixed()
        page = self.fixed.get(_CODE_PAGE) or self.fixed.get(_INTERNET_CODE_PAGE)
        self.codec = _codec(page, codec)

    def _fixed(self) -> dict[int, int]:
        """Properties of fixed length: 16-byte entries after a header."""
        name = [*self.path, "__properties_version1.0"]
        if not self.container.exists(name):
            return {}
        data = self.container.openstream(name).read()
        header = 8 if self.path and self.path[-1].startswith("__attach") else 24
        if not self.path:
            header = 32
        found = {}
        for at in range(header, len(data) - 15, 16):
            tag, _, value = struct.unpack_from("<IIQ", data, at)
            found[tag >> 16] = value
        return found

    def bytes(self, key: int) -> bytes:
        kind, name = self.streams.get(key, (0, ""))
        if not name or kind == 0x000D:
            return b""
        return bytes(self.container.openstream([*self.path, name]).read())

    def text(self, key: int) -> str:
        kind, _ = self.streams.get(key, (0, ""))
        data = self.bytes(key)
        codec = "utf-16-le" if kind == 0x001F else self.codec
        return data.decode(codec, "replace").rstrip("\0")

    def time(self, key: int) -> str:
        ticks = self.fixed.get(key, 0)
        if not ticks:
            return ""
        try:
            moment = _EPOCH + datetime.timedelta(microseconds=ticks // 10)
        except OverflowError:
            return ""
        return moment.isoformat(sep=" ", timespec="seconds")


def _codec(page: int | None, fallback: str) -> str:
    page = (page or 0) & 0xFFFFFFFF
    name = {65001: "utf-8", 20127: "ascii", 28591: "latin-1"}.get(page, f"cp{page}")
    try:
        "".encode(name)
    except LookupError:
        return fallback
    return name


def _write(build: TextBuilder, message: _Storage, depth: int) -> None:
    kind = message.text(_CLASS)
    if _is_encrypted(message, kind.upper()):
        if depth == 0:
            raise ParseError("encrypted", "the message is encrypted; only its headers are not")
        build.warn("an encrypted message is only there by its headers")
    build.open("message", locator=squeeze(message.text(0x1035)) or None)
    sender = message.text(0x0C1A)
    address = next((a for key in _SENDER_ADDRESS if "@" in (a := message.text(key))), "")
    if address and address not in sender:
        sender = f"{sender} <{address}>" if sender else address
    headers = [(name, sender if name == "From" else message.text(key)) for name, key in _SHOWN]
    write_headers(build, [*headers, ("Date", message.time(_SENT) or message.time(_RECEIVED))])
    if "CONTACT" in kind.upper():
        write_headers(build, ((name, message.text(key)) for name, key in _CONTACT))
    _write_body(build, message)
    attachments = Attachments(build)
    for child in message.children:
        _write_attachment(build, attachments, message, child, depth)
    build.close()


def _is_encrypted(message: _Storage, kind: str) -> bool:
    """Whether the body is hidden in S/MIME or PGP/MIME encryption."""
    if "SMIME" in kind:
        return "SIGNED" not in kind
    for child in message.children:
        attached = _Storage(message.container, (*message.path, child), message.codec)
        if attached.text(_MIME).lower() == "application/pgp-encrypted":
            return not message.text(_BODY).strip()
    return False


def _write_body(build: TextBuilder, message: _Storage) -> None:
    start = build.position
    html: str | None = None
    rtf = b""
    if message.bytes(_HTML):
        kind, _ = message.streams[_HTML]
        html = message.text(_HTML) if kind != 0x0102 else _html(message)
    else:
        rtf = decompress_rtf(message.bytes(_RTF), build)
        html = html_of_rtf(rtf) if rtf else None
    if html:
        build_html(build, html)
    if build.position == start and message.text(_BODY).strip():
        write_plain(build, message.text(_BODY))
    elif build.position == start and rtf:
        build_rtf(build, rtf)


def _html(message: _Storage) -> str:
    data = message.bytes(_HTML)
    page = message.fixed.get(_INTERNET_CODE_PAGE)
    codec = _codec(page, "")
    if codec:
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            pass  # the declaration lies; what the page says of itself is tried next
    return decode_html(data)[0]


def _write_attachment(
    build: TextBuilder, attachments: Attachments, message: _Storage, child: str, depth: int
) -> None:
    storage = _Storage(message.container, (*message.path, child), message.codec)
    name = squeeze(
        storage.text(_LONG_NAME) or storage.text(_SHORT_NAME) or storage.text(_DISPLAY_NAME)
    )
    kind, stream = storage.streams.get(_ATTACHED_DATA, (0, ""))
    if kind != 0x000D:
        attachments.add(name, storage.text(_MIME) or None, storage.bytes(_ATTACHED_DATA))
        return
    inner = _Storage(message.container, (*storage.path, stream), message.codec)
    shown = name or squeeze(inner.text(0x0037)) or "message"
    build.open("attachment", locator=shown)
    build.write(shown)
    if depth >= MAX_DEPTH:
        build.warn(f"attachment {shown!r} is not read: nested deeper than {MAX_DEPTH} files")
    elif inner.text(_CLASS):
        _write(build, inner, depth + 1)
    else:
        build.warn(f"attachment {shown!r} is not read: an embedded object")
    build.close()


def decompress_rtf(data: bytes, build: TextBuilder | None = None) -> bytes:
    """Undo the compression of [MS-OXRTFCP]; empty when there is nothing that can be undone."""
    if len(data) < 16:
        return b""
    size, raw_size, magic, _ = struct.unpack_from("<IIII", data)
    body = data[16 : min(len(data), size + 4)]
    if magic == 0x414C454D:
        return body[:raw_size]
    if magic != 0x75465A4C:
        if build is not None:
            build.warn("a body in an unknown compression is not read")
        return b""
    window = bytearray(_RTF_PREFIX.ljust(4096, b" "))
    write = len(_RTF_PREFIX)
    out = bytearray()
    at = 0
    while at < len(body):
        flags = body[at]
        at += 1
        for bit in range(8):
            if flags >> bit & 1:
                if at + 1 >= len(body):
                    return bytes(out)
                reference = body[at] << 8 | body[at + 1]
                at += 2
                offset, length = reference >> 4, (reference & 0xF) + 2
                if offset == write:
                    return bytes(out)
                for step in range(length):
                    byte = window[(offset + step) % 4096]
                    out.append(byte)
                    window[write] = byte
                    write = (write + 1) % 4096
            else:
                if at >= len(body):
                    return bytes(out)
                out.append(body[at])
                window[write] = body[at]
                write = (write + 1) % 4096
                at += 1
    return bytes(out)
