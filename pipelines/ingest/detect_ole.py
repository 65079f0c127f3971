"""What an OLE2 compound file (Office 97-2003, Outlook) holds, from the names at its root."""

from __future__ import annotations

import struct

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_END = 0xFFFFFFFA
_MOST_SECTORS = 4_096


def root_names(data: bytes) -> frozenset[str]:
    """Names of the streams and storages at the root; empty when the file is damaged.

    Names further down stay out of it: a letter with a sheet in it is no sheet.
    Layout after [MS-CFB].
    """
    if len(data) < 512:
        return frozenset()
    shift = struct.unpack_from("<H", data, 30)[0]
    if shift not in (9, 12):
        return frozenset()
    size = 1 << shift
    (first,) = struct.unpack_from("<I", data, 48)
    fat_sectors = [s for s in struct.unpack_from("<109I", data, 76) if s < _END]
    entries: list[tuple[str, int, int, int]] = []
    sector = first
    for _ in range(_MOST_SECTORS):
        start = (sector + 1) * size
        if sector >= _END or start + size > len(data):
            break
        for offset in range(start, start + size, 128):
            (length,) = struct.unpack_from("<H", data, offset + 64)
            name = data[offset : offset + max(0, min(length, 64) - 2)]
            left, right, child = struct.unpack_from("<III", data, offset + 68)
            entries.append((name.decode("utf-16-le", errors="replace"), left, right, child))
        block, place = divmod(sector, size // 4)
        if block >= len(fat_sectors):
            break
        link = (fat_sectors[block] + 1) * size + 4 * place
        if link + 4 > len(data):
            break
        (sector,) = struct.unpack_from("<I", data, link)
    names: set[str] = set()
    pending = [entries[0][3]] if entries else []
    seen: set[int] = set()
    while pending:
        index = pending.pop()
        if index >= len(entries) or index in seen:
            continue
        seen.add(index)
        name, left, right, _ = entries[index]
        names.add(name)
        pending += (left, right)
    return frozenset(names)
