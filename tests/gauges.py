"""Documents for which small chunks are better than the strategy's large ones, and evidence of it.

Each has 30 readings of a gauge, two sentences each.
"""

from __future__ import annotations

import json

READINGS = 30
STRATEGY = {
    "name": "default",
    "max_tokens": 256,
    "policy": {
        "alias": "promoted",
        "otherwise": {"default": {"chunker": "optimal", "target_tokens": 240}},
    },
}
EVALUATION = {"budgets": [60], "objective": "recall_at_60_tokens"}


def readings(gauge: str) -> str:
    """The text of a document about a gauge."""
    return " ".join(f"Gauge {gauge}-{k} was read at noon. It stood low." for k in range(READINGS))


def corrections(gauge: str, document: str) -> str:
    """Lines of feedback that ask for every third reading and say which sentence answers."""
    return "".join(
        json.dumps(
            {"query": f"gauge {gauge}-{k}", "kind": "correction", "document": document,
             "quote": f"Gauge {gauge}-{k} was read at noon."}
        ) + "\n"
        for k in range(0, READINGS, 3)
    )  # fmt: skip
