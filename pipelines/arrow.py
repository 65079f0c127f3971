"""What the Arrow library should not do in our processes."""

from __future__ import annotations

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
