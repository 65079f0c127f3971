from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsing_tools import DATA, damaged, needs_data, one, restated, zip_of

from chunkers.blocks.code_languages import GRAMMARS
from lineage import REJECT_CLASSES
from pipelines.ingest.detect import detect
from pipelines.ingest.detect_names import BY_SUFFIX, media_type_of
from pipelines.ingest.detect_ole import SIGNATURE, root_names
from pipelines.ingest.parsers import registry
from pipelines.ingest.parsers.base import ParseError

TABLE = "name,city,born\n" + "Ada,London,1815\nAlan,London,1912\nGrace,New York,1906\n"
LOG = "".join(f"2026-02-11 10:00:0{i} INFO gauge read\n" for i in range(5))
NOTEBOOK = json.dumps({"cells": [{"cell_type": "code", "source": "1"}], "nbformat": 4})
MARKDOWN = "# Title\n\nSee [the guide](docs/guide.md).\n\n```sh\nmake\n```\n"
PAGE = "<!DOCTYPE html>\n<html><body><p>x</p></body></html>"
MAIL = "Received: from a by b\r\nFrom: ada@example.org\r\nSubject: x\r\n\r\nHello.\r\n"
MBOX = "From ada@example.org Mon Jun 01 10:00:00 2009\nFrom: ada@example.org\n\nHello.\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\nHi.\n"
SRT = "1\n00:00:01,000 --> 00:00:02,000\nHi.\n"


def found(content: str | bytes, name: str = "", declared: str | None = None) -> str:
    data = content.encode() if isinstance(content, str) else content
    return detect(data, name, declared).format


def refused(content: str | bytes, name: str = "") -> ParseError:
    with pytest.raises(ParseError) as caught:
        found(content, name)
    return caught.value


def test_the_module_can_be_imported_first() -> None:
    subprocess.run([sys.executable, "-c", "import pipelines.ingest.detect"], check=True)


@pytest.mark.parametrize("name", ["", "README", "notes.txt", "LICENSE", "upload.tmp"])
@pytest.mark.parametrize(
    ("content", "format"),
    [
        (PAGE, "html"),
        ("\ufeff\r\n<!-- saved -->\n<HTML lang='de'><head>", "html"),
        ("<div class='a'>\n<p>x</p></div>", "html"),
        ('<?xml version="1.0"?><a/>', "xml"),
        ("<note><to>Tove</to></note>\n", "xml"),
        ("<!DOCTYPE node PUBLIC 'x'>\n<node><a/></node>", "xml"),
        ('{"a": 1}', "json"),
        ('[\n  {"a": [1, 2]},\n  {}\n]\n', "json"),
        ("[1, 2, 3]", "json"),
        ('{"a": 1}\n{"a": 2}\n', "jsonl"),
        ('{"a": 1}\n\n{"a": ', "jsonl"),
        (NOTEBOOK, "notebook"),
        (VTT, "vtt"),
        (SRT, "srt"),
        (MAIL, "eml"),
        (MBOX, "mbox"),
        (LOG, "log"),
        (TABLE, "csv"),
        (TABLE.replace(",", ";"), "csv"),
        ("a\tb\n1\t2\n3\t4\n", "tsv"),
        (MARKDOWN, "markdown"),
        ("#+TITLE: Runbook\n* First\n", "org"),
        ("% books\n@book{knuth1968,\n title={x}}", "bib"),
        (".. _top:\n\nTitle\n=====\n\n.. note:: x\n", "rst"),
        ("#!/usr/bin/env python3\nprint(1)\n", "code:python"),
        ("#!/bin/bash -e\nls\n", "code:bash"),
        ("#!/usr/bin/perl -w\n", "code:perl"),
        ("#! /usr/local/bin/node", "code:javascript"),
        ("#!/usr/bin/env -S ruby -w\n", "code:ruby"),
        ("#!/usr/bin/env LANG=C python3.11 -E\n", "code:python"),
        ("#!" + "/" * 16_000 + "\n", "text"),
        ("<?php echo 1;\n", "code:php"),
        ("Just a sentence, and another one, with commas, in it.\n", "text"),
        ("[2026-01-01] started [a]\n[2026-01-02] stopped [b]\n[2026-01-03] x [c]\n", "log"),
        ("[Chorus]\nSing along\n[Verse]\n", "text"),
        ("# a comment\nkey = value\n# another\n", "text"),
        ("Ada, who wrote it, slept\nAlan, who read it, sat\nGrace, who ran it, sang\n", "text"),
        ("", "text"),
        (" \r\n\t", "text"),
    ],
)
def test_content_decides_where_the_name_says_little(content: str, format: str, name: str) -> None:
    assert found(content, name) == format
    assert found(content.lstrip("\ufeff").encode("utf-16"), name) == format


def test_a_memo_that_is_called_text_is_text() -> None:
    memo = "To: all\nFrom: the office\nSubject: kitchen\n\nIt is closed.\n"
    assert found(memo, "memo.txt") == "text"
    assert found(memo, "memo.eml") == found(memo, "memo") == "eml"


