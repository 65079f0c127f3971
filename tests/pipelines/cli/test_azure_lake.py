"""The command line over a lake in a container."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipelines.cli.main import cli

pytestmark = pytest.mark.azurite


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="gristmill")


def configure(folder: Path, lake: str) -> Path:
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs/a.md").write_text("# Leave\n\nTwenty days.\n")
    path = folder / "gristmill.yaml"
    path.write_text(
        f"name: small\nlake: {lake}\nsources: [{{uri: docs, acl: {{default: public}}}}]\n"
    )
    return path


def test_ingest_transform_and_questions(azurite: Any, tmp_path: Path) -> None:
    container = azurite.container().container_name
    path = configure(tmp_path, f"az://{container}/some/lake")
    result = run("run", path, "--workers", "1", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["stages"]["transform"]["chunks"] == 1
    status = json.loads(run("status", path, "--json").stdout)
    assert status["strategies"]["default"]["chunks"] == 1
    assert status["documents"]["current"] == 1
    verified = json.loads(run("verify", path, "--sources", "--json").stdout)
    assert (verified["chunks"], verified["violations"]) == (1, [])
    doctor = json.loads(run("doctor", path, "--json").stdout)
    lake = next(check for check in doctor["checks"] if check["name"] == "lake")
    assert lake["state"] == "ok"


def test_a_container_that_is_not_there(azurite: Any, tmp_path: Path) -> None:
    path = configure(tmp_path, "az://no-such-container/lake")
    for verb in ("ingest", "status"):
        result = run(verb, path)
        assert result.exit_code == 2
        assert "there is no container 'no-such-container'" in result.stderr


def test_wrong_credentials(azurite: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    container = azurite.container().container_name
    wrong = azurite.connection_string.replace("AccountKey=Eby8", "AccountKey=AAAA")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)
    result = run("ingest", configure(tmp_path, f"az://{container}/lake"))
    assert result.exit_code == 2
    assert "lake: 'az://" in result.stderr
    assert "access denied (AuthorizationFailure)" in result.stderr
    assert "AZURE_STORAGE_CONNECTION_STRING" in result.stderr
    assert "AAAA" not in result.output
    assert len(result.stderr.splitlines()) < 12
