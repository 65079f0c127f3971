from __future__ import annotations

import contextlib
import datetime
import importlib.util
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing_tools import corpus, error_class, needs_data, one, outcomes, parse, shape, texts

from pipelines.ingest.parsers.base import ParseError
from pipelines.ingest.parsers.msg import decompress_rtf

ROOT = Path(__file__).parents[3]
SENT = datetime.datetime(2026, 3, 3, 16, 40, tzinfo=datetime.UTC)
BINARY, STORAGE = 0x0102, 0x000D


def _writer() -> ModuleType:
    """The module that writes the samples' Outlook messages."""
    path = ROOT / "scripts" / "sample_writers" / "outlook.py"
    spec = importlib.util.spec_from_file_location("sample_outlook", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


outlook = _writer()
Entry = outlook._Entry


def properties(
    strings: dict[int, str], streams: dict[int, bytes] | None = None, *, attached: bool = False,
    longs: dict[int, int] | None = None, nested: bool = False,
) -> list[Any]:  # fmt: skip
    """Entries of a message's or an attachment's properties."""
    header = bytes(8 if attached else 24 if nested else 32)
    entries = outlook._properties(strings, longs or {}, {0x0039: SENT} if not attached else {},
                                  header)  # fmt: skip
    for tag, data in (streams or {}).items():
        entries.append(Entry(f"__substg1.0_{tag:04X}{BINARY:04X}", data))
    return list(entries)


def attachment(number: int, entries: list[Any]) -> Any:
    return Entry(f"__attach_version1.0_#{number:08X}", children=entries)


def msg(strings: dict[int, str], streams: dict[int, bytes] | None = None, *others: Any,
        **options: Any) -> bytes:  # fmt: skip
    base = {0x001A: "IPM.Note", 0x0037: "Gauges", 0x0C1A: "Ann", 0x0C1F: "ann@x.org"}
    data: bytes = outlook._compound([*properties(base | strings, streams, **options), *others])
    return data


def test_headers_and_plain_body() -> None:
    data = outlook.msg(
        "Gauges", ("Ann", "ann@x.org"), [("Bob", "bob@x.org")], SENT,
        "Read them.\n\n> Why?\n\nBecause.",
    )  # fmt: skip
    parsed = parse(data, "msg")
    assert shape(parsed) == [
        ("message", None, parsed.text),
        ("header", None, "Subject: Gauges\nFrom: Ann <ann@x.org>\nTo: Bob\n"
         "Date: 2026-03-03 16:40:00+00:00"),
        ("paragraph", None, "Read them."),
        ("quote", 1, "Why?"),
        ("paragraph", None, "Because."),
    ]  # fmt: skip
    assert (parsed.title, parsed.data_type) == ("Gauges", "email")


def test_html_body_is_preferred_and_its_code_page_believed() -> None:
    page = "<ul><li>Grüße</li><li>zwei</li></ul>"
    for codec, number in (("cp1252", 1252), ("utf-8", 65001)):
        data = msg({0x1000: "plain"}, {0x1013: page.encode(codec)}, longs={0x3FDE: number})
        assert texts(parse(data, "msg"), "list_item") == ["Grüße", "zwei"]
    lying = msg({}, {0x1013: page.encode()}, longs={0x3FDE: 20127})
    assert texts(parse(lying, "msg"), "list_item") == ["Grüße", "zwei"]


def stored(rtf: bytes) -> bytes:
    """Compressed RTF of the kind that is not compressed."""
    return struct.pack("<IIII", len(rtf) + 12, len(rtf), 0x414C454D, 0) + rtf


def test_rtf_bodies_are_read_and_the_page_in_them_when_there_is_one() -> None:
    plain = msg({}, {0x1009: stored(rb"{\rtf1\ansi {\b Bold} words\par Next\par}")})
    assert texts(parse(plain, "msg"), "paragraph") == ["Bold words", "Next"]
    wrapped = (
        rb"{\rtf1\ansi\fromhtml1 {\*\htmltag <p>}Inside{\*\htmltag </p>}\htmlrtf not\htmlrtf0 }"
    )
    assert texts(parse(msg({}, {0x1009: stored(wrapped)}), "msg"), "paragraph") == ["Inside"]


def test_attachments_are_read_by_name() -> None:
    file = attachment(0, properties({0x3707: "levels.csv"}, {0x3701: b"a,b\n1,2\n"}, attached=True))
    picture = b"\x89PNG\r\n\x1a\n" + bytes(40)
    photo = attachment(1, properties({0x3704: "PHOTO~1.PNG"}, {0x3701: picture}, attached=True))
    parsed = parse(msg({0x1000: "See."}, None, file, photo), "msg")
    assert texts(parsed, "attachment") == ["levels.csv\n\na,b\n1,2", "PHOTO~1.PNG"]
    assert len(parsed.warnings) == 1


def nested_message(levels: int) -> list[Any]:
    strings = {0x001A: "IPM.Note", 0x0037: f"Inner {levels}", 0x1000: f"Words {levels}."}
    entries = properties(strings, nested=True)
    if levels:
        inside = Entry("__substg1.0_3701000D", children=nested_message(levels - 1))
        entries.append(attachment(0, [*properties({}, attached=True), inside]))
    return entries


def test_messages_in_messages_are_read_up_to_a_depth() -> None:
    inside = Entry("__substg1.0_3701000D", children=nested_message(2))
    parsed = parse(msg({}, None, attachment(0, [*properties({}, attached=True), inside])), "msg")
    assert [b.locator for b in parsed.blocks if b.kind == "attachment"] == [
        "Inner 2", "Inner 1", "Inner 0",
    ]  # fmt: skip
    assert "Words 0." in parsed.text
    deep = Entry("__substg1.0_3701000D", children=nested_message(9))
    parsed = parse(msg({}, None, attachment(0, [*properties({}, attached=True), deep])), "msg")
    assert "Words 9." in parsed.text
    assert "Words 0." not in parsed.text
    assert any("nested deeper" in warning for warning in parsed.warnings)


def test_contacts_show_their_fields() -> None:
    data = msg({0x001A: "IPM.Contact", 0x3001: "Dr Fox", 0x3A16: "Fence Co", 0x3A08: "123"})
    assert texts(parse(data, "msg"), "header")[1] == "Name: Dr Fox\nCompany: Fence Co\n" + (
        "Business phone: 123"
    )


def test_encrypted_messages_are_rejected_signed_ones_read() -> None:
    assert error_class(msg({0x001A: "IPM.Note.SMIME"}), "msg") == "encrypted"
    signed = msg({0x001A: "IPM.Note.SMIME.MultipartSigned", 0x1000: "Signed words."})
    assert "Signed words." in parse(signed, "msg").text


@pytest.mark.parametrize(
    "data", [b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), b"no OLE file at all"]
)
def test_damaged_files_are_malformed(data: bytes) -> None:
    assert error_class(data, "msg") == "malformed"


