"""Files within files of Office programs, and the records of old workbooks."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing_tools import needs_data, one, parse, relations, texts, zip_of

from pipelines.ingest.parsers.biff import write_side_texts
from pipelines.ingest.parsers.embedded import unpack_native
from pipelines.ingest.parsers.textbuild import TextBuilder

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def docx(text: str, *parts: tuple[str, str, bytes]) -> bytes:
    """A Word document with one paragraph, and parts of (relation, name, content)."""
    members: dict[str, str | bytes] = {
        "_rels/.rels": relations(("r", "officeDocument", "word/document.xml")),
        "word/document.xml": f"<w:document {W}><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p>"
        "</w:body></w:document>",
        "word/_rels/document.xml.rels": relations(
            *((f"r{i}", kind, f"embeddings/{name}") for i, (kind, name, _) in enumerate(parts))
        ),
    }
    return zip_of(members | {f"word/embeddings/{name}": data for _, name, data in parts})


def test_whole_files_are_read_with_their_own_parsers() -> None:
    inner = docx("within")
    parsed = parse(
        docx("around", ("package", "a.docx", inner), ("oleObject", "notes.txt", b"plain words")),
        "docx",
    )
    assert parsed.text == "around\n\na.docx\n\nwithin\n\nnotes.txt\n\nplain words"
    assert [b.locator for b in parsed.blocks if b.kind == "attachment"] == ["a.docx", "notes.txt"]


def test_what_cannot_be_read_leaves_its_name_and_a_warning() -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    parsed = parse(docx("around", ("oleObject", "o.bin", ole)), "docx")
    assert parsed.text == "around"
    assert any("o.bin" in warning for warning in parsed.warnings)
    picture = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
    parsed = parse(docx("around", ("package", "p.png", picture)), "docx")
    assert parsed.text == "around\n\np.png"
    assert any("PNG" in warning for warning in parsed.warnings)


def test_files_in_files_stop_somewhere() -> None:
    data = docx("innermost")
    for level in range(9):
        data = docx(f"level {level}", ("package", f"{level}.docx", data))
    parsed = parse(data, "docx")
    assert "level 8" in parsed.text
    assert "innermost" not in parsed.text
    assert any("nested deeper" in warning for warning in parsed.warnings)


@needs_data
def test_real_documents_with_embedded_files() -> None:
    attached = texts(parse(one("testWPSAttachment.pptx"), "pptx"), "attachment")
    assert attached == [
        "Document2.docx\n\ndocx_content", "Presentation2.pptx\n\npptx_content",
        "Workbook2.xlsx\n\nxlsx_content", "Document1.doc",
        'XML.xml\n\n<?xml version="1.0" encoding="UTF-8"?>\r\n<content>\r\n\txml_content\r\n'
        "</content>",
        "PDF.pdf\n\npdf_content", "Presentation1.ppt", "Workbook1.xls\n\nxls_content",
        "TXT.txt\n\ntxt_content",
    ]  # fmt: skip
    packed = parse(one("testWORD_EMFAndAttachments.docx"), "docx").text
    for words in ("test PDF document", "This is Text File", "test word document"):
        assert words in packed


def native(name: bytes, content: bytes) -> bytes:
    body = struct.pack("<H", 2) + name + b"\0C:\\t\\" + name + b"\0" + struct.pack("<I", 3 << 16)
    path = b"C:\\tmp\\" + name + b"\0"
    body += struct.pack("<I", len(path)) + path + struct.pack("<I", len(content)) + content
    return struct.pack("<I", len(body)) + body


@given(st.binary(max_size=60))
def test_packaged_files_come_out_as_they_went_in(content: bytes) -> None:
    assert unpack_native(native(b"a\\b.txt", content) + b"tail") == ("b.txt", content)


@given(st.binary(max_size=80))
def test_damaged_packages_do_no_harm(data: bytes) -> None:
    unpack_native(data)
    write_side_texts(TextBuilder(), data)


def test_files_in_rtf_are_read() -> None:
    def packed(program: bytes, content: bytes) -> str:
        head = struct.pack("<III", 0x501, 2, len(program) + 1) + program + b"\0"
        return (head + bytes(8) + struct.pack("<I", len(content)) + content).hex()

    package = packed(b"Package", native(b"list.csv", b"a,b\n1,2\n")[4:])
    page = packed(b"Whatever", b"%PDF-1.4 broken")
    source = (
        r"{\rtf1 Around{\object{\*\objclass Package}{\*\objdata "
        + package[:40]
        + "\n"
        + package[40:]
        + r"}}{\object{\*\objdata "
        + page
        + r"}}{\object{\*\objdata 0105}}\par}"
    )
    parsed = parse(source, "rtf")
    assert texts(parsed, "attachment") == ["list.csv\n\na,b\n1,2", "embedded file 2"]
    assert len(parsed.warnings) == 2


def record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def string(text: str) -> bytes:
    return struct.pack("<HB", len(text), 1) + text.encode("utf-16-le")


def workbook(*records: bytes) -> bytes:
    """A BIFF8 stream with one sheet called Plan."""
    start = record(0x0809, struct.pack("<HH", 0x0600, 5) + bytes(12))
    sheet = record(0x0085, struct.pack("<IHBB", 0, 0, 4, 0) + b"Plan")
    at = len(start) + len(sheet) + len(record(0x000A, b""))
    sheet = record(0x0085, struct.pack("<IHBB", at, 0, 4, 0) + b"Plan")
    body = record(0x0809, struct.pack("<HH", 0x0600, 0x10) + bytes(12)) + b"".join(records)
    return start + sheet + record(0x000A, b"") + body + record(0x000A, b"")


def sides(stream: bytes) -> list[tuple[str, str | None, str]]:
    build = TextBuilder()
    write_side_texts(build, stream)
    text, blocks = build.finish()
    return [(b.kind, b.locator, text[b.start : b.end]) for b in blocks]


def test_notes_text_boxes_and_margins_of_old_workbooks() -> None:
    def box(kind: int, number: int, *pieces: bytes) -> bytes:
        size = sum(len(piece) - 1 for piece in pieces)
        return (
            record(0x005D, struct.pack("<HHHH", 0x15, 0x12, kind, number) + bytes(14))
            + record(0x01B6, struct.pack("<HHHHHHHHH", 0, 0, 0, 0, 0, size, 0, 0, 0))
            + b"".join(record(0x003C, piece) for piece in pieces)
        )

    stream = workbook(
        record(0x0014, string('&L&"Arial"&8Board &P')),
        box(0x19, 7, b"\0Anna: first ", b"\0half"),
        box(0x06, 8, b"\0A box"),
        record(0x001C, struct.pack("<HHHH", 4, 27, 0, 7) + string("Anna")),
    )
    assert sides(stream) == [
        ("header", None, "Board"),
        ("figure", "Plan", "A box"),
        ("comment", "Plan!AB5", "Anna: first half"),
    ]


def test_charts_of_old_workbooks() -> None:
    def number(row: int, column: int, value: float) -> bytes:
        return record(0x0203, struct.pack("<HHHd", row, column, 0, value))

    chart = (
        record(0x0809, struct.pack("<HH", 0x0600, 0x20) + bytes(12))
        + record(0x100D, struct.pack("<HBB", 0, 5, 0) + b"Sales")
        + record(0x1065, struct.pack("<H", 1))
        + number(0, 0, 4.5)
        + number(1, 0, 6)
        + record(0x1065, struct.pack("<H", 2))
        + record(0x0204, struct.pack("<HHH", 0, 0, 0) + string("Jan"))
        + record(0x0204, struct.pack("<HHH", 1, 0, 0) + string("Feb"))
        + record(0x000A, b"")
    )
    assert sides(workbook(chart)) == [("figure", "Plan", "Sales: Jan: 4.5, Feb: 6")]


def test_encrypted_workbooks_are_told() -> None:
    build = TextBuilder()
    write_side_texts(build, workbook(record(0x002F, bytes(6)), record(0x0014, string("secret"))))
    assert build.finish()[0] == ""
    assert len(build.warnings) == 1


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_cut_stream_gives_what_is_there(cut: int) -> None:
    whole = workbook(record(0x0014, string("Board")), record(0x0015, string("Foot")))
    assert len(sides(whole[: len(whole) - cut])) <= 2
