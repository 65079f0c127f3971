"""A load that is interrupted anywhere, and run again, ends like one that was not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from load_tables import STAFF, Doc, World

from lineage import Acl, CommitConflict, Principal
from pipelines.load import lancedb as lance
from pipelines.load import position
from pipelines.load.search import search

STABLE = ("chunk_id", "document_id", "text", "start", "allow_groups", "acl_state", "labels", "seq")
SECRET = Acl(state="explicit", allow_groups=("board",))


class Crash(BaseException):
    """Not an Exception, so that nothing on the way may handle it."""


def state(world: World) -> list[dict[str, object]]:
    return [{name: row[name] for name in STABLE} for row in world.index()]


def steps() -> list[tuple[Any, str]]:
    """Everything a load does to a sink, from the outside in."""
    from lancedb.table import LanceTable

    sink, table = lance.LanceSink, LanceTable
    return [
        (sink, "begin_rebuild"), (sink, "apply"), (sink, "commit"),
        (table, "delete"), (table, "add"), (table, "merge_insert"), (table, "optimize"),
        (table, "create_index"), (table, "drop_index"),
        (position, "write"), (position, "forget"),
    ]  # fmt: skip


class Steps:
    """Counts the steps of a load, and crashes before or after the n-th."""

    def __init__(self, crash_at: int | None = None, *, after: bool = False) -> None:
        self.crash_at, self.after = crash_at, after
        self.count = 0

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        for owner, name in steps():
            patch.setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            number = self.count
            self.count += 1
            if number == self.crash_at and not self.after:
                raise Crash
            result = original(*args, **kwargs)
            if number == self.crash_at:
                raise Crash
            return result

        return step


def first(world: World) -> None:
    world.commit(*(Doc(f"d{n}", texts=(f"first {n}", "same words")) for n in range(5)))
    world.commit(Doc("d0", texts=("words of the second commit",)), Doc("more", texts=("more",)))


def change(world: World) -> None:
    first(world)
    world.load()
    world.commit(
        Doc("d0", op="delete"),
        Doc("d1", op="acl", acl=SECRET),
        Doc("d2", texts=("edited", "same words"), acl=SECRET),
        Doc("d3"),
        Doc("new", texts=("new words",)),
    )


def rebuild(world: World) -> None:
    """Another table, with what the index holds no longer in it, and other rights."""
    first(world)
    world.load()
    shutil.rmtree(world.folder / "lake")
    world.commit(Doc("d1", texts=("first 1", "same words"), acl=SECRET), Doc("x", texts=("x",)))


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [first, change, rebuild])
def test_a_crash_at_any_step_changes_nothing_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[World], None]
) -> None:
    origin = World(tmp_path / "origin")
    prepare(origin)
    trials = iter(range(1000))

    def trial(crash_at: int | None = None, *, after: bool = False) -> tuple[World, Steps]:
        # The lake stays where it is: it is only read, and its path is part of the configuration.
        world = World(tmp_path / f"trial{next(trials)}")
        world.config = replace(world.config, lake=origin.config.lake)
        if (origin.folder / "index").exists():
            shutil.copytree(origin.folder / "index", world.folder / "index")
        watched = Steps(crash_at, after=after)
        with monkeypatch.context() as patch:
            watched.watch(patch)
            if crash_at is None:
                world.load(batch=2)
            else:
                with pytest.raises((Crash, RuntimeError)):
                    world.load(batch=2)
        return world, watched

    reference, whole = trial()
    expected = state(reference)
    assert whole.count >= 8
    # After one step is before the next.
    moments = [(number, False) for number in range(whole.count)] + [(whole.count - 1, True)]
    for number, after in moments:
        world, _ = trial(number, after=after)
        summary = world.load(batch=2)
        assert state(world) == expected, (number, after)
        assert world.load().documents == 0
        assert summary.version == origin.table.seq


def test_a_crash_after_the_rights_leaves_them_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    change(world)

    def deadly(*_: Any, **__: Any) -> None:
        raise Crash

    # Rights and deletes come before the first replacement.
    monkeypatch.setattr("pipelines.load.apply.apply_replacements", deadly)
    with pytest.raises((Crash, RuntimeError)):
        world.load()
    staff = Principal(groups=frozenset(STAFF.allow_groups))
    found = {hit.source_uri.rpartition("/")[2] for hit in search(world.config, "words", staff)}
    assert found == {"d3", "d4"}


def test_a_loader_beside_another_is_told_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    change(world)
    apply = lance.LanceSink.apply
    told: list[str] = []

    def meanwhile(self: lance.LanceSink, batch: Any) -> None:
        if not told:
            with pytest.raises(CommitConflict) as caught:
                world.load()
            told.append(str(caught.value))
        apply(self, batch)

    monkeypatch.setattr(lance.LanceSink, "apply", meanwhile)
    assert world.load().documents == 5
    assert "another loader is writing to" in told[0]
    assert f"process {os.getpid()}" in told[0]
    monkeypatch.undo()
    assert world.load().documents == 0


def test_a_loader_that_lost_its_lease_stops_before_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    first(world)
    apply = lance.LanceSink.apply
    applied: list[int] = []

    def robbed(self: lance.LanceSink, batch: Any) -> None:
        apply(self, batch)
        applied.append(len(batch))
        lease = world.folder / "index" / "_lease.json"
        lease.write_text(lease.read_text().replace('"token": "', '"token": "other'))

    monkeypatch.setattr(lance.LanceSink, "apply", robbed)
    with pytest.raises((CommitConflict, RuntimeError), match="lost its lease"):
        world.load(batch=2)
    assert len(applied) == 1
    assert not (world.folder / "index" / "_position.json").exists()
