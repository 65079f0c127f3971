"""Every step of every stage: a crash, a full disk, another run beside, a reader that looks.

`pipelines.steps` names what leaves something behind outside of the process. An undisturbed run
of each stage is recorded; then the stage is disturbed at each step that it took, run again, and
compared with the undisturbed one.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from change_tools import State, chunks_of, documents_of, index_of

from lineage import GristmillError
from pipelines import steps

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash-matrix")]

OPTIONS = {"batch": 5}
"""Two batches: a disturbance comes with more to do, and with nothing more."""
STAGES: dict[str, Callable[[Any], State]] = {
    "ingest": documents_of,
    "transform": chunks_of,
    "load": index_of,
}
EXPECTED_STEPS = {
    "ingest": {
        "part-open", "part-write", "part-close", "manifest-write", "commit", "manifest-drop",
    },
    "transform": {
        "part-open", "part-write", "part-close", "manifest-write", "commit", "manifest-drop",
    },
    "load": {
        "sink-delete", "sink-rights", "sink-replace", "sink-optimize", "sink-index",
        "sink-position",
    },
}  # fmt: skip


class Crash(BaseException):
    """Not an Exception, so that nothing on the way may handle it."""


class Recorder:
    """Counts moments between steps: before each, and after the last one."""

    def __init__(self, at: int | None = None, act: Callable[[str], None] | None = None) -> None:
        self.names: list[str] = []
        self.at = at
        self.act = act

    def __call__(self, name: str, moment: str) -> None:
        if moment != "before":
            return
        number = len(self.names)
        self.names.append(name)
        if self.act is not None and self.at in (None, number):
            self.act(name)


class Scene:
    """A project before and after a stage does its work on a change of everything."""

    def __init__(self, project: Any, stage: str) -> None:
        self.project = project
        self.stage = stage
        self.view = STAGES[stage]
        _first(project)
        project.run(**OPTIONS)
        _second(project)
        for before in STAGES:
            if before == stage:
                break
            getattr(project, before)(**OPTIONS)
        self.saved = project.root / "saved"
        shutil.copytree(project.root / "state", self.saved)
        self.old = self.view(project)
        recorder = Recorder()
        self.run(recorder)
        self.names = recorder.names
        self.new = self.view(project)

    def reset(self) -> None:
        shutil.rmtree(self.project.root / "state")
        shutil.copytree(self.saved, self.project.root / "state")

    def run(self, hook: Recorder | None = None) -> Any:
        steps.hook = hook
        try:
            return getattr(self.project, self.stage)(**OPTIONS)
        finally:
            steps.hook = None

    def check_readable(self) -> None:
        """Every document is as before or as after, and none that is in both is missing."""
        now = self.view(self.project)
        for key in self.old.keys() | self.new.keys():
            versions = [state.get(key) for state in (self.old, self.new)]
            if key in now:
                assert now[key] in versions or _narrowed(now[key], versions), key
            else:
                assert None in versions, key

    def check_recovered(self) -> None:
        self.run()
        assert self.view(self.project) == self.new
        again = self.run().as_dict()
        assert not again.get("rows_written")
        assert not again.get("documents")


def _narrowed(row: Any, versions: list[Any]) -> bool:
    """Old chunks, with rights that were taken from them ahead of the new ones."""
    old = versions[0]
    return old is not None and [chunk[:5] for chunk in row] == [chunk[:5] for chunk in old]


def _first(project: Any) -> None:
    for name in "abcdef":
        project.write(f"{name}.md", f"# {name}\n\n" + f"Words of document {name}. " * 20)
    project.write("g.pdf", b"%PDF-1.4 not really")


def _second(project: Any) -> None:
    project.write("a.md", "# a\n\n" + "Other words of document a. " * 15)
    project.write("a.md.acl.yaml", "allow_groups: [hr]\n")
    project.write("b.md.acl.yaml", "allow_groups: [hr]\n")
    (project.root / "docs" / "c.md").unlink()
    project.write("d.md", "")
    (project.root / "docs" / "e.md").rename(project.root / "docs" / "moved.md")
    project.write("g.pdf", "Plain text by now.")
    project.write("h.md", "A new document.")


@pytest.fixture(params=list(STAGES))
def scene(request: pytest.FixtureRequest, project: Any) -> Scene:
    return Scene(project, request.param)


def test_every_step_is_registered_and_taken(scene: Scene) -> None:
    assert set(scene.names) <= set(steps.STEPS)
    assert EXPECTED_STEPS[scene.stage] <= set(scene.names)
    assert scene.old != scene.new


def test_a_crash_at_every_step_changes_nothing_in_the_end(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(_: str) -> None:
        raise Crash

    for number in range(len(scene.names)):
        scene.reset()
        with pytest.raises((Crash, RuntimeError)):
            scene.run(Recorder(number, crash))
        scene.check_readable()
        scene.check_recovered()
    with capsys.disabled():
        print(f"\n{scene.stage}: crashed at {len(scene.names)} points, recovered from all")


def test_a_full_disk_at_every_write_is_an_error_and_changes_nothing_in_the_end(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writes = [number for number, name in enumerate(scene.names) if name in steps.WRITES]
    for number in writes:
        scene.reset()
        with pytest.raises(Exception, match="No space left on device"):
            scene.run(Recorder(number, full))
        scene.check_readable()
        scene.check_recovered()
    with capsys.disabled():
        print(f"\n{scene.stage}: disk full at {len(writes)} points, recovered from all")


def test_another_run_at_every_step_is_harmless(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    told = 0
    for number in range(len(scene.names)):
        scene.reset()

        def beside(_: str) -> None:
            steps.hook = None
            with suppress(GristmillError):
                getattr(scene.project, scene.stage)(**OPTIONS)

        message = ""
        try:
            scene.run(Recorder(number, beside))
        except (GristmillError, RuntimeError) as error:
            message = str(error)
        assert not message or "another" in message
        told += bool(message)
        scene.check_readable()
        scene.check_recovered()
    with capsys.disabled():
        print(f"\n{scene.stage}: another run at {len(scene.names)} points, told of it {told} times")


def test_a_reader_sees_each_document_old_or_new_at_every_step(scene: Scene) -> None:
    scene.reset()
    recorder = Recorder(act=lambda _: scene.check_readable())
    scene.run(recorder)
    assert len(recorder.names) == len(scene.names)
    assert scene.view(scene.project) == scene.new
