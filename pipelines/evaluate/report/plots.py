"""The plots of one strategy, as files of their own."""

from __future__ import annotations

from pipelines.evaluate.report.charts import histogram, lines
from pipelines.evaluate.report.words import percent_short
from pipelines.evaluate.results import Result


def plots_of(result: Result) -> dict[str, str]:
    """File name → SVG: `sizes.svg`, and where questions were asked `recall.svg`."""
    plots = {}
    median = result.metrics.get("chunk_tokens_p50")
    if median is not None:
        title = f"sizes of the chunks of {result.name}, tokens"
        plots["sizes.svg"] = histogram(
            result.sizes["edges"], result.sizes["counts"], 0, median, title
        )
    found = result.series.get("recall_by_tokens")
    if found:
        plots["recall.svg"] = lines(
            [(result.name, 0, found)], "tokens read", "evidence found by tokens read", percent_short
        )
    return plots
