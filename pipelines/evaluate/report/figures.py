"""The sections of a report that are charts: cost, curves, sizes."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.evaluate.compare import Comparison
from pipelines.evaluate.report.charts import Point, histogram, lines, scatter
from pipelines.evaluate.report.order import Order, read_metric
from pipelines.evaluate.report.words import count, h, label, percent_short


def cost_charts(made: Comparison, order: Order) -> str:
    """Quality against tokens stored, tokens read, and seconds."""
    if not made.ranking:
        return ""
    read = read_metric(made)
    axes: list[tuple[str, str, Callable[[float], str]]] = [
        ("stored_tokens", "tokens stored and embedded", count),
        (read or "", f"tokens read per question, first {(read or '').rpartition('_')[2]}", count),
        ("chunking_seconds", "CPU seconds of chunking", lambda v: f"{v:g}"),
    ]
    figures = []
    for metric, told, show in axes:
        chosen = [
            Point(
                r.name, order.number(r.name), order.rank(r.name),
                made.results[r.name].metrics[metric], r.interval.mean, r.interval.low,
                r.interval.high,
            )
            for r in made.ranking
            if metric in made.results[r.name].metrics
        ]  # fmt: skip
        if chosen:
            chart = scatter(chosen, told, label(made.settings.objective), show, percent_short)
            figures.append(f'<figure class="card">{chart}</figure>')
    return f'<div class="grid">{"".join(figures)}</div>'


def curves(made: Comparison, order: Order) -> str:
    """How much is found the more is read: by tokens, and by chunks."""
    wanted = [
        ("recall_by_tokens", "tokens read", "Evidence found, by tokens read"),
        ("recall_by_k", "chunks read", "Passages found, by chunks read"),
        ("ndcg_by_k", "chunks read", "nDCG, by chunks read"),
    ]
    figures = []
    for name, told, title in wanted:
        series = [
            (result.name, order.number(result.name), result.series[name])
            for result in order.results
            if result.series.get(name)
        ]
        if series:
            chart = lines(series, told, title, percent_short)
            figures.append(
                f'<figure class="card"><figcaption>{h(title)}</figcaption>{chart}</figure>'
            )
    if not figures:
        return ""
    return f'{legend(order)}<div class="grid">{"".join(figures)}</div>'


def legend(order: Order) -> str:
    """Which colour is which strategy."""
    items = "".join(
        f'<span><span class="chip s{order.number(name) % 10}"></span>{h(name)}</span>'
        for name in order.names
    )
    return f'<div class="legend">{items}</div>'


def sizes(order: Order) -> str:
    """A histogram of chunk sizes for each strategy."""
    figures = []
    for result in order.results:
        median = result.metrics.get("chunk_tokens_p50")
        if median is None:
            continue
        m = result.metrics
        chart = histogram(
            result.sizes["edges"], result.sizes["counts"], order.number(result.name), median,
            f"sizes of the chunks of {result.name}",
        )  # fmt: skip
        told = (
            f"median {median:,.0f}, middle 80 % from {m['chunk_tokens_p10']:,.0f} to "
            f"{m['chunk_tokens_p90']:,.0f} tokens"
        )
        figures.append(
            f'<figure class="card"><figcaption><b style="color:var(--ink)">{h(result.name)}</b>'
            f"<br>{h(told)}</figcaption>{chart}</figure>"
        )
    return f'<div class="grid small">{"".join(figures)}</div>'
