"""MSG: Outlook messages (MS-OXMSG) in a compound file (MS-CFB, version 3), written by hand.

Everything goes into the mini stream as long as it is below 4,096 bytes, which is where the
format puts such streams; larger ones get sectors of their own.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

_SECTOR = 512
_MINI = 64
_CUTOFF = 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_STRING, _LONG, _TIME = 0x001F, 0x0003, 0x0040


@dataclass
class _Entry:
    """A directory entry: a storage with children, or a stream with data."""

    name: str
    data: bytes | None = None
    children: list[_Entry] = field(default_factory=list)
    left: int = _FREE
    right: int = _FREE
    child: int = _FREE
    start: int = 0


def msg(
    subject: str, sender: tuple[str, str], to: Sequence[tuple[str, str]], sent: datetime, body: str
) -> bytes:
    """A plain-text Outlook message; people are (name, address)."""
    headers = (
        f"From: {sender[0]} <{sender[1]}>\r\nTo: {', '.join(f'{n} <{a}>' for n, a in to)}\r\n"
        f"Subject: {subject}\r\nDate: {sent:%a, %d %b %Y %H:%M:%S +0000}\r\n\r\n"
    )
    message = _properties(
        {
            0x001A: "IPM.Note",
            0x0037: subject,
            0x0070: subject,
            0x007D: headers,
            0x0C1A: sender[0],
            0x0C1F: sender[1],
            0x0E04: "; ".join(name for name, _ in to),
            0x0E1D: subject,
            0x1000: body.replace("\n", "\r\n"),
        },
        {0x0E07: 1, 0x340D: 0x00040000},
        {0x0039: sent, 0x0E06: sent},
        struct.pack("<8xIIII8x", len(to), 0, len(to), 0),
    )
    recipients = [
        _Entry(
            f"__recip_version1.0_#{n:08X}",
            children=_properties(
                {0x3001: name, 0x3002: "SMTP", 0x3003: address, 0x39FE: address},
                {0x0C15: 1, 0x3000: n},
                {},
                bytes(8),
            ),
        )
        for n, (name, address) in enumerate(to)
    ]
    names = _Entry(
        "__nameid_version1.0",
        children=[_Entry(f"__substg1.0_000{n}0102", b"") for n in (2, 3, 4)],
    )
    return _compound([*message, *recipients, names])


def _properties(
    strings: Mapping[int, str],
    longs: Mapping[int, int],
    times: Mapping[int, datetime],
    header: bytes,
) -> list[_Entry]:
    """The property stream of an object and a stream for each of its strings."""
    table = bytearray(header)
    entries = []
    for tag, text in strings.items():
        data = text.encode("utf-16-le")
        table += struct.pack("<HHIII", _STRING, tag, 6, len(data) + 2, 0)
        entries.append(_Entry(f"__substg1.0_{tag:04X}{_STRING:04X}", data))
    for tag, value in longs.items():
        table += struct.pack("<HHIII", _LONG, tag, 6, value, 0)
    for tag, when in times.items():
        ticks = int((when - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
        table += struct.pack("<HHIQ", _TIME, tag, 6, ticks)
    return [_Entry("__properties_version1.0", bytes(table)), *entries]


def _compound(children: list[_Entry]) -> bytes:
    root = _Entry("Root Entry", children=children)
    entries = _numbered(root)
    sectors: list[bytes] = []
    chain: list[int] = []

    def store(data: bytes) -> int:
        """Append data in whole sectors, chained in the FAT; its first sector."""
        first, count = len(sectors), -(-len(data) // _SECTOR)
        for n in range(count):
            sectors.append(data[n * _SECTOR : (n + 1) * _SECTOR].ljust(_SECTOR, b"\0"))
            chain.append(first + n + 1 if n + 1 < count else _END)
        return first if count else _END

    mini, mini_chain = bytearray(), []
    for entry in entries[1:]:
        if entry.data is None:
            continue
        if len(entry.data) >= _CUTOFF:
            entry.start = store(entry.data)
            continue
        count = -(-len(entry.data) // _MINI)
        entry.start = len(mini_chain) if count else _END
        mini_chain += [len(mini_chain) + n + 1 for n in range(count - 1)] + [_END] * (count > 0)
        mini += entry.data.ljust(count * _MINI, b"\0")
    root.start, mini_size = store(bytes(mini)), len(mini)
    mini_fat = struct.pack(f"<{len(mini_chain)}I", *mini_chain)
    mini_fat = mini_fat.ljust(-(-len(mini_fat) // _SECTOR) * _SECTOR, b"\xff")
    mini_start = store(mini_fat)
    directory = b"".join(_packed(entry, mini_size) for entry in entries)
    directory += _BLANK * (-len(entries) % 4)
    directory_start = store(directory)

    fat_count = 1
    while fat_count * (_SECTOR // 4) < len(chain) + fat_count:
        fat_count += 1
    fat_first = len(chain)
    chain += [_FAT] * fat_count
    chain += [_FREE] * (fat_count * (_SECTOR // 4) - len(chain))
    fat = struct.pack(f"<{len(chain)}I", *chain)
    locations = [fat_first + n if n < fat_count else _FREE for n in range(109)]
    header = struct.pack(
        "<8s16xHHHHH6x9I",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, fat_count, directory_start,
        0, _CUTOFF, mini_start, len(mini_fat) // _SECTOR, _END, 0,
    )  # fmt: skip
    return header + struct.pack("<109I", *locations) + b"".join(sectors) + fat


_BLANK = struct.pack("<64xHBBIII36xIQ", 0, 0, 1, _FREE, _FREE, _FREE, 0, 0)


def _numbered(root: _Entry) -> list[_Entry]:
    """All entries in directory order, with each storage's children linked as a balanced tree."""
    entries = [root]
    position = 0
    while position < len(entries):
        storage = entries[position]
        position += 1
        first = len(entries)
        # The format orders names by length, then by their upper-case characters.
        ordered = sorted(storage.children, key=lambda e: (len(e.name), e.name.upper()))
        entries.extend(ordered)
        storage.child = _link(entries, first, len(entries))
    return entries


def _link(entries: list[_Entry], low: int, high: int) -> int:
    if low >= high:
        return _FREE
    middle = (low + high) // 2
    entries[middle].left = _link(entries, low, middle)
    entries[middle].right = _link(entries, middle + 1, high)
    return middle


def _packed(entry: _Entry, mini_size: int) -> bytes:
    name = entry.name.encode("utf-16-le")
    is_root = entry.name == "Root Entry"
    kind = 5 if is_root else 1 if entry.data is None else 2
    size = mini_size if is_root else len(entry.data or b"")
    return struct.pack(
        "<64sHBBIII36xIQ",
        name, len(name) + 2, kind, 1, entry.left, entry.right, entry.child, entry.start, size,
    )  # fmt: skip
