"""Transcripts (WebVTT and SubRip) and chats: a turn per cue or line, with its speaker and time."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chunkers.blocks.common import has_ink, lines, paragraphs, trim
from lineage import Block

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_CUE = re.compile(
    rf"^[^\S\r\n]*{_TIME}[^\S\r\n]*-->[^\S\r\n]*(?:\d{{1,3}}:)?\d{{1,2}}:\d{{2}}[.,]\d{{1,3}}[^\r\n]*",
    re.MULTILINE,
)
_VOICE = re.compile(r"\s*<v(?:\.[^\s>]{1,100})?\s+([^>\n]{1,200})>")
_NAMED = re.compile(r"\s*(?:-\s*|>>\s*)?\[?([A-Z][^\s:\]<>]*(?: [^\s:\]<>]+){0,3})\]?:\s")
_SAID = re.compile(
    r"[^\S\r\n]*(?:[\[(]?(?P<time>(?:\d{1,4}[-./]\d{1,2}[-./]\d{1,4},?[ T])?"
    r"\d{1,2}:\d{2}(?::\d{2})?(?: ?[AaPp]\.?[Mm]\.?)?)[\])]?[^\S\r\n]*(?:[-\u2013][^\S\r\n]*)?)?"
    r"<?(?P<name>[^\W\d_][^\s:<>\[\]]{0,30}(?: [^\s:<>\[\]]{1,30}){0,3})>?:[^\S\r\n]"
)
"""`[10:02] Ada: …`, `12/02/2026, 10:02 - Ada: …`, `10:02 <Ada>: …`, `Ada: …`."""
_FEWEST_TURNS = 4
_HEAD = {"NOTE": "comment", "STYLE": "markup", "REGION": "markup", "WEBVTT": "front_matter"}


def scan_transcript(text: str) -> list[Block]:
    """A `turn` per cue, from its number or identifier to its last line.

    The locator is the time the cue begins, `00:01:02.000`, with the speaker in front of it where
    one is named: `Ada @ 00:01:02.000`. A text without cues is read as paragraphs.
    """
    cues = list(_CUE.finditer(text.replace("\r", "\n") if "\r" in text else text))
    if not cues:
        return _chat(text) or paragraphs(text)
    starts = [cue.start() for cue in cues]
    # A cue's identifier is the one line above its times, below a blank line.
    begins = [
        _identifier(text, cue.start(), cues[i - 1].end() if i else 0) for i, cue in enumerate(cues)
    ]
    blocks = _named(text, paragraphs(text, 0, begins[0]))
    speaker = ""
    for index, cue in enumerate(cues):
        following = begins[index + 1] if index + 1 < len(cues) else len(text)
        spans = paragraphs(text, begins[index], following)
        # Blank lines end a cue; what follows is the text of a careless SubRip file, or a note.
        own = 0
        while own < len(spans) and (
            spans[own].start <= starts[index] or _kind(text, spans[own]) == "paragraph"
        ):
            own += 1
        end = spans[own - 1].end if own else cue.end()
        hours, minutes, seconds, fraction = cue.groups()
        time = f"{int(hours or 0):02}:{int(minutes):02}:{seconds}.{fraction:0<3}"
        speaker = _speaker(text, cue.end(), end)
        locator = f"{speaker} @ {time}" if speaker else time
        blocks.append(Block("turn", begins[index], end, None, None, None, locator))
        blocks += _named(text, spans[own:])
    return blocks


def _chat(text: str) -> list[Block]:
    """A turn per line that names who speaks, with the lines that continue it."""
    spans = [(a, b) for a, b in lines(text) if has_ink(text, a, b)]
    found = [(a, match) for a, b in spans if (match := _SAID.match(text, a, b))]
    names = {match["name"] for _, match in found}
    if len(found) < _FEWEST_TURNS or 3 * len(found) < len(spans) or 2 * len(names) > len(found):
        return []
    blocks = paragraphs(text, 0, found[0][0])
    ends = [*(start for start, _ in found[1:]), len(text)]
    for (start, said), stop in zip(found, ends, strict=True):
        begin, end = trim(text, start, stop)
        label = f"{said['name']} @ {said['time']}" if said["time"] else said["name"]
        blocks.append(Block("turn", begin, end, None, None, None, label))
    return blocks


def _identifier(text: str, cue_start: int, floor: int) -> int:
    line_end = cue_start
    while line_end > floor and text[line_end - 1] in "\r\n" and cue_start - line_end < 2:
        line_end -= 1
    line_start = max(text.rfind("\n", floor, line_end), text.rfind("\r", floor, line_end)) + 1
    line_start = max(line_start, floor)
    name = text[line_start:line_end]
    if not name.strip() or len(name) > 200 or name.startswith(("WEBVTT", "NOTE")):
        return cue_start
    above = text[max(floor, line_start - 3) : line_start]
    if name.strip().isdigit() or line_start == 0 or above.count("\n") + above.count("\r") >= 2:
        return line_start
    return cue_start


def _named(text: str, spans: Sequence[Block]) -> list[Block]:
    return [Block(_kind(text, block), block.start, block.end) for block in spans]


def _kind(text: str, block: Block) -> str:
    for word, kind in _HEAD.items():
        after = block.start + len(word)
        if text.startswith(word, block.start) and not text[after : after + 1].isalnum():
            return kind
    return "paragraph"


def _speaker(text: str, start: int, end: int) -> str:
    end = min(end, start + 400)
    found = _VOICE.match(text, start, end) or _NAMED.match(text, start, end)
    return found.group(1).strip() if found else ""
