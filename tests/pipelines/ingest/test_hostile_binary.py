"""Hostile files of binary and markup formats, each through a pooled worker with limits."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from parsing_tools import DATA, hostile_bytes, needs_data

from pipelines.ingest import work
from pipelines.ingest.parsers.base import Limits
from pipelines.ingest.work import ParseItem, parse_pool
from pipelines.pool import Failure

# One worker for all: the files are parsed once.
pytestmark = [needs_data, pytest.mark.slow, pytest.mark.xdist_group("hostile binary")]

FOLDERS = ("html", "rtf", "docx", "xlsx", "odt", "epub", "pptx", "pdf", "eml", "zip", "encrypted")
OPTIONAL = {"encrypted/user_pw.pdf", "encrypted/owner_only.pdf", "encrypted/agile.docx"}
"""Made only where further libraries are installed."""


@dataclass(frozen=True)
class Text:
    """A document that is read: words it must have and must not have, and what is warned of."""

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    warns: str = ""
    data_type: str | None = None
    blocks: tuple[str, int] | None = None
    """A kind of block and how many there must be."""


HELLO = Text(has=("Hello hostile world",))
NONE = Text()

# Path → how the file is read, or the class it is rejected with.
EXPECTED: dict[str, Text | str] = {
    "html/deep_100k_div.html.gz": "limit_depth",
    "html/deep_5k_div.html": Text(has=("first", "deep text here", "last")),
    "html/deep_300_div.html": Text(has=("first", "deep text here", "last paragraph")),
    "html/unclosed_300_span.html": Text(has=tuple(f"word{n} " for n in range(299))),
    "html/deep_2k_inline.html": Text(has=("inline deep",)),
    "html/nested_tables.html": Text(has=("cell",)),
    "html/unclosed_200k_b.html.gz": Text(has=("x" * 200_000,)),
    "html/table_100k_cells.html.gz": Text(blocks=("table_row", 1000)),
    "html/colspan_bomb.html": Text(has=("x",)),
    "html/script_style.html": Text(
        has=("Visible body text", "DISPLAYNONE text"),
        lacks=("SCRIPTTEXT", "COMMENT", "TEMPLATE", "color:red"),
        warns="hidden",
    ),
    "html/xxe.html": Text(has=("before", "after")),
    "html/remote_refs.html": Text(has=("Body paragraph with enough words",)),
    "html/charset_lie.html": Text(has=("Grüße, naïve café.",)),
    "html/utf7.html": Text(has=("+ADw-script",), lacks=("<script",)),
    "html/data_uri_4mb.html.gz": Text(has=("text before", "text after"), lacks=("AAAA",)),
    "html/php.html": Text(has=("Some paragraph of text here.",), lacks=("system",)),
    "rtf/deep_groups.rtf": Text(has=("deep",)),
    "rtf/bin_huge.rtf": "malformed",
    "rtf/include.rtf": Text(has=("Body",), lacks=("canary_secret",)),
    "docx/ok.docx": Text(blocks=("paragraph", 5)),
    "docx/zip_bomb_document.docx": "limit_ratio",
    "docx/zip_bomb_manyparas.docx": "limit_ratio",
    "docx/zip_bomb_media.docx": "limit_ratio",
    "docx/billion_laughs.docx": "malformed",
    "docx/xxe.docx": "malformed",
    "docx/xxe_rels.docx": Text(has=("hello",)),
    "docx/rel_traversal.docx": Text(has=("hello",)),
    "docx/zip_slip.docx": Text(has=("hello",), lacks=("evil",)),
    "docx/missing_document.docx": "malformed",
    "docx/duplicate_members.docx": "malformed",
    "docx/truncated.docx": "malformed",
    "docx/crc_error.docx": "malformed",
    "docx/deep_tables.docx": Text(has=("deep",)),
    "docx/ole_not_zip.docx": "malformed",
    "docx/altchunk.docx": Text(has=("hi",), warns="outside the document"),
    "docx/control_chars.docx": "malformed",
    "docx/hidden_text.docx": Text(has=("visible", "HIDDENRUN"), warns="hidden text"),
    "xlsx/ok.xlsx": Text(has=("h | 2",)),
    "xlsx/corner_cell.xlsx": "limit_elements",
    "xlsx/corner_row.xlsx": Text(has=("1", "2")),
    "xlsx/zip_bomb_shared.xlsx": "limit_ratio",
    "xlsx/zip_bomb_rows.xlsx": "limit_ratio",
    "xlsx/billion_laughs.xlsx": "malformed",
    "xlsx/formula_injection.xlsx": Text(has=('=HYPERLINK("http://x")', "cached")),
    "odt/billion_laughs.odt": "malformed",
    "epub/zip_bomb.epub": "limit_ratio",
    "pptx/deep_groups.pptx": "limit_depth",
    "pdf/ok.pdf": HELLO,
    "pdf/header_only.pdf": "malformed",
    # Its one line of text is cut in half, so what is left shows nothing and proves nothing.
    "pdf/truncated.pdf": "empty_suspect",
    "pdf/junk_prefix.pdf": Text(has=HELLO.has, warns="left out"),
    "pdf/pages_100k.pdf.gz": "limit_pages",
    "pdf/pages_2k_text.pdf.gz": Text(has=HELLO.has, blocks=("page_break", 1999)),
    "pdf/pages_dag_2e30.pdf": "limit_pages",
    "pdf/pages_cycle.pdf": "malformed",
    "pdf/pages_chain_5k.pdf.gz": "malformed",
    "pdf/xref_loop.pdf": HELLO,
    "pdf/nested_arrays.pdf.gz": HELLO,
    # The arrays are beside the page, on which nothing is drawn.
    "pdf/nested_array_obj.pdf": NONE,
    "pdf/flate_bomb.pdf": "limit_ratio",
    "pdf/flate_bomb_double.pdf": "limit_ratio",
    "pdf/runlength_chain.pdf": "limit_ratio",
    "pdf/scattered_text_4k.pdf": Text(has=("w0", "w3999")),
    "pdf/giant_mediabox.pdf": HELLO,
    "pdf/js_launch.pdf": Text(warns="not run"),
    "pdf/invisible_text.pdf": Text(has=("INVISIBLE", *HELLO.has), warns="invisible"),
    "pdf/polyglot.pdf.html": Text(has=HELLO.has, data_type="pdf"),
    "pdf/cmap_bomb.pdf": NONE,
    "eml/nested_500.eml": "limit_depth",
    "eml/nested_rfc822.eml": "limit_depth",
    "eml/many_parts.eml.gz": "limit_elements",
    "eml/attachment_traversal.eml": Text(has=("body", "evil"), blocks=("attachment", 1)),
    "eml/bad_base64_charset.eml": Text(has=("Date: not a date",)),
    "zip/nested_quine_like.zip": "unsupported",
    "zip/slip.zip": "unsupported",
    "zip/symlink.zip": "unsupported",
    "zip/many_entries.zip.gz": "unsupported",
    "zip/gzip_bomb.txt.gz": "unsupported",
    "encrypted/user_pw.pdf": "encrypted",
    "encrypted/owner_only.pdf": HELLO,
    "encrypted/agile.docx": "encrypted",
}


@dataclass(frozen=True)
class Outcome:
    reply: Any
    text: str
    blocks: tuple[dict[str, Any], ...]


def content(folder: Path, path: str) -> bytes:
    return hostile_bytes(folder / path)


@pytest.fixture(scope="module")
def outcomes(hostile: Path) -> dict[str, Outcome]:
    """What became of each file, all through one worker that must survive them."""
    present = [path for path in EXPECTED if (hostile / path).exists()]
    found: dict[str, Outcome] = {}
    evil = set(Path("/tmp").glob("gristmill_evil*")) | set(Path("/var/tmp").glob("gristmill_evil*"))
    with parse_pool(1) as workers:
        tasks = (
            (ParseItem(content(hostile, path), path.removesuffix(".gz"), None, None),)
            for path in present
        )
        for path, (_, reply) in zip(present, workers.imap(tasks, window=1), strict=True):
            text, blocks = "", ()
            if not isinstance(reply, Failure):
                table = reply.table()
                text = table["text"][0].as_py() or ""
                blocks = tuple(table["blocks"][0].as_py() or ())
            found[path] = Outcome(reply, text, blocks)
    written = set(Path("/tmp").glob("gristmill_evil*")) | set(
        Path("/var/tmp").glob("gristmill_evil*")
    )
    assert written == evil, "a file was written outside"
    return found


def test_every_file_of_these_kinds_has_an_expectation(hostile: Path) -> None:
    table = Path(DATA or "") / "hostile" / "EXPECTED.tsv"
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    listed = {row["path"].removeprefix("gen/") for row in rows}
    ours = {path for path in listed if path.split("/")[0] in FOLDERS}
    assert ours == set(EXPECTED)
    missing = {path for path in ours if not (hostile / path).exists()}
    assert missing <= OPTIONAL


@pytest.mark.parametrize("path", EXPECTED)
def test_hostile_file(path: str, outcomes: dict[str, Outcome]) -> None:
    if path not in outcomes:
        assert path in OPTIONAL
        return
    outcome, expected = outcomes[path], EXPECTED[path]
    assert not isinstance(outcome.reply, Failure), outcome.reply
    result = outcome.reply.outcomes[0]
    assert "CANARY" not in outcome.text.upper()
    if isinstance(expected, str):
        assert (result.error_class, outcome.text) == (expected, "")
        assert len(result.message) < 600
        return
    assert result.error_class is None, result.message
    assert all(words in outcome.text for words in expected.has)
    assert not [words for words in expected.lacks if words in outcome.text]
    assert expected.warns in " ".join(result.warnings)
    assert expected.data_type in (None, result.data_type)
    if expected.blocks:
        kind, count = expected.blocks
        assert sum(block["kind"] == kind for block in outcome.blocks) == count


@pytest.mark.parametrize("path", ["eml/attachment_traversal.eml"])
def test_names_of_attachments_are_text_and_nothing_else(
    path: str, outcomes: dict[str, Outcome]
) -> None:
    names = [b["locator"] for b in outcomes[path].blocks if b["kind"] == "attachment"]
    assert names == ["../../../../tmp/gristmill_evil_eml.txt"]


PARSERS = {
    "hang": "import time\ntime.sleep(600)",
    "crash": "import os\nos.abort()",
    "bomb": "held = [bytes(1 << 28) for _ in range(64)]",
    "spin": "while True: pass",
}
"""What a parser of that name does, in place of parsing."""


@pytest.fixture
def evil_parsers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution whose one parser does what a document's first line says."""
    site = tmp_path / "site"
    facts = site / "evil-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[gristmill.parsers]\nevil = evil_parser:Evil\n")
    (site / "evil_parser.py").write_text(
        "from pipelines.ingest.parsers.text import TextParser\n"
        f"DEEDS = {PARSERS!r}\n"
        "class Evil(TextParser):\n"
        "    name = 'evil'\n"
        "    def parse(self, data, **rest):\n"
        "        exec(DEEDS.get(data.split()[0].decode(), ''), {})\n"
        "        return super().parse(data, **rest)\n"
    )
    monkeypatch.syspath_prepend(str(site))

    strict = Limits(seconds=3, memory_bytes=1 << 29)
    monkeypatch.setattr(work, "Limits", lambda: strict)
    yield
    sys.modules.pop("evil_parser", None)


@pytest.mark.runner
@pytest.mark.skipif(os.name != "posix", reason="limits of memory are kept on POSIX systems only")
def test_a_lost_worker_is_one_reject_row_and_the_run_goes_on(
    project: Any, evil_parsers: None
) -> None:
    project.settings["sources"] = [
        {"name": "docs", "uri": "docs", "acl": {"default": "public"}, "parser": {"text": "evil"}}
    ]
    for number in range(20):
        project.write(f"{number:02}-good.txt", f"fine {number} is a document like any other")
    for deed in PARSERS:
        project.write(f"10-{deed}.txt", f"{deed} and nothing else")
    result = project.ingest()
    rows = project.documents()
    rejects = {name: row["error"]["error_class"] for name, row in rows.items() if row["error"]}
    assert rejects == {
        "10-hang.txt": "timeout", "10-spin.txt": "timeout", "10-crash.txt": "crash",
        "10-bomb.txt": "memory",
    }  # fmt: skip
    assert (result.counts["new"], result.counts["rejected"]) == (20, 4)
