"""A comparison as one HTML file: everything in it, nothing asked of a network."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from importlib.resources import files

import pyarrow.compute as pc

from pipelines.evaluate.compare import Comparison
from pipelines.evaluate.report import figures, questions, tables, verdict
from pipelines.evaluate.report.documents import Column, document_view
from pipelines.evaluate.report.order import Order
from pipelines.evaluate.report.words import h, label, number_of

LARGEST = 5_000_000
"""Bytes of a report at most; documents and questions are sampled to stay below."""
DOCUMENTS = 8
SHOWN_AT_FIRST = 3
_CHARACTERS = 7_000
_LEAST_CHARACTERS = 1_000
"""Of an excerpt; below it there are fewer documents."""
_FRAME = 60_000
"""Bytes for style, script, and what stands around the sections."""
_DOCUMENT_BYTES = 3_500_000


def report(made: Comparison) -> str:
    """The report of a comparison, a whole page."""
    order = Order(made)
    chunks = {name: chunk_places(made, name) for name in order.names}
    config = made.config
    when = datetime.fromtimestamp(made.started_at, UTC).strftime("%-d %B %Y, %H:%M UTC")
    characters = made.corpus.characters
    facts = [
        ("documents", f"{len(made.corpus):,}"),
        ("characters", f"{characters:,}"),
        ("questions", f"{len(made.resolution.questions):,}"),
        ("retriever", ", ".join(made.settings.retrievers)),
    ]
    if made.ranking:
        facts.append(("goes by", label(made.settings.objective)))
    shown = "".join(f"<div><dt>{h(k)}</dt><dd>{h(v)}</dd></div>" for k, v in facts)
    many = number_of(len(order.names), "strategy", "strategies")
    body = [
        f"<h1>Which chunking fits {h(config.name)}?</h1>",
        f'<p class="lead">{many} on the same documents and questions · {h(when)}</p>',
        verdict.verdict(made, order),
        f'<dl class="facts">{shown}</dl>',
        verdict.failures(made),
    ]
    menu: list[tuple[str, str]] = []

    def section(anchor: str, title: str, note: str, content: str) -> None:
        if content:
            menu.append((anchor, title))
            told = f'<p class="note">{note}</p>' if note else ""
            body.append(f'<section id="{anchor}"><h2>{h(title)}</h2>{told}{content}</section>')

    if order.names and not made.ranking:
        section("ranking", "Strategies", "", tables.ranking_table(made, order))
    elif order.names:
        section(
            "ranking", "Ranking",
            "Means over the questions with 95 % bootstrap intervals. Green figures are level with "
            "the best: the difference, paired by question, may be chance. Headings sort.",
            tables.ranking_table(made, order),
        )  # fmt: skip
    if order.names:
        section(
            "cost", "Quality and cost",
            "Numbers are ranks. The dashed line joins the strategies that no other one beats in "
            "both; up and left is better. Marks that would cover each other stand side by side.",
            figures.cost_charts(made, order),
        )  # fmt: skip
        section("reading", "The more is read", "", figures.curves(made, order))
        section(
            "cuts", "Quality of the cuts",
            "Figures that need no questions. In each column the greener the better.",
            tables.label_free(order),
        )  # fmt: skip
        section("types", "By data type", "", tables.by_type(made, order))
        section("classes", "By kind of question", "", tables.by_class(made, order))
        section(
            "sizes", "Sizes",
            "Tokens of the smallest chunks, context included, from 0 to the cap; the line is the "
            "median.",
            figures.sizes(order),
        )  # fmt: skip
        section("questions", "Questions", "", questions.worst_questions(made, order, chunks))
        section(
            "documents", "Documents, side by side",
            "A bar and a number begin a chunk, with its size in tokens; hatched text is in two "
            "chunks; underlined text is evidence.",
            _documents_within(made, order, LARGEST - _FRAME - sum(map(_size, body))),
        )  # fmt: skip
    body.append(_footer(made))
    return page(f"{config.name}: chunking compared", "".join(body), menu)


def page(title: str, body: str, menu: list[tuple[str, str]] | None = None) -> str:
    """A whole page around `body`, which may load nothing from anywhere."""
    folder = files("pipelines.evaluate.report")
    style = folder.joinpath("style.css").read_text("utf-8")
    script = folder.joinpath("script.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    links = "".join(f'<a href="#{anchor}">{h(text)}</a>' for anchor, text in menu or [])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{h(title)}</title><style>{style}</style></head><body>"
        '<a class="skip" href="#main">Skip to the report</a>'
        f'<nav class="top" aria-label="Sections"><div><span class="mark">Gristmill</span>{links}'
        "<button type=button data-theme-button hidden>Dark</button></div></nav>"
        f'<main id="main">{body}</main><script>{script}</script></body></html>'
    )


def chunk_places(made: Comparison, name: str) -> dict[str, tuple[int, int, int, int]]:
    """Chunk id → (document's place in the corpus, start, end, tokens)."""
    table = made.chunks(name)
    columns = ("chunk_id", "document_id", "start", "end", "tokens")
    return {
        identifier: (place, start, end, tokens)
        for identifier, document, start, end, tokens in zip(
            *(table[column].to_pylist() for column in columns), strict=True
        )
        if (place := made.corpus.index(document)) is not None
    }


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _documents_within(made: Comparison, order: Order, room: int) -> str:
    """As much of the documents as fits into so many bytes."""
    most = min(_DOCUMENT_BYTES, room)
    while True:
        shown = documents(made, order, most)
        size = _size(shown)
        if size <= max(room, 0):
            return shown
        # Text that is escaped, and chunks of a few words, take more than was thought.
        most = most * room * 9 // (size * 10)


def documents(made: Comparison, order: Order, most: int = _DOCUMENT_BYTES) -> str:
    """Excerpts of some documents under every strategy, of about `most` bytes together."""
    each = 2 * max(len(order.names), 1)
    chosen = choose_documents(made)[: max(most, 0) // (each * _LEAST_CHARACTERS)]
    if not chosen:
        return ""
    cut = {name: _smallest(made, name) for name in order.names}
    per_view = most // (len(chosen) * each)
    views, options = [], []
    for place, start in chosen:
        item = made.corpus.documents[place]
        text = item.document.text
        end = min(start + min(_CHARACTERS, per_view), len(text))
        evidence = [
            (f.start, f.end)
            for resolved in made.resolution.questions
            for f in resolved.found
            if f.document == place
        ]
        columns = []
        for name in order.names:
            rows = cut[name].get(place, [])
            columns.append(
                Column(
                    name,
                    order.number(name),
                    [(a, b) for a, b, _ in rows],
                    [tokens for _, _, tokens in rows],
                    f"{len(rows):,} chunks",
                )
            )
        part = "" if start == 0 and end == len(text) else f" [{start:,}:{end:,} of {len(text):,}]"
        options.append(f'<option value="d{place}">{h(item.key + part)}</option>')
        data_type, identifier = item.document.data_type, item.document.document_id
        views.append(
            f'<div data-view="d{place}" data-id="{h(identifier)}"><h3>{h(item.key + part)} '
            f'<span class="pill">{h(data_type)}</span></h3>'
            f"{document_view(text, data_type, columns, start, end, evidence)}</div>"
        )
    boxes = "".join(
        f'<label><input type="checkbox" data-strategy-box value="{h(name)}"'
        f"{' checked' if n < SHOWN_AT_FIRST else ''}> {h(name)}</label>"
        for n, name in enumerate(order.names)
    )
    return (
        '<div class="pick" data-script hidden><label>Document '
        f"<select data-document>{''.join(options)}</select></label>"
        f"<fieldset><legend>Strategies</legend>{boxes}</fieldset></div>"
        f'<div class="card">{"".join(views)}</div>'
    )


def choose_documents(made: Comparison) -> list[tuple[int, int]]:
    """(document's place, where the excerpt begins): those asked about first, every type."""
    asked: dict[int, list[int]] = {}
    for resolved in made.resolution.questions:
        for found in resolved.found:
            asked.setdefault(found.document, []).append(found.start)
    everything = range(len(made.corpus))
    by_use = sorted(everything, key=lambda place: (-len(asked.get(place, ())), place))
    chosen: list[int] = []
    seen: set[str] = set()
    for place in by_use:
        kind = made.corpus.documents[place].document.data_type
        if kind not in seen:
            seen.add(kind)
            chosen.append(place)
    chosen += [place for place in by_use if place not in chosen]
    made_of: list[tuple[int, int]] = []
    for place in chosen[:DOCUMENTS]:
        text = made.corpus.documents[place].document.text
        start = 0
        if len(text) > _CHARACTERS and place in asked:
            middle = sorted(asked[place])[len(asked[place]) // 2]
            start = text.rfind("\n", 0, max(middle - _CHARACTERS // 2, 0)) + 1
        made_of.append((place, start))
    return made_of


def _smallest(made: Comparison, name: str) -> dict[int, list[tuple[int, int, int]]]:
    """Document's place → (start, end, tokens) of its smallest chunks."""
    table = made.chunks(name)
    table = table.filter(pc.equal(table["level"], 0))
    rows: dict[int, list[tuple[int, int, int]]] = {}
    for document, start, end, tokens in zip(
        *(table[c].to_pylist() for c in ("document_id", "start", "end", "tokens")), strict=True
    ):
        place = made.corpus.index(document)
        if place is not None:
            rows.setdefault(place, []).append((start, end, tokens))
    return rows


def _footer(made: Comparison) -> str:
    versions = sorted({result.code_version for result in made.results.values()})
    return (
        f"<footer>Run <code>{h(made.run_id)}</code> · documents table version "
        f"<code>{h(made.corpus.version)}</code> · snapshot "
        f"<code>{h(made.corpus.fingerprint)}</code> · evidence "
        f"<code>{h(made.evidence.fingerprint)}</code> · budgets in tokens of "
        f"{h(made.settings.encoding)}<br>{h(' · '.join(versions))}</footer>"
    )
