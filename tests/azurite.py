"""A pytest plugin: the Azurite blob emulator, one for each test process that asks for it.

It is installed once from npm into a cache outside the tree. Without Node.js, or where the
installation fails, the tests that need it are skipped with the reason.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
# The emulator's published key, the same everywhere; it opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


_REQUEST = re.compile(r'"([A-Z]+) (\S+) HTTP/1\.1" (\d+)')


@dataclass(frozen=True)
class Request:
    """One request that the emulator has answered."""

    method: str
    container: str
    blob: str
    query: frozenset[str]
    status: int

    @classmethod
    def parse(cls, found: tuple[str, str, str]) -> Request:
        method, uri, status = found
        parts = urlsplit(uri)
        container, _, blob = parts.path.removeprefix(f"/{ACCOUNT}/").partition("/")
        return cls(method, container, unquote(blob), frozenset(parse_qs(parts.query)), int(status))

    @property
    def is_download(self) -> bool:
        return self.method == "GET" and bool(self.blob)

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and not self.blob


@dataclass(frozen=True)
class Azurite:
    """A running emulator."""

    endpoint: str
    log: Path
    """Its access log."""

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.endpoint};"
        )

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables by which every part of Gristmill finds it."""
        return {"AZURE_STORAGE_CONNECTION_STRING": self.connection_string}

    @contextmanager
    def requests(self) -> Iterator[list[Request]]:
        """Collects what was asked of it, at the end of the block."""
        start = self.log.stat().st_size
        found: list[Request] = []
        yield found
        # An answer is logged after it was given: the last one that counts comes before this mark.
        mark = f"mark-{uuid.uuid4().hex}"
        self.service().get_container_client(mark).exists()
        deadline = time.monotonic() + 60
        while True:
            with self.log.open("rb") as log:
                log.seek(start)
                text = log.read().decode()
            if mark in text or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        asked = map(Request.parse, _REQUEST.findall(text))
        found += [request for request in asked if request.container != mark]

    def service(self) -> Any:
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient.from_connection_string(self.connection_string)

    def container(self, name: str | None = None) -> Any:
        """A client for a new container, under a name of its own unless one is given."""
        return self.service().create_container(name or f"test-{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="session")
def azurite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """The emulator, started on a free port and ended with the session."""
    pytest.importorskip("azure.storage.blob")
    program = _installed()
    folder = tmp_path_factory.mktemp("azurite")
    for _ in range(5):
        port = _free_port()
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port),
                 "--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry"],
                cwd=folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            if _answers(process, port):
                yield Azurite(f"http://127.0.0.1:{port}/{ACCOUNT}", folder / "log")
                return
        finally:
            _end(process)
    pytest.skip(f"Azurite does not start: {(folder / 'log').read_text()[-500:]}")


@pytest.fixture
def azurite(azurite_server: Azurite, monkeypatch: pytest.MonkeyPatch) -> Azurite:
    """The emulator, with the environment set for it."""
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    for name, value in azurite_server.environment.items():
        monkeypatch.setenv(name, value)
    return azurite_server


def _installed() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gristmill-tests"
    folder = cache / f"azurite-{VERSION}"
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    if shutil.which("node") is None:
        pytest.skip("Azurite needs Node.js, which is not installed")
    if (folder / "complete").exists() and program.exists():
        return program
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Azurite is installed by npm, which is not installed")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may get here at once
        if not (folder / "complete").exists():
            command = [npm, "install", "--no-audit", "--no-fund", "--no-update-notifier",
                       "--prefix", str(folder), f"azurite@{VERSION}"]  # fmt: skip
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=240)
            except subprocess.TimeoutExpired:
                pytest.skip("Azurite's installation by npm took more than 240 s")
            if done.returncode or not program.exists():
                pytest.skip(f"Azurite cannot be installed by npm: {done.stderr.strip()[-300:]}")
            (folder / "complete").touch()
    return program


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
