from __future__ import annotations

from parsing_tools import corpus, error_class, needs_data, outcomes, parse, shape, zip_of

NS = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in [
        ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"),
        ("presentation", "presentation"), ("style", "style"), ("meta", "meta"),
    ]
) + ' xmlns:dc="http://purl.org/dc/elements/1.1/"'  # fmt: skip


def odf(body: str, styles: str = "", **members: str) -> bytes:
    return zip_of(
        {
            "content.xml": f"<office:document-content {NS}><office:body>{body}</office:body>"
            "</office:document-content>",
            "styles.xml": f"<office:document-styles {NS}>{styles}</office:document-styles>",
            "meta.xml": f"<office:document-meta {NS}><office:meta><dc:title>T</dc:title>"
            "<dc:language>fr-FR</dc:language></office:meta></office:document-meta>",
            **members,
        }
    )


def test_text_documents() -> None:
    body = """<office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes>
    <text:h text:outline-level="2">Head<text:s text:c="2"/>ing</text:h>
    <text:p>One
      <text:span>two</text:span> three<text:note><text:note-citation>1</text:note-citation>
      <text:note-body><text:p>Note.</text:p></text:note-body></text:note><text:tab/>end
      <office:annotation><dc:creator>Eve</dc:creator><text:p>Why?</text:p></office:annotation>
      <draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame></text:p>
    <text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>b</text:p>
      </text:list-item></text:list></text:list-item></text:list>
    <table:table table:name="Tab"><table:table-header-rows><table:table-row>
      <table:table-cell><text:p>h</text:p></table:table-cell>
      <table:table-cell table:number-columns-repeated="1000000"><text:p>i</text:p>
      </table:table-cell></table:table-row></table:table-header-rows>
      <table:table-row><table:table-cell><text:p>x</text:p></table:table-cell>
      <table:table-cell table:number-columns-repeated="16000"/></table:table-row></table:table>
    </office:text>"""
    styles = (
        "<style:master-page><style:header><text:p>Running</text:p></style:header>"
        "<style:footer><text:p>Foot</text:p></style:footer></style:master-page>"
    )
    parsed = parse(odf(body, styles), "odt")
    header_row = "h" + " | i" * 100
    assert shape(parsed) == [
        ("header", None, "Running"),
        ("heading", 2, "Head ing"),
        ("paragraph", None, "One two three[1]\tend"),
        ("paragraph", None, "boxed"),
        ("list", 1, "a\nb"),
        ("list_item", 1, "a\nb"),
        ("list", 2, "b"),
        ("list_item", 2, "b"),
        ("table", None, f"{header_row}\nx"),
        ("table_row", None, header_row),
        ("table_row", None, "x"),
        ("footnote", None, "[1] Note."),
        ("comment", None, "Eve: Why?"),
        ("footer", None, "Foot"),
    ]
    assert (parsed.title, parsed.language) == ("T", "fr")
    assert [b.locator for b in parsed.blocks if b.kind == "table_row"] == ["header", None]


def test_presentations() -> None:
    body = """<office:presentation><draw:page>
    <draw:frame><draw:text-box><text:p>content</text:p></draw:text-box></draw:frame>
    <draw:g><draw:custom-shape><text:p>grouped</text:p></draw:custom-shape></draw:g>
    <draw:frame presentation:class="title"><draw:text-box><text:p>Title</text:p></draw:text-box>
    </draw:frame><presentation:notes><draw:frame><draw:text-box><text:p>Say it.</text:p>
    </draw:text-box></draw:frame></presentation:notes></draw:page></office:presentation>"""
    parsed = parse(odf(body), "odp")
    assert shape(parsed)[1:] == [
        ("heading", 1, "Title"),
        ("paragraph", None, "content"),
        ("paragraph", None, "grouped"),
        ("comment", None, "Say it."),
    ]
    assert parsed.blocks[0].kind == "slide"
    assert parsed.blocks[0].page == 1


def test_refusals() -> None:
    manifest = '<m:manifest xmlns:m="m"><m:encryption-data/></m:manifest>'
    data = odf("", **{"META-INF/manifest.xml": manifest})
    assert error_class(data, "odt") == "encrypted"
    assert error_class(zip_of({"other": "x"}), "odt") == "malformed"
    deep = "<text:section>" * 150 + "<text:p>x</text:p>" + "</text:section>" * 150
    assert error_class(odf(f"<office:text>{deep}</office:text>"), "odt") == "limit_depth"


@needs_data
def test_every_real_document_is_accounted_for() -> None:
    odd = {
        name: outcome
        for format in ("odt", "odp")
        for name, outcome in outcomes(corpus(f"**/*.{format}"), format)
        if outcome != "ok"
    }
    assert odd == {"testODTEncrypted.odt": "encrypted", "testODPMacro.odp": "empty"}


def test_objects_within_documents_are_read() -> None:
    link = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    body = f"""<office:text {link}><text:p>See<draw:frame><draw:object xlink:href="./Object 1"/>
      <draw:image xlink:href="./ObjectReplacements/Object 1"/></draw:frame></text:p>
    <text:p><draw:frame><draw:object xlink:href="./Object 2"/></draw:frame></text:p>
    <text:p><draw:frame><draw:object-ole xlink:href="./list.txt"/></draw:frame></text:p>
    <text:p><draw:frame><draw:object xlink:href="./gone"/></draw:frame></text:p></office:text>"""
    sheet = (
        "<office:spreadsheet><table:table><table:table-row><table:table-cell><text:p>a</text:p>"
        "</table:table-cell><table:table-cell><text:p>1</text:p></table:table-cell>"
        "</table:table-row></table:table></office:spreadsheet>"
    )
    members = {
        "Object 1/content.xml": f"<office:document-content {NS}><office:body>{sheet}</office:body>"
        "</office:document-content>",
        "Object 2/content.xml": "<math><semantics><mi>x</mi><annotation>x = 1</annotation>"
        "</semantics></math>",
        "list.txt": "plain words",
    }
    parsed = parse(odf(body, **members), "odt")
    assert shape(parsed) == [
        ("paragraph", None, "See"),
        ("table", None, "a | 1"),
        ("table_row", None, "a | 1"),
        ("formula", None, "x = 1"),
        ("attachment", None, "list.txt\n\nplain words"),
        ("paragraph", None, "plain words"),
    ]
    assert len(parsed.warnings) == 1


def test_words_of_shapes_stay_apart() -> None:
    body = """<office:text><text:p>before<draw:rect><svg:title xmlns:svg="s">Title</svg:title>
      <text:p>inside</text:p></draw:rect>after</text:p></office:text>"""
    assert shape(parse(odf(body), "odt")) == [
        ("paragraph", None, "beforeafter"),
        ("figure", None, "Title"),
        ("paragraph", None, "inside"),
    ]


def test_pictures_alone_prove_nothing() -> None:
    empty = "<office:text><text:p/></office:text>"
    assert parse(odf(empty), "odt").empty_is_proven
    assert not parse(odf(empty, **{"Pictures/1.png": "scan"}), "odt").empty_is_proven
