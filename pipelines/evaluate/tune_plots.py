"""Plots of a tuning: what it tried, what mattered, and what became of it on held-out questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.evaluate.tune_outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, SOFT, ACCENT, GOOD = "#22303c", "#9aa7b1", "#2f6f9f", "#3f8f5f"
_MOST_BARS = 12


def importance_figure(outcome: Outcome) -> Figure:
    """How much each parameter decided, as bars."""
    figure, axes = _figure(height=0.9 + 0.34 * min(max(len(outcome.importances), 2), _MOST_BARS))
    items = list(outcome.importances.items())[:_MOST_BARS][::-1]
    if not items:
        axes.text(0.5, 0.5, "too few trials to tell", ha="center", va="center", color=SOFT)
        axes.set_axis_off()
        return figure
    bars = axes.barh([name for name, _ in items], [value for _, value in items], color=ACCENT)
    axes.bar_label(bars, fmt="%.2f", padding=4, color=INK, fontsize=9)
    axes.set_xlim(0, max(value for _, value in items) * 1.15)
    axes.set_xlabel("importance (PED-ANOVA)")
    axes.set_title("What decided", loc="left", fontsize=12, color=INK)
    axes.tick_params(axis="y", length=0)
    return figure


def history_figure(outcome: Outcome) -> Figure:
    """Each trial's figure on the documents tuned on, and the best so far."""
    figure, axes = _figure(height=3.4)
    complete = [(t.number, t.value) for t in outcome.searched if t.value is not None]
    pruned = [t.number for t in outcome.searched if t.state == "pruned"]
    axes.axhline(outcome.train_before, color=INK, lw=1, ls=(0, (4, 3)), label="policy in force")
    if complete:
        numbers, values = zip(*complete, strict=True)
        best = [max(values[: n + 1]) for n in range(len(values))]
        axes.plot(numbers, values, "o", ms=5, color=ACCENT, alpha=0.8, label="trial")
        axes.step(numbers, best, where="post", color=GOOD, lw=2, label="best so far")
    if pruned:
        floor = axes.get_ylim()[0]
        axes.plot(pruned, [floor] * len(pruned), "|", ms=9, color=SOFT, label="pruned")
    axes.set_xlabel("trial")
    axes.set_ylabel(outcome.objective.replace("_", " "))
    axes.set_title("The search, on the documents tuned on", loc="left", fontsize=12, color=INK)
    axes.grid(axis="x", visible=False)
    axes.grid(axis="y", color="#e6eaee", lw=0.8)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=4)
    return figure


def verdict_figure(outcome: Outcome) -> Figure:
    """Before and after on held-out questions, and the interval of the difference."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 2.6), layout="constrained")
    for axes in (left, right):
        _dress(axes)
    pairs = [("before", outcome.before, SOFT), ("after", outcome.after, ACCENT)]
    for row, (_, interval, colour) in enumerate(pairs[::-1]):
        left.errorbar(
            interval.mean, row, fmt="o", ms=8, color=colour, lw=2, capsize=4,
            xerr=[[interval.mean - interval.low], [interval.high - interval.mean]],
        )  # fmt: skip
        left.annotate(
            f"{interval.mean:.3f}", (interval.mean, row), (0, 9), textcoords="offset points",
            ha="center", fontsize=9, color=INK,
        )  # fmt: skip
    left.set_yticks([0, 1], ["after", "before"])
    left.set_ylim(-0.6, 1.6)
    left.set_xlabel(f"held-out {outcome.objective.replace('_', ' ')}")
    left.set_title("Before and after", loc="left", fontsize=12, color=INK)
    d = outcome.difference
    colour = GOOD if outcome.better else SOFT
    right.axvline(0, color=INK, lw=1, ls=(0, (4, 3)))
    right.errorbar(
        d.mean, 0, xerr=[[d.mean - d.low], [d.high - d.mean]], fmt="o", ms=8, color=colour, lw=2,
        capsize=4,
    )  # fmt: skip
    right.annotate(
        f"{d.mean:+.3f}  [{d.low:+.3f}, {d.high:+.3f}]", (d.mean, 0), (0, 12),
        textcoords="offset points", ha="center", fontsize=9, color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip
    right.set_yticks([])
    right.set_ylim(-0.6, 0.8)
    right.set_xlabel("difference, question by question")
    word = "promoted" if outcome.promoted else "better" if outcome.better else "not proven"
    right.set_title(f"95 % interval: {word}", loc="left", fontsize=12, color=INK)
    return figure


def _figure(height: float) -> tuple[Figure, Any]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8.2, height), layout="constrained")
    _dress(axes)
    return figure, axes


def _dress(axes: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(SOFT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(axis="x", color="#e6eaee", lw=0.8)
    axes.set_axisbelow(True)
