"""The parser `unstructured`: every format it knows, offline, and never empty without a word."""

from __future__ import annotations

import io
import os
import shutil
import socket
import tempfile
from collections import Counter
from email.message import EmailMessage
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pypandoc
import pytest
from parsing_tools import check, needs_data, one, shape, texts
from reportlab.pdfgen.canvas import Canvas

from lineage import ConfigError
from pipelines.ingest.parsers import parse_bytes, registry
from pipelines.ingest.parsers import unstructuredrun as run
from pipelines.ingest.parsers.base import Parsed, ParseError
from pipelines.ingest.parsers.unstructured import UnstructuredParser

SAMPLES = Path(__file__).parents[3] / "samples"
WORDS = "The harbour master reads the gauge every morning."
MARKUP = (
    f"<html><body><h1>Gauges</h1><p>{WORDS}</p><ul><li>low</li><li>high</li></ul></body></html>"
)


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def word() -> bytes:
    document = docx.Document()
    document.add_heading("Gauges", 1)
    document.add_paragraph(WORDS)
    return saved(document)


def slides() -> bytes:
    document = pptx.Presentation()
    for title in ("Gauges", "Readings"):
        slide = document.slides.add_slide(document.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = WORDS
    return saved(document)


def sheet() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["Place", "Level"])
    book.active.append(["Harbour", 3])
    book.active["A4"] = WORDS
    return saved(book)


