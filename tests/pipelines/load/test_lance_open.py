"""Opening LanceDB imports no more of it than a table needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CLIENT = "lance_namespace_urllib3_client"


def test_what_a_table_does_not_need_is_not_imported(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
import pyarrow as pa
from pipelines.load.lance_open import connect
table = connect("index", Path({str(tmp_path)!r})).create_table("t", pa.table({{"a": [1, 2]}}))
assert table.search().where("a > 1").to_list() == [{{"a": 2}}]
assert "pandas" not in sys.modules
assert not [name for name in sys.modules if name.startswith("{CLIENT}.api")]
# Whoever wants the client afterwards gets it, and its models are those that LanceDB uses.
import lance_namespace
import {CLIENT} as client
assert client.TableApi is not None
assert client.CreateTableRequest is lance_namespace.CreateTableRequest
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_client_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
import {CLIENT} as client, sys
from pipelines.load.lance_open import connect
connect("index", Path({str(tmp_path)!r}))
assert sys.modules["{CLIENT}"] is client
"""
    subprocess.run([sys.executable, "-c", script], check=True)
