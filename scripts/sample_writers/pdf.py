"""PDF: typeset pages, and a page that is only a picture, like a scan."""

from __future__ import annotations

import io
import random

from sample_writers.markup import Node


def pdf(nodes: list[Node], footer: str) -> bytes:
    """A typeset PDF with bookmarks, tables, a footer and page numbers on every page."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import ListFlowable, Paragraph, SimpleDocTemplate, Spacer, Table

    styles = getSampleStyleSheet()
    story: list[object] = []
    for node in nodes:
        if node.kind == "heading":
            story.append(Paragraph(node.text, styles[f"Heading{node.level}"]))
        elif node.kind in ("bullets", "numbers"):
            kind = "bullet" if node.kind == "bullets" else "1"
            items = [Paragraph(item, styles["BodyText"]) for item in node.items]
            story.append(ListFlowable(items, bulletType=kind, start=None))
        elif node.kind == "table":
            table = Table([list(row) for row in node.rows], hAlign="LEFT", repeatRows=1)
            table.setStyle(
                [
                    ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
                    ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
                    ("FONTSIZE", (0, 0), (-1, -1), 9),
                ]
            )
            story += [Spacer(1, 4), table, Spacer(1, 8)]
        else:
            story.append(Paragraph(node.text, styles["BodyText"]))

    def stamp(canvas: object, document: object) -> None:
        canvas.setFont("Helvetica", 8)  # type: ignore[attr-defined]
        page = f"{footer} - page {document.page}"  # type: ignore[attr-defined]
        canvas.drawString(72, 36, page)  # type: ignore[attr-defined]

    target = io.BytesIO()
    document = SimpleDocTemplate(
        target,
        pagesize=A4,
        title=nodes[0].text,
        author="Larkmoor Instruments",
        invariant=1,
        pageCompression=0,
    )
    document.build(story, onFirstPage=stamp, onLaterPages=stamp)
    return target.getvalue()


def scan(text: str) -> bytes:
    """One page with a grey, speckled picture of `text` and not a single character of text."""
    import zlib

    from PIL import Image, ImageDraw, ImageFont

    width, height = 620, 400
    page = Image.new("L", (width, height), 236)
    draw = ImageDraw.Draw(page)
    draw.multiline_text((50, 40), text, fill=60, font=ImageFont.load_default(), spacing=10)
    draw.rectangle((30, 25, width - 30, height - 25), outline=120)
    speckle = random.Random(2041)
    for _ in range(600):
        draw.point((speckle.randrange(width), speckle.randrange(height)), fill=150)
    data = zlib.compress(page.tobytes(), 9)
    image = (
        f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray"
        f" /BitsPerComponent 8 /Filter /FlateDecode /Length {len(data)} >>\nstream\n"
    ).encode() + data + b"\nendstream"  # fmt: skip
    content = b"q 595 0 0 384 0 440 cm /Im0 Do Q"
    return _objects(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R "
            b"/Resources << /XObject << /Im0 4 0 R >> >> >>",
            image,
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        ]
    )


def _objects(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)
