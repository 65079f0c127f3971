"""Parsers side by side: what each recovers from the same files, and how fast.

    python benchmarks/parsing.py CORPUS [--types html,pdf] [--sample 50] [--write]

For every type, the default parser of the registry, `unstructured`, and whatever other libraries
are installed read the same files, each in a process of its own. Characters are those that are not
white space; MB/s is input read per second of CPU time, each file read twice and the better time
taken, so that what a library imports on the way is left out; a failure is an exception or no text
at all. `--write` puts the table into docs/parsing.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

FORMATS = {
    "md": "markdown", "txt": "text", "html": "html", "pdf": "pdf", "docx": "docx",
    "pptx": "pptx", "xlsx": "xlsx", "xls": "xls", "ods": "ods",
    "odt": "odt", "odp": "odp", "rtf": "rtf", "epub": "epub", "eml": "eml",
    "msg": "msg", "mbox": "mbox", "org": "org", "rst": "rst", "doc": "doc", "ppt": "ppt",
}  # fmt: skip
MEDIA = {
    "markdown": "text/markdown", "text": "text/plain", "html": "text/html",
    "pdf": "application/pdf", "rtf": "application/rtf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xls": "application/vnd.ms-excel", "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text", "epub": "application/epub+zip",
    "eml": "message/rfc822", "msg": "application/vnd.ms-outlook", "org": "text/x-org",
    "rst": "text/x-rst", "doc": "application/msword", "ppt": "application/vnd.ms-powerpoint",
}  # fmt: skip
SECONDS = 60
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"

Read = Callable[[bytes, str, str], tuple[str, int, int, int]]
"""Bytes, name, format → text, headings, tables, pages."""


def read_blocks(parser: Any, data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    parsed = parser.parse(data, name=name, format=format, options={})
    kinds = [block.kind for block in parsed.blocks]
    pages = {b.page for b in parsed.blocks if b.page is not None}
    return parsed.text, kinds.count("heading"), kinds.count("table"), len(pages)


def gristmill(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from pipelines.ingest.parsers import registry

    return read_blocks(registry.load(registry.DEFAULTS[format]), data, name, format)


def unstructured(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from pipelines.ingest.parsers import registry

    return read_blocks(registry.load("unstructured"), data, name, format)


def kreuzberg(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from kreuzberg import ExtractionConfig, extract_bytes_sync

    result = extract_bytes_sync(data, MEDIA[format], ExtractionConfig(output_format="markdown"))
    headings = len(re.findall(r"(?m)^#{1,6} ", result.content))
    pages = (result.metadata or {}).get("page_count") or 0
    return result.content, headings, len(result.tables), int(pages)


def lxml_text(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    import lxml.html

    root = lxml.html.document_fromstring(data)
    for element in root.xpath("//script|//style|//template"):
        element.drop_tree()
    headings = root.xpath("//h1|//h2|//h3|//h4|//h5|//h6")
    return root.text_content(), len(headings), len(root.xpath("//table")), 0


def beautifulsoup(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(data, "lxml")
    for element in soup(["script", "style", "template"]):
        element.decompose()
    headings = soup.find_all(re.compile("^h[1-6]$"))
    return soup.get_text(" "), len(headings), len(soup.find_all("table")), 0


def pypdf(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from pypdf import PdfReader

    pages = PdfReader(io.BytesIO(data)).pages
    return "\n".join(page.extract_text() for page in pages), 0, 0, len(pages)


def python_docx(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from docx import Document
    from docx.table import Table

    parts: list[str] = []
    headings = tables = 0
    for item in Document(io.BytesIO(data)).iter_inner_content():
        if isinstance(item, Table):
            tables += 1
            parts += [cell.text for row in item.rows for cell in row.cells]
        else:
            parts.append(item.text)
            headings += (item.style.name if item.style else "").startswith(("Heading", "Title"))
    return "\n".join(parts), headings, tables, 0


def python_pptx(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from pptx import Presentation

    parts: list[str] = []
    headings = tables = 0
    slides = Presentation(io.BytesIO(data)).slides
    for slide in slides:
        headings += slide.shapes.title is not None
        for shape in slide.shapes:
            if shape.has_text_frame:
                parts.append(shape.text_frame.text)
            if getattr(shape, "has_table", False):
                tables += 1
                parts += [cell.text for row in shape.table.rows for cell in row.cells]
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            parts.append(slide.notes_slide.notes_text_frame.text)
    return "\n".join(parts), headings, tables, len(slides)


def openpyxl(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    parts = [
        " ".join(str(value) for value in row if value is not None)
        for sheet in book
        for row in sheet.iter_rows(values_only=True)
    ]
    return "\n".join(parts), 0, 0, len(book.sheetnames)


def standard_library(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from email import message_from_bytes, policy

    body = message_from_bytes(data, policy=policy.default).get_body(("html", "plain"))
    return body.get_content() if body is not None else "", 0, 0, 0


def oxmsg(data: bytes, name: str, format: str) -> tuple[str, int, int, int]:
    from oxmsg import Message

    message = Message.load(io.BytesIO(data))
    return f"{message.subject}\n{message.body or ''}", 0, 0, 0


OTHERS: dict[str, tuple[tuple[str, Read], ...]] = {
    "html": (("lxml", lxml_text), ("bs4", beautifulsoup)),
    "pdf": (("pypdf", pypdf),),
    "docx": (("docx", python_docx),),
    "pptx": (("pptx", python_pptx),),
    "xlsx": (("openpyxl", openpyxl),),
    "eml": (("email", standard_library),),
    "msg": (("oxmsg", oxmsg),),
}
"""Format → (module that must be installed, reader)."""
LABELS = {"docx": "python-docx", "pptx": "python-pptx", "oxmsg": "python-oxmsg",
          "email": "stdlib email"}  # fmt: skip


def candidates(format: str) -> dict[str, Read]:
    found: dict[str, Read] = {"gristmill": gristmill, "unstructured": unstructured}
    if format in MEDIA:
        found["kreuzberg"] = kreuzberg
    found.update((LABELS.get(module, module), read) for module, read in OTHERS.get(format, ()))
    return found


def measure(candidate: str, format: str, paths: list[str]) -> dict[str, Any]:
    """Read all files with one parser, in this process."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    read = candidates(format)[candidate]
    total: dict[str, Any] = dict.fromkeys(("files", "bytes", "failed", "chars", "headings",
                                           "tables", "pages"), 0)  # fmt: skip
    total["failures"] = []

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    with contextlib.suppress(Exception):
        read(Path(paths[0]).read_bytes(), paths[0], format)
    seconds = 0.0
    for path in paths:
        data = Path(path).read_bytes()
        total["files"] += 1
        total["bytes"] += len(data)
        signal.alarm(SECONDS)
        start = time.process_time()
        try:
            text, headings, tables, pages = read(data, path, format)
            reason = None if text.strip() else "no text"
            first = time.process_time()
            if first - start < 1:  # libraries load parts of themselves when a file needs them
                read(data, path, format)
                start = max(start, first - (time.process_time() - first))
        except Exception as error:
            text, headings, tables, pages = "", 0, 0, 0
            reason = f"{type(error).__name__}: {error}"[:160]
            first = time.process_time()
        finally:
            signal.alarm(0)
        seconds += first - start
        if reason:
            total["failed"] += 1
            total["failures"].append((Path(path).name, reason))
        total["chars"] += len("".join(text.split()))
        total["headings"] += headings
        total["tables"] += tables
        total["pages"] += pages
    total["mb_per_second"] = total["bytes"] / max(seconds, 1e-9) / 1e6
    return total


