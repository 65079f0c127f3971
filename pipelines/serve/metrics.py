"""Counters of the read API in Prometheus's text format, version 0.0.4. They name no caller."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_HELP = {
    "gristmill_requests_total": "Requests by route and status.",
    "gristmill_refused_total": "Requests that were not let in, by reason.",
    "gristmill_hits_total": "Chunks that were given out.",
    "gristmill_withheld_total": "Chunks that a sink's filter let through and the check did not; "
    "above zero, the sink's filter is wrong.",
}


class Metrics:
    """What has happened since the process began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        self._seconds: dict[str, list[float]] = {}
        for name in ("gristmill_hits_total", "gristmill_withheld_total"):
            self._counts[name, ()] = 0

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to a counter of `_HELP`."""
        with self._lock:
            self._counts[name, tuple(sorted(labels.items()))] += amount

    def observe(self, route: str, seconds: float) -> None:
        """Note how long a request took."""
        with self._lock:
            row = self._seconds.setdefault(route, [0.0] * (len(_BUCKETS) + 2))
            for n, bound in enumerate(_BUCKETS):
                row[n] += seconds <= bound
            row[-2] += 1
            row[-1] += seconds

    def text(self) -> str:
        """All of it."""
        with self._lock:
            return "\n".join([*self._counters(), *self._histogram(), ""])

    def _counters(self) -> Iterator[str]:
        for name, meaning in _HELP.items():
            yield f"# HELP {name} {meaning}"
            yield f"# TYPE {name} counter"
            for (counted, labels), value in sorted(self._counts.items()):
                if counted == name:
                    yield f"{name}{_labels(dict(labels))} {value}"

    def _histogram(self) -> Iterator[str]:
        name = "gristmill_request_seconds"
        yield f"# HELP {name} Time from a request's head to the end of its answer."
        yield f"# TYPE {name} histogram"
        for route, row in sorted(self._seconds.items()):
            for n, bound in enumerate(_BUCKETS):
                yield f"{name}_bucket{_labels({'route': route, 'le': f'{bound:g}'})} {row[n]:g}"
            yield f"{name}_bucket{_labels({'route': route, 'le': '+Inf'})} {row[-2]:g}"
            yield f"{name}_sum{_labels({'route': route})} {row[-1]:.6f}"
            yield f"{name}_count{_labels({'route': route})} {row[-2]:g}"


def _labels(values: dict[str, str]) -> str:
    if not values:
        return ""
    escaped = (
        f'{name}="{value}"'
        for name, value in (
            (n, v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
            for n, v in values.items()
        )
    )
    return "{" + ",".join(escaped) + "}"
