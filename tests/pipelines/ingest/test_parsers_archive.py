from __future__ import annotations

import io
import zipfile

import pytest
from parsing_tools import zip_of

from pipelines.ingest.parsers.archive import preflight_zip
from pipelines.ingest.parsers.base import Limits, ParseError


def refused(data: bytes, limits: Limits | None = None, read: str | None = None) -> str:
    def run() -> None:
        archive = preflight_zip(data, limits)
        if read:
            archive.read(read)

    with pytest.raises(ParseError) as caught:
        run()
    return caught.value.error_class


def test_members_are_found_whatever_their_case() -> None:
    archive = preflight_zip(zip_of({"Word/Document.xml": "x"}))
    assert archive.read("/word/document.xml") == b"x"
    assert archive.find("nothing") is None
    assert archive.names == ["Word/Document.xml"]


def test_what_is_no_zip_is_told_apart() -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)
    assert refused(b"plain text") == "malformed"
    assert refused(ole) == "mismatched_type"
    assert refused(ole + "EncryptedPackage".encode("utf-16-le")) == "encrypted"
    assert refused(zip_of({"a": "x" * 1000})[:-30]) == "malformed"


def test_bombs_are_refused_by_the_directory() -> None:
    assert refused(zip_of({"a": b"\0" * (5 << 20)})) == "limit_ratio"
    assert refused(zip_of({"a": "x" * 900}), Limits(max_expanded_bytes=500)) == "limit_size"
    assert refused(zip_of({str(i): "" for i in range(20)}), Limits(max_members=10)) == (
        "limit_elements"
    )


def test_a_lying_directory_is_caught_while_reading() -> None:
    data = bytearray(zip_of({"a": "x" * 5000}))
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    assert refused(bytes(data), read="a") in ("limit_size", "malformed")


def test_duplicates_damage_and_encryption() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", "2")
    assert refused(buffer.getvalue()) == "malformed"
    data = bytearray(zip_of({"a": "hello " * 100}))
    data[40] ^= 0xFF
    assert refused(bytes(data), read="a") == "malformed"
    assert refused(zip_of({"a": "x"}), read="b") == "malformed"
    data = bytearray(zip_of({"a": "x"}))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    assert refused(bytes(data), read="a") == "encrypted"
