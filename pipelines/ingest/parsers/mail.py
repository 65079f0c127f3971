"""Mail: single messages (EML) and mailboxes (mbox), attachments parsed by their own parsers."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from importlib.metadata import version
from typing import Any

from pipelines.ingest.parsers.attachments import Attachments
from pipelines.ingest.parsers.base import Parsed, ParseError
from pipelines.ingest.parsers.html import build_html, decode_html, wide_encoding
from pipelines.ingest.parsers.mailbody import write_headers, write_plain
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

MAX_PARTS = 2_000
"""Parts of one message that are read."""
MAX_DEPTH = 50
"""How deep parts and messages may be nested."""
_SHOWN = ("Subject", "From", "To", "Cc", "Bcc", "Reply-To", "Date")
_FROM_LINE = re.compile(rb"^From [^\r\n]*\r?\n", re.MULTILINE)
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_BOUNDARY = re.compile(rb"""boundary\s*=\s*(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))""", re.I)


_RAW_BYTES = re.compile("[\udc80-\udcff]")
_WORD = re.compile(r"\w{3,}")
_TAG = re.compile(r"<[^>]{0,10000}>")
_FEWEST_WORDS = 20
"""Different words that a plain body must have before it is compared with the other one."""


class _AsRead(Compat32):
    """Headers as read; the usual policy puts replacement characters for raw bytes."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value


