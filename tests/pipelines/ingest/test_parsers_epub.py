from __future__ import annotations

from parsing_tools import corpus, error_class, needs_data, one, outcomes, parse, shape, zip_of

CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
OPF = """<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Book</dc:title>
<dc:language>en-US</dc:language></metadata><manifest>
<item id="a" href="one%20page.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="two.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="gone.xhtml" media-type="application/xhtml+xml"/>
<item id="i" href="x.png" media-type="image/png"/></manifest>
<spine><itemref idref="b"/><itemref idref="a"/><itemref idref="c"/></spine></package>"""


def epub(**members: str) -> bytes:
    return zip_of(
        {
            "META-INF/container.xml": CONTAINER,
            "OPS/book.opf": OPF,
            "OPS/one page.xhtml": "<html><head><title/></head><body><h1>One</h1></body></html>",
            "OPS/two.xhtml": "<html><body><h1>Two</h1><p>text</p></body></html>",
            **members,
        }
    )


def test_chapters_in_the_order_of_the_spine() -> None:
    parsed = parse(epub(), "epub")
    assert shape(parsed) == [
        ("heading", 1, "Two"), ("paragraph", None, "text"), ("heading", 1, "One"),
    ]  # fmt: skip
    assert (parsed.title, parsed.language) == ("Book", "en")
    assert parsed.warnings == ("chapter 'OPS/gone.xhtml' is missing from the package",)


def test_drm_is_encrypted_and_hidden_fonts_are_not() -> None:
    def with_method(uri: str) -> bytes:
        xml = f'<encryption><EncryptedData><EncryptionMethod Algorithm="{uri}"/></EncryptedData>'
        return epub(**{"META-INF/encryption.xml": xml + "</encryption>"})

    assert error_class(with_method("http://www.w3.org/2001/04/xmlenc#aes128-cbc"), "epub") == (
        "encrypted"
    )
    assert parse(with_method("http://www.idpf.org/2008/embedding"), "epub").text


def test_a_package_without_contents_is_malformed() -> None:
    assert error_class(zip_of({"mimetype": "application/epub+zip"}), "epub") == "malformed"


@needs_data
def test_every_real_book_gives_text() -> None:
    assert {outcome for _, outcome in outcomes(corpus("**/*.epub"), "epub")} == {"ok"}
    sports = parse(one("winter-sports.epub"), "epub")
    assert len(sports.text) > 330_000
    assert sum(b.kind == "table" for b in sports.blocks) > 15
