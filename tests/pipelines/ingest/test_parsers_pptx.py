from __future__ import annotations

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

NS = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)


def shape_xml(paragraphs: str, placeholder: str | None = None) -> str:
    kind = f'<p:nvPr><p:ph type="{placeholder}"/></p:nvPr>' if placeholder else ""
    return f"<p:sp><p:nvSpPr>{kind}</p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"


def para(text: str, level: int = 0, bullet: str = "") -> str:
    return (
        f'<a:p><a:pPr lvl="{level}">{bullet}</a:pPr><a:r><a:rPr lang="de-DE"/><a:t>{text}</a:t>'
        "</a:r></a:p>"
    )


def pptx(*slides: str, notes: str = "") -> bytes:
    members = {
        "_rels/.rels": relations(("r", "officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {NS}><p:sldIdLst>"
        + "".join(f'<p:sldId r:id="s{i}"/>' for i in range(len(slides)))
        + "</p:sldIdLst></p:presentation>",
        # Part names out of order: the list of slides decides.
        "ppt/_rels/presentation.xml.rels": relations(
            *((f"s{i}", "slide", f"slides/slide{9 - i}.xml") for i in range(len(slides)))
        ),
    }
    for i, slide in enumerate(slides):
        members[f"ppt/slides/slide{9 - i}.xml"] = (
            f"<p:sld {NS}><p:cSld><p:spTree>{slide}</p:spTree></p:cSld></p:sld>"
        )
    if notes:
        members["ppt/slides/_rels/slide9.xml.rels"] = relations(
            ("n", "notesSlide", "../notesSlides/n.xml")
        )
        members["ppt/notesSlides/n.xml"] = (
            f"<p:notes {NS}><p:cSld><p:spTree>{shape_xml(para(notes), 'body')}"
            f"{shape_xml(para('7'), 'sldNum')}</p:spTree></p:cSld></p:notes>"
        )
    return zip_of(members)


def test_slides_titles_bullets_tables_groups_and_notes() -> None:
    cells = "".join(f"<a:tc><a:txBody>{para(t)}</a:txBody></a:tc>" for t in "ab")
    table = (
        "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tblPr firstRow='1'/>"
        f"<a:tr>{cells}</a:tr><a:tr>{cells}</a:tr></a:tbl></a:graphicData></a:graphic>"
        "</p:graphicFrame>"
    )
    first = (
        shape_xml(para("one") + para("two", 1) + para("plain", 0, "<a:buNone/>"), "body")
        + f"<p:grpSp><p:grpSp>{shape_xml(para('grouped'))}</p:grpSp></p:grpSp>"
        + table
        + shape_xml(para("Confidential"), "ftr")
        + shape_xml(para("Plan"), "title")
    )
    parsed = parse(pptx(first, shape_xml(para("Second"), "ctrTitle"), notes="Say hello."), "pptx")
    assert shape(parsed) == [
        ("slide", None, parsed.text[: parsed.text.index("Say hello.") + 10]),
        ("heading", 1, "Plan"),
        ("list", 1, "one\ntwo"),
        ("list_item", 1, "one\ntwo"),
        ("list", 2, "two"),
        ("list_item", 2, "two"),
        ("paragraph", None, "plain"),
        ("paragraph", None, "grouped"),
        ("table", None, "a | b\na | b"),
        ("table_row", None, "a | b"),
        ("table_row", None, "a | b"),
        ("footer", None, "Confidential"),
        ("comment", None, "Say hello."),
        ("slide", None, "Second"),
        ("heading", 1, "Second"),
    ]
    assert [b.page for b in parsed.blocks if b.kind == "slide"] == [1, 2]
    assert [b.locator for b in parsed.blocks if b.kind == "table_row"] == ["header", None]
    assert (parsed.data_type, parsed.language) == ("slides", "de")


def test_charts_say_their_numbers() -> None:
    chart = (
        '<c:chartSpace xmlns:c="c" xmlns:a="a"><c:title><a:t>Sales</a:t></c:title><c:ser><c:tx>'
        "<c:v>North</c:v></c:tx><c:cat><c:v>Q1</c:v><c:v>Q2</c:v></c:cat><c:val><c:v>3</c:v>"
        "<c:v>4</c:v></c:val></c:ser></c:chartSpace>"
    )
    members = {
        "ppt/presentation.xml": f'<p:presentation {NS}><p:sldId r:id="s"/></p:presentation>',
        "ppt/_rels/presentation.xml.rels": relations(("s", "slide", "slides/s.xml")),
        "ppt/slides/s.xml": f"<p:sld {NS}><p:spTree><p:graphicFrame><c:chart xmlns:c='c' r:id='c'/>"
        "</p:graphicFrame></p:spTree></p:sld>",
        "ppt/slides/_rels/s.xml.rels": relations(("c", "chart", "../charts/c.xml")),
        "ppt/charts/c.xml": chart,
    }
    assert texts(parse(zip_of(members), "pptx"), "figure") == ["Sales\nNorth: Q1: 3, Q2: 4"]


def test_limits_and_depth() -> None:
    assert error_class(pptx("", "", ""), "pptx", Limits(max_pages=2)) == "limit_pages"
    deep = "<p:grpSp>" * 1500 + shape_xml(para("x")) + "</p:grpSp>" * 1500
    assert error_class(pptx(deep), "pptx") == "limit_depth"


@needs_data
def test_every_real_presentation_is_accounted_for() -> None:
    odd = {name: o for name, o in outcomes(corpus("**/*.pptx"), "pptx") if o != "ok"}
    assert odd == {
        "testPPT_protected_passtika.pptx": "encrypted",
        "test-image-jpg-mime.pptx": "empty",  # only a picture
    }
    assert not parse(one("test-image-jpg-mime.pptx"), "pptx").empty_is_proven
    assert not parse(one("testWPSAttachment.pptx"), "pptx").empty_is_proven
