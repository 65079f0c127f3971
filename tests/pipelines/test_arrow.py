from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import sys
from pipelines.arrow import keep_pandas_out
keep_pandas_out()
import pyarrow
assert pyarrow.array([{"a": "b"}]).to_pylist() == [{"a": "b"}]
assert "pandas" not in sys.modules
import pandas
assert pyarrow.array(pandas.Series(["x"]).tolist()).to_pylist() == ["x"]
"""


def test_arrow_does_without_pandas_and_others_do_not() -> None:
    pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
