"""What people see: at the width of their terminal, in a pipe, without colours."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from pipelines.cli import output, rejects
from pipelines.cli.failure import _EXTRAS
from pipelines.queries.installation import installation, required

ESCAPE = "\x1b"
LONG = "file:///a/" + "very/deep/" * 12 + "report final (2).pdf"
WHY = "no text came out of 4,847 bytes; the document may hold images only, or be damaged"


def seen(code: str, columns: int = 80, **environment: str) -> tuple[int, str]:
    """Exit code of a Python program on a terminal, and what it shows there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs, stdout=theirs, stderr=theirs,
        env={**kept, "TERM": "xterm", **environment},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux tells that the other end was closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(), shown.decode().replace("\r\n", "\n")


def listing() -> str:
    entry = {
        "error_class": "empty_suspect", "stage": "ingest", "strategy": None, "source_uri": LONG,
        "message": WHY, "serves_old_content": False,
    }  # fmt: skip
    value = {"rejects": [entry] * 2, "by_class": {"empty_suspect": 2}}
    return f"from pipelines.cli.rejects import _print\n_print({value!r}, 100)"


def table(columns: int, **environment: str) -> list[str]:
    names = ["strategy", "documents", "chunks", "tokens", "why"]
    row = ["default", 47, 72, 23492, WHY]
    code = f"from pipelines.cli.output import print_table\nprint_table('t', {names!r}, [{row!r}])"
    done, shown = seen(code, columns, **environment)
    assert done == 0, shown
    return shown.splitlines()


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_rejects_are_readable_with_long_uris(columns: int) -> None:
    done, shown = seen(listing(), columns)
    assert done == 0
    lines = shown.splitlines()
    # The URI is whole, fit to be copied; all else keeps to the width.
    assert sum(f"empty_suspect: {LONG}" in line for line in lines) == 2
    assert all(len(line) <= columns for line in lines if LONG not in line)
    assert "".join(lines).replace(" ", "").count(f"ingest: {WHY}".replace(" ", "")) == 2


@pytest.mark.parametrize("columns", [30, 60, 80, 200])
def test_tables_keep_to_the_width_and_break_no_word(columns: int) -> None:
    lines = table(columns, NO_COLOR="1")
    assert all(len(line) <= columns for line in lines)
    words = [word for line in lines for word in line.replace("│", " ").split()]
    assert {"strategy", "documents", "23,492", "damaged"} - set(words) <= {"strategy"}
    assert not any(line.endswith(" ") for line in lines)
    flat = columns < 60
    assert any(line.startswith("t default" if flat else " default") for line in lines)


def test_bold_on_a_terminal_and_nothing_of_it_elsewhere() -> None:
    assert ESCAPE in "".join(table(80))
    assert ESCAPE not in "".join(table(80, NO_COLOR="1"))
    assert ESCAPE not in "".join(table(80, TERM="dumb"))


def test_a_run_on_a_terminal_without_colour_sends_plain_text(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# A\n\nSome words.\n")
    config = tmp_path / "c.yaml"
    config.write_text("name: a\nlake: lake\nsources: [{uri: docs, acl: {default: public}}]\n")
    arguments = ["run", str(config), "--workers", "1"]
    code = f"from pipelines.cli.main import cli\ncli.main({arguments!r})"
    done, shown = seen(code, 60, NO_COLOR="1")
    assert done == 0, shown
    assert ESCAPE not in shown
    assert "ingest: 1/1 done" in shown
    done, shown = seen(code, 60)
    assert done == 0, shown
    assert "nothing had changed" in shown
    assert "0/0" not in shown


def test_in_a_pipe_lines_are_whole_and_plain() -> None:
    done = subprocess.run(
        [sys.executable, "-c", listing()], capture_output=True, text=True, check=True
    )
    assert ESCAPE not in done.stdout
    assert f"      ingest: {WHY}" in done.stdout.splitlines()


def test_names_from_outside_do_not_take_hold_of_the_terminal() -> None:
    assert output.show("a\x1b[31mb\nc\x07\u202e") == "a\\x1b[31mb c\\x07\\u202e"
    assert output.show("é 数据 👍") == "é 数据 👍"
    entry = {"error_class": "crash", "stage": "ingest", "strategy": "s", "source_uri": "u",
             "message": None, "serves_old_content": True}  # fmt: skip
    assert rejects._entry(entry) == (
        "crash: u", "ingest s: no message; its former content is still served"
    )  # fmt: skip


def test_json_is_plain_ascii_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_json({"text": "é\n\x1b", "score": float("nan")})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"text": "é\n\x1b", "score": None}


def test_every_library_of_an_extra_has_its_name_in_the_message() -> None:
    modules = {"mlflow-skinny": "mlflow", "openlineage-python": "openlineage",
               "pyjwt": "jwt"}  # fmt: skip
    for extra in ("ingest", "transform", "load", "serve", "azure", "unstructured", "embeddings",
                  "evaluate", "openlineage", "azure-openai"):  # fmt: skip
        for distribution in required(extra):
            if distribution.startswith("tree-sitter-"):
                continue
            module = modules.get(distribution, distribution.replace("-", "_"))
            module = "azure" if module.startswith("azure_") else module
            named = _EXTRAS[module]
            assert distribution in required(named), (extra, distribution, named)


def test_doctor_knows_what_each_extra_asks_for() -> None:
    checks = {check.name: check for check in installation()}
    assert checks["base"].state == "ok"
    assert "click" in checks["base"].detail
    assert set(required("stage")) == {"apache-beam", "deltalake"}
    assert {"lxml", "olefile"} <= set(required("ingest"))
    assert "lancedb" in checks["load"].detail
