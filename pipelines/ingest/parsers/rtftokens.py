"""RTF's tokens, groups and characters: everything below paragraphs.

After the Rich Text Format Specification, version 1.9.1. Groups are kept on a list, so nesting
costs no recursion, and `\\bin` lengths are checked against the data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pipelines.ingest.parsers.base import ParseError
from pipelines.ingest.parsers.textbuild import word_list

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+|"
    rb"([^\\{}\r\n]+)|\\",
    re.DOTALL,
)
_CHARSETS = {
    0: "cp1252", 2: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab",
    134: "gb18030", 136: "cp950", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255",
    178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437",
    255: "cp850",
}  # fmt: skip
_SYMBOLS = {
    "emdash": "\u2014", "endash": "\u2013", "lquote": "\u2018", "rquote": "\u2019",
    "ldblquote": "\u201c", "rdblquote": "\u201d", "bullet": "•", "tab": "\t", "line": "\n",
    "lbr": "\n", "emspace": " ", "enspace": " ", "qmspace": " ", "zwj": "\u200d",
    "zwnj": "\u200c", "softline": "\n",
}  # fmt: skip
_SKIPPED = frozenset(
    word_list(
        "pict objdata objclass objname fldinst colortbl listtable listoverridetable revtbl rsidtbl "
        "themedata colorschememapping datastore latentstyles generator filetbl xmlnstbl mmathPr "
        "bkmkstart bkmkend nonesttables nesttableprops pgptbl author operator keywords comment "
        "company manager category doccomm hlinkbase subject creatim revtim printim buptim upr sp "
        "fontemb fontfile falt panose pnseclvl pntxta pntxtb background template formfield ffname "
        "ffdeftext datafield atnid atnref atnicn atndate atntime atrfstart atrfend atnparent xe tc "
        "txe rxe wgrffmtfilter userprops propname staticval mhtmltag"
    )
)
_READ_STARRED = frozenset(
    word_list(
        "ud shppict footnote annotation shpinst shptxt nestcell nestrow atnauthor htmltag "
        "fonttbl stylesheet pntext listtext do dptxbxtext cs ds ts"
    )
)
_SIDES = {
    "footnote": "footnote", "annotation": "comment", "header": "header", "headerl": "header",
    "headerr": "header", "headerf": "header", "footer": "footer", "footerl": "footer",
    "footerr": "footer", "footerf": "footer", "title": "title", "listtext": "label",
    "pntext": "label", "atnauthor": "author", "fonttbl": "fonttbl", "stylesheet": "stylesheet",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """What a group inherits and restores."""

    destination: str = "body"
    font: int = 0
    skip_after_unicode: int = 1
    deleted: bool = False
    starred: bool = False


class RtfTokens:
    """Walks the tokens and calls the methods below; subclasses give them meaning.

    Raises:
        ParseError: `malformed` when the data is no RTF.
    """

    def __init__(self, data: bytes) -> None:
        if not data.lstrip()[:5].lower().startswith(b"{\\rtf"):
            raise ParseError("malformed", "not RTF: it does not begin with {\\rtf")
        self.data = data
        self.group = Group()
        self.groups: list[Group] = []
        self.encoding = "cp1252"
        self.fonts: dict[int, str] = {}
        self._bytes = bytearray()
        self._skip = 0
        self._high_surrogate = 0
        self._opened = False
        """Whether the token before was the group's opening brace."""

    # To be overridden

    def text(self, text: str) -> None:
        """Characters for the current destination."""

    def word(self, name: str, value: int | None) -> None:
        """A control word that is not about characters or groups."""

    def enter(self, destination: str) -> None:
        """A destination begins in this group."""

    def leave(self, destination: str) -> None:
        """The group in which a destination began ends."""

    # The walk

    def run(self) -> None:
        """Read all tokens. What an unfinished file has open is ended.

        Raises:
            ParseError: `malformed` when binary data is said to reach past the end.
        """
        data, at, end = self.data, 0, len(self.data)
        match = _TOKEN.match
        while at < end:
            token = match(data, at)
            if token is None:
                break
            at = token.end()
            name, number, code, symbol, brace, plain = token.groups()
            if plain is not None:
                self._plain(plain)
            elif code is not None:
                if self._skip:
                    self._skip -= 1
                else:
                    self._bytes.append(int(code, 16))
            elif name is not None:
                value = int(number) if number is not None else None
                if name == b"bin":
                    if not 0 <= (value or 0) <= end - at:
                        raise ParseError(
                            "malformed", f"binary data of {value} bytes at byte {at}, past the end"
                        )
                    at += value or 0
                else:
                    self._word(name.decode(), value)
            elif brace is not None:
                self._flush()
                self._skip = 0
                if brace == b"{":
                    self.groups.append(self.group)
                    self.group = replace(self.group, starred=False)
                    self._opened = True
                    continue
                elif self.groups:
                    self._end_group()
            elif symbol is not None:
                self._symbol(symbol)
            self._opened = False
        self._flush()
        while self.groups:
            self._end_group()

    def _end_group(self) -> None:
        inner, self.group = self.group, self.groups.pop()
        if inner.destination != self.group.destination:
            self.leave(inner.destination)

    def _plain(self, plain: bytes) -> None:
        if self._skip:
            plain, self._skip = plain[self._skip :], max(0, self._skip - len(plain))
        if self.group.destination != "skip":
            self._bytes += plain

    def _flush(self) -> None:
        """Decode the bytes gathered so far by the current font's code page."""
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            if self.group.destination != "skip" and not self.group.deleted:
                encoding = self.fonts.get(self.group.font, self.encoding)
                self.text(data.decode(encoding, "replace"))

    def _emit(self, text: str) -> None:
        self._flush()
        if self.group.destination != "skip" and not self.group.deleted:
            self.text(text)

    def _symbol(self, symbol: bytes) -> None:
        if self._skip:
            self._skip -= 1
            return
        if symbol in b"\\{}":
            self._bytes += symbol
        elif symbol == b"~":
            self._emit(" ")
        elif symbol == b"_":
            self._emit("-")
        elif symbol == b"*":
            # Some writers put it inside a group, where it means nothing.
            self.group = replace(self.group, starred=self._opened)
            self._opened = False
        elif symbol in b"\r\n":
            self._flush()
            self.word("par", None)

    def _word(self, name: str, value: int | None) -> None:
        if name == "u":
            self._unicode(value or 0)
            return
        if self._skip and name in _SYMBOLS:
            self._skip -= 1
            return
        self._flush()
        self._skip = 0
        group = self.group
        if name in _SYMBOLS:
            self._emit(_SYMBOLS[name])
        elif name in _SIDES or name in _SKIPPED or group.starred:
            if name in _SIDES and (not group.starred or name in _READ_STARRED):
                if group.destination != "skip":
                    self.group = replace(group, destination=_SIDES[name], starred=False)
                    self.enter(_SIDES[name])
            elif group.starred and name == "ud":
                self.group = replace(group, destination="body", starred=False)
            elif name in _SKIPPED or name not in _READ_STARRED:
                self.group = replace(group, destination="skip", starred=False)
            else:
                self.group = replace(group, starred=False)
                self.word(name, value)
        elif name == "uc":
            self.group = replace(group, skip_after_unicode=max(0, min(value or 0, 255)))
        elif name == "f" and group.destination != "fonttbl":
            self.group = replace(group, font=value or 0)
        elif name == "deleted":
            self.group = replace(group, deleted=value != 0)
        elif name == "plain":
            self.group = replace(group, font=0, deleted=False)
            self.word(name, value)
        elif name == "ansicpg":
            self._set_encoding(f"cp{value}")
        elif name in ("mac", "pc", "pca"):
            self._set_encoding({"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}[name])
        elif name == "fcharset" and group.destination == "fonttbl":
            self.fonts[group.font] = _CHARSETS.get(value or 0, self.encoding)
            if not value:
                self.fonts.pop(group.font)
        elif name == "f":
            self.group = replace(group, font=value or 0)
        elif group.destination != "skip":
            self.word(name, value)

    def _set_encoding(self, name: str) -> None:
        try:
            "".encode(name)
        except LookupError:
            return
        self.encoding = name

    def _unicode(self, value: int) -> None:
        self._flush()
        self._skip = self.group.skip_after_unicode
        code = value & 0xFFFF
        if 0xD800 <= code < 0xDC00:
            self._high_surrogate = code
            return
        if 0xDC00 <= code < 0xE000:
            if not self._high_surrogate:
                return
            code = 0x10000 + ((self._high_surrogate - 0xD800) << 10) + code - 0xDC00
        elif 0xF000 <= code <= 0xF0FF:
            code = 0x2022 if code == 0xF0B7 else code - 0xF000
        self._high_surrogate = 0
        self._emit(chr(code))
