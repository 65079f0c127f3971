"""What an OLE2 compound file (Office 97-2003, Outlook) holds, from the names at its root."""

from __future__ import annotations

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def root_names(data: bytes) -> frozenset[str]:
    """Names of the streams and storages at the root, in lower case; empty for a damaged file.

    Names are compared without case, as writers are free to choose it ([MS-CFB] 2.6.4). Those
    further down stay out of it: a letter with a sheet in it is no sheet.
    """
    from olefile import OleFileIO

    try:
        with OleFileIO(data) as ole:
            return frozenset(entry.name.lower() for entry in ole.root.kids)
    except (OSError, ValueError, LookupError, AttributeError, RecursionError):
        # What the library raises where the headers contradict each other.
        return frozenset()
