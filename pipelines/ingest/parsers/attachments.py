"""Files inside files: each becomes an `attachment` block with its name and whatever it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pipelines.ingest.parsers.base import ParseError
from pipelines.ingest.parsers.textbuild import TextBuilder, squeeze

MAX_DEPTH = 5
"""How deep files may sit in files and still be read."""
MAX_FILES = 500
"""How many files within one document are read, at all depths together."""
_NAME_CHARACTERS = 200


class _Budget:
    """What is left for the document at hand."""

    def __init__(self) -> None:
        self.depth = 0
        self.files = 0


_budget: ContextVar[_Budget | None] = ContextVar("attachments", default=None)


class Attachments:
    """Adds attached files to a document under construction.

    Nothing is lost silently: a file that cannot be read leaves its name and a warning, and so
    does one beyond `MAX_DEPTH` or `MAX_FILES`. A file that breaks a limit does not break the
    document it is attached to.
    """

    def __init__(self, build: TextBuilder) -> None:
        self._build = build

    def add(self, name: str | None, media_type: str | None, data: bytes) -> None:
        """Parse the file `name` of the media type it declares, and add what it says."""
        # Imported here, because parse_bytes is made of all parsers, this module's users included.
        from pipelines.ingest.parsers import parse_bytes

        shown = squeeze(name or "")[:_NAME_CHARACTERS] or "unnamed attachment"
        build = self._build
        build.open("attachment", locator=shown)
        build.write(shown)
        with _one_deeper() as refusal:
            if refusal is not None:
                build.warn(f"attachment {shown!r} is not read: {refusal}")
            elif not data:
                build.warn(f"attachment {shown!r} is empty")
            else:
                try:
                    parsed, _ = parse_bytes(data, name=name or "", declared=_declared(media_type))
                except ParseError as error:
                    build.warn(f"attachment {shown!r} is not read: {error}")
                else:
                    build.separate()
                    build.insert(parsed.text, list(parsed.blocks))
                    for warning in parsed.warnings:
                        build.warn(f"attachment {shown!r}: {warning}")
        build.close()


@contextmanager
def _one_deeper() -> Iterator[str | None]:
    """Count one file and one level; gives the reason when there are too many."""
    budget = _budget.get()
    token = None
    if budget is None:
        budget = _Budget()
        token = _budget.set(budget)
    budget.depth += 1
    budget.files += 1
    try:
        if budget.depth > MAX_DEPTH:
            yield f"nested deeper than {MAX_DEPTH} files"
        elif budget.files > MAX_FILES:
            yield f"more than {MAX_FILES} files in one document"
        else:
            yield None
    finally:
        budget.depth -= 1
        if token is not None:
            _budget.reset(token)


def _declared(media_type: str | None) -> str | None:
    """A declared type worth believing; generic ones say nothing."""
    if media_type in (None, "application/octet-stream", "application/x-msdownload"):
        return None
    return media_type
