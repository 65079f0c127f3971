from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from change_tools import eagerly, in_process

from lineage import Acl
from pipelines.config import Config, load_config
from pipelines.options import RunOptions
from pipelines.tables import Lake, read_chunks, read_documents


@dataclass
class Project:
    """A folder of documents with a configuration, and the stages over it."""

    root: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    @property
    def config_path(self) -> Path:
        path = self.root / "gristmill.yaml"
        value = {
            "name": "test",
            "lake": "state/lake",
            "sources": [{"name": "docs", "uri": "docs", "acl": {"default": "public"}}],
            "strategies": [{"name": "default", "max_tokens": 64}],
            "sinks": [
                {"name": "index", "kind": "lancedb", "uri": "state/index", "strategy": "default"}
            ],
        } | self.settings
        path.write_text(yaml.safe_dump(value))
        (self.root / "docs").mkdir(exist_ok=True)
        return path

    @property
    def config(self) -> Config:
        return load_config(self.config_path)

    @property
    def lake(self) -> Lake:
        return Lake(str(self.root / "state" / "lake"))

    def ingest(self, **options: Any) -> Any:
        from pipelines.ingest import stage

        return stage.run(self.config, RunOptions(**{"workers": 1} | options))

    def transform(self, **options: Any) -> Any:
        from pipelines.transform import stage

        return stage.run(self.config, RunOptions(**{"workers": 1} | options))

    def load(self, **options: Any) -> Any:
        from pipelines.load import stage

        return stage.run(self.config, RunOptions(**{"workers": 1} | options))

    def run(self, **options: Any) -> None:
        self.ingest(**options)
        self.transform(**options)
        self.load(**options)

    def documents(self) -> dict[str, dict[str, Any]]:
        """Current documents by file name."""
        rows = read_documents(str(self.root / "state" / "lake")).to_pylist()
        return {row["source_uri"].rpartition("/docs/")[2]: row for row in rows}

    def chunks(self, strategy: str = "default") -> list[dict[str, Any]]:
        return read_chunks(str(self.root / "state" / "lake"), strategy).to_pylist()

    def state(self) -> dict[str, Any]:
        """What a reader sees, run ids, times and commit numbers aside."""
        documents = {
            name: (row["op"] == "reject", row["text"], Acl.from_dict(row["acl"]), row["title"])
            for name, row in self.documents().items()
        }
        chunks = sorted(
            (c["document_id"], c["ordinal"], c["chunk_id"], c["text"], str(c["acl"]))
            for c in self.chunks()
        )
        return {"documents": documents, "chunks": chunks}

    def command(self, *arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
        """The command line in a process of its own: exit code, last JSON line, stderr."""
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli.main", *arguments],
            capture_output=True,
            text=True,
            cwd=self.root,
            env=os.environ | environment,
            timeout=240,
        )
        return done.returncode, _last_object(done.stdout), done.stderr

    def call(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        """The command line in this process: exit code, last JSON line, stderr."""
        from click.testing import CliRunner

        from pipelines.cli.main import cli

        done = CliRunner().invoke(cli, arguments, prog_name="gristmill")
        return done.exit_code, _last_object(done.stdout), done.stderr


def _last_object(stdout: str) -> dict[str, Any]:
    lines = stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


@pytest.fixture
def project(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """A project whose stages, called from here, run without worker processes and without a runner.

    What they do is the same (`test_runner.py` compares), at a tenth of the cost. Tests marked
    `runner` have both, and so has every command in a process of its own.
    """
    if request.node.get_closest_marker("runner") is None:
        in_process(monkeypatch)
        eagerly(monkeypatch)
    return Project(tmp_path)
