from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tracking_tools import record

from lineage import ConfigError
from pipelines import tracking_worker
from pipelines.config import Config
from pipelines.tracking import (
    pending,
    publish,
    publish_pending,
    record_run,
)


def test_without_mlflow_the_record_waits(tmp_path: Path) -> None:
    settings = Config("h", str(tmp_path / "lake"), (), path=tmp_path / "c.yaml")
    run = record()
    assert publish_pending(settings) == []
    record_run(settings.lake, run)
    assert publish(settings, run) is None
    with pytest.raises(ConfigError, match=r"1 runs wait .* has no `mlflow`"):
        publish_pending(settings)


def test_run_key_says_which_run_of_what(tmp_path: Path) -> None:
    keys = {
        record()["run_key"],
        record("run-2")["run_key"],
        record(strategy="other")["run_key"],
        record(stage="evaluate")["run_key"],
        record(pipeline="other")["run_key"],
    }
    assert len(keys) == 5
    assert record()["run_key"] == record(metrics={})["run_key"]


def test_odd_text_is_kept(tmp_path: Path) -> None:
    run = record(tags={"file": "a\ud800b"}, configuration={"path": Path("/x")})
    record_run(str(tmp_path), run)
    (kept,) = pending(str(tmp_path))
    assert kept["configuration"] == {"path": "/x"}


def test_nothing_of_this_imports_mlflow() -> None:
    script = "import sys, pipelines.tracking; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_long_parameters_say_that_they_were_cut() -> None:
    values = tracking_worker.parameters(
        record(parameters={"rules": "x" * 7000, "fits": "y" * 6000})
    )
    assert len(values["rules"]) <= 6000
    assert values["rules"].endswith("… (all of it: run.json)")
    assert values["fits"] == "y" * 6000


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("recall@5", "recall_at_5"),
        ("boundary_cleanliness/markdown", "boundary_cleanliness/markdown"),
        ("coverage/c++ %", "coverage/c__ _"),
        ("x" * 300, "x" * 250),
        ("", "_"),
    ],
)
def test_keys(key: str, expected: str) -> None:
    assert tracking_worker.valid_key(key) == expected


def test_named_things_become_parameters_of_their_own() -> None:
    rules = [{"name": "md", "when": {"path": "*.md"}}, {"name": "none"}]
    odd = [{"name": "a"}, {"name": "a"}]
    values = tracking_worker.parameters(
        record(parameters={"policy": {"default": {"chunker": "fixed"}, "rules": rules}, "odd": odd})
    )
    assert values == {
        "policy.default.chunker": "fixed",
        "policy.rules.md.when.path": "*.md",
        "policy.rules.none": "{}",
        "odd": '[{"name": "a"}, {"name": "a"}]',
    }