@pytest.mark.parametrize(
    ("content", "name", "format"),
    [
        (PAGE, "table.csv", "html"),
        (PAGE, "data.json", "html"),
        (PAGE, "page.xml", "html"),
        (PAGE, "page.md", "markdown"),
        (PAGE, "view.php", "code:php"),
        ('{"a": 1}', "data.csv", "json"),
        ('{"a": 1}', "data.xml", "json"),
        ('[{"a": 1}]', "page.html", "json"),
        ('{"a": 1}', "values.yaml", "json"),
        ("{a: 1, b: [2]}", "values.yaml", "yaml"),
        ("{{ include }}", "values.yaml", "yaml"),
        ('{"a": 1}', "data.jsonl", "jsonl"),
        ('{\n "a": 1\n}', "data.jsonl", "json"),
        ('{"a": 1}\n{"a": 2}\n', "data.json", "jsonl"),
        ('{"a": "' + "x" * 20_000 + '"}\n{"a": 2}\n', "data.jsonl", "jsonl"),
        ('{"a": [1, 2', "data.json", "json"),
        ('// settings\n{"a": 1}', "tsconfig.json", "json"),
        ("42", "answer.json", "json"),
        ('"text"', "text.json", "json"),
        ("Not found.\n", "data.json", "text"),
        ("Not found.\n", "data.xml", "text"),
        ("Not found.\n", "book.ipynb", "text"),
        ('{"title": "schema", "cells": {"type": "array", "cell_type": 1}}', "x.json", "json"),
        (MARKDOWN, "guide.rst", "rst"),
        (LOG, "guide.md", "markdown"),
        (VTT, "talk.txt", "vtt"),
        (SRT, "talk.vtt", "srt"),
        (MBOX, "one.eml", "eml"),
        (MBOX + "\n" + MBOX, "two.eml", "mbox"),
        (MBOX, "one.mbox", "mbox"),
        ("Hello.\n", "one.eml", "eml"),
        ("plain words\n", "app.log", "log"),
        ("x = 1\n", "a.PY", "code:python"),
        ("all:\n", "Makefile", "code:make"),
        ("FROM x\n", "docker/Dockerfile.prod", "code:docker"),
        ("int f(void);\n", "a.h", "code:c"),
        ("namespace a {\nclass B : public C {\n};\n}\n", "a.h", "code:cpp"),
        ("@interface A : NSObject\n@end\n", "a.h", "code:objc"),
        ("Title\n=====\n", "index.rst.txt", "rst"),
        ("x\n", "page.html.txt", "text"),
        ("x\n", "dir.md/notes", "text"),
    ],
)
def test_content_first_then_name(content: str, name: str, format: str) -> None:
    assert found(content, name) == format


def test_the_declared_type_is_asked_last() -> None:
    assert found("a: 1\n", "blob", "application/yaml; charset=utf-8") == "yaml"
    assert found("a: 1\n", "blob.md", "application/yaml") == "markdown"
    assert found(PAGE, "blob", "text/csv") == "html"


def test_an_empty_file_is_what_its_name_says() -> None:
    assert found("", "a.csv") == "csv"
    assert found("\n", "a.docx") == "text"


def test_text_under_the_name_of_a_binary_format_is_refused() -> None:
    error = refused("just text\n" * 10, "report.pdf")
    assert error.error_class == "mismatched_type"
    assert "pdf" in error.message


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
        (b"\x7fELF\2\1\1\0", "ELF"),
        (b"\x1f\x8b\x08\0\0\0", "gzip"),
        (b"PK\x05\x06" + b"\0" * 18, "ZIP"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "WAV"),
        (b"\x09\x04\x06\0\0\0\x10\0", "Excel 4"),
        (b"\x00\x01\x02custom binary\xff" * 100, "binary"),
        (random.Random(1).randbytes(20_000), "binary"),
        (b"\xff\xfe" + random.Random(2).randbytes(20_000), "binary"),
        (bytes(1000), "binary"),
    ],
)
def test_binary_data_is_refused_by_name(data: bytes, what: str) -> None:
    for name in ("a.txt", "a.xyz", ""):
        error = refused(data, name)
        assert error.error_class == "unsupported"
        assert what in error.message


@pytest.mark.parametrize(
    "data",
    [
        b"before\0after\0\0\nnext line\n" * 10,
        bytes(range(1, 32)) + b" tail\n",
        b"MZ is the beginning of a sentence.\n",
        b"BM25 ranks documents.\n",
        "naïve café".encode("latin-1") * 50,
        "これは日本語の文書です。".encode("shift_jis") * 50,
        "文件".encode("gb18030") * 500,
    ],
)
def test_odd_text_is_text(data: bytes) -> None:
    assert found(data, "a.txt") == "text"


