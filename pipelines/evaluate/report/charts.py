"""Charts as SVG, by hand: no library, no script, readable in light and dark.

Colours are CSS variables of the page with fallbacks, so a chart is right in the report and as a
file of its own. Every mark has a title for whoever points at it or has it read out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

PALETTE = (
    "#3f6fd8", "#d9821e", "#2f9e62", "#c2477f", "#7a5bd0", "#1c98a8", "#b3541e", "#6f8a1d",
    "#8c5a86", "#5a6b7d",
)  # fmt: skip
_INK = "var(--ink-2,#5c6470)"
_LINE = "var(--line,#d9dce1)"
_MARK = 18.0
"""Width of a mark with its edge, in a chart of strategies."""
_FONT = "font:11px system-ui,sans-serif"


def colour(number: int) -> str:
    """The colour of the strategy with this number; they repeat after ten."""
    place = number % len(PALETTE)
    return f"var(--s{place},{PALETTE[place]})"


@dataclass(frozen=True, slots=True)
class Point:
    """A strategy in a chart of two figures."""

    label: str
    number: int
    """Decides about its colour."""
    rank: int
    x: float
    y: float
    low: float
    high: float


def whisker(
    mean: float, low: float, high: float, axis: tuple[float, float], number: int, title: str
) -> str:
    """A mean with its interval on a common axis, one line high."""
    width, height = 240.0, 22.0

    def place(value: float) -> float:
        return 6 + (value - axis[0]) / max(axis[1] - axis[0], 1e-9) * (width - 12)

    left, middle, right = place(low), place(mean), place(high)
    return (
        f'<svg class="whisker" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f'<line x1="6" x2="{width - 6:.0f}" y1="11" y2="11" stroke="{_LINE}"/>'
        f'<line x1="{left:.1f}" x2="{right:.1f}" y1="11" y2="11" stroke="{colour(number)}" '
        f'stroke-width="5" stroke-linecap="round" opacity=".38"/>'
        f'<circle cx="{middle:.1f}" cy="11" r="5" fill="{colour(number)}" '
        f'stroke="var(--paper,#fff)" stroke-width="1.5"/></svg>'
    )


def scatter(
    points: Sequence[Point],
    x_label: str,
    y_label: str,
    show_x: Callable[[float], str],
    show_y: Callable[[float], str],
) -> str:
    """Strategies by cost (x, less is better) and quality (y, more is better).

    The line joins those that no other one beats in both. Marks that would cover each other are
    moved sideways, the worse ones further.
    """
    width, height = 360.0, 270.0
    left, right, top, bottom = 46.0, 14.0, 14.0, 40.0
    x_ticks = ticks(0.0, max((p.x for p in points), default=1.0) * 1.05 or 1.0)
    y_ticks = ticks(min(p.low for p in points), max(p.high for p in points))
    x_range, y_range = (x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1])

    def at_x(value: float) -> float:
        share = (value - x_range[0]) / max(x_range[1] - x_range[0], 1e-12)
        return left + share * (width - left - right)

    def at_y(value: float) -> float:
        share = (value - y_range[0]) / max(y_range[1] - y_range[0], 1e-12)
        return height - bottom - share * (height - top - bottom)

    parts = [_open(width, height, f"{y_label} against {x_label}")]
    parts += _grid_y(y_ticks, at_y, left, width - right, show_y)
    for tick in x_ticks:
        parts.append(_text(at_x(tick), height - bottom + 15, show_x(tick), "middle"))
    parts.append(_text((left + width - right) / 2, height - 6, x_label, "middle", strong=True))
    front = _front(points)
    if len(front) > 1:
        path = " ".join(f"{at_x(p.x):.1f},{at_y(p.y):.1f}" for p in front)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{_INK}" stroke-dasharray="3 3"/>'
        )
    placed = _side_by_side([(at_x(p.x), at_y(p.y)) for p in points])
    for point, (x, y) in sorted(zip(points, placed, strict=True), key=lambda p: -p[0].rank):
        title = (
            f"{point.label}: {show_y(point.y)} ({show_y(point.low)} to {show_y(point.high)}), "
            f"{x_label} {show_x(point.x)}"
        )
        parts.append(
            f"<g><title>{escape(title)}</title>"
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{at_y(point.low):.1f}" '
            f'y2="{at_y(point.high):.1f}" stroke="{colour(point.number)}" opacity=".38" '
            f'stroke-width="3" stroke-linecap="round"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8.5" fill="{colour(point.number)}" '
            f'stroke="var(--paper,#fff)" stroke-width="1.5"/>'
            f'<text x="{x:.1f}" y="{y + 3.6:.1f}" text-anchor="middle" '
            f'fill="var(--on,#fff)" style="font:600 10px system-ui,sans-serif">{point.rank}'
            "</text></g>"
        )
    return "".join([*parts, "</svg>"])


def _side_by_side(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The places in their order, each as near to where it was as leaves the earlier ones free."""
    free: list[tuple[float, float]] = []
    for x, y in places:
        steps = (sign * step * _MARK / 2 for step in range(2 * len(places)) for sign in (1, -1))
        free.append(
            next(
                (x + move, y)
                for move in steps
                if all(math.hypot(x + move - a, y - b) >= _MARK - 1e-6 for a, b in free)
            )
        )
    return free


