from __future__ import annotations

import io
import zipfile

import pytest
from parsing_tools import damaged, restated, zip_of

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


METHODS = [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("method", METHODS)
def test_damage_is_told_whatever_the_packing(method: int) -> None:
    data = zip_of({"a": "hello " * 100, "b": "fine"}, method)
    assert preflight_zip(data).read("a") == b"hello " * 100
    assert refused(damaged(data, "a"), read="a") == "malformed"
    assert preflight_zip(damaged(data, "a")).read("b") == b"fine"


def test_packing_of_an_unknown_kind_is_found_out_while_reading() -> None:
    archive = preflight_zip(restated(zip_of({"a": "x"}), "method", 99))
    assert archive.names == ["a"]
    with pytest.raises(ParseError, match=r"'a' cannot be read: .*compression") as caught:
        archive.read("a")
    assert caught.value.error_class == "malformed"
    assert isinstance(caught.value.__cause__, NotImplementedError)


def test_a_package_of_a_later_version_is_refused_by_its_directory() -> None:
    data = zip_of({"a": "x"})
    assert preflight_zip(restated(data, "needs_version", 63)).read("a") == b"x"
    with pytest.raises(ParseError, match=r"zip file version 6\.4") as caught:
        preflight_zip(restated(data, "needs_version", 64))
    assert caught.value.error_class == "malformed"
    assert isinstance(caught.value.__cause__, NotImplementedError)