class MailParser:
    """Mail messages (`eml`) and mailboxes (`mbox`) to text and blocks."""

    name = "mail"
    formats = frozenset({"eml", "mbox"})

    @property
    def version(self) -> str:
        """Of this parser and of the library that reads HTML bodies."""
        return f"2/selectolax-{version('selectolax')}"

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Parse a message or a mailbox. Options: `limits`, a `Limits`.

        Raises:
            ParseError: `encrypted` when the message's whole body is, `malformed`, `limit_depth`,
                `limit_elements` for too many parts, or another limit.
        """
        build = TextBuilder(options.get("limits"))
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            data = data.decode("utf-16", "replace").encode()
        elif wide := wide_encoding(data):
            data = data.decode(wide, "replace").encode()
        data = data.removeprefix(codecs.BOM_UTF8)
        title = None
        messages = list(_split_mbox(data)) if format == "mbox" else [data]
        for number, source in enumerate(messages, 1):
            message = _parse(source)
            title = title or _header(message, "Subject")
            _Reader(build).message(message, number if format == "mbox" else None)
        text, blocks = build.finish()
        return Parsed(
            text=text,
            blocks=blocks,
            data_type="email",
            media_type="application/mbox" if format == "mbox" else "message/rfc822",
            title=squeeze(title or "") or None,
            warnings=tuple(build.warnings),
        )


def add_attachments(build: TextBuilder, data: bytes) -> None:
    """Add the files and messages attached to a message, without its own headers and body.

    Raises:
        ParseError: as `MailParser.parse`.
    """
    reader = _Reader(build)
    reader.bodies = False
    reader.part(_parse(data.removeprefix(codecs.BOM_UTF8)), 0)


def html_bodies(data: bytes) -> Iterator[str]:
    """The HTML bodies of a message."""
    for part in _parse(data).walk():
        if part.get_content_type() == "text/html" and not part.is_multipart():
            yield _html(part)


def _parse(source: bytes) -> Message:
    _check_parts(source)
    try:
        return BytesParser(policy=_AsRead()).parsebytes(source.lstrip(b"\r\n"))
    except RecursionError as error:
        raise ParseError("limit_depth", "message parts nested too deep to be read") from error


def _check_parts(source: bytes) -> None:
    """Refuse messages whose sheer number of boundaries would keep the library busy."""
    boundaries = {a or b for a, b in _BOUNDARY.findall(source)}
    if len(boundaries) > 4 * MAX_DEPTH:
        raise ParseError(
            "limit_depth", f"{len(boundaries):,} nested multiparts; up to {4 * MAX_DEPTH} are read"
        )
    if source.count(b"\n--") <= MAX_PARTS:
        return
    parts = sum(source.count(b"\n--" + boundary) for boundary in boundaries)
    if parts > MAX_PARTS:
        raise ParseError("limit_elements", f"{parts:,} message parts; up to {MAX_PARTS:,} are read")


def _split_mbox(data: bytes) -> Iterator[bytes]:
    """The messages of a mailbox: each begins after a `From ` line that follows an empty line."""
    starts = [
        found
        for found in _FROM_LINE.finditer(data)
        if found.start() == 0 or data[: found.start()].endswith((b"\n\n", b"\r\n\r\n"))
    ]
    if not starts:
        yield data
        return
    ends = [found.start() for found in starts[1:]] + [len(data)]
    for found, end in zip(starts, ends, strict=True):
        message = data[found.end() : end]
        if message.strip():
            yield re.sub(rb"(?m)^>(>*From )", rb"\1", message)


class _Reader:
    """One message on its way through."""

    def __init__(self, build: TextBuilder) -> None:
        self.build = build
        self.attachments = Attachments(build)
        self.parts = 0
        self.bodies = True
        """Whether bodies are written; those of attached messages always are."""

    def message(self, message: Message, number: int | None = None, depth: int = 0) -> None:
        if message.get_content_type() in _ENCRYPTED and not self._signed_only(message):
            if depth == 0 and number is None:
                raise ParseError("encrypted", "the message is encrypted; only its headers are not")
            self.build.warn("an encrypted message is only there by its headers")
        locator = _header(message, "Message-ID") or (f"message {number}" if number else None)
        self.build.open("message", locator=squeeze(locator) if locator else None)
        write_headers(self.build, ((name, _header(message, name)) for name in _SHOWN))
        self.part(message, depth)
        self.build.close()

    @staticmethod
    def _signed_only(message: Message) -> bool:
        return "signed" in str(message.get_param("smime-type", "")).lower()

    def part(self, part: Message, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ParseError("limit_depth", f"message parts nested deeper than {MAX_DEPTH}")
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise ParseError("limit_elements", f"more than {MAX_PARTS:,} message parts")
        kind = part.get_content_type()
        if part.is_multipart():
            payload = part.get_payload()
            children = [p for p in payload if isinstance(p, Message)]
            if kind == "multipart/alternative":
                self.alternative(children, depth)
            elif kind == "message/rfc822":
                self.forwarded(part, children, depth)
            elif kind == "message/delivery-status":
                for child in children:
                    write_headers(self.build, ((k, str(v)) for k, v in child.items()))
            else:
                for child in children:
                    self.part(child, depth + 1)
            return
        attached = part.get_content_disposition() == "attachment" or part.get_filename()
        if attached or not kind.startswith(("text/plain", "text/html", "text/enriched")):
            self.attached(part, kind)
        elif not self.bodies:
            return
        elif kind == "text/html":
            build_html(self.build, _html(part))
        else:
            write_plain(self.build, _plain(part))

    def alternative(self, children: list[Message], depth: int) -> None:
        """Of renderings of one body, the richest that says something; files in any are kept."""
        bodies = [
            child
            for child in children
            if child.get_content_type() in ("text/plain", "text/html", "text/enriched")
            and not child.is_multipart()
            and not child.get_filename()
        ]
        others = [child for child in children if child not in bodies]
        related = [child for child in others if child.is_multipart()]
        chosen = [b for b in bodies if b.get_content_type() == "text/html" and _says(b)]
        if not related:
            kept = (chosen or [b for b in bodies if _says(b)])[-1:]
            # A plain body that is another text, and no copy of the one kept, is a body as well.
            kept = [b for b in bodies if b in kept or (kept and _differs(b, kept[0]))]
            for body in kept:
                self.part(body, depth + 1)
        for child in related:
            self.part(child, depth + 1)
        for child in others:
            if child not in related:
                self.part(child, depth + 1)

    def forwarded(self, part: Message, children: list[Message], depth: int) -> None:
        bodies, self.bodies = self.bodies, True
        for child in _unwrapped(part, children):
            name = part.get_filename() or _header(child, "Subject") or "message"
            shown = squeeze(_decode(name))
            self.build.open("attachment", locator=shown)
            self.build.write(shown)
            self.message(child, depth=depth + 1)
            self.build.close()
        self.bodies = bodies

    def attached(self, part: Message, kind: str) -> None:
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        name = _decode(part.get_filename() or "")
        if not name:
            if not data.strip():
                return
            name = squeeze(str(part.get("Content-ID", ""))).strip("<>") or kind.replace("/", ".")
        self.attachments.add(name, kind, data)


def _unwrapped(part: Message, children: list[Message]) -> list[Message]:
    """The messages in a message part. The standard wants them plain, some programs encode them."""
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding not in ("base64", "quoted-printable") or len(children) != 1 or children[0].keys():
        return children
    carrier = Message()
    carrier["Content-Transfer-Encoding"] = encoding
    carrier.set_payload(children[0].get_payload())
    data = carrier.get_payload(decode=True)
    return [_parse(data)] if isinstance(data, bytes) and data.strip() else children


def _differs(plain: Message, rich: Message) -> bool:
    """Whether most words of a plain body are not in the other one."""
    if plain.get_content_type() != "text/plain":
        return False
    words = set(_WORD.findall(_plain(plain).lower()))
    others = set(_WORD.findall(_TAG.sub(" ", _html(rich)).lower()))
    return len(words) >= _FEWEST_WORDS and len(words & others) * 2 < len(words)


def _says(part: Message) -> bool:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return False
    if part.get_content_type() == "text/html":
        return bool(re.sub(rb"<[^>]*>|&nbsp;|\s+", b"", payload))
    return bool(payload.strip())


def _plain(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = _charset(part)
    for candidate in (charset, "utf-8"):
        if candidate:
            try:
                return data.decode(candidate)
            except UnicodeDecodeError:
                continue
    return data.decode(charset if charset not in (None, "ascii", "utf-8") else "cp1252", "replace")


def _html(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = _charset(part)
    if charset:
        try:
            return data.decode(charset)
        except UnicodeDecodeError:
            pass  # the declaration lies; what the page says of itself is tried next
    return decode_html(data)[0]


def _charset(part: Message) -> str | None:
    """The declared character set, where Python knows it as one for text."""
    try:
        declared = part.get_content_charset()
        if not declared or declared in ("utf-7", "unicode-1-1-utf-7"):
            return None
        found = codecs.lookup(declared)
    except (LookupError, ValueError, UnicodeError):
        return None
    return found.name if getattr(found, "_is_text_encoding", True) else None


def _header(message: Message, name: str) -> str:
    return ", ".join(_decode(str(value)) for value in message.get_all(name) or ())


def _decode(value: str) -> str:
    """Resolve encoded words; what cannot be decoded stays as it is written."""
    if "=?" not in value:
        return _bytes_in(value)
    parts: list[str] = []
    try:
        for text, charset in decode_header(value):
            if isinstance(text, str):
                parts.append(text)
                continue
            try:
                parts.append(text.decode(charset or "ascii"))
            except (LookupError, UnicodeDecodeError):
                parts.append(text.decode("utf-8", "replace"))
    except (ValueError, IndexError, LookupError):  # binascii.Error is a ValueError
        return _bytes_in(value)
    return "".join(parts)


def _bytes_in(value: str) -> str:
    """Raw bytes in a header, which the library keeps as surrogates, as UTF-8 or Windows-1252."""
    if not _RAW_BYTES.search(value):
        return value
    data = value.encode("utf-8", "surrogateescape")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
