from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

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

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(500)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()
