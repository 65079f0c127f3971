"""What mail formats share: header lines, and bodies with quoted parts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

_QUOTED = re.compile(r"^((?:\s?>)+) ?")
_ORIGINAL = re.compile(
    r"^\s*[-_]{2,}\s*(?:Original Message|Forwarded [Mm]essage|Original Appointment|"
    r"Ursprüngliche Nachricht|Weitergeleitete Nachricht|Message d'origine|Mensaje original|"
    r"Messaggio originale)\s*[-_]{2,}\s*$"
)


def write_headers(build: TextBuilder, headers: Iterable[tuple[str, str]]) -> None:
    """Add `Name: value` lines as one header block; empty values are left out."""
    lines = [f"{name}: {squeeze(value)}" for name, value in headers if value and value.strip()]
    build.leaf("header", "\n".join(lines))


def write_plain(build: TextBuilder, text: str) -> None:
    """Add a plain body: paragraphs between empty lines, quoted ones as quotes of their depth.

    What follows a line such as `-----Original Message-----` is a quote as well.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    pending: list[str] = []
    depth = base = 0

    def flush() -> None:
        paragraph = "\n".join(pending).strip("\n")
        pending.clear()
        if not paragraph.strip():
            return
        kind = "quote" if depth else "paragraph"
        build.leaf(kind, paragraph.strip(), level=depth or None)

    for line in text.split("\n"):
        if _ORIGINAL.match(line):
            flush()
            base += 1
        mark = _QUOTED.match(line)
        level = base + (mark[1].count(">") if mark else 0)
        bare = line[mark.end() :] if mark else line
        if level != depth or not bare.strip():
            flush()
            depth = level
        pending.append(bare.rstrip())
    flush()