def lines(
    series: Sequence[tuple[str, int, Sequence[tuple[float, float]]]],
    x_label: str,
    title: str,
    show_y: Callable[[float], str],
) -> str:
    """Curves of (label, number, points), over steps that are spread evenly."""
    width, height = 360.0, 250.0
    left, right, top, bottom = 46.0, 14.0, 14.0, 40.0
    steps = sorted({x for _, _, points in series for x, _ in points})
    values = [y for _, _, points in series for _, y in points]
    if not values:
        return ""
    y_ticks = ticks(min(values), max(values))

    def at_x(value: float) -> float:
        return left + 8 + steps.index(value) / max(len(steps) - 1, 1) * (width - left - right - 16)

    def at_y(value: float) -> float:
        share = (value - y_ticks[0]) / max(y_ticks[-1] - y_ticks[0], 1e-12)
        return height - bottom - share * (height - top - bottom)

    parts = [_open(width, height, title)]
    parts += _grid_y(y_ticks, at_y, left, width - right, show_y)
    for step in steps:
        parts.append(_text(at_x(step), height - bottom + 15, f"{step:,.0f}", "middle"))
    parts.append(_text((left + width - right) / 2, height - 6, x_label, "middle", strong=True))
    for label, number, points in reversed(series):
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
        told = "; ".join(f"{x:,.0f}: {show_y(y)}" for x, y in points)
        parts.append(
            f"<g><title>{escape(f'{label}: {told}')}</title>"
            f'<polyline points="{path}" fill="none" stroke="{colour(number)}" stroke-width="2" '
            'stroke-linejoin="round"/>'
        )
        parts += [
            f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{colour(number)}"/>'
            for x, y in points
        ]
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def histogram(
    edges: Sequence[float], counts: Sequence[float], number: int, median: float, title: str
) -> str:
    """How large chunks are, from 0 to the cap; a line at the median."""
    width, height, base = 220.0, 84.0, 66.0
    most = max(counts, default=0) or 1
    span = max(edges[-1] - edges[0], 1e-9)
    step = width / max(len(counts), 1)
    parts = [_open(width, height, title)]
    for place, count in enumerate(counts):
        if count:
            tall = max(count / most * (base - 6), 1.0)
            told = f"{edges[place]:,.0f} to {edges[place + 1]:,.0f} tokens: {count:,.0f} chunks"
            parts.append(
                f'<rect x="{place * step + 0.5:.1f}" y="{base - tall:.1f}" '
                f'width="{step - 1:.1f}" height="{tall:.1f}" rx="1" fill="{colour(number)}" '
                f'opacity=".8"><title>{escape(told)}</title></rect>'
            )
    middle = (median - edges[0]) / span * width
    parts.append(f'<line x1="0" x2="{width:.0f}" y1="{base}" y2="{base}" stroke="{_LINE}"/>')
    parts.append(
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="2" y2="{base}" '
        'stroke="var(--ink,#1d2127)" stroke-dasharray="2 2"/>'
    )
    parts.append(_text(1, height - 4, f"{edges[0]:,.0f}", "start"))
    if 34 < middle < width - 40:
        parts.append(_text(middle, height - 4, f"{median:,.0f}", "middle", strong=True))
    parts.append(_text(width - 1, height - 4, f"{edges[-1]:,.0f}", "end"))
    return "".join([*parts, "</svg>"])


def ticks(low: float, high: float, number: int = 5) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1.0):
        high = low + max(abs(low), 1.0) * 0.1
    rough = (high - low) / number
    size = 10.0 ** math.floor(math.log10(rough))
    step = min((m * size for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - rough))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def _front(points: Sequence[Point]) -> list[Point]:
    """Those that no other one beats in both, by x."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -p.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def _open(width: float, height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
    )


def _grid_y(
    values: Sequence[float],
    at_y: Callable[[float], float],
    left: float,
    right: float,
    show: Callable[[float], str],
) -> list[str]:
    parts = []
    for value in values:
        y = at_y(value)
        parts.append(
            f'<line x1="{left:.0f}" x2="{right:.0f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_LINE}"/>'
        )
        parts.append(_text(left - 6, y + 3.5, show(value), "end"))
    return parts


def _text(x: float, y: float, text: str, anchor: str, *, strong: bool = False) -> str:
    ink = "var(--ink,#1d2127)" if strong else _INK
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}" '
        f'style="{_FONT}">{escape(text)}</text>'
    )