def through_pandoc(format: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{format}"
        pypandoc.convert_text(f"# Gauges\n\n{WORDS}\n", format, "markdown", outputfile=str(path))
        return path.read_bytes()


def page() -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(72, 700, WORDS)
    canvas.save()
    return buffer.getvalue()


def mail(body: str = WORDS) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Gauges", "ann@x.org", "bob@x.org"
    message.set_content(body)
    message.add_attachment("a,b\n1,2\n", subtype="csv", filename="levels.csv")
    return message.as_bytes()


FILES: dict[str, bytes | str] = {
    "text": f"Gauges\n\n{WORDS}\n",
    "markdown": f"# Gauges\n\n{WORDS}\n\n- low\n- high\n",
    "html": MARKUP,
    "docx": word(),
    "pptx": slides(),
    "xlsx": sheet(),
    "csv": f"place,note\nharbour,{WORDS}\n",
    "tsv": f"place\tnote\nharbour\t{WORDS}\n",
    "xml": f"<notes><note>{WORDS}</note></notes>",
    "json": f'[{{"type": "NarrativeText", "text": "{WORDS}"}}]',
    "jsonl": f'{{"type": "NarrativeText", "text": "{WORDS}"}}\n',
    "rtf": r"{\rtf1\ansi {\b Gauges}\par " + WORDS + r"\par}",
    "org": f"* Gauges\n\n{WORDS}\n",
    "rst": f"Gauges\n======\n\n{WORDS}\n",
    "eml": mail(),
    "odt": through_pandoc("odt"),
    "epub": through_pandoc("epub"),
}
"""Format → a small file of it."""
NAMES = {"text": "txt", "markdown": "md"}
ELSEWHERE = {"msg", "xls", "pdf", "doc", "ppt"}
"""Formats tried on samples and real files, or for what they need."""


def read(data: bytes | str, format: str) -> Parsed:
    source = data.encode() if isinstance(data, str) else data
    parsed = UnstructuredParser().parse(
        source, name=f"a.{NAMES.get(format, format)}", format=format, options={}
    )
    check(parsed)
    return parsed


def test_every_format_is_tried_here() -> None:
    assert set(FILES) | ELSEWHERE == UnstructuredParser.formats
    assert set(registry.BUILT_IN["unstructured"][1]) == UnstructuredParser.formats


@pytest.mark.parametrize("format", FILES)
def test_each_format_is_chosen_by_name_and_keeps_its_words(format: str) -> None:
    assert registry.choose(format, "unstructured").name == "unstructured"
    assert registry.choose(format, {format: "unstructured"}).name == "unstructured"
    parsed = read(FILES[format], format)
    assert WORDS in parsed.text.replace("\n", " ")
    assert parsed.blocks


def test_structure_becomes_blocks() -> None:
    assert shape(read(MARKUP, "html")) == [
        ("heading", 1, "Gauges"),
        ("paragraph", None, WORDS),
        ("list", 1, "low\nhigh"),
        ("list_item", 1, "low"),
        ("list_item", 1, "high"),
    ]
    presentation = read(FILES["pptx"], "pptx")
    assert [b.locator for b in presentation.blocks if b.kind == "slide"] == ["slide 1", "slide 2"]
    assert texts(read(FILES["xlsx"], "xlsx"), "table_row")[:2] == ["Place | Level", "Harbour | 3"]
    assert [b.locator for b in read(FILES["xlsx"], "xlsx").blocks if b.kind == "sheet"] == ["Sheet"]


def test_a_choice_that_does_not_fit_is_refused_or_left_to_the_default() -> None:
    assert registry.choose("code:python", "unstructured").name == "code"
    with pytest.raises(ConfigError, match="does not read"):
        registry.choose("yaml", {"yaml": "unstructured"})
    with pytest.raises(ConfigError, match="known are"):
        registry.choose("html", "unstructered")


def test_headers_and_attachments_of_mail_are_kept() -> None:
    parsed = read(mail(), "eml")
    assert texts(parsed, "header") == ["Subject: Gauges\nFrom: ann@x.org\nTo: bob@x.org"]
    assert texts(parsed, "attachment") == ["levels.csv\n\na,b\n1,2"]
    assert parsed.title == "Gauges"


@needs_data
@pytest.mark.parametrize(
    ("name", "format", "words"),
    [
        ("winter-sports.epub", "epub", "WINTER SPORTS"),
        ("fake-email.msg", "msg", "Roses are red"),
        ("tests-example.xls", "xls", "Bagpipes are awesome."),
    ],
)
def test_real_files_of_formats_not_made_here(name: str, format: str, words: str) -> None:
    assert words in read(one(name), format).text


@needs_data
def test_attached_messages_of_outlook_are_kept() -> None:
    parsed = read(one("testMSG_att_msg.msg"), "msg")
    assert "Blah blah blah" in parsed.text
    assert len([b for b in parsed.blocks if b.kind == "attachment"]) == 2


def test_what_the_library_would_cut_off_is_refused() -> None:
    deep = "<div>" * 400 + "lost" + "</div>" * 400
    for data, format in ((deep, "html"), (html_mail(deep), "eml")):
        with pytest.raises(ParseError) as caught:
            read(data, format)
        assert caught.value.error_class == "limit_depth"
    assert "kept" in read("<div>" * 100 + "kept" + "</div>" * 100, "html").text


def html_mail(markup: str) -> bytes:
    message = EmailMessage()
    message["Subject"] = "x"
    message.set_content(markup, subtype="html")
    return message.as_bytes()


@pytest.mark.parametrize("data", [b"", b" \n\t ", b"\xef\xbb\xbf"])
def test_blank_text_is_proven_empty(data: bytes) -> None:
    assert parse_bytes(data, name="a.txt", choice="unstructured")[0].empty_is_proven


def test_nothing_from_something_is_a_reject() -> None:
    with pytest.raises(ParseError) as caught:
        parse_bytes(b"<html><body><img src='a.png'></body></html>", name="a.html",
                    choice="unstructured")  # fmt: skip
    assert caught.value.error_class == "empty_suspect"


@pytest.mark.parametrize(
    ("data", "format", "error_class"),
    [
        (b"PK\x03\x04 not a zip", "docx", "malformed"),
        (b"{\\rtf1 {\\pict\\bin999999999 abc}}", "rtf", "malformed"),
        (b"not json at all", "json", "malformed"),
    ],
)
def test_broken_files_are_rejected_with_a_class(data: bytes, format: str, error_class: str) -> None:
    with pytest.raises(ParseError) as caught:
        read(data, format)
    assert caught.value.error_class == error_class


@pytest.mark.parametrize("format", ["doc", "ppt"])
@pytest.mark.skipif(bool(shutil.which("soffice")), reason="LibreOffice is installed")
def test_old_office_files_say_what_they_need(format: str) -> None:
    with pytest.raises(ParseError, match="LibreOffice") as caught:
        read(b"\xd0\xcf\x11\xe0", format)
    assert caught.value.error_class == "missing_dependency"


@pytest.mark.skipif(
    find_spec("unstructured_inference") is not None, reason="the extra for PDF is installed"
)
def test_pdf_says_what_it_needs() -> None:
    with pytest.raises(ParseError, match="unstructured-pdf") as caught:
        read(page(), "pdf")
    assert caught.value.error_class == "missing_dependency"


@pytest.mark.skipif(
    find_spec("unstructured_inference") is None, reason="the extra for PDF is not installed"
)
def test_pdf_is_read_where_its_libraries_are() -> None:
    assert WORDS in read(page(), "pdf").text


def test_no_network_and_no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for format in ("text", "html", "rtf", "eml"):
        assert WORDS in read(FILES[format], format).text
    for name in ("DO_NOT_TRACK", "SCARF_NO_ANALYTICS", "HF_HUB_OFFLINE"):
        assert os.environ[name]


def test_version_names_the_classifier() -> None:
    version = UnstructuredParser().version
    assert run.model_name() in version
    assert version.startswith("2/unstructured-")


def test_long_runs_of_brackets_cost_little() -> None:
    # Left to itself, the tokenizer is busy with this for half a minute.
    assert len(read("(" * 20_000 + " end", "text").text) > 20_000


@pytest.mark.slow
def test_a_whole_folder_through_ingest(project: Any) -> None:
    project.settings["sources"] = [
        {"name": "docs", "uri": "docs", "acl": {"default": "public"}, "parser": "unstructured"}
    ]
    for format, data in FILES.items():
        project.write(f"{format}.{NAMES.get(format, format)}", data)
    for path in SAMPLES.rglob("*.msg"):
        project.write(f"sample-{path.name}", path.read_bytes())
    project.write("broken.docx", b"PK\x03\x04 no zip")
    project.write("scan.html", "<html><body><img src='a.png'></body></html>")
    project.ingest()
    rows = project.documents()
    rejects = {name: row["error"]["error_class"] for name, row in rows.items() if row["error"]}
    assert rejects == {"broken.docx": "malformed", "scan.html": "empty_suspect"}
    read_rows = {name: row for name, row in rows.items() if not row["error"]}
    assert len(read_rows) > len(FILES)
    assert {row["parser"]["name"] for row in read_rows.values()} == {"unstructured"}
    assert all(row["text"].strip() and row["blocks"] for row in read_rows.values())
    kinds = Counter(b["kind"] for row in read_rows.values() for b in row["blocks"])
    assert {
        "heading",
        "paragraph",
        "list_item",
        "table_row",
        "slide",
        "sheet",
        "attachment",
    } <= set(kinds)
