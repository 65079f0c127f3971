"""Random changes, with runs and killed runs in between, against a model and a new build.

The model is what a person would say: which files there are, what they say, who may read them.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from change_tools import chunks_of, documents_of, everything
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage import Acl
from pipelines import steps
from pipelines.upkeep.compact import compact

EXAMPLES = int(os.environ.get("GRISTMILL_MODEL_EXAMPLES", "12"))

NAMES = ("a.md", "b.md", "sub/a.md", "sub/c.txt", "sub/deep/d.md")
LONG = "# Leave\n\n" + "Everyone has thirty days of leave in a year. " * 12
CONTENTS = (
    LONG.encode(),
    (LONG + "\n\n# Sickness\n\nCall the office before nine.").encode(),
    b"# Leave\n\nShort by now.",
    b"",
    b"%PDF-1.4 not really",
    "Grüße, 数据, 👩‍🚀\r\nand more.".encode(),
)
RIGHTS = ("public", "unknown", "allow_groups: [hr]", "allow_groups: [hr, it]\ndeny_users: [eve]")
FOLDERS = ("", "sub/", "sub/deep/")


class Crash(BaseException):
    """Not an Exception, so that nothing on the way may handle it."""


def parsed(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


@dataclass
class Model:
    """Files and rights as a person knows them."""

    files: dict[str, bytes] = field(default_factory=lambda: {"keep.md": b"Always here."})
    sidecars: dict[str, str] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    default: str = "public"

    def acl(self, name: str) -> Acl:
        if name in self.sidecars:
            return Acl.from_value(parsed(self.sidecars[name]))
        for folder in sorted(self.folders, key=len, reverse=True):
            if name.startswith(folder):
                return Acl.from_value(parsed(self.folders[folder]))
        return Acl.from_value(parsed(self.default))

    def expected(self) -> dict[str, tuple[str | None, str]]:
        """Text, or null for a reject, and the fingerprint of the rights, by name."""
        return {
            name: (
                None if data.startswith(b"%PDF") else data.decode(),
                self.acl(name).fingerprint,
            )
            for name, data in self.files.items()
        }


class World:
    """A project on disk that the same changes are made to as to the model."""

    def __init__(self, project: Any) -> None:
        self.project = project
        self.model = Model()
        self.max_tokens = 64
        project.write("keep.md", b"Always here.")
        self.configure()

    def configure(self) -> None:
        source = {"name": "docs", "uri": "docs", "acl": {"default": parsed(self.model.default)}}
        self.project.settings = {
            "sources": [source],
            "strategies": [{"name": "default", "max_tokens": self.max_tokens}],
            "guard": {"max_delete_ratio": 1.0},
        }

    def path(self, name: str) -> Path:
        path: Path = self.project.root / "docs" / name
        return path

    def do(self, step: tuple[Any, ...]) -> None:
        getattr(self, step[0])(*step[1:])

    # Changes of files.

    def write(self, name: str, data: bytes) -> None:
        self.project.write(name, data)
        self.model.files[name] = data

    def write_and_set_the_time_back(self, name: str, data: bytes) -> None:
        if name not in self.model.files:
            return
        before = self.path(name).stat().st_mtime_ns
        self.write(name, data)
        os.utime(self.path(name), ns=(before, before))

    def touch(self, name: str) -> None:
        if name in self.model.files:
            os.utime(self.path(name), ns=(time.time_ns(), time.time_ns()))

    def rename(self, name: str, other: str) -> None:
        if name in self.model.files and name != other:
            self.path(other).parent.mkdir(parents=True, exist_ok=True)
            self.path(name).rename(self.path(other))
            self.model.files[other] = self.model.files.pop(name)

    def delete(self, name: str) -> None:
        if self.model.files.pop(name, None) is not None:
            self.path(name).unlink()

    # Changes of rights.

    def sidecar(self, name: str, rights: str | None) -> None:
        self._rights(f"{name}.acl.yaml", self.model.sidecars, name, rights)

    def folder(self, folder: str, rights: str | None) -> None:
        self._rights(f"{folder}_acl.yaml", self.model.folders, folder, rights)

    def _rights(self, file: str, known: dict[str, str], key: str, rights: str | None) -> None:
        if rights is not None:
            self.project.write(file, rights + "\n")
            known[key] = rights
        elif known.pop(key, None) is not None:
            self.path(file).unlink()

    def default(self, rights: str) -> None:
        self.model.default = rights
        self.configure()

    def policy(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.configure()

    # Runs.

    def stage(self, name: str, batch: int) -> None:
        lake = self.project.lake
        needs = {"transform": lake.documents, "load": lake.chunks("default")}.get(name)
        if needs is None or needs.exists:
            getattr(self.project, name)(batch=batch)

    def killed(self, name: str, at: int) -> None:
        seen = iter(range(at))

        def crash(*_: str) -> None:
            if next(seen, None) is None:
                raise Crash

        steps.hook = crash
        try:
            self.stage(name, 2)
        except Crash:
            pass
        finally:
            steps.hook = None

    def compact(self) -> None:
        if self.project.lake.documents.exists:
            compact(self.project.config)

    def run(self, batch: int) -> None:
        self.project.run(batch=batch)
        self.check()

    def check(self) -> None:
        found = {
            row[0].rpartition("/docs/")[2]: (None if row[1] else row[2], row[3][1])
            for row in documents_of(self.project).values()
        }
        assert found == self.model.expected()
        chunked = {
            rows[0][-1].rpartition("/docs/")[2]: {chunk[6][1] for chunk in rows}
            for rows in chunks_of(self.project).values()
        }
        assert chunked == {
            name: {rights}
            for name, (text, rights) in self.model.expected().items()
            if text and not text.isspace()
        }

    def check_against_a_new_build(self) -> None:
        self.run(2)
        other = type(self.project)(self.project.root / "anew")
        other.root.mkdir()
        source = self.project.settings["sources"][0] | {"uri": str(self.project.root / "docs")}
        other.settings = self.project.settings | {"sources": [source]}
        other.run()
        assert everything(self.project) == everything(other)
        ingested = self.project.ingest()
        assert (ingested.rows_written, ingested.counts["parsed"]) == (0, 0)
        assert self.project.transform().as_dict()["rows_written"] == 0
        assert self.project.load().documents == 0


name = st.sampled_from(NAMES)
content = st.sampled_from(CONTENTS)
rights = st.sampled_from(RIGHTS)
stage = st.sampled_from(["ingest", "transform", "load"])
batch = st.sampled_from([1, 2, 100])

STEPS = st.one_of(
    st.tuples(st.just("write"), name, content),
    st.tuples(st.just("write"), name, content),
    st.tuples(st.just("write_and_set_the_time_back"), name, content),
    st.tuples(st.just("touch"), name),
    st.tuples(st.just("rename"), name, name),
    st.tuples(st.just("delete"), name),
    st.tuples(st.just("sidecar"), name, st.none() | rights),
    st.tuples(st.just("folder"), st.sampled_from(FOLDERS), st.none() | rights),
    st.tuples(st.just("default"), rights),
    st.tuples(st.just("policy"), st.sampled_from([32, 64])),
    st.tuples(st.just("stage"), stage, batch),
    st.tuples(st.just("run"), batch),
    st.tuples(st.just("killed"), stage, st.integers(0, 16)),
    st.tuples(st.just("killed"), stage, st.integers(0, 16)),
    st.tuples(st.just("compact")),
)


@pytest.mark.slow
def test_any_history_ends_as_a_new_build(
    project: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tried = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(st.lists(STEPS, min_size=4, max_size=24))
    def history(changes: list[tuple[Any, ...]]) -> None:
        world = World(type(project)(tmp_path_factory.mktemp("world")))
        for change in changes:
            world.do(change)
        world.check_against_a_new_build()
        tried.append(len(changes))

    history()
    assert len(tried) >= EXAMPLES
