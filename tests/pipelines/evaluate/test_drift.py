from __future__ import annotations

import itertools
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.evaluate.drift import find_drift, shift_of
from pipelines.options import new_run_id
from pipelines.tracking import new_record, record_run

NIGHTS = itertools.count(90_000_000)
ROOT = Path(__file__).parents[3]


def night(
    lake: Path, cleanliness: float, *, documents: int = 100, policy: str = "p1", rejected: int = 2,
    tokens: float = 300.0, strategy: str = "default",
) -> str:  # fmt: skip
    # Ids of one millisecond are in no order; those of nights are.
    run_id = f"{next(NIGHTS):08d}-{new_run_id()}"
    record = new_record(
        pipeline="test",
        stage="transform",
        run_id=run_id,
        strategy=strategy,
        started_at=0.0,
        parameters={"strategy_fingerprint": policy},
        metrics={
            "documents": documents, "chunks": 5 * documents, "rejected": rejected, "coverage": 1.0,
            "boundary_cleanliness": cleanliness, "tokens_per_chunk": tokens, "seconds": 3.0,
            "tokens_by_owner/hr": 9, "largest_chunk_tokens": 512, "cohesion": None,
        },
        metrics_by_type={"pdf": {"documents": documents // 2, "boundary_cleanliness": cleanliness}},
    )  # fmt: skip
    record_run(str(lake), record)
    return run_id


def quiet_month(lake: Path, nights: int = 30) -> None:
    random_ = random.Random(1)
    for _ in range(nights):
        night(lake, 0.9 + random_.uniform(-0.02, 0.02), tokens=300 + random_.uniform(-10, 10))


def test_a_night_like_the_others_raises_no_alarm(tmp_path: Path) -> None:
    quiet_month(tmp_path)
    run_id = night(tmp_path, 0.905)
    found = find_drift(str(tmp_path), "default")
    assert (found.run_id, found.runs, found.alarms, found.note) == (run_id, 30, (), None)
    names = {shift.name for shift in found.shifts}
    assert "boundary_cleanliness/pdf" in names
    assert not names & {"documents", "seconds", "tokens_by_owner/hr", "cohesion"}


@pytest.mark.parametrize(
    ("change", "name", "direction"),
    [
        ({"cleanliness": 0.6}, "boundary_cleanliness", "worse"),
        ({"cleanliness": 0.99}, "boundary_cleanliness", "better"),
        ({"cleanliness": 0.9, "tokens": 150.0}, "tokens_per_chunk", "changed"),
        ({"cleanliness": 0.9, "rejected": 40}, "rejected_share", "worse"),
    ],
)
def test_a_night_out_of_line_does(
    tmp_path: Path, change: dict[str, Any], name: str, direction: str
) -> None:
    quiet_month(tmp_path)
    night(tmp_path, **change)
    found = {shift.name: shift.direction for shift in find_drift(str(tmp_path), "default").alarms}
    assert found[name] == direction


def test_a_figure_that_never_moved_may_move_a_little() -> None:
    assert not shift_of("coverage", 0.985, [1.0] * 30).out_of_line
    assert shift_of("coverage", 0.97, [1.0] * 30).out_of_line
    assert shift_of("boundary_cleanliness", 0.5, [0.9] * 10).direction == "worse"


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    assert "chunked anything yet" in (find_drift(str(tmp_path), "default").note or "")
    quiet_month(tmp_path, 4)
    night(tmp_path, 0.1)
    assert "4 earlier runs" in (find_drift(str(tmp_path), "default").note or "")
    quiet_month(tmp_path, 10)
    night(tmp_path, 0.1, policy="p2")
    found = find_drift(str(tmp_path), "default")
    assert (found.alarms, "15 were of another policy" in (found.note or "")) == ((), True)
    night(tmp_path, 0.1, documents=3)
    assert "too few to tell" in (find_drift(str(tmp_path), "default").note or "")
    assert find_drift(str(tmp_path), "other").run_id is None


def test_the_verb_s_exit_code_is_for_a_scheduler(project: Any) -> None:
    lake = project.root / "state" / "lake"
    project.write("a.txt", "One sentence stands here.")
    project.ingest()
    quiet_month(lake)
    night(lake, 0.9)
    config = str(project.config_path)
    code, value, errors = project.call("drift", config, "--json")
    assert (code, errors) == (0, "")
    assert value["strategies"]["default"]["alarms"] == []
    night(lake, 0.2)
    code, value, _ = project.call("drift", config, "--json")
    assert code == 6
    alarm = value["strategies"]["default"]["alarms"][0]
    assert (alarm["figure"], alarm["direction"]) == ("boundary_cleanliness", "worse")


@pytest.mark.slow
def test_the_nightly_script_runs_all_of_it_and_tells_what_is_wrong(project: Any) -> None:
    project.settings = {
        "mlflow": {"tracking_uri": "sqlite:///state/mlflow.db", "experiment": "nightly"}
    }
    project.write("a.txt", "One sentence stands here. " * 20)
    project.write("broken.bin", b"\x00\x01\x02\x03" * 50)
    config = str(project.config_path)
    gristmill = project.root / "gristmill"
    gristmill.write_text(f'#!/bin/sh\nexec {sys.executable} -m pipelines.cli.main "$@"\n')
    gristmill.chmod(0o755)

    def run() -> Any:
        return subprocess.run(
            ["sh", str(ROOT / "deploy" / "nightly.sh"), config],
            capture_output=True, text=True, timeout=280, env=_environment(gristmill),
        )  # fmt: skip

    done = run()
    # Rejects are for somebody to look at, and no reason to wake anybody.
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rejected" in done.stdout
    policy = project.config.strategy("default").fingerprint()
    random_ = random.Random(2)
    for _ in range(8):
        night(
            project.root / "state" / "lake", 0.4 + random_.uniform(-0.01, 0.01), policy=policy,
            documents=30,
        )  # fmt: skip
    night(project.root / "state" / "lake", 0.9, policy=policy, documents=30)
    assert run().returncode == 6
    (project.root / "docs" / "a.txt").unlink()
    (project.root / "docs" / "broken.bin").unlink()
    assert run().returncode == 4


def _environment(program: Path) -> dict[str, str]:
    import os

    return os.environ | {"GRISTMILL": str(program)}
