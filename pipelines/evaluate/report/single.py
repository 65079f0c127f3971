"""One document with its chunks in colour, as a page."""

from __future__ import annotations

from pipelines.evaluate.report.documents import Column, document_view
from pipelines.evaluate.report.page import page
from pipelines.evaluate.report.words import h
from pipelines.queries.view import View

_LONGEST = 400_000
"""Characters shown over all columns."""


def single_page(found: View) -> str:
    """The page of `gristmill view`."""
    text = found.document.text
    end = min(len(text), max(_LONGEST // max(len(found.cuts), 1), 1_000))
    columns = [
        Column(
            cut.strategy,
            number,
            [(span.start, span.end) for span in cut.spans],
            cut.tokens,
            f"{len(cut.spans):,} chunks, {sum(cut.tokens):,} tokens, by {cut.chunker}",
        )
        for number, cut in enumerate(found.cuts)
    ]
    shown = "" if end == len(text) else f" · the first {end:,} of {len(text):,} characters"
    note = f'<p class="card warn">{h(found.note)}</p>' if found.note else ""
    pick = ""
    if len(columns) > 1:
        boxes = "".join(
            f'<label><input type="checkbox" data-strategy-box value="{h(c.name)}" checked> '
            f"{h(c.name)}</label>"
            for c in columns
        )
        pick = (
            '<div class="pick" data-script hidden><fieldset><legend>Strategies</legend>'
            f"{boxes}</fieldset></div>"
        )
    body = (
        f"<h1>{h(found.key)}</h1>"
        f'<p class="lead">{h(found.document.data_type)} · {len(text):,} characters{h(shown)}</p>'
        f'{note}<p class="note">A bar and a number begin a chunk, with its size in tokens; hatched '
        f"text is in two chunks.</p>{pick}"
        f'<div class="card whole" data-id="{h(found.document.document_id)}">'
        f"{document_view(text, found.document.data_type, columns, 0, end)}</div>"
    )
    return page(f"{found.key}: chunks", body)
