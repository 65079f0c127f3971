from __future__ import annotations

import io
import zipfile

from parsing_tools import (
    corpus,
    error_class,
    needs_data,
    one,
    outcomes,
    parse,
    relations,
    shape,
    texts,
    zip_of,
)

from pipelines.ingest.parsers.base import Limits

S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def xlsx(sheets: dict[str, dict[str, str | float]], states: dict[str, str] | None = None) -> bytes:
    """A workbook: sheet name → cell reference → value."""
    members = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
        'content-types"/>',
        "_rels/.rels": relations(("r", "officeDocument", "xl/workbook.xml")),
        "xl/_rels/workbook.xml.rels": relations(
            *((f"s{i}", "worksheet", f"worksheets/sheet{i}.xml") for i in range(len(sheets)))
        ),
        "xl/workbook.xml": f"<workbook {S} {R}><sheets>"
        + "".join(
            f'<sheet name="{name}" sheetId="{i + 1}" r:id="s{i}" '
            f'state="{(states or {}).get(name, "visible")}"/>'
            for i, name in enumerate(sheets)
        )
        + "</sheets></workbook>",
    }
    for i, cells in enumerate(sheets.values()):
        rows: dict[int, list[str]] = {}
        for reference, value in cells.items():
            number = int("".join(c for c in reference if c.isdigit()))
            text = isinstance(value, str)
            content = f"<is><t>{value}</t></is>" if text else f"<v>{value}</v>"
            kind = ' t="inlineStr"' if text else ""
            rows.setdefault(number, []).append(f'<c r="{reference}"{kind}>{content}</c>')
        data = "".join(f'<row r="{n}">{"".join(c)}</row>' for n, c in sorted(rows.items()))
        members[f"xl/worksheets/sheet{i}.xml"] = (
            f"<worksheet {S}><sheetData>{data}</sheetData><headerFooter><oddFooter>"
            "&amp;LSecret &amp;P</oddFooter></headerFooter></worksheet>"
        )
    return zip_of(members)


def test_sheets_tables_headers_and_references() -> None:
    data = xlsx(
        {
            "Plan": {
                "B2": "Budget", "B3": "item", "C3": "cost", "B4": "tea", "C4": 3.5, "C5": 12.0,
                "B8": "Note: draft",
            },
            "Old": {"A1": 1.0},
        },
        {"Old": "hidden"},
    )  # fmt: skip
    parsed = parse(data, "xlsx")
    assert shape(parsed) == [
        ("sheet", None, "Budget\nitem | cost\ntea | 3.5\n| 12\n\nNote: draft"),
        ("table", None, "Budget\nitem | cost\ntea | 3.5\n| 12"),
        ("caption", None, "Budget"),
        ("table_row", None, "item | cost"),
        ("table_row", None, "tea | 3.5"),
        ("table_row", None, "| 12"),
        ("paragraph", None, "Note: draft"),
        ("sheet", None, "1"),
        ("paragraph", None, "1"),
        ("footer", None, "Secret"),
    ]  # fmt: skip
    assert [b.locator for b in parsed.blocks] == [
        "Plan", None, "Plan!B2:B2", "header", "Plan!B4:C4", "Plan!B5:C5", "Plan!B8:B8", "Old",
        "Old!A1:A1", None,
    ]  # fmt: skip
    assert [b.page for b in parsed.blocks if b.kind == "sheet"] == [1, 2]
    assert parsed.warnings == ("hidden sheet 'Old' is kept",)


def test_far_corners_are_refused_without_being_laid_out() -> None:
    assert error_class(xlsx({"S": {"A1": 1.0, "XFD1048576": 2.0}}), "xlsx") == "limit_elements"
    many = {f"A{i}": "x" for i in range(1, 60)}
    assert error_class(xlsx({"S": many}), "xlsx", Limits(max_blocks=20)) == "limit_elements"
    assert parse(xlsx({"S": {"A1": 1.0, "A1048576": 2.0}}), "xlsx").text == "1\n\n2\n\nSecret"


def test_broken_and_empty_workbooks() -> None:
    assert error_class(zip_of({"xl/nothing.xml": "<a/>"}), "xlsx") == "malformed"
    assert error_class(b"\x09\x04 not OLE", "xls") == "unsupported"
    empty = parse(xlsx({"S": {}}), "xlsx")
    assert empty.empty_is_proven
    assert texts(empty, "footer") == ["Secret"]


