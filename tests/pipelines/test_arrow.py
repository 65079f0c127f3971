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


_FREED = """
import gc
from pathlib import Path
from pipelines.arrow import give_memory_back, trim_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

give_memory_back()
gc.disable()
around = [bytes(2000) for _ in range(100_000)]
around.append(around)  # a cycle
kept = bytearray(2000)  # above all of it, so that the heap cannot just end lower
before = resident()
del around
trim_memory()
assert before - resident() > 150_000_000, before - resident()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_memory_of_cycles_is_returned_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", _FREED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
