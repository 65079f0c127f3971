"""The sections of a report that are tables: ranking, quality of the cuts, types, kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pipelines.evaluate.compare import Comparison
from pipelines.evaluate.ranking import Ranked
from pipelines.evaluate.report.charts import ticks, whisker
from pipelines.evaluate.report.order import Order, read_metric
from pipelines.evaluate.report.words import (
    LABEL_FREE,
    LOWER_IS_BETTER,
    count,
    h,
    label,
    meaning,
    number_of,
    percent,
    percent_short,
    points,
    seconds,
    way,
)
from pipelines.evaluate.results import Result

_SCROLL = '<div class="card scroll" tabindex="0" role="region" aria-label="Table">'
"""A wide table scrolls within its card, by the keyboard too."""


def ranking_table(made: Comparison, order: Order) -> str:
    """The strategies with intervals, if they could be ranked, and what each costs."""
    read = read_metric(made)
    heads = [("strategy", "name", "")]
    if made.ranking:
        axis = _axis(made)
        heads += [
            (
                label(made.settings.objective),
                "",
                f"axis {percent_short(axis[0])} to {percent_short(axis[1])}",
            ),
            ("", "", ""),
            ("behind best", "", "points, 95 % interval"),
            ("p", "", "adjusted (Holm)"),
        ]
    costs = [
        ("chunks", "chunks", "", count),
        ("mean size", "tokens_per_chunk", "tokens", count),
        ("stored", "stored_tokens", "tokens", count),
        ("chunking", "chunking_seconds", "CPU", seconds),
    ]
    if made.ranking and read:
        costs.insert(3, ("read", read, f"tokens, first\u00a0{read.rpartition('_')[2]}", count))
    heads += [(text, "", under) for text, _, under, _ in costs]
    ranked = {r.name: r for r in made.ranking}
    rows = []
    for result in order.results:
        one = ranked.get(result.name)
        cells = [f'<th scope="row">{order.badge(result.name)}</th>']
        if one is not None:
            cells += _standing(one, axis, order.number(result.name))
        elif made.ranking:
            cells += ["<td></td>"] * 4
        for _, name, _, show in costs:
            value = result.metrics.get(name)
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
        f"{_SCROLL}<table data-sort><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _axis(made: Comparison) -> tuple[float, float]:
    """The common axis of all intervals."""
    marks = ticks(
        min(r.interval.low for r in made.ranking), max(r.interval.high for r in made.ranking)
    )
    return marks[0], marks[-1]


def _standing(one: Ranked, axis: tuple[float, float], number: int) -> list[str]:
    """The cells of a strategy's interval, its mean, and how far it is behind the best."""
    interval = one.interval
    title = f"{percent(interval.mean)}, {percent(interval.low)} to {percent(interval.high)}"
    mark = whisker(interval.mean, interval.low, interval.high, axis, number, title)
    gap = '<td data-value="0">best</td>'
    if one.against_best is not None:
        behind = one.against_best.difference
        gap = (
            f'<td data-value="{-behind.mean}">{points(-behind.mean)}'
            f"<small>{points(-behind.high)} to {points(-behind.low)}</small></td>"
        )
    p = one.p_value
    shown = "" if p is None else "&lt; 0.001" if p < 0.001 else f"{p:.3f}"
    return [
        f"<td>{mark}</td>",
        f'<td class="value" data-value="{interval.mean}"><b>{percent(interval.mean)}</b></td>',
        gap,
        f'<td data-value="{-1 if p is None else p}">{shown}</td>',
    ]


def label_free(order: Order) -> str:
    """The figures that need no questions, as a table in which better is greener."""
    known = (*LABEL_FREE, "precision_omega", "negative_query_rate")
    metrics = [m for m in known if any(m in r.metrics for r in order.results)]
    table = heat_table(
        order,
        metrics,
        lambda result, metric: result.metrics.get(metric),
        heading=lambda m: (label(m), ("best 0" if m in LOWER_IS_BETTER else "best 1"), meaning(m)),
    )
    meanings = "".join(f"<li><b>{h(label(m))}</b>: {h(meaning(m))}</li>" for m in metrics)
    return (
        f'{table}<details class="card"><summary>What the figures mean</summary>'
        f"<div><ul>{meanings}</ul></div></details>"
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
    several = len({variant for _, variant, _ in rows}) > 1
    if not classes or (len(classes) < 2 and not several):
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
            f'<td class="name">{h(way(variant))}</td>{"".join(cells)}</tr>'
        )
    head = "".join(
        f'<th scope="col">{h(_kind(c, names))}<br><small>{classes[c]:,} questions</small></th>'
        for c in names
    )
    return (
        f"<h3>{h(label(objective))}</h3>{_SCROLL}<table><thead><tr>"
        '<th class="name" scope="col">strategy</th><th class="name" scope="col">retriever and size'
        f"</th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


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
        f"{_SCROLL}<table data-sort><thead><tr>"
        f'<th class="name" scope="col">strategy</th>{"".join(head)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _kind(query_class: str, classes: Sequence[str]) -> str:
    """What the questions of a class are called; `-` is the class of those without one."""
    if query_class != "-":
        return query_class
    return "other questions" if len(classes) > 1 else "all questions"


def _heat(value: float | None, low: float, high: float, *, lower: bool) -> str:
    if value is None or math.isnan(value):
        return "<td>-</td>"
    share = (value - low) / (high - low) if high > low else 0.0
    share = 1 - share if lower and high > low else share
    best = " best" if high > low and share > 1 - 1e-9 else ""
    return (
        f'<td class="heat{best}" style="--h:{share:.2f}" data-value="{value}">{percent(value)}</td>'
    )


def _questions(order: Order, name: str) -> str:
    number = max((r.by_type.get(name, {}).get("questions", 0) for r in order.results), default=0)
    return number_of(number, "question", "questions")


def _documents(order: Order, name: str) -> str:
    number = max((r.by_type.get(name, {}).get("documents", 0) for r in order.results), default=0)
    return number_of(number, "document", "documents")
