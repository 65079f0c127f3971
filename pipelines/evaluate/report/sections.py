"""The sections of a report that are figures: verdict, ranking, cost, types, sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.evaluate.compare import Comparison
from pipelines.evaluate.report.charts import Point, histogram, lines, scatter, ticks, whisker
from pipelines.evaluate.report.words import (
    LABEL_FREE,
    LOWER_IS_BETTER,
    count,
    h,
    label,
    meaning,
    percent,
    percent_short,
    points,
    says,
    seconds,
)
from pipelines.evaluate.results import Result


class Order:
    """The strategies in the order of a report, each with its number (colour) and rank."""

    def __init__(self, made: Comparison) -> None:
        ranked = [r.name for r in made.ranking]
        rest = [s.name for s in made.strategies if s.name in made.results and s.name not in ranked]
        self.names = [*ranked, *rest]
        self.results = [made.results[name] for name in self.names]
        given = [s.name for s in made.strategies]
        self._numbers = {name: given.index(name) for name in self.names}
        self._ranks = {name: place for place, name in enumerate(self.names, 1)}

    def number(self, name: str) -> int:
        """Decides about its colour; the same in every comparison of the same configuration."""
        return self._numbers[name]

    def rank(self, name: str) -> int:
        """Its place, from 1."""
        return self._ranks[name]

    def badge(self, name: str) -> str:
        """Its rank in its colour, and its name."""
        number = self.number(name) % 10
        return f'<span class="rank s{number}">{self.rank(name)}</span>{h(name)}'


def verdict(made: Comparison, order: Order) -> str:
    """What a reader should take away, in a sentence or two."""
    if not made.ranking:
        why = (
            "No question has evidence, so there are label-free figures alone to compare by."
            if made.results
            else "No strategy was evaluated."
        )
        return f'<div class="card"><p class="says">{h(why)}</p></div>'
    best, *others = made.ranking
    level = [r.name for r in others if r.level_with_best]
    behind = [r for r in others if not r.level_with_best]
    metric = made.settings.objective
    parts = [f"<b>{h(best.name)}</b> finds most {h(says(metric))}."]
    if level:
        shown = ", ".join(f"<b>{h(name)}</b>" for name in level[:4])
        more = f" and {len(level) - 4} more" if len(level) > 4 else ""
        parts.append(f"{shown}{more} may be as good: the difference is within chance.")
        cheapest = min(
            (best.name, *level), key=lambda name: made.results[name].metrics["stored_tokens"]
        )
        if cheapest != best.name:
            saved = 1 - (
                made.results[cheapest].metrics["stored_tokens"]
                / made.results[best.name].metrics["stored_tokens"]
            )
            if saved >= 0.01:
                parts.append(
                    f"Of these, <b>{h(cheapest)}</b> stores {percent(saved)} fewer tokens."
                )
    if behind:
        gap = behind[0].against_best
        assert gap is not None
        parts.append(
            f"{'All others are' if not level else 'The rest is'} behind by "
            f"{gap.difference.mean * 100:.1f} points or more."
        )
    interval = best.interval
    return (
        '<div class="card verdict"><p class="says">' + " ".join(parts) + "</p>"
        f'<div><div class="big">{percent(interval.mean)}</div>'
        f'<div class="under">95 % interval {percent(interval.low)} to {percent(interval.high)}<br>'
        f"over {interval.number:,} questions</div></div></div>"
    )


def ranking_table(made: Comparison, order: Order) -> str:
    """The strategies with intervals, and what each costs. Columns can be sorted."""
    metric = made.settings.objective
    read = _read_metric(made)
    ranked = {r.name: r for r in made.ranking}
    bounds = [edge for r in made.ranking for edge in (r.interval.low, r.interval.high)]
    axis = (0.0, 1.0)
    if bounds:
        marks = ticks(min(bounds), max(bounds))
        axis = (marks[0], marks[-1])
    heads = [
        ("strategy", "name", ""),
        (label(metric), "", f"{percent_short(axis[0])} to {percent_short(axis[1])}"),
        ("", "", ""),
        ("behind best", "", "points, 95 % interval"),
        ("p", "", "adjusted (Holm)"),
        ("chunks", "", ""),
        ("mean size", "", "tokens"),
        ("stored", "", "tokens"),
        ("read", "", f"tokens, first {read.rpartition('_')[2]}" if read else ""),
        ("chunking", "", "CPU"),
    ]
    rows = []
    for result in order.results:
        m = result.metrics
        one = ranked.get(result.name)
        cells = [f'<th scope="row">{order.badge(result.name)}</th>']
        if one is None:
            cells += ["<td></td>"] * 4
        else:
            interval = one.interval
            title = f"{percent(interval.mean)}, {percent(interval.low)} to {percent(interval.high)}"
            mark = whisker(
                interval.mean, interval.low, interval.high, axis, order.number(result.name), title
            )
            shown = f"<b>{percent(interval.mean)}</b>"
            cells.append(f"<td>{mark}</td>")
            cells.append(f'<td class="value" data-value="{interval.mean}">{shown}</td>')
            gap = one.against_best
            if gap is None:
                cells.append('<td data-value="0">best</td>')
            else:
                behind = gap.difference
                cells.append(
                    f'<td data-value="{-behind.mean}">{points(-behind.mean)}'
                    f"<small>{points(-behind.high)} to {points(-behind.low)}</small></td>"
                )
            p = one.p_value
            shown = "" if p is None else "&lt; 0.001" if p < 0.001 else f"{p:.3f}"
            cells.append(f'<td data-value="{-1 if p is None else p}">{shown}</td>')
        for name, show in (
            ("chunks", count),
            ("tokens_per_chunk", count),
            ("stored_tokens", count),
            (read or "-", count),
            ("chunking_seconds", seconds),
        ):
            value = m.get(name)
            cells.append(
                "<td></td>" if value is None else f'<td data-value="{value}">{show(value)}</td>'
            )
        level = ' class="level"' if one is not None and one.level_with_best else ""
        rows.append(f"<tr{level}>{''.join(cells)}</tr>")
    head = "".join(
        f'<th scope="col"{" class=name" if kind else ""}>'
        + (f"<button type=button>{h(text)}</button>" if text and not kind else h(text))
        + (f"<br><small>{h(under)}</small>" if under else "")
        + "</th>"
        for text, kind, under in heads
    )
    return (
        f'<div class="card scroll"><table data-sort><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def cost_charts(made: Comparison, order: Order) -> str:
    """Quality against tokens stored, tokens read, and seconds."""
    if not made.ranking:
        return ""
    read = _read_metric(made)
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


def label_free(order: Order) -> str:
    """The figures that need no questions, as a table in which better is greener."""
    metrics = [m for m in LABEL_FREE if any(m in r.metrics for r in order.results)]
    metrics += ["precision_omega"] * any("precision_omega" in r.metrics for r in order.results)
    metrics += ["negative_query_rate"] * any(
        "negative_query_rate" in r.metrics for r in order.results
    )
    return heat_table(
        order,
        metrics,
        lambda result, metric: result.metrics.get(metric),
        heading=lambda m: (label(m), ("best 0" if m in LOWER_IS_BETTER else "best 1"), meaning(m)),
    )


def by_type(made: Comparison, order: Order) -> str:
    """The objective and the clean cuts by data type."""
    types = sorted({name for r in order.results for name in r.by_type})
    if len(types) < 2:
        return ""
    objective = made.settings.objective
    parts = []
    asked = [t for t in types if any(objective in r.by_type.get(t, {}) for r in order.results)]
    if asked:
        parts.append(f"<h3>{h(label(objective))}</h3>")
        parts.append(
            heat_table(
                order,
                asked,
                lambda result, name: result.by_type.get(name, {}).get(objective),
                heading=lambda t: (t, _questions(order, t), ""),
            )
        )
    for metric in ("boundary_cleanliness", "block_integrity"):

        def value_of(result: Result, name: str, metric: str = metric) -> float | None:
            return result.by_type.get(name, {}).get(metric)

        there = [t for t in types if any(value_of(r, t) is not None for r in order.results)]
        if there:
            parts.append(f"<h3>{h(label(metric).capitalize())}: {h(meaning(metric))}</h3>")
            parts.append(
                heat_table(order, there, value_of, lambda t: (t, _documents(order, t), ""))
            )
    return "".join(parts)


def by_class(made: Comparison, order: Order) -> str:
    """The objective by class of question, for every way to ask a strategy."""
    objective = made.settings.objective
    rows: list[tuple[str, str, dict[str, float]]] = []
    classes: dict[str, int] = {}
    for result in order.results:
        for variant, values in result.variants.items():
            figures_by_class = {
                name: figures[objective]
                for name, figures in values["by_class"].items()
                if objective in figures
            }
            for name in figures_by_class:
                classes[name] = int(values["by_class"][name]["questions"])
            rows.append((result.name, variant, figures_by_class))
    several = len({variant for _, variant, _ in rows}) > 1 or any(
        len(r.variants) > 1 for r in order.results
    )
    if len(classes) < 2 and not several:
        return ""
    names = sorted(classes)
    best = {c: max(found.get(c, -1.0) for _, _, found in rows) for c in names}
    least = {c: min(found.get(c, 2.0) for _, _, found in rows) for c in names}
    body = []
    for strategy, variant, found in rows:
        cells = []
        for c in names:
            value = found.get(c)
            cells.append(_heat(value, least[c], best[c], lower=False))
        body.append(
            f'<tr><th scope="row">{order.badge(strategy)}</th>'
            f'<td class="name">{h(variant)}</td>{"".join(cells)}</tr>'
        )
    head = "".join(
        f'<th scope="col">{h(c if c != "-" else "no class")}<br><small>{classes[c]:,} questions'
        "</small></th>"
        for c in names
    )
    return (
        f'<h3>{h(label(objective))}</h3><div class="card scroll"><table><thead><tr>'
        '<th class="name" scope="col">strategy</th><th class="name" scope="col">retriever and size'
        f"</th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


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


def heat_table(
    order: Order,
    columns: Sequence[str],
    value_of: Callable[[Result, str], float | None],
    heading: Callable[[str], tuple[str, str, str]],
) -> str:
    """Strategies by columns; in each column the better the greener, the best one bold."""
    if not columns:
        return ""
    values = {c: [v for r in order.results if (v := value_of(r, c)) is not None] for c in columns}
    rows = []
    for result in order.results:
        cells = [
            _heat(
                value_of(result, c),
                min(values[c], default=0.0),
                max(values[c], default=0.0),
                lower=c in LOWER_IS_BETTER,
            )
            for c in columns
        ]
        rows.append(f'<tr><th scope="row">{order.badge(result.name)}</th>{"".join(cells)}</tr>')
    head = []
    for c in columns:
        text, under, title = heading(c)
        head.append(
            f'<th scope="col" title="{h(title)}"><button type=button>{h(text)}</button>'
            f"<br><small>{h(under)}</small></th>"
        )
    return (
        '<div class="card scroll"><table data-sort><thead><tr>'
        f'<th class="name" scope="col">strategy</th>{"".join(head)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _heat(value: float | None, low: float, high: float, *, lower: bool) -> str:
    if value is None or math.isnan(value):
        return "<td>-</td>"
    share = (value - low) / (high - low) if high > low else 0.0
    share = 1 - share if lower and high > low else share
    best = " best" if high > low and share > 1 - 1e-9 else ""
    return (
        f'<td class="heat{best}" style="--h:{share:.2f}" data-value="{value}">{percent(value)}</td>'
    )


def _read_metric(made: Comparison) -> str | None:
    ks = made.settings.k
    return f"tokens_read_at_{5 if 5 in ks else ks[len(ks) // 2]}" if ks else None


def _questions(order: Order, name: str) -> str:
    number = max((r.by_type.get(name, {}).get("questions", 0) for r in order.results), default=0)
    return f"{number:,.0f} questions"


def _documents(order: Order, name: str) -> str:
    number = max((r.by_type.get(name, {}).get("documents", 0) for r in order.results), default=0)
    return f"{number:,.0f} documents"


def failures(made: Comparison) -> str:
    """What went wrong, and what was left out."""
    items: list[str] = [
        f"<b>{h(name)}</b> failed: {h(message)}" for name, message in made.failed.items()
    ]
    items += [f"<b>{h(name)}</b> was not reached before the end." for name in made.unfinished]
    for result in made.results.values():
        if result.rejected:
            first = next(iter(result.rejected.values()))
            items.append(
                f"<b>{h(result.name)}</b> rejects {len(result.rejected):,} documents, for example: "
                f"{h(first[:300])}"
            )
    counts: Mapping[str, Any] = made.resolution.counts
    if counts:
        told = ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in counts.items())
        items.append(
            f"Evidence that could not be used: {h(told)}. <code>gristmill evidence CONFIG "
            "check</code> lists it."
        )
    items += [h(f"Left out of the grid: {text}") for text in made.config.evaluation.skipped]
    if made.corpus.total > len(made.corpus):
        items.append(
            f"A sample: {len(made.corpus):,} of {made.corpus.total:,} documents "
            "(<code>evaluation.max_documents</code>)."
        )
    if not items:
        return ""
    return f'<div class="card warn"><ul>{"".join(f"<li>{item}</li>" for item in items)}</ul></div>'
