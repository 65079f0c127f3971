"""How often one caller may ask."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict

_MAX_CALLERS = 10_000


class RateLimit:
    """A bucket for each caller, which fills at `per_minute` and holds a sixth of that, at least 1.

    The least recent callers are forgotten beyond a number, so that made-up names cost no memory.
    """

    def __init__(self, per_minute: int) -> None:
        self._rate = per_minute / 60
        self._size = max(1.0, per_minute / 6)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, caller: str) -> int:
        """Whole seconds until `caller` may ask; 0 when this request is within the limit."""
        with self._lock:
            now = time.monotonic()
            level, then = self._buckets.pop(caller, (self._size, now))
            level = min(self._size, level + (now - then) * self._rate)
            allowed = level >= 1
            self._buckets[caller] = (level - 1 if allowed else level, now)
            if len(self._buckets) > _MAX_CALLERS:
                self._buckets.popitem(last=False)
            return 0 if allowed else max(1, math.ceil((1 - level) / self._rate))
