"""Logs: a record per entry, with the lines that continue it (stack traces, wrapped messages)."""

from __future__ import annotations

import re

from chunkers.blocks.common import lines, trim
from lineage import Block

_SAMPLE_LINES = 400
_LEVEL = (
    r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|CRIT(?:ICAL)?|ALERT|FATAL|SEVERE|EMERG)"
)
_DATE = (
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T _]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?"
    r"|\d{1,2}[-/. ](?:\d{1,2}|[A-Z][a-z]{2})[-/. ]\d{2,4}[ :T]\d{1,2}:\d{2}(?::\d{2})?"
    r"|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2}"
    r"|\d{2}:\d{2}:\d{2}(?:[.,]\d+)?"
    r"|\d{10}(?:\.\d+|\d{3})?(?=\s))"
)
ENTRY = re.compile(
    rf"(?:<\d{{1,3}}>\d? ?)?\[?\s*{_DATE}"
    rf"|\[?{_LEVEL}\b[\]:\s|-]"
    rf"|\[\s*\d+\.\d+\]"
    rf"|[IWEF]\d{{4}} \d{{2}}:"
    rf"|\S{{1,100}} \S{{1,100}} \S{{1,100}} \[\d{{1,2}}/[A-Z][a-z]{{2}}/\d{{4}}:"
    rf"|[\w.-]{{1,100}}[ :]+\[?{_DATE}"
)
"""The start of a log entry: a time stamp or a level, in the usual notations."""
_CONTINUED = re.compile(r"\s|at \S+\(|Caused by:|Traceback \(most|\.\.\. \d+ more|[}\])]\s*$")


def scan_log(text: str) -> list[Block]:
    """A record per entry; the locator is `line N`, its first line counted from 1.

    Where lines start with time stamps or levels, what lies between two such lines belongs to
    the first. Elsewhere every line that is not indented is an entry.
    """
    spans = list(lines(text))
    stamped = log_share(text, spans[:_SAMPLE_LINES]) >= 0.1
    starts: list[tuple[int, int]] = []
    for number, (start, end) in enumerate(spans, start=1):
        if stamped:
            begins = ENTRY.match(text, start, end) is not None
        else:
            begins = _CONTINUED.match(text, start, end) is None
        if begins or not starts:
            starts.append((number, start))
    blocks: list[Block] = []
    for index, (number, start) in enumerate(starts):
        following = starts[index + 1][1] if index + 1 < len(starts) else len(text)
        a, b = trim(text, start, following)
        if a < b:
            blocks.append(Block("record", a, b, None, None, None, f"line {number}"))
    return blocks


def is_log(text: str, spans: list[tuple[int, int]]) -> bool:
    """Whether three in five of the non-blank lines start like a log entry."""
    inked = [(a, b) for a, b in spans if not text[a:b].isspace()]
    others = 0
    for start, end in inked:
        if ENTRY.match(text, start, end) is None:
            others += 1
            if 5 * others > 2 * len(inked):
                return False  # the rest of a text that is none need not be looked at
    return bool(inked)


def log_share(text: str, spans: list[tuple[int, int]]) -> float:
    """Share of the non-blank lines that start like a log entry."""
    inked = [(a, b) for a, b in spans if not text[a:b].isspace()]
    if not inked:
        return 0.0
    return sum(ENTRY.match(text, a, b) is not None for a, b in inked) / len(inked)
