from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.pool import ProcessPool

# The helpers of these tests are a module beside them, and the workers import it by its name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def open_pool() -> Iterator[Callable[..., ProcessPool]]:
    """Pools that do what their tasks say; closed after the test."""
    pools: list[ProcessPool] = []

    def opened(workers: int = 1, **settings: Any) -> ProcessPool:
        pools.append(ProcessPool(workers, **{"function": "pool_tasks:act"} | settings))
        return pools[-1]

    yield opened
    for pool in pools:
        pool.close()
