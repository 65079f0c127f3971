"""The questions that a comparison should be read by: the worst ones, and those that divide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc

from chunkers.segments import segments
from pipelines.evaluate.compare import Comparison
from pipelines.evaluate.corpus import CorpusDocument
from pipelines.evaluate.ranking import figures_of
from pipelines.evaluate.report.order import Order
from pipelines.evaluate.report.words import h, label, percent, says

WORST = 8
DIVIDED = 6
_AROUND = 160
_PASSAGE = 900
_READ = 3
_LONGEST = 2400
_BARS = 20


def worst_questions(made: Comparison, order: Order, chunks: Mapping[str, Any]) -> str:
    """Questions with what was found and what was missed.

    Args:
        made: the comparison.
        order: of its strategies.
        chunks: strategy → chunk id → (document's place in the corpus, start, end, tokens).
    """
    if not made.ranking:
        return ""
    objective = made.settings.objective
    names = [r.name for r in made.ranking]
    values = {
        name: figures_of(made.questions[name], made.results[name].main, objective) for name in names
    }
    best = values[names[0]]
    table = np.stack([values[name] for name in names])
    asked = np.flatnonzero(~np.isnan(best))
    spread = table.max(axis=0) - table.min(axis=0)
    mean = table.mean(axis=0)
    worst = [int(n) for n in sorted(asked, key=lambda n: (best[n], mean[n], n)) if best[n] < 1]
    worst = worst[:WORST]
    divided = [
        int(n)
        for n in sorted(asked, key=lambda n: (-spread[n], n))
        if spread[n] > 0.2 and n not in worst
    ][:DIVIDED]
    parts = []
    if worst:
        parts.append(
            f"<h3>Where {h(names[0])} finds least</h3>"
            + "".join(_question(made, order, chunks, values, n) for n in worst)
        )
    if divided:
        parts.append(
            "<h3>Where the strategies differ most</h3>"
            + "".join(_question(made, order, chunks, values, n) for n in divided)
        )
    if not parts:
        return f'<p class="card">{h(names[0])} finds everything {h(says(objective))}.</p>'
    return "".join(parts)


def _question(
    made: Comparison,
    order: Order,
    chunks: Mapping[str, Any],
    values: Mapping[str, Any],
    number: int,
) -> str:
    resolved = made.resolution.questions[number]
    question = resolved.question
    best = next(iter(values))
    pills = [question.query_class, made.corpus.documents[resolved.found[0].document].key]
    shown = "".join(f'<span class="pill">{h(text)}</span>' for text in pills if text)
    bars = _bars(order, {name: float(each[number]) for name, each in values.items()})
    read = _read(made, chunks, best, number)
    found = [(document, start, end) for document, start, end, _ in read]
    passages = "".join(
        _passage(made, f.document, f.start, f.end, found) for f in resolved.found[:4]
    )
    more = len(resolved.found) - 4
    if more > 0:
        passages += f'<p class="note">and {more} more passages</p>'
    evidence = [(f.document, f.start, f.end) for f in resolved.found]
    taken = (
        "".join(
            _chunk(made, rank, document, start, end, tokens, evidence)
            for rank, (document, start, end, tokens) in enumerate(read[:_READ], 1)
        )
        or '<p class="note">Nothing was found.</p>'
    )
    return (
        f'<details class="card"><summary><b>{h(question.text[:400])}</b>{shown}</summary><div>'
        f"<h3>{h(label(made.settings.objective))}</h3>{bars}"
        f"<h3>The evidence: <mark>found</mark> or <mark class=missed>missed</mark> by {h(best)}, "
        f"first 5 chunks</h3>{passages}"
        f"<h3>What {h(best)} found first</h3>{taken}</div></details>"
    )


def _bars(order: Order, values: Mapping[str, float]) -> str:
    """A bar for each strategy; one sentence where all are the same."""
    if max(values.values()) - min(values.values()) < 1e-9:
        return f"<p>{percent(next(iter(values.values())))} with every strategy.</p>"
    bars = "".join(
        f'<span>{order.badge(name)}</span><span class="track">'
        f'<i class="s{order.number(name) % 10}" style="width:{value * 100:.1f}%"></i></span>'
        f"<span>{percent(value)}</span>"
        for name, value in list(values.items())[:_BARS]
    )
    more = len(values) - _BARS
    told = f'<p class="note">and {more:,} more strategies</p>' if more > 0 else ""
    return f'<div class="bars">{bars}</div>{told}'


def _read(
    made: Comparison, chunks: Mapping[str, Any], name: str, number: int
) -> list[tuple[int, int, int, int]]:
    """The first 5 chunks of a question: document, start, end, tokens."""
    table = made.questions[name]
    rows = table.filter(pc.equal(table["variant"], made.results[name].main))
    found = rows["found"][number].as_py() or []
    return [chunks[name][identifier] for identifier in found[:5] if identifier in chunks[name]]


def _passage(
    made: Comparison, document: int, start: int, end: int, found: list[tuple[int, int, int]]
) -> str:
    """A passage with some text around it, and which of it was found."""
    item = made.corpus.documents[document]
    text = item.document.text
    shown_end = min(end, start + _PASSAGE)
    low, high = max(start - _AROUND, 0), min(shown_end + _AROUND, len(text))
    covered = [(a, b) for d, a, b in found if d == document]
    parts = ["…" if low else "", h(text[low:start])]
    for piece in segments(covered, start, shown_end):
        kind = "<mark>" if piece.chunks else "<mark class=missed>"
        parts.append(f"{kind}{h(text[piece.start : piece.end])}</mark>")
    if shown_end < end:
        parts.append(f"<small> … {end - shown_end:,} more characters</small>")
    parts += [h(text[shown_end:high]), "…" if high < len(text) else ""]
    where = f"{item.key} [{start:,}:{end:,}]"
    return f'{_quote(item)}<span class="where">{h(where)}</span>{"".join(parts)}</blockquote>'


def _chunk(
    made: Comparison,
    rank: int,
    document: int,
    start: int,
    end: int,
    tokens: int,
    evidence: list[tuple[int, int, int]],
) -> str:
    item = made.corpus.documents[document]
    text = item.document.text
    wanted = [(a, b) for d, a, b in evidence if d == document]
    shown = min(end, start + _LONGEST)
    parts = []
    for piece in segments([(start, end)], start, shown, wanted):
        words = h(text[piece.start : piece.end])
        parts.append(f"<mark>{words}</mark>" if piece.marked else words)
    more = f"<small> … {end - shown:,} more characters</small>" if shown < end else ""
    where = f"{rank}. {item.key} [{start:,}:{end:,}], {tokens:,} tokens"
    return f'{_quote(item)}<span class="where">{h(where)}</span>{"".join(parts)}{more}</blockquote>'


def _quote(item: CorpusDocument) -> str:
    return f'<blockquote data-id="{h(item.document.document_id)}">'
