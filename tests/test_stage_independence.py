"""Each stage runs from an environment that holds only its own extra, on a lake of the others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"

FOREIGN = {
    "ingest": ["mlflow", "sqlalchemy", "lancedb"],
    "transform": ["lancedb", "pypdfium2", "selectolax", "lxml", "unstructured"],
    "load": ["mlflow", "sqlalchemy", "pypdfium2", "selectolax", "unstructured"],
}
"""What a stage's environment must not hold."""

# One worker for all: three environments are made only once.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.xdist_group("stages")]


def run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command's result; its environment has no Python path and no active environment."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=900,
        env=environment,
        **options,
    )


def checked(*command: object, **options: Any) -> str:
    result = run(*command, **options)
    assert result.returncode == 0, f"{command[0]}: {result.stdout[-2000:]}{result.stderr[-4000:]}"
    return result.stdout


def has_uv() -> bool:
    return shutil.which("uv") is not None and run("uv", "--version").returncode == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stages")


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    """The project as it would be installed, so that nothing is found in the working tree."""
    out = folder / "wheel"
    if has_uv():
        checked("uv", "build", "--wheel", "--out-dir", out, ROOT)
    else:
        checked(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", out, ROOT)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environments(folder: Path, wheel: Path) -> dict[str, Path]:
    """Stage to the `bin` folder of its environment."""
    bins = {}
    for stage in FOREIGN:
        venv, project = folder / stage, f"gristmill[{stage}] @ {wheel.as_uri()}"
        bins[stage] = venv / "bin"
        if has_uv():
            checked("uv", "venv", "--python", sys.executable, venv)
            install = ["uv", "pip", "install", "--python", venv / "bin/python"]
        else:
            checked(sys.executable, "-m", "venv", venv)
            install = [venv / "bin/python", "-m", "pip", "install"]
        checked(*install, "--constraint", LOCK, project)
    return bins


@pytest.fixture(scope="module")
def config(folder: Path) -> Path:
    """A pipeline over the samples whose types the ingest extra reads by itself."""
    path = folder / "gristmill.yaml"
    path.write_text(
        f"""name: stages
lake: lake
sources:
  - name: samples
    uri: {ROOT / "samples"}
    include: ["**/*.md", "**/*.html", "**/*.pdf", "**/*.xlsx", "**/*.py", "**/*.csv"]
    exclude: ["inbox/**"]
strategies: [{{name: default, max_tokens: 256}}]
sinks: [{{name: index, kind: lancedb, uri: index}}]
mlflow: {{tracking_uri: "sqlite:///mlflow.db", experiment: stages}}
"""
    )
    return path


@pytest.mark.parametrize("stage", FOREIGN)
def test_a_stage_has_no_library_of_another(stage: str, environments: dict[str, Path]) -> None:
    code = (
        "import importlib.util, sys; "
        "print([m for m in sys.argv[1:] if importlib.util.find_spec(m)])"
    )
    python = environments[stage] / "python"
    assert checked(python, "-c", code, *FOREIGN[stage], cwd="/").strip() == "[]"


@pytest.fixture(scope="module")
def summaries(environments: dict[str, Path], config: Path) -> dict[str, dict[str, Any]]:
    """What each stage said when they ran one after the other, each from its environment."""
    found: dict[str, dict[str, Any]] = {}
    for stage, bin_folder in environments.items():
        out = checked(bin_folder / f"gristmill-{stage}", config, "--json", cwd=config.parent)
        found |= json.loads(out.splitlines()[-1])["stages"]
    return found


def test_stages_run_one_after_the_other_from_their_own_environments(
    summaries: dict[str, dict[str, Any]], environments: dict[str, Path], config: Path
) -> None:
    assert list(summaries) == ["ingest", "transform", "load"]
    listed = summaries["ingest"]["listed"]
    assert listed >= 12
    assert (summaries["ingest"]["new"], summaries["ingest"]["rejected"]) == (listed, 0)
    assert summaries["transform"]["documents"] == listed
    assert summaries["load"]["upserted"] == listed

    search = (environments["load"] / "gristmill", "search", config, "parental leave", "--json")
    found = json.loads(checked(*search, "--group", "hr").splitlines()[-1])["hits"]
    assert found[0]["source_uri"].endswith("people/parental-leave-policy.pdf")
    assert json.loads(checked(*search).splitlines()[-1])["hits"] == []


@pytest.mark.parametrize("stage", ["ingest", "transform"])
def test_a_missing_extra_is_named(
    stage: str,
    summaries: dict[str, dict[str, Any]],
    environments: dict[str, Path],
    config: Path,
    folder: Path,
) -> None:
    """The lake that the stages wrote, in a folder where there is no index yet."""
    assert summaries["transform"]["chunks"] > 0
    fresh = folder / f"fresh-{stage}"
    shutil.copytree(folder / "lake", fresh / "lake")
    shutil.copy(config, fresh)
    result = run(environments[stage] / "gristmill-load", fresh / config.name, cwd=fresh)
    assert result.returncode in (1, 2), result.stdout + result.stderr
    assert "gristmill[load]" in result.stderr
