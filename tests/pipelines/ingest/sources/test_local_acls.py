"""ACL files in a local folder: what each holds for, and that nothing broken opens anything."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from source_tools import listing, unprivileged, write_tree

from lineage import Acl


def test_acl_files_hold_downwards_until_replaced_and_as_a_whole(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "top.md": "",
            "a/_acl.yaml": "allow_groups: [a]\ndeny_users: [bob]\n",
            "a/one.md": "",
            "a/b/two.md": "",
            "a/b/c/_acl.yaml": "allow_users: [carl]\n",
            "a/b/c/three.md": "",
            "a/b/c/own.md": "",
            "a/b/c/own.md.acl.yaml": "public",
            "a/z.md": "",
        },
    )
    found = listing(tmp_path)
    assert sorted(found) == [
        "a/b/c/own.md", "a/b/c/three.md", "a/b/two.md", "a/one.md", "a/z.md", "top.md",
    ]  # fmt: skip
    assert (found["top.md"].acl.state, found["top.md"].acl.origin) == ("unknown", "none found")
    for key in ("a/one.md", "a/b/two.md", "a/z.md"):
        assert (found[key].acl.allow_groups, found[key].acl.deny_users) == (("a",), ("bob",))
        assert found[key].acl.origin == "sidecar:a/_acl.yaml"
    three = found["a/b/c/three.md"].acl
    assert (three.allow_users, three.allow_groups, three.deny_users) == (("carl",), (), ())
    assert found["a/b/c/own.md"].acl.state == "public"
    assert found["a/b/c/own.md"].acl.origin == "sidecar:a/b/c/own.md.acl.yaml"


@pytest.mark.parametrize(
    "broken", ["", "allow_group: [hr]", "allow_groups: [hr", "allow_groups: hr", "\x00", "[]"]
)
def test_a_broken_acl_file_is_unknown_and_never_falls_through(tmp_path: Path, broken: str) -> None:
    write_tree(
        tmp_path,
        {"_acl.yaml": "public", "a/_acl.yaml": broken, "a/x.md": "", "b.md": "",
         "b.md.acl.yaml": broken},
    )  # fmt: skip
    found = listing(tmp_path)
    assert found.keys() == {"a/x.md", "b.md"}
    for key, listed in found.items():
        assert listed.acl.state == "unknown", key
        assert ".yaml: " in listed.acl.origin


def test_acl_files_that_are_no_plain_files_are_unknown(tmp_path: Path) -> None:
    write_tree(tmp_path, {"_acl.yaml": "public", "elsewhere/open.yaml": "public"})
    for name in ("link", "fifo", "folder", "gone"):
        write_tree(tmp_path, {f"{name}/x.md": ""})
    (tmp_path / "link/_acl.yaml").symlink_to("../elsewhere/open.yaml")
    (tmp_path / "gone/_acl.yaml").symlink_to("nothing")
    os.mkfifo(tmp_path / "fifo/_acl.yaml")
    write_tree(tmp_path, {"folder/_acl.yaml/inner.md": ""})
    found = listing(tmp_path)
    states = {key: listed.acl.state for key, listed in found.items()}
    assert states == {
        "elsewhere/open.yaml": "public",
        "fifo/x.md": "unknown",
        "folder/_acl.yaml/inner.md": "unknown",
        "folder/x.md": "unknown",
        "gone/x.md": "unknown",
        "link/x.md": "unknown",
    }


def test_acl_files_that_may_not_be_read_are_unknown(shared_path: Path) -> None:
    write_tree(shared_path, {"_acl.yaml": "public", "a/_acl.yaml": "public", "a/x.md": ""})
    (shared_path / "a/_acl.yaml").chmod(0)
    with unprivileged():
        (listed,) = listing(shared_path).values()
    assert (listed.acl.state, "Permission denied" in listed.acl.origin) == ("unknown", True)


@pytest.mark.parametrize("name", ["x.md.ACL.yaml", "x.md.acl.YML", "_Acl.Yaml", ".acl.yaml"])
def test_a_restriction_is_not_lost_to_how_its_name_is_written(tmp_path: Path, name: str) -> None:
    write_tree(tmp_path, {"_acl.yaml" if name[0] == "x" else "y/_acl.yaml": "public"})
    write_tree(tmp_path, {"x.md": "", name: "allow_groups: [hr]"})
    assert listing(tmp_path)["x.md"].acl.allow_groups == ("hr",)


def test_two_acl_files_for_one_thing_are_unknown(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {"a/_acl.yaml": "public", "a/_acl.yml": "public", "a/x.md": "", "b.md": "",
         "b.md.acl.yaml": "public", "b.md.acl.yml": "public"},
    )  # fmt: skip
    assert {one.acl.state for one in listing(tmp_path).values()} == {"unknown"}


def test_the_config_has_the_last_word_where_nothing_else_speaks(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.md": "", "b.md": "", "b.md.acl.yaml": "allow_groups: []"})
    default = Acl.public("config")
    found = {key: one.acl for key, one in listing(tmp_path, default=default).items()}
    assert found["a.md"] == default
    assert (found["b.md"].state, found["b.md"].allow_groups) == ("explicit", ())


def test_acl_files_are_never_documents_whatever_is_included(tmp_path: Path) -> None:
    write_tree(tmp_path, {"_acl.yaml": "public", "a.md": "", "a.md.acl.yaml": "public"})
    assert list(listing(tmp_path, include=["**/*", "*.yaml", "_acl.yaml"])) == ["a.md"]


def test_an_acl_file_holds_also_where_includes_do_not_name_it(tmp_path: Path) -> None:
    write_tree(tmp_path, {"_acl.yaml": "public", "a.md": "", "sub/_acl.yaml": "unknown"})
    assert listing(tmp_path, include=["*.md"], exclude=["*.yaml"])["a.md"].acl.state == "public"


def test_acl_files_for_nothing_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tree(tmp_path, {"a.docx": "", "a.acl.yaml": "unknown", "b/b.md.acl.yaml": "public",
                          "sub.acl.yaml": "public", "sub/x.md": "", "x.tmp": "",
                          "x.tmp.acl.yaml": "public"})  # fmt: skip
    with caplog.at_level(logging.WARNING):
        listing(tmp_path, exclude=["*.tmp"])
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("3 ACL files have no file beside them")
    assert "b/b.md.acl.yaml, a.acl.yaml, sub.acl.yaml" in message
