"""How figures are called and written in a report."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from chunkers.display import visible

_LABELS = {
    "size_compliance": ("size", "how near chunks are to the size asked for"),
    "boundary_cleanliness": ("clean cuts", "cuts at edges of blocks, lines, sentences"),
    "block_integrity": ("whole blocks", "tables, lists, code kept whole"),
    "cohesion": ("cohesion, words", "likeness of neighbouring windows inside a chunk"),
    "separation": ("separation, words", "unlikeness across cuts"),
    "embedding_cohesion": ("cohesion, vectors", "the same by the vectors of sentences"),
    "embedding_separation": ("separation, vectors", "the same by the vectors of sentences"),
    "coverage": ("coverage", "characters that are in a chunk"),
    "redundancy": ("redundancy", "what is embedded and says nothing new"),
    "context_overhead": ("context", "share of what is embedded that is context"),
    "dangling_references": ("dangling", "chunks that begin with a reference to what was before"),
    "edit_stability": ("stable", "chunks that keep their ids when the document is edited"),
    "precision_omega": ("Ω", "precision if retrieval were perfect: of the cuts alone"),
    "negative_query_rate": ("turned away", "unanswerable questions that a threshold turns away"),
}
LOWER_IS_BETTER = frozenset({"redundancy", "context_overhead", "dangling_references"})
LABEL_FREE = (
    "coverage", "size_compliance", "boundary_cleanliness", "block_integrity", "cohesion",
    "separation", "embedding_cohesion", "embedding_separation", "edit_stability", "redundancy",
    "context_overhead", "dangling_references",
)  # fmt: skip


def h(value: object) -> str:
    """`value` as text of a page: nothing in it is markup, or moves what is around it."""
    text = visible(str(value))
    return escape(text.encode("utf-8", "replace").decode("utf-8"))


def label(metric: str) -> str:
    """What a metric is called in a heading."""
    if metric in _LABELS:
        return _LABELS[metric][0]
    if metric.startswith("recall_at_") and metric.endswith("_tokens"):
        return f"recall within {int(metric.split('_')[2]):,} tokens"
    kind, _, k = metric.rpartition("_at_")
    names = {
        "recall": "passages found in the first",
        "ndcg": "nDCG of the first",
        "mrr": "reciprocal rank in the first",
        "token_recall": "evidence found in the first",
        "token_precision": "share of evidence in the first",
        "token_iou": "IoU of the first",
    }
    return f"{names[kind]} {k}" if kind in names else metric.replace("_", " ")


def way(variant: str) -> str:
    """A way to ask, as people say it: `bm25/small>large` finds the small and reads the large."""
    retriever, _, size = variant.partition("/")
    found, _, read = size.partition(">")
    if read:
        return f"{retriever}: {found} found, {read} read"
    return f"{retriever}: {found}" if found else retriever


def meaning(metric: str) -> str:
    """What a metric says, in a few words; empty where the label does."""
    return _LABELS.get(metric, ("", ""))[1]


def says(metric: str) -> str:
    """A metric as part of a sentence: what is found, of what."""
    if metric.startswith("recall_at_") and metric.endswith("_tokens"):
        return f"of the evidence within {int(metric.split('_')[2]):,} retrieved tokens"
    return f"in {label(metric)}"


def percent(value: float) -> str:
    """0.8512 as 85.1 %."""
    return f"{value * 100:.1f}\u202f%"


def percent_short(value: float) -> str:
    """0.85 as 85 %."""
    return f"{value * 100:g}\u202f%" if abs(value * 100) >= 1 or value == 0 else f"{value:.2g}"


def points(value: float) -> str:
    """A difference of shares as points with its sign."""
    return f"{value * 100:+.1f}".replace("-", "\u2212")


def count(value: float) -> str:
    """A whole number with separators; millions and thousands short above 99,999."""
    if abs(value) >= 10_000_000:
        return f"{value / 1e6:.0f}\u202fM"
    if abs(value) >= 1_000_000:
        return f"{value / 1e6:.1f}\u202fM"
    if abs(value) >= 100_000:
        return f"{value / 1e3:.0f}\u202fk"
    return f"{value:,.0f}"


def number_of(number: float, one: str, many: str) -> str:
    """How many there are: 1 document, 2,000 documents."""
    return f"{number:,.0f} {one if number == 1 else many}"


def seconds(value: float) -> str:
    """Seconds, as exact as they matter."""
    return f"{value:.2f}\u202fs" if value < 10 else f"{value:,.0f}\u202fs"


def writer(metric: str) -> Callable[[float], str]:
    """What writes values of a metric."""
    if metric.endswith("_seconds"):
        return seconds
    if ("tokens" in metric and not metric.startswith("recall")) or metric == "chunks":
        return count
    return percent
