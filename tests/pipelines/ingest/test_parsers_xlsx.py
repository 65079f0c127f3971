from __future__ import annotations

from pathlib import Path

import pytest
from parsing_tools import (
    corpus,
    error_class,
    hostile_bytes,
    make_hostile,
    needs_data,
    one,
    outcomes,
    parse,
    relations,
    shape,
    texts,
    zip_of,
)

from pipelines.ingest.parsers.base import Limits, ParseError

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
        "testEXCEL_embeddedPDF_windows.xlsx": "empty",  # only an embedded file
        "testEXCEL_4.xls": "unsupported",  # from before OLE containers
        "testExcel_embeddedPDF.xls": "empty",  # only an embedded file
        "testMSChart-govdocs-428996.xls": "empty",  # only a chart
    }
    assert parse(one("empty.xlsx"), "xlsx").empty_is_proven
    assert not parse(one("testMSChart-govdocs-428996.xls"), "xls").empty_is_proven


@needs_data
def test_comments_and_charts_are_found() -> None:
    assert texts(parse(one("testComment.xlsx"), "xlsx"), "comment")
    assert texts(parse(one("vodafone.xlsx"), "xlsx"), "figure")


@pytest.mark.slow
@needs_data
def test_hostile_workbooks(tmp_path: Path) -> None:
    found = {}
    for path in sorted((make_hostile(tmp_path) / "xlsx").iterdir()):
        try:
            parse(hostile_bytes(path), "xlsx")
        except ParseError as error:
            found[path.stem] = error.error_class
        else:
            found[path.stem] = "ok"
    assert found == {
        "ok": "ok", "corner_cell": "limit_elements", "corner_row": "ok",
        "zip_bomb_shared": "limit_ratio", "zip_bomb_rows": "limit_ratio",
        "billion_laughs": "malformed", "formula_injection": "ok",
    }  # fmt: skip
