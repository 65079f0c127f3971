"""Access lists of a lake as documents' rights: bytes on the blob emulator, lists on a fake."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from adls_fake import ROOT, Lake, adls, listing
from blob_proxy import Answer, Asked, Proxy, proxy

from lineage import Acl, Principal
from lineage.errors import ConfigError
from pipelines.ingest.sources import SourceUnavailable, azure_client
from pipelines.ingest.sources.adls import AdlsRights
from pipelines.ingest.sources.azure import AzureSource

pytestmark = pytest.mark.azurite

HR, STAFF, EVE = (f"{n}0000000-0000-0000-0000-000000000000" for n in (1, 2, 3))
OPEN = "user::rwx,group::---,other::--x"


@pytest.fixture
def lake(azurite: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    with adls() as running:
        text = f"{azurite.connection_string}DfsEndpoint={running.endpoint};"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        monkeypatch.setattr(azure_client, "_pause", lambda seconds: None)
        yield running


@pytest.fixture
def container(azurite: Any, lake: Lake) -> Any:
    made = azurite.container()
    for name in ("open.md", "hr/leave.md", "hr/secret/pay.md"):
        made.upload_blob(name, f"text of {name}")
        lake.set(made.container_name, name, acl="user::rw-,group::---,other::---")
    lake.set(made.container_name, ROOT, acl=OPEN)
    return made


@pytest.fixture
def told(
    azurite: Any, lake: Lake, container: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """A blob service whose listings hold access lists, two pages of a few paths each."""

    def rule(asked: Asked) -> Answer | None:
        query = {name: values[0] for name, values in asked.query.items()}
        if not asked.is_listing or "permissions" not in query.get("include", ""):
            return None
        files = {blob.name: blob.size for blob in container.list_blobs()}
        return Answer(200, body=listing(lake, container.container_name, files, query))

    monkeypatch.setattr(azure_client, "_PAGE_BLOBS", 4)
    with proxy(azurite.endpoint, rule) as running:
        text = azurite.connection_string.replace(azurite.endpoint, running.endpoint)
        text = f"{text}DfsEndpoint={lake.endpoint};"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        yield running


def source(container: Any, path: str = "", **rights: Any) -> AzureSource:
    return AzureSource("docs", f"az://{container.container_name}{path}", adls=AdlsRights(**rights))


def found(container: Any, path: str = "", **rights: Any) -> dict[str, Acl]:
    opened = pickle.loads(pickle.dumps(source(container, path, **rights)))
    return {listed.key: listed.acl for listed in opened.list()}


def test_files_have_the_rights_of_their_lists(lake: Lake, container: Any) -> None:
    name = container.container_name
    lake.set(name, "open.md", acl="user::rw-,group::---,other::r--")
    lake.set(
        name, "hr/leave.md", owner="olga", group=STAFF,
        acl=f"user::rw-,user:{EVE}:---,group::r--,group:{HR}:rwx,mask::r--,other::---",
    )  # fmt: skip
    acls = found(container)
    assert acls["open.md"].permits(Principal("anyone"))
    assert not acls["open.md"].permits(Principal())
    assert acls["hr/leave.md"] == Acl("explicit", ("olga",), (HR, STAFF), (EVE,), (), "adls")
    assert acls["hr/secret/pay.md"] == Acl("explicit", origin="adls")


def test_a_directory_that_lets_nobody_pass_closes_what_is_in_it(lake: Lake, container: Any) -> None:
    name = container.container_name
    lake.set(name, "hr/secret/pay.md", acl="user::rw-,group::---,other::r--")
    assert found(container)["hr/secret/pay.md"].permits(Principal("anyone"))
    lake.set(name, "hr", acl=f"user::rwx,group::---,group:{HR}:--x,mask::--x,other::---",
             default=f"default:user::rwx,default:group:{STAFF}:rwx,default:other::rwx")  # fmt: skip
    assert found(container)["hr/secret/pay.md"].allow_groups == (HR,)
    # A source that begins further down is under the same directories.
    assert found(container, "/hr/secret")["pay.md"].allow_groups == (HR,)


def test_what_no_flat_list_can_say(lake: Lake, container: Any) -> None:
    name = container.container_name
    lake.set(name, "hr", acl=f"user::rwx,group::---,group:{STAFF}:--x,mask::--x,other::---")
    lake.set(name, "hr/leave.md", acl=f"user::rw-,group::---,group:{HR}:r--,mask::r--,other::---")
    inexact = found(container)["hr/leave.md"]
    assert (inexact.state, inexact.origin) == (
        "unknown",
        "adls: who may read depends on several groups at once, which no flat list can say",
    )
    narrowed = found(container, narrow=True)["hr/leave.md"]
    assert (narrowed.state, narrowed.allow_groups) == ("explicit", ())
    assert found(container, nested={STAFF: (HR,)})["hr/leave.md"].allow_groups == (HR,)


def test_roles_come_first(container: Any) -> None:
    acls = found(container, reader_users=frozenset({"amy"}), reader_groups=frozenset({"admins"}))
    assert {acl.allow_users for acl in acls.values()} == {("amy",)}
    assert {acl.allow_groups for acl in acls.values()} == {("admins",)}


def test_unreadable_lists_are_unknown_and_say_why(lake: Lake, container: Any) -> None:
    answers = {"hr/leave.md": (403, "AuthorizationPermissionMismatch"), "hr/secret": (503, "Busy")}
    lake.trouble = lambda method, path: answers.get(path)
    lake.set(container.container_name, "open.md", acl="user::rw-,group::r-?,other::---")
    acls = found(container)
    assert {acl.state for acl in acls.values()} == {"unknown"}
    assert acls["hr/leave.md"].origin == "adls: hr/leave.md: AuthorizationPermissionMismatch"
    assert acls["hr/secret/pay.md"].origin.startswith("adls: hr/secret: ")
    assert "rights" in acls["open.md"].origin


def test_a_file_that_has_gone_meanwhile(lake: Lake, container: Any) -> None:
    del lake.nodes[container.container_name, "open.md"]
    assert found(container)["open.md"].origin == "adls: open.md: PathNotFound"


def test_a_busy_service_is_asked_again(lake: Lake, container: Any) -> None:
    left = {"open.md": 3, ROOT: 2}

    def trouble(method: str, path: str) -> tuple[int, str] | None:
        left[path] = left.get(path, 0) - 1
        return (429, "TooManyRequests") if left[path] >= 0 else None

    lake.trouble = trouble
    assert found(container)["open.md"].state == "explicit"


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((403, "AuthorizationFailure"), ConfigError, "access denied"),
        ((404, "FilesystemNotFound"), ConfigError, "no container"),
        ((500, "InternalError"), SourceUnavailable, "does not answer"),
        ((400, "HierarchicalNamespaceNotEnabled"), ConfigError, "hierarchical namespace"),
    ],
)
def test_without_the_roots_list_there_is_no_run(
    lake: Lake, container: Any, answer: tuple[int, str], error: type[Exception], message: str
) -> None:
    lake.trouble = lambda method, path: answer
    with pytest.raises(error, match=message):
        found(container)


def test_directories_are_asked_for_once(lake: Lake, container: Any) -> None:
    for n in range(40):
        name = f"many/{n % 4}/{n}.md"
        container.upload_blob(name, "text")
        lake.set(container.container_name, name)
    lake.asked.clear()
    found(container)
    assert {method for method, _ in lake.asked} == {"HEAD"}
    assert sorted(path for _, path in lake.asked) == sorted(
        [ROOT, "open.md", "hr", "hr/leave.md", "hr/secret", "hr/secret/pay.md", "many"]
        + [f"many/{n}" for n in range(4)]
        + [f"many/{n % 4}/{n}.md" for n in range(40)]
    )


def test_lists_that_come_with_the_listing_are_not_asked_for(
    lake: Lake, told: Proxy, container: Any
) -> None:
    name = container.container_name
    lake.set(name, "open.md", acl="user::rw-,group::---,other::r--")
    lake.set(
        name, "hr", acl=f"user::rwx,group::---,group:{HR}:--x,mask::--x,other::---",
        default=f"default:user::rwx,default:group:{STAFF}:rwx,default:other::rwx",
    )  # fmt: skip
    lake.set(name, "hr/leave.md", acl=f"user::rw-,group::---,group:{HR}:r--,mask::r--,other::---")
    lake.set(name, "hr/secret/pay.md", acl="user::rw-,group::---,other::r--")
    container.upload_blob("a & <b>.md", "text")
    lake.set(name, "a & <b>.md", owner="olga", acl="user::r--,group::---,other::---")
    container.upload_blob("hr/_acl.yaml", "public")
    acls = found(container)
    assert acls["open.md"].permits(Principal("anyone"))
    assert acls["hr/leave.md"].allow_groups == acls["hr/secret/pay.md"].allow_groups == (HR,)
    assert acls["a & <b>.md"].allow_users == ("olga",)
    assert sorted(acls) == ["a & <b>.md", "hr/leave.md", "hr/secret/pay.md", "open.md"]
    assert lake.asked == [("HEAD", ROOT)]
    listings = [
        asked for asked in told.asked if "permissions" in asked.query.get("include", [""])[0]
    ]
    assert len(listings) == 2

    # Further down, only the directories above are to be asked for.
    lake.asked.clear()
    assert found(container, "/hr/secret")["pay.md"].allow_groups == (HR,)
    assert sorted(lake.asked) == [("HEAD", ROOT), ("HEAD", "hr"), ("HEAD", "hr/secret")]


def test_they_say_the_same_as_when_each_is_asked_for(
    lake: Lake, azurite: Any, container: Any, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    name = container.container_name
    lake.set(name, "hr", acl=f"user::rwx,group::---,group:{STAFF}:--x,mask::--x,other::---")
    lake.set(name, "hr/leave.md", acl=f"user::rw-,group::---,group:{HR}:r--,mask::r--,other::---")
    lake.set(name, "open.md", acl="user::rw-,group::r-?,other::---")
    asked_for = found(container)
    lake.asked.clear()
    request.getfixturevalue("told")
    assert found(container) == asked_for
    assert {acl.state for acl in asked_for.values()} == {"unknown", "explicit"}
    assert lake.asked == [("HEAD", ROOT)]


def test_names_of_any_letters(lake: Lake, container: Any) -> None:
    for name in ("a b/c#d%20e?f.md", "grün/ß+&=.md"):
        container.upload_blob(name, "text")
        acl = f"user::rw-,group::---,group:{HR}:r--,mask::r--,other::---"
        lake.set(container.container_name, name, acl=acl)
    acls = found(container)
    assert sum(acl.allow_groups == (HR,) for acl in acls.values()) == 2


def test_sidecars_and_metadata_have_no_say(
    lake: Lake, container: Any, caplog: pytest.LogCaptureFixture
) -> None:
    container.upload_blob("_acl.yaml", "public")
    container.upload_blob(
        "open.md", "text", metadata={"acl": "public", "team": "a"}, overwrite=True
    )
    with caplog.at_level(logging.WARNING):
        listed = {one.key: one for one in source(container).list()}
    assert listed["open.md"].acl == Acl("explicit", origin="adls")
    assert dict(listed["open.md"].labels) == {"team": "a"}
    assert "_acl.yaml" not in listed
    assert "1 ACL files are not looked at" in caplog.text


def test_a_change_of_lists_is_a_change_of_rights_and_nothing_else(
    lake: Lake, container: Any, azurite: Any, project: Any
) -> None:
    name = container.container_name
    project.settings["sources"] = [{"name": "docs", "uri": f"az://{name}", "acl": {"from": "adls"}}]
    readers = f"user::rw-,group::---,group:{HR}:r--,mask::r--,other::---"
    for path in ("open.md", "hr/leave.md", "hr/secret/pay.md"):
        lake.set(name, path, acl=readers)
    project.run()
    ids = {chunk["chunk_id"] for chunk in project.chunks()}
    lake.set(name, "hr", acl=f"user::rwx,user:{EVE}:---,group::---,mask::--x,other::--x")
    lake.trouble = lambda method, path: (403, "AuthorizationFailure") if path == "open.md" else None
    with azurite.requests() as asked:
        summary = project.ingest()
    assert not any(request.is_download for request in asked)
    assert (summary.counts["acl"], summary.counts["unchanged"], summary.unknown_acl) == (3, 0, 1)
    assert "open.md (adls: open.md: AuthorizationFailure)" in " ".join(summary.notes)
    transformed = project.transform()
    assert transformed.as_dict()["chunks"] == 0
    project.load()
    assert {chunk["chunk_id"] for chunk in project.chunks()} == ids
    assert project.ingest().counts["unchanged"] == 3

    from pipelines.load.search import search

    def readable(user: str, *groups: str) -> set[str]:
        hits = search(project.config, "text", Principal(user, frozenset(groups)))
        return {hit.source_uri.rpartition("/")[2] for hit in hits}

    assert readable("amy", HR) == {"leave.md", "pay.md"}
    assert readable(EVE, HR) == set()
    assert readable("amy") == set()


def test_doctor_says_when_rights_cannot_be_read(lake: Lake, container: Any, tmp_path: Any) -> None:
    from pipelines.config import AdlsConfig, SourceConfig
    from pipelines.queries.doctor import _source

    config = SourceConfig("docs", f"az://{container.container_name}", adls=AdlsConfig())
    assert _source(config).state == "ok"
    answer = (403, "AuthorizationPermissionMismatch")
    lake.trouble = lambda method, path: answer if path != ROOT else None
    check = _source(config)
    assert check.state == "warning"
    assert "AuthorizationPermissionMismatch" in check.detail