@needs_data
def test_every_real_workbook_is_accounted_for() -> None:
    odd = {
        name: outcome
        for format in ("xlsx", "xls", "ods")
        for name, outcome in outcomes(corpus(f"**/*.{format}"), format)
        if outcome != "ok"
    }
    assert odd == {
        "password_protected.xlsx": "encrypted",
        "protect.xlsx": "encrypted",
        "testEXCEL_protected_passtika.xlsx": "encrypted",
        "testEXCEL_protected_passtika_2.xlsx": "encrypted",
        "empty.xlsx": "empty",
        "testEXCEL_4.xls": "unsupported",  # from before OLE containers
    }
    assert parse(one("empty.xlsx"), "xlsx").empty_is_proven


@needs_data
def test_comments_and_charts_are_found() -> None:
    for format in ("xlsx", "xls"):
        parsed = parse(one(f"testComment.{format}"), format)
        comments = [b for b in parsed.blocks if b.kind == "comment"]
        assert [b.locator for b in comments] == ["Sheet1!A1"]
        assert texts(parsed, "comment") == ["Author: Here is a comment"]
    vodafone = parse(one("vodafone.xlsx"), "xlsx")
    assert texts(vodafone, "figure")[0].startswith("Disclaimer For convenience")
    assert texts(vodafone, "footer") == ["C2 General"]
    assert texts(parse(one("testEXCEL-charts.xls"), "xls"), "figure") == [
        "WhamPuff: 9, 5, 16",
        "YottaPuff\neksaxis\nwhyaxis\nfizzlepuff: 1, 2, 300",
    ]
    assert texts(parse(one("testFooter.ods"), "ods"), "footer") == [
        "Here is a footer in the center area"
    ]


@needs_data
def test_files_within_workbooks_are_read() -> None:
    assert (
        "Apache Tika is a toolkit" in parse(one("testEXCEL_embeddedPDF_windows.xlsx"), "xlsx").text
    )
    assert parse(one("testExcel_embeddedPDF.xls"), "xls").text.endswith("Hello World!")
    chart = parse(one("testMSChart-govdocs-428996.xls"), "xls")
    assert texts(chart, "figure") == ["Tech Partners\nR&D Partners\nTotal"]


def test_numbers_are_spelled_as_programs_show_them() -> None:
    numbers = {"A1": 1234567890123456.0, "B1": 0.1, "C1": 1e-7, "D1": -3e15, "E1": 12.0}
    assert texts(parse(xlsx({"S": numbers}), "xlsx"), "table_row") == [
        "1234567890123460 | 0.1 | 1e-07 | -3000000000000000 | 12"
    ]


def test_pictures_alone_prove_nothing() -> None:
    plain = xlsx({"S": {}})
    with zipfile.ZipFile(buffer := io.BytesIO(plain), "a") as archive:
        archive.writestr("xl/media/image1.png", b"scan")
    assert not parse(buffer.getvalue(), "xlsx").empty_is_proven


def test_margins_are_freed_of_their_codes() -> None:
    source = xlsx({"S": {"A1": "x"}})
    with zipfile.ZipFile(io.BytesIO(source)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, part in members.items():
        members[name] = part.replace(b"&amp;LSecret", b"&amp;L&amp;&quot;Calibri&quot;&amp;8Secret")
    assert texts(parse(zip_of(members), "xlsx"), "footer") == ["Secret"]


def test_threaded_comments_are_read_once() -> None:
    source = xlsx({"Plan": {"A1": "x"}})
    with zipfile.ZipFile(io.BytesIO(source)) as archive:
        members: dict[str, str | bytes] = {n: archive.read(n) for n in archive.namelist()}
    members["xl/worksheets/_rels/sheet0.xml.rels"] = relations(
        ("c", "comments", "../comments1.xml"), ("t", "threadedComment", "../threadedComments/t.xml")
    )
    members["xl/comments1.xml"] = (
        f'<comments {S}><commentList><comment ref="A1"><text><t>[Threaded comment] Your version '
        'of Excel … Comment: Check</t></text></comment><comment ref="B2"><text><t>Old one</t>'
        "</text></comment></commentList></comments>"
    )
    members["xl/threadedComments/t.xml"] = (
        '<ThreadedComments><threadedComment ref="A1"><text>Check</text></threadedComment>'
        "</ThreadedComments>"
    )
    parsed = parse(zip_of(members), "xlsx")
    found = [(b.locator, parsed.text[b.start : b.end]) for b in parsed.blocks
             if b.kind == "comment"]  # fmt: skip
    assert found == [("Plan!B2", "Old one"), ("Plan!A1", "Check")]
