"""Changes that are easy to get wrong: half a listing, a policy and back, rights and content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lineage import Acl, CommitConflict, ConfigError, Principal, TerminalError
from pipelines.beam import run_pipeline
from pipelines.ingest.sources.base import FetchError, SourceUnavailable
from pipelines.ingest.sources.local import LocalSource
from pipelines.ingest.summary import COUNTS, check_counts
from pipelines.load.search import search
from pipelines.options import RunOptions
from pipelines.tables import Table

HR = "allow_groups: [hr]\n"
SECRET = "The budget for the new site is nine million.\n"
PUBLIC = "The budget is being discussed.\n"


def found(project: Any, query: str, *groups: str) -> list[str]:
    principal = Principal(groups=frozenset(groups))
    return [hit.text for hit in search(project.config, query, principal)]


def fails_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    original = LocalSource.list

    def broken(self: LocalSource, known: Any = None) -> Iterator[Any]:
        for number, listed in enumerate(original(self, known)):
            if number == count:
                raise SourceUnavailable("the service answered with half a page")
            yield listed

    monkeypatch.setattr(LocalSource, "list", broken)


def test_a_listing_that_fails_part_way_deletes_nothing_and_applies_the_rest(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        project.write(f"{name}.md", f"Document {name}.")
    project.ingest()
    project.write("a.md", "Document a, changed.")
    fails_after(monkeypatch, 2)
    summary = project.ingest(allow_deletes=True)
    assert summary.counts["changed"] == 1
    assert (summary.held, summary.counts["deleted"], summary.incomplete) == (1, 0, 1)
    assert set(project.documents()) == {"a.md", "b.md", "c.md"}
    assert "half a page" in summary.notes[0]
    assert summary.acl_as_of < project.documents()["a.md"]["acl_as_of"]


def test_half_a_first_listing_ends_with_4_although_there_is_nothing_to_hold(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.cli.stages import HELD, exit_code

    for name in "abc":
        project.write(f"{name}.md", f"Document {name}.")
    project.write("b.pdf", b"%PDF-1.4 not really")
    fails_after(monkeypatch, 3)
    summary = project.ingest()
    assert (summary.rejected, summary.held) == (1, 0)
    assert exit_code([summary]) == HELD


def test_the_guard_is_for_each_source_and_deletes_are_allowed_once(project: Any) -> None:
    project.settings["sources"] = [
        {"name": name, "uri": name, "acl": {"default": "public"}} for name in ("one", "two")
    ]
    for folder in ("one", "two"):
        (project.root / folder).mkdir()
        for n in range(6):
            (project.root / folder / f"{n}.md").write_text(f"Number {n} of {folder}.")
    project.ingest()
    for n in range(5):
        (project.root / "one" / f"{n}.md").unlink()
    (project.root / "two" / "0.md").unlink()
    summary = project.ingest()
    assert (summary.sources["one"]["held"], summary.sources["one"]["deleted"]) == (5, 0)
    assert (summary.sources["two"]["held"], summary.sources["two"]["deleted"]) == (0, 1)
    assert project.ingest(allow_deletes=True).sources["one"]["deleted"] == 5
    for n in range(1, 6):
        (project.root / "two" / f"{n}.md").unlink()
    assert project.ingest().sources["two"]["held"] == 5


def test_a_policy_that_is_changed_back_chunks_as_it_did_before(project: Any) -> None:
    project.write("a.md", "# One\n\n" + "Some words about it. " * 40)
    project.run()
    before = project.state()
    project.settings["strategies"] = [{"name": "default", "max_tokens": 32}]
    assert project.transform().as_dict()["documents"] == 1
    assert project.state() != before
    project.settings.pop("strategies")
    assert project.transform().as_dict()["documents"] == 1
    assert project.state() == before
    assert project.transform().as_dict()["rows_written"] == 0


def test_a_commit_between_two_batches_of_a_run_is_noticed(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        project.write(f"{n}.md", f"Number {n}.")
    original = Table.commit
    beaten = []

    def commit(self: Table, batch: Any) -> int:
        version = original(self, batch)
        if not beaten:
            beaten.append(batch)
            project.write("3.md", "Number 3, newer than the first listing.")
            project.ingest(run_id="the-other-one")
            self.refresh()
        return version

    monkeypatch.setattr(Table, "commit", commit)
    with pytest.raises(CommitConflict, match="the-other-one"):
        project.ingest(batch=2, run_id="the-first-one")
    assert "newer" in project.documents()["3.md"]["text"]
    assert project.ingest().as_dict()["rows_written"] == 0


def test_a_batch_that_another_run_took_over_is_a_conflict(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("a.md", "Words.")
    original = Table.finished

    def finished(self: Table, batch: Any) -> Any:
        monkeypatch.setattr(Table, "finished", original)
        project.ingest(run_id="the-other-one")
        return original(self, batch)

    monkeypatch.setattr(Table, "finished", finished)
    with pytest.raises(CommitConflict, match="took over"):
        project.ingest()
    assert len(project.documents()) == 1
    assert project.ingest().as_dict()["rows_written"] == 0


def test_old_text_is_never_readable_by_the_rights_of_the_new(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("a.md", SECRET)
    project.write("a.md.acl.yaml", HR)
    project.run()
    assert found(project, "budget") == []
    project.write("a.md", PUBLIC)
    project.write("a.md.acl.yaml", "public\n")
    project.ingest()
    project.transform()

    def deadly(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.load.apply.apply_replacements", deadly)
        with pytest.raises((KeyboardInterrupt, RuntimeError)):
            project.load()
    assert found(project, "budget") == []
    assert found(project, "budget", "hr") == [SECRET.strip()]
    project.load()
    assert found(project, "budget") == [PUBLIC.strip()]


def test_a_revocation_comes_before_the_new_text(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("a.md", PUBLIC)
    project.run()
    project.write("a.md", SECRET)
    project.write("a.md.acl.yaml", HR)
    project.ingest()
    project.transform()

    def deadly(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.load.apply.apply_replacements", deadly)
        with pytest.raises((KeyboardInterrupt, RuntimeError)):
            project.load()
    assert found(project, "budget", "it") == []
    assert found(project, "budget", "hr") == [PUBLIC.strip()]
    project.load()
    assert found(project, "budget", "hr") == [SECRET.strip()]


def test_text_that_is_kept_after_a_failure_gets_no_new_readers(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("a.md", SECRET)
    project.write("a.md.acl.yaml", "allow_groups: [hr, board]\n")
    project.ingest()
    project.write("a.md", PUBLIC)
    project.write("a.md.acl.yaml", "allow_groups: [hr, everyone]\n")

    def away(*_: Any) -> Any:
        raise FetchError("transient_io", "the share is away")

    with monkeypatch.context() as patch:
        patch.setattr(LocalSource, "fetch", away)
        assert project.ingest().rejected == 1
        row = project.documents()["a.md"]
        assert (row["op"], row["text"]) == ("reject", SECRET)
        assert Acl.from_dict(row["acl"]).allow_groups == ("hr",)
        again = project.ingest()
        assert (again.counts["unchanged"], again.rows_written) == (1, 0)
    assert project.ingest().counts["changed"] == 1
    row = project.documents()["a.md"]
    assert Acl.from_dict(row["acl"]).allow_groups == ("everyone", "hr")


def test_documents_whose_rights_changed_come_first(project: Any) -> None:
    for name in "abcd":
        project.write(f"{name}.md", f"Document {name}.")
    project.ingest()
    for name in "abcd":
        project.write(f"{name}.md", f"Document {name}, changed.")
    project.write("d.md.acl.yaml", HR)
    project.ingest(batch=1)
    seqs = {name: row["seq"] for name, row in project.documents().items()}
    assert min(seqs, key=lambda name: seqs[name]) == "d.md"


def test_counts_that_do_not_add_up_fail_the_run(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = dict.fromkeys(COUNTS, 1) | {"listed": 6}
    check_counts("s", good, 2)
    with pytest.raises(TerminalError, match=r"7 listed.* = 6"):
        check_counts("s", good | {"listed": 7}, 2)
    with pytest.raises(TerminalError, match="3 known and not listed"):
        check_counts("s", good, 3)
    from pipelines.ingest.slices import SliceIngest

    monkeypatch.setattr(SliceIngest, "_count", lambda *_: None)
    project.write("a.md", "Words.")
    with pytest.raises(TerminalError, match="do not add up"):
        project.ingest()


@pytest.mark.parametrize("separator", ["=", " "])
def test_beams_own_processes_are_refused(separator: str) -> None:
    args = f"--direct_running_mode{separator}multi_processing --direct_num_workers=2".split()
    options = RunOptions(workers=1, beam_args=tuple(args))
    with pytest.raises(ConfigError, match="--workers N"):
        run_pipeline(lambda _: None, options)