def compare(corpus: Path, types: list[str], sample: int | None) -> list[str]:
    """The table's lines; progress goes to stderr."""
    lines = [
        "| type | files | parser | characters | headings | tables | pages | failed | MB/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for suffix in types:
        format = FORMATS[suffix]
        paths = sorted(str(p) for p in corpus.rglob(f"*.{suffix}") if p.is_file())
        if sample and len(paths) > sample:
            paths = paths[:: len(paths) // sample][:sample]
        if not paths:
            continue
        for candidate in candidates(format):
            print(f"{format}: {candidate} …", file=sys.stderr)
            done = subprocess.run(
                [sys.executable, __file__, "--run", candidate, format],
                input=json.dumps(paths), capture_output=True, text=True, check=False,
                timeout=SECONDS * (len(paths) + 5),
            )  # fmt: skip
            if done.returncode:
                lines.append(f"| {suffix} | {len(paths)} | {candidate} | crashed | | | | | |")
                continue
            row = json.loads(done.stdout.splitlines()[-1])
            lines.append(
                f"| {suffix} | {row['files']} | {candidate} | {row['chars']:,} | "
                f"{row['headings']:,} | {row['tables']:,} | {row['pages']:,} | {row['failed']} | "
                f"{row['mb_per_second']:.2f} |"
            )
            for name, reason in row["failures"]:
                print(f"    {name}: {reason}", file=sys.stderr)
    return lines


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("corpus", nargs="?", type=Path)
    options.add_argument("--types", default=",".join(FORMATS))
    options.add_argument("--sample", type=int, help="at most so many files of a type")
    options.add_argument("--write", action="store_true", help="put the table into docs/parsing.md")
    options.add_argument("--run", nargs=2, metavar=("PARSER", "TYPE"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.run:
        paths = json.load(sys.stdin)
        print(json.dumps(measure(*chosen.run, paths)))
        return
    corpus = chosen.corpus
    if corpus is None:
        if "GRISTMILL_TEST_DATA" not in os.environ:
            options.error("name a folder of documents, or set GRISTMILL_TEST_DATA")
        corpus = Path(os.environ["GRISTMILL_TEST_DATA"]) / "corpus"
    lines = compare(corpus, chosen.types.split(","), chosen.sample)
    print("\n".join(lines))
    if chosen.write:
        page = Path(__file__).parent.parent / "docs" / "parsing.md"
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        table = "\n".join(lines)
        page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
