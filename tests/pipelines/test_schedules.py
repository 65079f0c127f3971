"""What a scheduler runs: the scripts from start to finish, and the commands of the CronJobs."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import gauges
import pytest
import yaml

from pipelines.cli.main import load_verb

WEEK = ["tune", "policy", "compact", "publish", "verify"]
DEPLOY = Path(__file__).parents[2] / "deploy"


def script(project: Any, name: str, *options: str) -> Any:
    gristmill = project.root / "gristmill"
    gristmill.write_text(f'#!/bin/sh\nexec {sys.executable} -m pipelines.cli.main "$@"\n')
    gristmill.chmod(0o755)
    return subprocess.run(
        ["sh", str(DEPLOY / name), str(project.config_path), *options],
        capture_output=True, text=True, timeout=280, env=os.environ | {"GRISTMILL": str(gristmill)},
    )  # fmt: skip


def documents(project: Any, night: int, *, good: bool) -> None:
    """A night on which every document changed."""
    for n in range(4):
        text = gauges.readings(f"{n}-{night}")
        project.write(f"d{n}.txt", text if good else text.replace(".", "").lower())


def more_nights(project: Any, number: int) -> None:
    """As if there had been so many nights like the one before, earlier."""
    folder = project.root / "state" / "lake" / "_runs"
    (path,) = folder.glob("*-transform-*.json")
    for n in range(number):
        shutil.copy(path, folder / f"00000000-{n}-{path.name}")


@pytest.mark.slow
def test_nights_and_a_week_on_a_machine_without_mlflow(project: Any) -> None:
    """Drift needs no server; a week without evidence is no failure; a promoted policy is used."""
    project.settings = {
        "strategies": [gauges.STRATEGY],
        "evaluation": gauges.EVALUATION,
    }
    documents(project, 0, good=True)
    project.run()
    more_nights(project, 5)
    week = script(project, "weekly.sh", "--trials", "2")
    assert week.returncode == 0, week.stdout + week.stderr
    assert "'default' is not tuned" in week.stdout
    assert "No run record waits" in week.stdout
    assert "compact" in week.stdout
    # The figures of tonight are out of line with the nights before, and that is said by the code.
    drift = ["drift", str(project.config_path), "--min-documents", "4", "--json"]
    documents(project, 1, good=False)
    project.run()
    code, value, _ = project.command(*drift)
    assert (code, value["strategies"]["default"]["compared_with"]) == (6, 6)
    alarms = {each["figure"] for each in value["strategies"]["default"]["alarms"]}
    assert "boundary_cleanliness" in alarms
    documents(project, 2, good=True)
    project.run()
    given = project.root / "feedback.jsonl"
    given.write_text("".join(gauges.corrections(f"{n}-2", f"d{n}.txt") for n in range(4)))
    code, value, _ = project.command("feedback", str(project.config_path), "add", str(given))
    assert code == 0
    week = script(project, "weekly.sh", "--trials", "6")
    assert week.returncode == 0, week.stdout + week.stderr
    assert "promoted as version 1" in " ".join(week.stdout.split())
    night_after = script(project, "nightly.sh")
    assert night_after.returncode == 0, night_after.stdout + night_after.stderr
    assert {chunk["lineage"]["rule"] for chunk in project.chunks()} == {"tuned-prose"}


@pytest.mark.parametrize(
    ("name", "fails", "code", "verbs"),
    [
        ("weekly.sh", {}, 0, WEEK),
        ("weekly.sh", {"tune": 2, "verify": 1}, 2, WEEK),
        ("weekly.sh", {"verify": 1}, 1, WEEK),
        ("nightly.sh", {}, 0, ["run", "drift"]),
        ("nightly.sh", {"drift": 6}, 6, ["run", "drift"]),
        ("nightly.sh", {"run": 3}, 0, ["run", "rejects", "drift"]),
        ("nightly.sh", {"run": 3, "drift": 6}, 6, ["run", "rejects", "drift"]),
        ("nightly.sh", {"run": 4}, 4, ["run"]),
        ("nightly.sh", {"run": 5}, 5, ["run"]),
        ("nightly.sh", {"run": 1}, 1, ["run"]),
    ],
)  # fmt: skip
def test_what_a_script_makes_of_exit_codes(
    name: str, fails: dict[str, int], code: int, verbs: list[str], tmp_path: Path
) -> None:
    program = tmp_path / "gristmill"
    cases = " ".join(f"{verb}) exit {number};;" for verb, number in fails.items())
    program.write_text(f'#!/bin/sh\necho "$1"\ncase $1 in {cases} *) exit 0;; esac\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", str(DEPLOY / name), "config.yaml"],
        capture_output=True, text=True, env=os.environ | {"GRISTMILL": str(program)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (code, verbs)


def commands() -> list[tuple[str, list[str]]]:
    found = []
    for job in yaml.safe_load_all((DEPLOY / "cronjobs.yaml").read_text()):
        pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        words = [*container.get("command", []), *container.get("args", [])]
        if words[:2] == ["sh", "-c"]:
            words = shlex.split(words[2].partition("||")[0])
        found.append((container["image"], words))
    return found


@pytest.mark.parametrize(("image", "words"), commands())
def test_the_cronjobs_run_commands_that_there_are(
    image: str, words: list[str], tmp_path: Path
) -> None:
    stage = image.rpartition("gristmill-")[2].partition(":")[0]
    if words[0] == "/etc/gristmill/config.yaml":
        # The image's own program: `gristmill-load`.
        assert f'ENTRYPOINT ["gristmill-{stage}"]' in (DEPLOY / f"{stage}.Dockerfile").read_text()
        verb = stage
    elif words[0] == "gristmill":
        verb, words = words[1], words[1:]
    else:
        verb = words[0].removeprefix("gristmill-")
    arguments = [word for word in words if word != words[0] or word.startswith("/")]
    config = tmp_path / "config.yaml"
    config.write_text("name: x\n")
    given = [str(config) if word.startswith("/etc/") else word for word in arguments]
    load_verb(verb).make_context(verb, given, resilient_parsing=False)
    with pytest.raises(click.UsageError):
        load_verb(verb).make_context(verb, [*given, "--no-such-option"])


@pytest.mark.parametrize("name", ["nightly.sh", "weekly.sh"])
def test_a_script_without_a_configuration_says_how_it_is_used(name: str) -> None:
    done = subprocess.run(["sh", str(DEPLOY / name)], capture_output=True, text=True)
    assert done.returncode != 0
    assert f"usage: {name} CONFIG" in done.stderr
