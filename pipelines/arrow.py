"""What the Arrow library should not do in our processes."""

from __future__ import annotations

import sys


def keep_pandas_out() -> None:
    """Have pyarrow settle now, without it, whether pandas is there.

    Otherwise its first `array` call imports pandas where that is installed, to recognise its
    types: 0.2 s and 40 MB in every process. Whoever imports pandas later still gets it.
    """
    if "pandas" in sys.modules:
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        import pyarrow

        pyarrow.array([None])
    finally:
        del sys.modules["pandas"]
