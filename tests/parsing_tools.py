"""What the tests of parsers share: checked parsing, small packages, real and hostile files."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lineage import check_blocks
from pipelines.ingest.parsers import registry
from pipelines.ingest.parsers.base import Limits, Parsed, ParseError

DATA = os.environ.get("GRISTMILL_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="GRISTMILL_TEST_DATA is not set")


def parse(
    data: bytes | str, format: str, *, name: str = "", limits: Limits | None = None
) -> Parsed:
    """Parse with the default parser and check what every parser promises."""
    source = data.encode() if isinstance(data, str) else data
    options: dict[str, Any] = {"limits": limits} if limits else {}
    parser = registry.load(registry.DEFAULTS[format])
    parsed = parser.parse(source, name=name or f"test.{format}", format=format, options=options)
    check(parsed)
    return parsed


def check(parsed: Parsed) -> None:
    assert check_blocks(parsed.text, parsed.blocks) is None
    assert "\0" not in parsed.text
    parsed.text.encode()  # no lone surrogates
    for block in parsed.blocks:
        piece = parsed.text[block.start : block.end]
        assert piece == piece.strip() or block.kind == "code", f"{block} has loose ends"


def shape(parsed: Parsed) -> list[tuple[str, int | None, str]]:
    """Kind, level and text of every block."""
    return [(b.kind, b.level, parsed.text[b.start : b.end]) for b in parsed.blocks]


def texts(parsed: Parsed, kind: str) -> list[str]:
    """Texts of the blocks of one kind."""
    return [parsed.text[b.start : b.end] for b in parsed.blocks if b.kind == kind]


def error_class(data: bytes, format: str, limits: Limits | None = None) -> str:
    """Class of the error that parsing raises."""
    with pytest.raises(ParseError) as caught:
        parse(data, format, limits=limits)
    return caught.value.error_class


def zip_of(members: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive of the members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


_HEADERS = {"needs_version": (4, 6), "method": (8, 10)}


def restated(archive: bytes, field: str, value: int) -> bytes:
    """A ZIP archive whose headers say `value` of every member: `needs_version` or `method`."""
    data = bytearray(archive)
    for signature, offset in zip((b"PK\3\4", b"PK\1\2"), _HEADERS[field], strict=True):
        at = data.find(signature)
        while at >= 0:
            data[at + offset : at + offset + 2] = value.to_bytes(2, "little")
            at = data.find(signature, at + 4)
    return bytes(data)


def damaged(archive: bytes, member: str) -> bytes:
    """A ZIP archive in which the packed bytes of one member are nothing that can be unpacked."""
    data = bytearray(archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        found = opened.getinfo(member)
    start = found.header_offset + 30 + len(member)
    end = start + found.compress_size
    if found.compress_type == zipfile.ZIP_LZMA:
        start += 4  # Version and length: without a length it would only wait for more.
    data[start:end] = b"\xff" * (end - start)
    return bytes(data)


RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def relations(*entries: tuple[str, str, str]) -> str:
    """A relationships part of (id, last word of the type, target)."""
    lines = "".join(
        f'<Relationship Id="{id}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for id, kind, target in entries
    )
    return f'<Relationships xmlns="{RELATIONSHIPS}">{lines}</Relationships>'


def corpus(pattern: str) -> list[Path]:
    """Real files by glob, empty without test data."""
    return sorted((Path(DATA) / "corpus").glob(pattern)) if DATA else []


def one(name: str) -> bytes:
    """The bytes of the one real file with this name."""
    return next((Path(DATA or "") / "corpus").rglob(name)).read_bytes()


def make_hostile(folder: Path) -> Path:
    """Generate the hostile files; gives the folder that holds them."""
    script = Path(DATA or "") / "hostile" / "make_hostile.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    return folder / "gen"


def hostile_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" and "zip" not in path.parts else data


def outcomes(paths: list[Path], format: str) -> Iterator[tuple[str, str]]:
    """Name and `ok`, `empty` or the error class, of each real file."""
    for path in paths:
        try:
            parsed = parse(path.read_bytes(), format, name=path.name)
        except ParseError as error:
            yield path.name, error.error_class
        else:
            yield path.name, "ok" if parsed.text.strip() else "empty"
