"""Worker processes with limits, for code that reads untrusted bytes.

>>> from pipelines.pool import Failure, ProcessPool
>>> with ProcessPool(2, function="math:factorial", seconds=5, memory_bytes=1 << 30) as pool:
...     [result for _task, result in pool.imap([3, 4])]
[6, 24]

A task that hangs, dies, or eats its memory becomes a `Failure`; the pool goes on.
"""

from pipelines.pool.pool import NoPool as NoPool
from pipelines.pool.pool import ProcessPool as ProcessPool
from pipelines.pool.wire import Failure as Failure
from pipelines.pool.wire import PoolError as PoolError

__all__ = ["Failure", "NoPool", "PoolError", "ProcessPool"]
