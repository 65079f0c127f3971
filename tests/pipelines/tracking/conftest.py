from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_service import Answering, serving

# The helpers of these tests are a module beside them.
sys.path.insert(0, str(Path(__file__).parent))
# MLflow reads it when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store without anything in it."""
    from pipelines.tracking_worker import make_store

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    make_store(path)
    return path


@pytest.fixture
def store(tmp_path: Path, fresh_store: Path) -> Path:
    """The store of `tracking_tools.config(tmp_path)`, made already."""
    path = tmp_path / "db" / "mlflow.db"
    path.parent.mkdir()
    return Path(shutil.copy(fresh_store, path))


@pytest.fixture
def hanging() -> Iterator[int]:
    """A server that accepts and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield server.getsockname()[1]


@pytest.fixture
def failing() -> Iterator[int]:
    """A server that answers everything with 500."""

    class Handler(Answering):
        def do_GET(self) -> None:
            self.say(500)

        do_POST = do_GET

    with serving(Handler) as address:
        yield int(address.rpartition(":")[2])
