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

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
STYLES = f"""<w:styles {W}>
<w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/></w:style>
<w:style w:type="paragraph" w:styleId="Sub"><w:name w:val="Mine"/><w:basedOn w:val="H2"/></w:style>
<w:style w:type="paragraph" w:styleId="Loop"><w:basedOn w:val="Loop"/></w:style>
<w:style w:type="paragraph" w:styleId="Src"><w:name w:val="Source Code"/></w:style>
<w:style w:type="paragraph" w:styleId="HeadB"><w:name w:val="HeadB"/></w:style>
</w:styles>"""
NUMBERING = f"""<w:numbering {W}><w:abstractNum w:abstractNumId="7">
<w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1%2)"/></w:lvl>
</w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>
<w:abstractNum w:abstractNumId="8"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText
w:val="x"/></w:lvl></w:abstractNum><w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num>
</w:numbering>"""


def docx(body: str, **parts: str) -> bytes:
    """A package with this body; further parts by the type of their relationship."""
    names = {kind: f"{kind}.xml" for kind in parts}
    return zip_of(
        {
            "_rels/.rels": relations(("r1", "officeDocument", "word/document.xml")),
            "word/_rels/document.xml.rels": relations(
                *((f"x{i}", kind, name) for i, (kind, name) in enumerate(names.items()))
            ),
            "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
            **{f"word/{names[kind]}": content for kind, content in parts.items()},
        }
    )