def test_packages_are_told_by_their_members() -> None:
    assert found(zip_of({"word/document.xml": "<a/>"}), "x.pdf") == "docx"
    assert found(zip_of({"xl/workbook.xml": "<a/>"})) == "xlsx"
    assert found(zip_of({"ppt/presentation.xml": "<a/>"})) == "pptx"
    assert found(zip_of({"mimetype": "application/epub+zip"})) == "epub"
    assert found(zip_of({"mimetype": "application/vnd.oasis.opendocument.text"})) == "odt"
    assert found(b"{\\rtf1 x}", "letter.doc") == "rtf"
    assert found(b"%PDF-1.7\n", "letter.docx") == "pdf"
    assert refused(zip_of({"a.txt": "x"}), "a.zip").error_class == "unsupported"
    cut = zip_of({"word/document.xml": "<a/>" * 500})[:-40]
    assert found(cut, "x.bin") == "docx"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_package_whose_type_is_damaged_falls_back_on_its_name(method: int) -> None:
    whole = zip_of({"mimetype": "application/epub+zip", "a": "x" * 100}, method)
    assert found(whole) == "epub"
    broken = damaged(whole, "mimetype")
    assert found(broken, "a.epub") == "epub"
    assert refused(broken, "a.bin").error_class == "malformed"


@pytest.mark.parametrize(("field", "value"), [("method", 99), ("needs_version", 64)])
def test_a_package_of_a_kind_not_known_here_falls_back_on_its_name(field: str, value: int) -> None:
    strange = restated(zip_of({"mimetype": "application/epub+zip"}), field, value)
    assert found(strange, "a.epub") == "epub"
    assert refused(strange, "a.bin").error_class == "malformed"


def test_a_damaged_compound_file_falls_back_on_its_name() -> None:
    broken = SIGNATURE + bytes(2000)
    assert root_names(broken) == frozenset()
    assert found(broken, "a.doc") == "doc"
    assert refused(broken, "a.bin").error_class == "malformed"


@needs_data
def test_stream_names_have_no_case() -> None:
    assert root_names(one("simple_lower_case.doc")) == root_names(one("simple_upper_case.doc"))
    assert found(one("simple_lower_case.doc")) == "doc"
    assert found(one("simple_upper_case.doc")) == "doc"
    assert found(one("testEXCEL_WORKBOOK_in_capitals.xls")) == "xls"


# What the manifest calls by its suffix, and what is in the file.
CORPUS = {
    "eng_spa_mult.doc": "docx",
    "eng_spa_mult.ppt": "pptx",
    "testEXCEL_4.xls": "unsupported",
    "testPPT_protected_passtika.pptx": "encrypted",
    "password_protected.xlsx": "encrypted",
    "testEXCEL_protected_passtika_2.xlsx": "encrypted",
    "testEXCEL_protected_passtika.xlsx": "encrypted",
    "protect.xlsx": "encrypted",
    "a_proteome.txt": "tsv",
}


@needs_data
def test_every_real_file_is_what_it_is() -> None:
    root = Path(DATA or "") / "corpus"
    wrong: list[str] = []
    with open(root / "MANIFEST.tsv", encoding="utf-8") as manifest:
        for row in csv.DictReader(manifest, delimiter="\t"):
            path = root / row["path"]
            usual = {"md": "markdown", "txt": "text"}.get(row["type"], row["type"])
            expected = CORPUS.get(path.name, usual)
            data = path.read_bytes()
            got = _format_or_class(data, path.name)
            if got != expected:
                wrong.append(f"{row['path']}: {got}, not {expected}")
            elif registry.DEFAULTS.get(expected) not in ("text", "markdown", "delimited", None):
                bare = _format_or_class(data, "")
                if bare not in (expected, "text", "mbox"):
                    wrong.append(f"{row['path']} without its name: {bare}, not {expected}")
    assert wrong == []


def _format_or_class(data: bytes, name: str) -> str:
    try:
        return detect(data, name).format
    except ParseError as error:
        return error.error_class


def test_every_format_has_a_parser_and_a_media_type() -> None:
    formats = {registry.family(format) for format in BY_SUFFIX.values()}
    assert formats <= set(registry.registry())
    assert all(media_type_of(f) != "application/octet-stream" for f in BY_SUFFIX.values())


def test_every_grammar_has_a_suffix() -> None:
    assert {f"code:{language}" for language in GRAMMARS} <= set(BY_SUFFIX.values())
    assert len(GRAMMARS) >= 15


SIGNS = [
    b"%PDF-1.7", b"PK\x03\x04", SIGNATURE, b"{\\rtf1", b"<?xml", b"<!DOCTYPE html>", b"<html",
    b"{", b"[", b'"a":', b"WEBVTT\n", b"From: a\n", b"Subject: b\n", b"#!/bin/sh\n", b"\0",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"a,b,c\n", b"00:00:01,000 --> 00:00:02,000\n", b"--",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(SIGNS) | st.binary(max_size=40), max_size=12).map(b"".join),
    st.sampled_from(["", "a.txt", "a.json", "a.xml", "a.docx", "a.eml", "a.log", "a.ipynb"]),
)
def test_any_bytes_are_something_or_refused_with_a_class(data: bytes, name: str) -> None:
    got = _format_or_class(data, name)
    assert registry.family(got) in registry.DEFAULTS or got in REJECT_CLASSES
    assert got == _format_or_class(data, name)
