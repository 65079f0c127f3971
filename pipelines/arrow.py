"""What the Arrow library should not do in our processes."""

from __future__ import annotations

import ctypes
import gc
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is kept out", name=name)
        return None


def keep_pandas_out() -> None:
    """Have pyarrow settle now, without it, whether pandas is there.

    Otherwise its first `array` call imports pandas where that is installed, to recognise its
    types: 0.2 s and 40 MB in every process. Whoever imports pandas later still gets it.
    """
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow

        pyarrow.array([None])
    finally:
        sys.meta_path.remove(finder)


_M_ARENA_MAX = -8
"""glibc, malloc.h."""


def give_memory_back() -> None:
    """Have this process return what it frees, so that its size follows what is in use.

    Arrow's own pool and an arena for each thread keep freed memory for later; over many batches
    that adds up to more than any batch needs. Meant for the command line, which has the process
    to itself.
    """
    import pyarrow

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    _malloc("mallopt", _M_ARENA_MAX, 2)


def trim_memory() -> None:
    """Free what only refers to itself, and return to the system what is free but not at the end.

    For the seams between stages, so that the next one does not add to what the last one left.
    """
    gc.collect()
    _malloc("malloc_trim", 0)


def _malloc(name: str, *arguments: int) -> None:
    """Call a function of glibc's allocator, which not every C library has."""
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None), name, None)
        if function is not None:
            function(*arguments)