def p(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def styled(style: str) -> str:
    return f'<w:pStyle w:val="{style}"/>'


def numbered(number: int, level: int) -> str:
    return f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'


def test_headings_by_style_parent_outline_and_template() -> None:
    body = (
        p("A", styled("H2")) + p("B", styled("Sub")) + p("C", '<w:outlineLvl w:val="0"/>')
        + p("D", styled("Loop")) + p("E", styled("HeadB"))
    )  # fmt: skip
    assert shape(parse(docx(body, styles=STYLES), "docx")) == [
        ("heading", 2, "A"), ("heading", 2, "B"), ("heading", 1, "C"), ("paragraph", None, "D"),
        ("heading", 3, "E"),
    ]  # fmt: skip


def test_numbering_counts_and_nests() -> None:
    body = "".join(
        p(text, numbered(number, level))
        for text, number, level in [
            ("a", 1, 0), ("b", 1, 1), ("c", 1, 1), ("d", 1, 0), ("e", 1, 1), ("f", 2, 0),
        ]
    )  # fmt: skip
    parsed = parse(docx(body + p("end", numbered(0, 0)), numbering=NUMBERING), "docx")
    assert parsed.text == "3. a\n3a) b\n3b) c\n4. d\n4a) e\nf\n\nend"
    assert [b.level for b in parsed.blocks if b.kind == "list_item"] == [1, 2, 2, 1, 2, 1]


def test_code_paragraphs_become_one_block() -> None:
    body = p("before") + "".join(p(t, styled("Src")) for t in ("if x:", "    y", "", "z")) + p("a")
    parsed = parse(docx(body.replace("<w:t>", '<w:t xml:space="preserve">'), styles=STYLES), "docx")
    assert texts(parsed, "code") == ["if x:\n    y\n\nz"]


def test_tables_with_headers_merged_and_nested_cells() -> None:
    def cell(inner: str) -> str:
        return f"<w:tc>{inner}</w:tc>"

    nested = f"<w:tbl><w:tr>{cell(p('x'))}{cell(p('y'))}</w:tr></w:tbl>"
    body = (
        f"<w:tbl><w:tr><w:trPr><w:tblHeader/></w:trPr>{cell(p('h1'))}{cell(p('h2'))}</w:tr>"
        f"<w:sdt><w:sdtContent><w:tr>{cell(p('a') + p('b'))}{cell(nested)}</w:tr></w:sdtContent>"
        f"</w:sdt></w:tbl><w:tbl><w:tr>{cell(p('just a box'))}</w:tr></w:tbl>"
    )
    parsed = parse(docx(body), "docx")
    assert texts(parsed, "table_row") == ["h1 | h2", "a b | x y"]
    assert [b.locator for b in parsed.blocks if b.kind == "table_row"] == ["header", None]
    assert texts(parsed, "paragraph") == ["just a box"]


def test_nothing_beside_the_body_is_lost() -> None:
    body = (
        "<w:p><w:r><w:t>Text</w:t><w:footnoteReference w:id='2'/></w:r><w:del><w:r><w:delText>gone"
        "</w:delText></w:r></w:del><w:ins><w:r><w:t xml:space='preserve"
        "'> new</w:t></w:r></w:ins><w:hyperlink><w:r><w:t> link</w:t></w:r></w:hyperlink>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t> hidden</w:t></w:r>"
        "<w:r><w:pict><w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent>"
        "</w:pict></w:r></w:p><w:sdt><w:sdtContent>" + p("controlled") + "</w:sdtContent></w:sdt>"
    )
    parsed = parse(
        docx(
            body,
            header=f"<w:hdr {W}>{p('Running head')}</w:hdr>",
            footer=f"<w:ftr {W}>{p('Foot')}</w:ftr>",
            footnotes=f"<w:footnotes {W}><w:footnote w:id='2'>{p('A note.')}</w:footnote>"
            f"<w:footnote w:id='0'>{p('separator')}</w:footnote></w:footnotes>",
            comments=f"<w:comments {W}><w:comment w:author='Eve'>{p('Why?')}</w:comment>"
            "</w:comments>",
        ),
        "docx",
    )
    assert shape(parsed) == [
        ("header", None, "Running head"),
        ("paragraph", None, "Text[2] new link hidden"),
        ("paragraph", None, "in a box"),
        ("paragraph", None, "controlled"),
        ("footnote", None, "[2] A note."),
        ("comment", None, "Eve: Why?"),
        ("footer", None, "Foot"),
    ]
    assert parsed.warnings == ("hidden text is kept as text",)


def test_pages_follow_rendered_breaks() -> None:
    body = p("one") + p("</w:t><w:lastRenderedPageBreak/><w:t>two") + p("three")
    parsed = parse(docx(body), "docx")
    pages = {parsed.text[b.start : b.end]: b.page for b in parsed.blocks}
    assert pages == {"one": 1, "": 2, "two": 2, "three": 2}


def test_one_of_two_renderings_is_read() -> None:
    body = (
        "<w:p><w:r><mc:AlternateContent xmlns:mc='m'><mc:Choice><w:t>new</w:t></mc:Choice>"
        "<mc:Fallback><w:t>old</w:t></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert parse(docx(body), "docx").text == "new"


def test_strict_namespaces_read_alike() -> None:
    body = (
        f"<w:document xmlns:w='http://purl.oclc.org/ooxml/wordprocessingml/main'><w:body>{p('x')}"
    )
    data = zip_of({"word/document.xml": body + "</w:body></w:document>"})
    assert shape(parse(data, "docx")) == [("paragraph", None, "x")]


def test_entities_are_refused_and_empty_is_proven() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaa">]><w:document ' + W + "><w:body/></w:document>"
    assert error_class(zip_of({"word/document.xml": bomb}), "docx") == "malformed"
    assert error_class(zip_of({"other.xml": "<a/>"}), "docx") == "malformed"
    empty = parse(docx(""), "docx")
    assert (empty.text, empty.empty_is_proven) == ("", True)


@needs_data
def test_every_real_document_gives_text() -> None:
    paths = corpus("**/*.docx")
    assert len(paths) >= 30
    assert {outcome for _, outcome in outcomes(paths, "docx")} == {"ok"}


@needs_data
def test_real_structure() -> None:
    chapter = parse(one("chapter04.docx"), "docx")
    assert texts(chapter, "heading")[0] == "Understanding Ownership"
    assert len(texts(chapter, "code")) > 40
    kinds = {b.kind for b in parse(one("testWORD_2006ml.docx"), "docx").blocks}
    assert {"header", "footer", "footnote", "comment", "table", "formula", "list_item"} <= kinds
