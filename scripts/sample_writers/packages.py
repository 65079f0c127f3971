"""ZIP packages whose bytes depend on nothing but their members."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

_TIME = (2026, 3, 2, 9, 0, 0)


def package(members: Sequence[tuple[str, bytes]], stored: Sequence[str] = ()) -> bytes:
    """A ZIP file of the members, in this order; those named in `stored` are not compressed."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, _TIME)
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, data)
    return target.getvalue()


def normalised(data: bytes) -> bytes:
    """The same package with fixed times, as a library wrote it in this order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return package([(name, archive.read(name)) for name in archive.namelist()])
