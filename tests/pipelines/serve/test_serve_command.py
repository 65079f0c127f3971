"""`gristmill serve` as a process of its own, and what its config refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from load_tables import Doc, World

from lineage import Acl, ConfigError
from pipelines.config import load_config

ISSUER = "https://login.example/tenant/v2.0"


def write_config(folder: Path, **more: Any) -> Path:
    path = folder / "gristmill.yaml"
    value = {
        "name": "t", "lake": "lake", "sources": [{"uri": "docs"}],
        "sinks": [{"name": "index", "kind": "lancedb", "uri": "index"}],
    } | more  # fmt: skip
    path.write_text(yaml.safe_dump(value))
    return path


def start(config: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipelines.cli.main", "serve", str(config), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ask(address: str, token: str | None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"query": "words"}).encode()
    request = urllib.request.Request(f"{address}/v1/search", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_one_local_principal_behind_a_token(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.commit(
        Doc("amy.md", texts=("words",), acl=Acl("explicit", ("amy",))),
        Doc("hr.md", texts=("words",), acl=Acl("explicit", (), ("hr",))),
        Doc("bob.md", texts=("words",), acl=Acl("explicit", ("bob",))),
    )
    world.load()
    config = write_config(tmp_path)
    process = start(config, "--local-user", "amy", "--local-group", "hr", "--port", "0", "--json")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        said = json.loads(line)
        assert said["address"].startswith("http://127.0.0.1:")
        assert ask(said["address"], None)[0] == 401
        status, answer = ask(said["address"], said["token"])
        found = {hit["source_uri"][-6:] for hit in answer["hits"]}
        assert (status, found) == (200, {"amy.md", "/hr.md"})
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=240)
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "has no `serve`"),
        (["--local-user", "amy", "--host", "0.0.0.0"], "for this machine only"),
        (["--local-user", "amy", "--host", "203.0.113.1x"], "for this machine only"),
    ],
)
def test_what_is_not_served(tmp_path: Path, options: list[str], words: str) -> None:
    process = start(write_config(tmp_path), *options)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 2
    assert words in " ".join(errors.split())


def test_the_address_must_be_free(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = start(write_config(tmp_path), "--local-user", "amy", "--port", port)
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 2
    assert "cannot listen at" in errors


def test_a_config(tmp_path: Path) -> None:
    serve = {"issuer": ISSUER, "audience": "api://x", "algorithms": ["RS256", "ES256"],
             "missing_groups": "none", "sink": "index", "max_limit": 5}  # fmt: skip
    read = load_config(write_config(tmp_path, serve=serve)).serve
    assert read is not None
    assert (read.issuer, read.audience, read.max_limit, read.port) == (ISSUER, "api://x", 5, 8080)
    assert read.algorithms == ("RS256", "ES256")
    assert load_config(write_config(tmp_path)).serve is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"issuer": None}, "issuer: is missing"),
        ({"issuer": "http://login.example"}, "must begin with https://"),
        ({"jwks_uri": "file:///etc/keys"}, "must begin with https://"),
        ({"audience": None}, "audience: is missing"),
        ({"algorithms": ["HS256"]}, "unknown algorithm 'HS256'"),
        ({"algorithms": ["none"]}, "unknown algorithm 'none'"),
        ({"missing_groups": "public"}, "`refuse` or `none`"),
        ({"sink": "indx"}, "did you mean 'index'"),
        ({"port": 70_000}, "from 0 to 65535"),
        ({"audiences": "x"}, "did you mean `audience`"),
    ],
)
def test_configs_that_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    serve = {"issuer": ISSUER, "audience": "api://x"} | change
    serve = {key: value for key, value in serve.items() if value is not None}
    with pytest.raises(ConfigError, match=message):
        load_config(write_config(tmp_path, serve=serve))


def test_nothing_of_it_is_imported_by_the_other_verbs() -> None:
    code = (
        "import sys; from pipelines.cli import main; main.load_verb('serve'); "
        "print([m for m in ('fastapi', 'jwt', 'uvicorn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"
