"""The frame of the command line: verbs, exit codes, messages, what is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import pipelines.ingest.stage as ingest_stage
from lineage import ConfigError, MissingExtra, TransientError
from pipelines.cli import failure, stages
from pipelines.cli.main import VERBS, cli, load_verb
from pipelines.options import RunOptions

HEAVY = ("apache_beam", "mlflow", "lancedb", "pyarrow", "deltalake", "unstructured", "tiktoken",
         "numpy", "rich", "azure")  # fmt: skip

CONFIG = "name: a\nlake: lake\nsources: [{uri: docs}]\n"


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in args], prog_name="gristmill")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gristmill.yaml"
    path.write_text(CONFIG)
    (tmp_path / "docs").mkdir()
    return path


class Summary:
    """A stage's summary, as stages give it."""

    def __init__(self, **counts: int) -> None:
        self.counts = counts
        self.notes = ("something to know",)

    def as_dict(self) -> dict[str, int]:
        return {"listed": 1, "rows_written": 1, **self.counts}


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for the ingest stage; `outcome` is returned, or raised."""
    calls: dict[str, Any] = {"outcome": Summary()}

    def stage(config: Any, options: RunOptions) -> Any:
        calls["config"], calls["options"] = config, options
        if isinstance(calls["outcome"], BaseException):
            raise calls["outcome"]
        return calls["outcome"]

    monkeypatch.setattr(ingest_stage, "run", stage)
    return calls


@pytest.mark.parametrize("code", ["", "from pipelines.config import load_config\n"])
def test_help_and_config_import_nothing_heavy(code: str, config: Path) -> None:
    script = (
        "import sys\nfrom pipelines.cli.main import cli\n"
        + code
        + (f"load_config({str(config)!r})\n" if code else "")
        + "try:\n    cli.main(['--help'])\nexcept SystemExit as error:\n    assert not error.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Verbs:" in done.stdout


def test_help_lists_every_verb_without_importing_it() -> None:
    script = (
        "import sys\nfrom pipelines.cli.main import cli, VERBS\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([v for v in VERBS if f'pipelines.cli.{v}' in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240
    )
    assert done.stdout.splitlines()[-1] == "[]"
    for verb, line in VERBS.items():
        assert verb in done.stdout
        assert line in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_common_options(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0, result.output
    assert "--json" in result.output
    assert "--debug" in result.output
    command = load_verb(verb)
    assert command.name == verb
    takes_config = verb not in ("init",)
    assert (command.params[0].name == "config") is takes_config


def test_an_unknown_verb_names_the_nearest() -> None:
    result = run("ingset")
    assert result.exit_code == 2
    assert "there is no verb 'ingset'; did you mean 'ingest'?" in result.stderr


@pytest.mark.parametrize(
    "args", [("run",), ("run", "x.yaml", "--worker"), ("run", "x.yaml", "--workers", "0")]
)
def test_wrong_usage_exits_with_2_and_shows_the_usage(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert "Usage: gristmill run" in result.stderr
    assert "Error:" in result.stderr


def test_a_missing_config_exits_with_2(tmp_path: Path) -> None:
    result = run("run", str(tmp_path / "none.yaml"))
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert "none.yaml: no such file" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Summary(), 0),
        (Summary(rejected=2), 3),
        (Summary(held=1), 4),
        (Summary(rejected=2, held=1), 4),
        (ConfigError("wrong"), 2),
        (TransientError("away"), 1),
        (MissingExtra("install it"), 1),
        (ValueError("odd"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(
    config: Path, ingest: dict[str, Any], outcome: Summary | BaseException, code: int
) -> None:
    ingest["outcome"] = outcome
    for json_option in ([], ["--json"]):
        result = run("ingest", str(config), *json_option)
        assert result.exit_code == code
        assert "Traceback" not in result.output


def test_json_is_the_last_line_of_stdout_and_notes_go_to_stderr(
    config: Path, ingest: dict[str, Any]
) -> None:
    result = run("ingest", str(config), "--json")
    assert len(result.stdout.splitlines()) == 1
    value = json.loads(result.stdout)
    assert set(value) == {"run_id", "stages", "usage", "seconds"}
    assert value["stages"]["ingest"].pop("seconds") >= 0
    assert value["stages"] == {"ingest": {"listed": 1, "rows_written": 1}}
    assert value["run_id"] == ingest["options"].run_id
    assert "something to know" in result.stderr


def test_a_failure_with_json_says_so_in_json(config: Path, ingest: dict[str, Any]) -> None:
    ingest["outcome"] = TransientError("the container is away")
    result = run("ingest", str(config), "--json")
    assert json.loads(result.stdout) == {
        "error": {
            "type": "TransientError",
            "message": "the container is away",
            "exit_code": 1,
        }
    }


def test_an_unexpected_error_is_one_message_and_debug_shows_the_traceback(
    config: Path, ingest: dict[str, Any]
) -> None:
    ingest["outcome"] = ValueError("odd " * 5000)
    result = run("ingest", str(config))
    assert "Unexpected ValueError in stage" in result.stderr
    assert "--debug" in result.stderr
    assert len(result.stderr) < 6000
    assert "Traceback" in run("ingest", str(config), "--debug").stderr


def test_options_reach_the_stage_and_what_follows_the_dashes_reaches_beam(
    config: Path, ingest: dict[str, Any]
) -> None:
    result = run(
        "ingest", str(config), "--workers", "3", "--batch", "7", "--verify-hash",
        "--allow-deletes", "--", "--runner=FlinkRunner", "--json", "x",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    options = ingest["options"]
    assert options.beam_args == ("--runner=FlinkRunner", "--json", "x")
    assert (options.workers, options.batch) == (3, 7)
    assert options.verify_hash
    assert options.allow_deletes
    assert not options.retry_rejects
    assert "something to know" in result.stdout
    assert run("ingest", str(config), "--runner=FlinkRunner").exit_code == 2


def test_load_without_sinks_is_a_wrong_configuration(config: Path) -> None:
    result = run("load", str(config))
    assert result.exit_code == 2
    assert "sinks: [{name: index, kind: lancedb" in result.stderr


@pytest.mark.parametrize(
    ("module", "extra"),
    [("apache_beam.io", "ingest"), ("deltalake", "ingest"), ("azure.storage.blob", "azure")],
)
def test_a_missing_library_names_the_extra(
    config: Path, ingest: dict[str, Any], module: str, extra: str
) -> None:
    ingest["outcome"] = ModuleNotFoundError(f"No module named {module!r}", name=module)
    result = run("ingest", str(config))
    assert result.exit_code == 1
    assert f"pip install 'gristmill[{extra}]'" in result.stderr


def test_a_missing_module_that_no_extra_has_stays_what_it_is(
    config: Path, ingest: dict[str, Any]
) -> None:
    ingest["outcome"] = ModuleNotFoundError("No module named 'nowhere'", name="nowhere")
    result = run("ingest", str(config))
    assert result.exit_code == 1
    assert "Unexpected ModuleNotFoundError" in result.stderr


def test_stage_entry_points_are_the_verbs(
    config: Path, ingest: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from pipelines.cli import main

    monkeypatch.setattr(sys, "argv", ["gristmill-ingest", str(config), "--json"])
    with pytest.raises(SystemExit) as caught:
        main.ingest_main()
    assert caught.value.code == 0
    assert json.loads(capsys.readouterr().out)["stages"]["ingest"]["listed"] == 1
    monkeypatch.setattr(sys, "argv", ["gristmill-ingest"])
    with pytest.raises(SystemExit) as caught:
        main.ingest_main()
    assert caught.value.code == 2
    assert "Usage: gristmill-ingest [OPTIONS] CONFIG" in capsys.readouterr().err


def test_interrupts_and_click_errors_have_their_codes() -> None:
    assert failure.exit_code(KeyboardInterrupt()) == 130
    assert failure.exit_code(click.Abort()) == 130
    assert failure.exit_code(click.UsageError("x")) == 2


def test_a_later_stages_failure_still_shows_what_was_done(
    config: Path, ingest: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stages.run_stage

    def fail_transform(stage: str, config: Any, options: RunOptions) -> Any:
        if stage == "transform":
            raise TransientError("the lake is away")
        return before(stage, config, options)

    monkeypatch.setattr(stages, "run_stage", fail_transform)
    result = run("run", str(config))
    assert result.exit_code == 1
    assert "ingest" in result.stdout
    assert "the lake is away" in result.stderr


def test_a_lake_that_cannot_be_is_told_before_anything_runs(
    config: Path, ingest: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/documents").write_text("a file")
    for verb in ("ingest", "status"):
        result = run(verb, str(config))
        assert result.exit_code == 2
        assert "documents is a file, where a lake has a folder" in result.stderr
    config.write_text(CONFIG.replace("lake: lake", "lake: /proc/no/lake"))
    result = run("ingest", str(config))
    assert result.exit_code == 2
    assert "lake: /proc/no/lake cannot be written to" in result.stderr
    assert "config" not in ingest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs", "gristmill.yaml", "lake"]


def test_a_lake_that_does_not_answer_is_one_message(
    config: Path, ingest: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.fs as fs

    from pipelines import object_store

    class Away(fs.FileSystem):
        def get_file_info(self, path: Any) -> Any:
            raise OSError("\x1b[31mno route\x1b[0m\n   ↳ to host")

    monkeypatch.setattr(object_store, "filesystem", lambda uri, options: Away.__new__(Away))
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "example")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    config.write_text(CONFIG.replace("lake: lake", "lake: az://box/lake"))
    result = run("ingest", str(config))
    assert result.exit_code == 1
    assert "lake: 'az://box/lake' does not answer (no route to host)." in result.stderr
    assert "credentials" in result.stderr
    assert "config" not in ingest


def test_any_other_error_of_the_system_is_no_fault_of_ours(
    config: Path, ingest: dict[str, Any]
) -> None:
    ingest["outcome"] = PermissionError(13, "Permission denied", "/x")
    result = run("ingest", str(config))
    assert result.exit_code == 1
    assert "Error: PermissionError: [Errno 13] Permission denied: '/x'" in result.stderr
    assert "fault in gristmill" not in result.stderr