def test_a_file_cut_anywhere_is_read_or_malformed() -> None:
    whole = msg({0x1000: "Words " * 900}, {0x1013: b"<p>page</p>" * 500})
    for size in range(0, len(whole), 517):
        with contextlib.suppress(ParseError):
            parse(whole[:size], "msg")


def test_compressed_rtf() -> None:
    # The example of [MS-OXRTFCP] 3.1.
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232"
        "0af365 6c200b6c6f 20 6c 7d".replace(" ", "")
    )
    assert decompress_rtf(stored(b"{\\rtf1 x}")) == b"{\\rtf1 x}"
    assert decompress_rtf(packed).startswith(b"{\\rtf1\\ansi\\ansicpg1252")


@given(st.binary(max_size=200))
def test_compression_of_any_kind_ends(data: bytes) -> None:
    head = struct.pack("<IIII", len(data) + 12, 400, 0x75465A4C, 0)
    assert len(decompress_rtf(head + data)) < 20_000


@needs_data
def test_every_real_message_is_accounted_for() -> None:
    found = dict(outcomes(corpus("**/*.msg"), "msg"))
    assert {name: o for name, o in found.items() if o != "ok"} == {
        "fake-encrypted.msg": "encrypted"
    }


@needs_data
def test_real_messages() -> None:
    parsed = parse(one("testMSG_att_msg.msg"), "msg")
    assert len([b for b in parsed.blocks if b.kind == "message"]) == 2
    assert "Blah blah blah" in texts(parsed, "attachment")[1]
    lists = parse(one("fake-email-attachment.msg"), "msg")
    assert texts(lists, "list_item")[0] == "Lots of whitespace"
    assert "Hey this is a fake attachment!" in lists.text
    laid_out = parse(one("test-outlook2003.msg"), "msg")
    assert texts(laid_out, "table") == []
    assert "Streamlined Mail Experience" in laid_out.text
    assert "Bcc: hello@unstructured.io" in parse(one("fake-email-with-cc-and-bcc.msg"), "msg").text
    assert "Business phone: (123) 456-7890" in parse(one("testMSG_Contact.msg"), "msg").text


def test_samples() -> None:
    data = (ROOT / "samples/people/support-moves.msg").read_bytes()
    assert parse(data, "msg").title == (
        "Support moves to Ostwick - please keep to yourselves until Friday"
    )
