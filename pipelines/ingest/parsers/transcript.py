"""WebVTT and SubRip transcripts as they are, a cue a turn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chunkers.blocks import scan
from pipelines.ingest.parsers.base import Parsed
from pipelines.ingest.parsers.decode import decode
from pipelines.ingest.parsers.source import limits_of, source_parsed

_TITLE = re.compile(r"WEBVTT[ \t]+(?:-[ \t]*)?(\S[^\r\n]{0,300})")


class TranscriptParser:
    """Transcripts and subtitles with times."""

    name = "transcript"
    version = "1"
    formats = frozenset({"vtt", "srt"})
    checks_blocks = True

    def parse(self, data: bytes, *, name: str, format: str, options: Mapping[str, Any]) -> Parsed:
        """Decode the text and find its turns; the title is what follows `WEBVTT`."""
        decoded = decode(data)
        found = _TITLE.match(decoded.text)
        return source_parsed(
            decoded,
            scan(decoded.text, "transcript"),
            format=format,
            data_type="transcript",
            limits=limits_of(options),
            title=found.group(1).strip() if found else None,
        )
