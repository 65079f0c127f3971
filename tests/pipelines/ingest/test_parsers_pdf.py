from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing_tools import corpus, error_class, needs_data, one, outcomes, parse, shape, texts
from PIL import Image
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

from pipelines.ingest.parsers.base import Limits

SAMPLES = Path(__file__).parents[3] / "samples"
FILLER = "Every gauge is read at noon and the reading is written into the book of the harbour. "


def drawn(draw: Callable[[Canvas], Any], **options: Any) -> bytes:
    """A PDF drawn on a canvas of A4."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, **options)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def lines(canvas: Canvas, x: float, y: float, *text: str, step: float = 14) -> None:
    for number, line in enumerate(text):
        canvas.drawString(x, y - number * step, line)


def told(*flowables: Any) -> bytes:
    """A PDF of flowing paragraphs and tables."""
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, pagesize=A4, title="Gauges").build(list(flowables))
    return buffer.getvalue()


def characters(text: str) -> Counter[str]:
    """All that is no space, no hyphen at a line's end and no mark between cells."""
    return Counter(c for c in text if not c.isspace() and c not in "\ufffe\x02\xad-|")


def raw_characters(data: bytes) -> Counter[str]:
    found: Counter[str] = Counter()
    for page in pypdfium2.PdfDocument(data):
        found += characters(page.get_textpage().get_text_range())
    return found


def test_headings_paragraphs_lists_and_title() -> None:
    style = getSampleStyleSheet()
    parsed = parse(
        told(
            Paragraph("Gauges", style["Heading1"]),
            Paragraph(FILLER * 3, style["BodyText"]),
            Paragraph("Reading them", style["Heading2"]),
            Paragraph("First look.", style["BodyText"], bulletText="•"),
            Paragraph("Then write.", style["BodyText"], bulletText="•"),
            Paragraph(FILLER * 2, style["BodyText"]),
        ),
        "pdf",
    )
    kinds = [(kind, level) for kind, level, _ in shape(parsed)]
    assert kinds == [
        ("heading", 1), ("paragraph", None), ("heading", 2), ("list", 1), ("list_item", 1),
        ("list_item", 1), ("paragraph", None),
    ]  # fmt: skip
    assert texts(parsed, "list_item") == ["• First look.", "• Then write."]
    assert texts(parsed, "paragraph")[0] == (FILLER * 3).strip()
    assert parsed.title == "Gauges"
    assert parsed.data_type == "pdf"
    assert all(b.page == 1 and b.bbox for b in parsed.blocks if b.kind == "paragraph")


