"""Who may read the blobs of a container: metadata and sidecars, tags never; on the emulator."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from azure_tools import fill, found

from lineage import Acl
from pipelines.ingest.sources.azure import AzureSource

pytestmark = pytest.mark.azurite


def test_the_nearest_acl_holds(container: Any) -> None:
    fill(
        container,
        {
            "_acl.yaml": "allow_groups: [all]",
            "top.md": "", "a/x.md": "", "a/b/y.md": "", "a/b/own.md": "", "a//deep.md": "",
            "a/_acl.yaml": "allow_groups: [a]",
            "a/b/own.md.acl.yaml": "public",
            "z/w.md": "", "z/_acl.yaml": "no such thing",
        },
    )  # fmt: skip
    fill(container, {"a/stated.md": ""}, metadata={"acl_allow_users": "bob"})
    fill(container, {"a/both.md": "", "a/bad.md": ""}, metadata={"acl_group": "x"})
    fill(container, {"a/both.md.acl.yaml": "allow_users: [carl]"})
    listed = found(container, default=Acl.public("config"))
    rights = {
        key: (one.acl.state, *one.acl.allow_groups, *one.acl.allow_users)
        for key, one in listed.items()
    }
    assert rights == {
        "top.md": ("explicit", "all"),
        "a/x.md": ("explicit", "a"),
        "a/b/y.md": ("explicit", "a"),
        "a//deep.md": ("explicit", "a"),
        "a/b/own.md": ("public",),
        "a/stated.md": ("explicit", "bob"),
        "a/both.md": ("explicit", "carl"),
        "a/bad.md": ("unknown",),
        "z/w.md": ("unknown",),
    }
    etag = container.get_blob_client("a/_acl.yaml").get_blob_properties().etag.strip('"')
    assert listed["a/x.md"].acl.origin == f"sidecar:a/_acl.yaml@{etag}"
    assert listed["z/w.md"].acl.origin.startswith("sidecar:z/_acl.yaml: an ACL is the word")


def test_acls_of_a_path_begin_at_that_path(container: Any) -> None:
    fill(container, {"_acl.yaml": "public", "docs/a.md": "", "docs/b/_acl.yaml": "public",
                     "docs/b/c.md": ""})  # fmt: skip
    states = {key: one.acl.state for key, one in found(container, "/docs").items()}
    assert states == {"a.md": "unknown", "b/c.md": "public"}


def test_acl_files_that_are_known_are_not_read_again(azurite: Any, container: Any) -> None:
    fill(container, {"a/_acl.yaml": "allow_groups: [a]", "b.md.acl.yaml": "public"})
    fill(container, {"c/_acl.yaml": "broken:", "a/x.md": "", "b.md": "", "c/y.md": ""})
    with azurite.requests() as asked:
        first = found(container)
    assert sum(request.is_download for request in asked) == 3
    known = {one.acl.origin: one.acl for one in first.values()}
    with azurite.requests() as asked:
        assert found(container, known=known) == first
    # What could not be used is looked at each time.
    assert [request.blob for request in asked if request.is_download] == ["c/_acl.yaml"]
    fill(container, {"a/_acl.yaml": "allow_groups: [b]"})
    with azurite.requests() as asked:
        changed = found(container, known=known)
    assert {r.blob for r in asked if r.is_download} == {"a/_acl.yaml", "c/_acl.yaml"}
    assert changed["a/x.md"].acl.allow_groups == ("b",)
    assert changed["a/x.md"].version == first["a/x.md"].version


def test_tags_are_labels_and_never_rights(container: Any) -> None:
    container.upload_blob("a.md", b"", tags={"acl_allow_groups": "hr", "team": "x"})
    container.upload_blob("b.md", b"", tags={"team": "y"}, metadata={"team": "z"})
    listed = found(container, default=Acl.public("config"))
    assert listed["a.md"].acl.state == "unknown"
    assert "an ACL belongs into metadata or a sidecar" in listed["a.md"].acl.origin
    assert (listed["b.md"].acl.state, listed["b.md"].labels["team"]) == ("public", "y")


def test_tags_and_only_tags_leave_the_version_alone(container: Any) -> None:
    fill(container, {"a.md": "a"})
    before = found(container)["a.md"]
    container.get_blob_client("a.md").set_blob_tags({"team": "x"})
    after = found(container)["a.md"]
    assert (after.version, dict(after.labels)) == (before.version, {"team": "x"})
    container.get_blob_client("a.md").set_blob_metadata({"acl": "public"})
    assert found(container)["a.md"].version != before.version


def test_large_twofold_and_idle_acl_files(container: Any, caplog: Any) -> None:
    fill(container, {"a/_acl.yaml": "#" * 300_000 + "\npublic", "a/x.md": "",
                     "b/_acl.yaml": "public", "b/_acl.yml": "public", "b/x.md": "",
                     "c.md": "", "c.acl.yaml": "unknown"})  # fmt: skip
    with caplog.at_level(logging.WARNING):
        listed = found(container, default=Acl.public("config"))
    assert {key: one.acl.state for key, one in listed.items()} == {
        "a/x.md": "unknown", "b/x.md": "unknown", "c.md": "public",
    }  # fmt: skip
    assert "1 ACL files have no file beside them" in caplog.text


def test_an_acl_file_that_changes_while_the_container_is_listed(
    container: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(container, {"_acl.yaml": "public", "a.md": ""})
    change: Callable[[], None] = lambda: fill(container, {"_acl.yaml": "allow_groups: [hr]"})  # noqa: E731
    real = AzureSource._sidecars
    monkeypatch.setattr(
        AzureSource, "_sidecars", lambda self, *rest: (change(), real(self, *rest))[1]
    )
    listed = found(container)["a.md"]
    etag = container.get_blob_client("_acl.yaml").get_blob_properties().etag.strip('"')
    assert (listed.acl.allow_groups, listed.acl.origin) == (("hr",), f"sidecar:_acl.yaml@{etag}")
