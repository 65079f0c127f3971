"""The start of a report: what to take away, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.evaluate.compare import Comparison
from pipelines.evaluate.report.order import Order
from pipelines.evaluate.report.words import h, label, percent, says


def verdict(made: Comparison, order: Order) -> str:
    """What a reader should take away, in a sentence or two."""
    if not made.ranking:
        why = (
            f"{_upper(why_unranked(made))}, so there are label-free figures alone to compare by."
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


def why_unranked(made: Comparison) -> str:
    """Why the questions rank nothing, as the start of a sentence."""
    asked = len(made.evidence)
    if not asked:
        return "there are no questions"
    metric = label(made.settings.objective)
    if asked == 1:
        lacks = f"has no {metric}" if made.resolution.questions else "cannot be used"
        return f"the only question {lacks}"
    lacks = f"has {metric}" if made.resolution.questions else "can be used"
    return f"none of the {asked:,} questions {lacks}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    items += [h(_upper(note)) for note in made.notes]
    if made.corpus.total > len(made.corpus):
        items.append(
            f"A sample: {len(made.corpus):,} of {made.corpus.total:,} documents "
            "(<code>evaluation.max_documents</code>)."
        )
    if not items:
        return ""
    return f'<div class="card warn"><ul>{"".join(f"<li>{item}</li>" for item in items)}</ul></div>'