def test_ruled_table_with_a_cell_across_columns_and_lines_in_cells() -> None:
    cells = [["Gauge", "Limits", ""], ["TG40", "low\nwater", "high"], ["TG41", "3", "8"]]
    table = Table(cells, style=[("GRID", (0, 0), (-1, -1), 0.5, colors.black),
                                ("SPAN", (1, 0), (2, 0)),
                                ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold")])  # fmt: skip
    parsed = parse(told(Paragraph(FILLER, getSampleStyleSheet()["BodyText"]), table), "pdf")
    assert texts(parsed, "table_row") == [
        "Gauge | Limits |", "TG40 | low water | high", "TG41 | 3 | 8",
    ]  # fmt: skip
    assert [b.locator for b in parsed.blocks if b.kind == "table_row"] == ["header", None, None]
    assert texts(parsed, "paragraph") == [FILLER.strip()]


def test_ruled_table_keeps_words_beside_it() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.grid([100, 160, 220], [600, 620, 640])
        lines(canvas, 60, 626, "left", step=20)
        for x, y, word in ((105, 626, "a"), (165, 626, "b"), (105, 606, "c"), (165, 606, "d")):
            canvas.drawString(x, y, word)
        canvas.drawString(230, 626, "right")

    parsed = parse(drawn(draw), "pdf")
    assert texts(parsed, "table_row") == ["a | b", "c | d"]
    assert sorted(texts(parsed, "paragraph")) == ["left", "right"]


def test_frames_around_text_are_no_tables() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.rect(50, 500, 400, 200)
        canvas.line(50, 600, 450, 600)
        lines(canvas, 60, 680, *[FILLER] * 4)

    assert texts(parse(drawn(draw), "pdf"), "table") == []


def test_words_in_columns_without_rules_are_a_table() -> None:
    def draw(canvas: Canvas) -> None:
        lines(canvas, 72, 760, FILLER)
        for row, y in enumerate((700, 684, 668, 652)):
            for column, x in enumerate((72, 220, 360)):
                canvas.drawString(x, y, f"cell {row}{column}")

    parsed = parse(drawn(draw), "pdf")
    assert texts(parsed, "table_row") == [
        " | ".join(f"cell {row}{column}" for column in range(3)) for row in range(4)
    ]


@pytest.mark.parametrize("by_rows", [False, True], ids=["column by column", "row by row"])
def test_columns_of_prose_are_read_one_after_the_other(by_rows: bool) -> None:
    left = [f"left line {n} is as long as prose is" for n in range(12)]
    right = [f"right line {n} is as long as prose is" for n in range(12)]

    def draw(canvas: Canvas) -> None:
        if by_rows:
            for n in range(12):
                lines(canvas, 60, 760 - 14 * n, left[n])
                lines(canvas, 320, 760 - 14 * n, right[n])
        else:
            lines(canvas, 60, 760, *left)
            lines(canvas, 320, 760, *right)

    parsed = parse(drawn(draw), "pdf")
    words = parsed.text.replace("\n", " ")
    assert words.index("right line 0") > words.index("left line 11")
    assert texts(parsed, "table") == []


def test_order_of_the_page_where_the_file_jumps_about() -> None:
    def draw(canvas: Canvas) -> None:
        for name, y in (("fourth", 300), ("third", 440), ("second", 580), ("first", 720)):
            lines(canvas, 60, y, *[f"{name} part, line {n}, written out in full" for n in range(3)])

    text = parse(drawn(draw), "pdf").text
    assert sorted(("first", "second", "third", "fourth"), key=text.index) == [
        "first", "second", "third", "fourth",
    ]  # fmt: skip


def test_running_heads_page_numbers_and_page_breaks() -> None:
    def draw(canvas: Canvas) -> None:
        for page in range(1, 5):
            lines(canvas, 60, 40, f"Page {page} of 4")
            lines(canvas, 60, 800, "Handbook, edition 4")
            lines(canvas, 60, 700, *[f"{FILLER} {page}{n}" for n in range(3)])
            canvas.showPage()

    parsed = parse(drawn(draw), "pdf")
    assert texts(parsed, "header") == ["Handbook, edition 4"] * 4
    assert texts(parsed, "footer") == [f"Page {n} of 4" for n in range(1, 5)]
    breaks = [b for b in parsed.blocks if b.kind == "page_break"]
    assert [b.page for b in breaks] == [2, 3, 4]
    # Whatever was drawn first, a page begins with its head and ends with its foot.
    first = [b.kind for b in parsed.blocks if b.page == 1]
    assert (first[0], first[-1]) == ("header", "footer")


def test_code_keeps_its_lines_and_indents() -> None:
    def draw(canvas: Canvas) -> None:
        lines(canvas, 60, 780, *[FILLER] * 3)
        canvas.setFont("Courier", 10)
        lines(canvas, 72, 700, "def read(gauge):", step=12)
        lines(canvas, 72 + 4 * 6, 688, "value = gauge.level", "return value", step=12)

    parsed = parse(drawn(draw), "pdf")
    assert texts(parsed, "code") == ["def read(gauge):\n    value = gauge.level\n    return value"]


def test_divided_words_are_made_whole() -> None:
    def draw(canvas: Canvas) -> None:
        lines(canvas, 60, 700, "The harbour keeps its read-", "ings for ninety days in all.")

    assert "readings for ninety" in parse(drawn(draw), "pdf").text


def test_text_that_stands_on_its_side() -> None:
    def whole(canvas: Canvas) -> None:
        canvas.rotate(90)
        lines(canvas, 100, -100, "A heading on its side", "and the text below it.", step=16)

    turned = parse(drawn(whole), "pdf").text
    assert turned.index("A heading") < turned.index("and the text")

    def margin(canvas: Canvas) -> None:
        lines(canvas, 100, 700, *[FILLER] * 5)
        canvas.rotate(90)
        canvas.setFont("Helvetica", 24)
        canvas.drawString(300, -40, "arXiv 2103")

    parsed = parse(drawn(margin), "pdf")
    assert texts(parsed, "heading") == []
    assert "arXiv 2103" in texts(parsed, "paragraph")


def test_rotated_page_is_read_as_it_is_seen() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(90)
        canvas.rotate(90)
        lines(canvas, 100, -100, "first line", "second line")

    parsed = parse(drawn(draw), "pdf")
    assert parsed.text.split() == ["first", "line", "second", "line"]


def test_comments_and_form_fields() -> None:
    def draw(canvas: Canvas) -> None:
        lines(canvas, 60, 700, FILLER)
        canvas.textAnnotation("Check this figure", Rect=[60, 600, 80, 620])
        canvas.acroForm.textfield(name="berth", tooltip="Berth", value="North 4", x=60, y=500)

    parsed = parse(drawn(draw), "pdf")
    assert texts(parsed, "comment") == ["Check this figure"]
    assert "Berth: North 4" in texts(parsed, "paragraph")


def test_attached_files_are_read() -> None:
    data = _with_attachment(drawn(lambda c: lines(c, 60, 700, "See the list.")), b"a,b\n1,2\n")
    parsed = parse(data, "pdf")
    assert [b.locator for b in parsed.blocks if b.kind == "attachment"] == ["list.csv"]
    assert "1,2" in parsed.text


def _with_attachment(data: bytes, content: bytes) -> bytes:
    document = pypdfium2.PdfDocument(data)
    document.new_attachment("list.csv").set_data(content)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_invisible_text_is_kept_and_told_unless_all_of_it_is() -> None:
    def some(canvas: Canvas) -> None:
        lines(canvas, 60, 700, "Seen by all.")
        text = canvas.beginText(60, 600)
        text.setTextRenderMode(3)
        text.textLine("Seen by machines.")
        canvas.drawText(text)

    parsed = parse(drawn(some), "pdf")
    assert "Seen by machines." in parsed.text
    assert any("invisible" in warning for warning in parsed.warnings)

    def scan(canvas: Canvas) -> None:
        canvas.drawInlineImage(Image.new("L", (8, 8)), 60, 590, 200, 30)
        text = canvas.beginText(60, 600)
        text.setTextRenderMode(3)
        text.textLine("Recognised on a scan.")
        canvas.drawText(text)

    assert parse(drawn(scan), "pdf").warnings == ()


def test_scripts_are_told() -> None:
    data = drawn(lambda c: lines(c, 60, 700, "text"))
    data = data.replace(
        b"/Type /Catalog", b"/Type /Catalog /OpenAction << /S /JavaScript /JS () >>"
    )
    assert any("scripts" in warning for warning in parse(data, "pdf").warnings)


def test_password_and_empty_password() -> None:
    locked = drawn(
        lambda c: lines(c, 60, 700, "secret"), encrypt=StandardEncryption("pw", strength=128)
    )
    assert error_class(locked, "pdf") == "encrypted"
    printable = drawn(
        lambda c: lines(c, 60, 700, "for all to read"),
        encrypt=StandardEncryption("", ownerPassword="owner", strength=128),
    )
    assert parse(printable, "pdf").text == "for all to read"


def test_emptiness_is_proven_or_suspect() -> None:
    assert parse(drawn(lambda c: c.showPage()), "pdf").empty_is_proven
    drawing = parse(drawn(lambda c: c.rect(10, 10, 90, 90)), "pdf")
    assert drawing.text == ""
    assert not drawing.empty_is_proven
    blank = parse(drawn(lambda c: (lines(c, 60, 700, "x"), c.showPage(), c.showPage())), "pdf")
    assert blank.warnings == ("1 of 2 pages hold no text",)


def test_limits() -> None:
    pages = drawn(lambda c: [c.showPage() for _ in range(3)])
    assert error_class(pages, "pdf", Limits(max_pages=2)) == "limit_pages"
    text = drawn(lambda c: lines(c, 60, 700, "many words"))
    assert error_class(text, "pdf", Limits(max_chars=5)) == "limit_size"


def test_what_is_cut_off_or_buried_is_recovered_and_told() -> None:
    whole = drawn(lambda c: lines(c, 60, 700, "kept in spite of all"), pageCompression=0)
    for damaged in (whole[: whole.index(b"xref")], b"GARBAGE" * 400 + whole):
        parsed = parse(damaged, "pdf")
        assert parsed.text == "kept in spite of all"
        assert len(parsed.warnings) == 1
    assert error_class(b"%PDF-1.7\n", "pdf") == "malformed"
    # What an unreadable rest may have held is unknown, so emptiness is never proven.
    empty = drawn(lambda c: c.showPage(), pageCompression=0)
    assert not parse(empty[: empty.index(b"xref")], "pdf").empty_is_proven


words = st.text(
    st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFÄÖÜéß0123456789.,:;()"), min_size=1
)
places = st.tuples(st.integers(20, 560), st.integers(20, 820), words, st.sampled_from([6, 10, 18]))


@settings(max_examples=40, deadline=None)
@given(st.lists(places, min_size=1, max_size=25), st.booleans())
def test_no_character_is_lost_or_doubled(
    items: list[tuple[int, int, str, int]], grid: bool
) -> None:
    def draw(canvas: Canvas) -> None:
        if grid:
            canvas.grid([100, 200, 320, 500], [100, 300, 420, 500, 700])
        for x, y, word, size in items:
            canvas.setFont("Helvetica", size)
            canvas.drawString(x, y, word)

    data = drawn(draw)
    assert characters(parse(data, "pdf").text) == raw_characters(data)


@needs_data
def test_real_files_lose_nothing() -> None:
    for path in [*corpus("**/*.pdf"), *SAMPLES.rglob("*.pdf")]:
        data = path.read_bytes()
        lost = raw_characters(data) - characters(parse(data, "pdf", name=path.name).text)
        assert not lost, path.name


@needs_data
def test_real_files() -> None:
    found = dict(outcomes(corpus("**/*.pdf"), "pdf"))
    empty = {name for name, outcome in found.items() if outcome != "ok"}
    # Pictures only (a scanned table, a film), and pages on which nothing is drawn.
    assert empty == {
        "testFlashInPDF.pdf", "table-multi-row-column-cells.pdf", "testPDF_diffTitles.pdf",
        "testPDF_Version.5.x.pdf", "testPDF_Version.7.x.pdf", "testPDF_Version.9.x.pdf",
        "testPDF_Version.10.x.pdf",
    }  # fmt: skip
    assert set(found.values()) == {"ok", "empty"}
    for name in ("testFlashInPDF.pdf", "table-multi-row-column-cells.pdf"):
        assert not parse(one(name), "pdf").empty_is_proven
    assert parse(one("testPDF_diffTitles.pdf"), "pdf").empty_is_proven


@needs_data
def test_a_page_of_tables_in_two_columns_reads_as_a_person_reads_it() -> None:
    parsed = parse(one("korean-text-with-tables.pdf"), "pdf")
    rows = texts(parsed, "table_row")
    assert "주유 | 모든 주유소" in rows
    assert "제과점 | 파리바게뜨, 뚜레쥬르" in rows
    headings = texts(parsed, "heading")
    assert headings[0] == "할인점·주유·온라인쇼핑몰 1.5% 빅포인트 적립"
    assert headings.index("커피전문점·제과점·편의점 2% 빅포인트 적립") > headings.index(
        "전월 이용금액 기준"
    )


def test_samples() -> None:
    parsed = parse((SAMPLES / "products/tg40-datasheet.pdf").read_bytes(), "pdf")
    assert "Range | 0 to 20 m | 0 to 40 m" in texts(parsed, "table_row")
    assert texts(parsed, "heading")[:2] == ["TG40 water-level gauge", "At a glance"]
