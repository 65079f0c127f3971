"""An Azure Blob container as a source, on the emulator: listing, labels, names, downloads."""

from __future__ import annotations

import gzip
import pickle
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure_tools import fill, found, refusal, source
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage import Acl
from lineage.errors import ConfigError
from pipelines.ingest.sources import azure, azure_client
from pipelines.ingest.sources.azure import AzureSource
from pipelines.ingest.sources.base import MAX_DOCUMENT_BYTES

pytestmark = pytest.mark.azurite


def test_what_a_blob_says_of_itself(container: Any) -> None:
    from azure.storage.blob import ContentSettings

    container.upload_blob(
        "a/one.md", b"# One", metadata={"owner": "hr", "acl_allow_groups": "staff, hr"},
        tags={"cost": "12", "Stage": "final"},
        content_settings=ContentSettings(content_type="text/markdown"),
    )  # fmt: skip
    container.upload_blob("b.bin", b"x" * 10)
    listed = found(container, labels={"source": "blob", "owner": "config"}, default=Acl.public())
    one, other = listed["a/one.md"], listed["b.bin"]
    assert dict(one.labels) == {"source": "blob", "owner": "hr", "cost": "12", "Stage": "final"}
    assert (one.acl.allow_groups, one.acl.origin) == (("hr", "staff"), "metadata")
    assert (one.size, one.media_type) == (5, "text/markdown")
    assert (other.media_type, other.acl) == (None, Acl.public())
    assert one.uri == f"az://{container.container_name}/a/one.md"
    properties = container.get_blob_client("a/one.md").get_blob_properties()
    assert f'"{one.version}"' == properties.etag
    assert one.modified_at == properties.last_modified
    assert one.modified_at is not None
    assert one.modified_at.tzinfo is not None


def test_long_listings_come_in_pages(
    azurite: Any, container: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(lambda n: container.upload_blob(f"{n % 7}/{n:03}", b""), range(50)))
    fill(container, {"3/_acl.yaml": "public", "_acl.yaml": "allow_groups: [hr]"})
    whole = list(source(container).list())
    assert len(whole) == 50
    assert [one.key for one in whole] == sorted(one.key for one in whole)
    monkeypatch.setattr(azure_client, "_PAGE_BLOBS", 5)
    with azurite.requests() as asked:
        assert list(source(container).list()) == whole
    assert sum(request.is_listing for request in asked) == 1 + 11
    # Beyond a certain length it is asked for twice rather than held.
    monkeypatch.setattr(azure, "_HELD_BLOBS", 12)
    with azurite.requests() as asked:
        assert list(source(container).list()) == whole
    assert sum(request.is_listing for request in asked) == 1 + 2 * 11


def test_a_source_may_be_a_path_of_the_container(container: Any) -> None:
    fill(container, {"docs/a.md": "a", "docs/sub/b.md": "b", "docs2/c.md": "c", "doc": "d"})
    for path in ("/docs", "/docs/"):
        listed = found(container, path)
        assert sorted(listed) == ["a.md", "sub/b.md"]
        one = listed["sub/b.md"]
        assert one.uri == f"az://{container.container_name}/docs/sub/b.md"
        assert source(container, path).fetch(one.key, one.version).data == b"b"
    assert found(container, "/nothing") == {}
    with pytest.raises(ConfigError, match=r"is a blob, not a folder; .*`include: \[\"a.md\"\]`"):
        found(container, "/docs/a.md")


def test_an_account_may_stand_in_the_uri(azurite: Any, container: Any) -> None:
    fill(container, {"a.md": "a"})
    uri = f"abfss://{container.container_name}@devstoreaccount1.dfs.core.windows.net"
    (listed,) = AzureSource("docs", uri).list()
    assert listed.uri == f"{uri}/a.md"
    assert AzureSource("docs", uri).fetch("a.md", listed.version).data == b"a"


@pytest.mark.parametrize(
    "uri",
    ["az://", "az:///path", "abfss://c@/path", "az://c/p?sv=2021&sig=secret", "az://@host/x"],
)
def test_uris_that_name_no_container(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"sources\[\]\.uri: .* names no container") as caught:
        AzureSource("docs", uri)
    assert "secret" not in str(caught.value)


def test_a_source_is_a_picklable_value(container: Any) -> None:
    fill(container, {"a.md": "a"})
    opened = source(container)
    listed = list(opened.list())  # has connected
    copy = pickle.loads(pickle.dumps(opened))
    assert copy == opened
    assert list(copy.list()) == listed


# Names


NAMES = [
    "plain.md", "with space.md", " lead.md", "trail .md", "ü é/日本.md", "a%20b.md", "a b.md",
    "100%.md", "hash#q?x=1&y.md", "a//b.md", "/lead.md", "dots...", "dir./x.md", "tab\tx.md",
    "new\nline.md", "\u2028sep.md", unicodedata.normalize("NFD", "é.md"),
    unicodedata.normalize("NFC", "é.md"), "emoji🧪.md", "quote'\".md", "a+b&c=d;e.md", "~t",
    "amp&amp;.md", "<tag>.md", "a:b|c*.md", "x" * 1000, "ends/in/slash/",
]  # fmt: skip


def test_names_of_all_kinds_stay_apart(container: Any) -> None:
    fill(container, {name: f"{number}" for number, name in enumerate(NAMES)})
    opened = source(container)
    listed = list(opened.list())
    texts = {one.key: int(opened.fetch(one.key, one.version).data) for one in listed}
    assert sorted(texts.values()) == list(range(len(NAMES)))
    assert len({one.uri for one in listed}) == len(NAMES)
    assert all(len(key.splitlines()) == 1 for key in texts)
    for key, name in (("plain.md", "plain.md"), ("a%2520b.md", "a%20b.md"), ("a//b.md", "a//b.md")):
        assert texts[key] == NAMES.index(name)


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1,
    max_size=8,
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(names=st.lists(_TEXT, min_size=1, max_size=6, unique=True))
def test_no_blob_is_lost_or_mixed_up(azurite_server: Any, names: list[str]) -> None:
    names = [f"n{name}n" for name in names if "\\" not in name]
    with pytest.MonkeyPatch.context() as patch:
        for key, value in azurite_server.environment.items():
            patch.setenv(key, value)
        container = azurite_server.container()
        fill(container, {name: f"{number}" for number, name in enumerate(names)})
        opened = source(container, include=("**/*", "**/.*", "**/.*/**"))
        texts = [int(opened.fetch(one.key, one.version).data) for one in opened.list()]
        assert sorted(texts) == list(range(len(names)))
        container.delete_container()


def test_what_stands_for_a_folder_is_no_document(container: Any) -> None:
    fill(container, {"a/": "", "a/b.md": "b", "c": "not a marker"})
    fill(container, {"d": "", "e/": ""}, metadata={"HDI_isfolder": "true"})
    container.get_blob_client("a/b.md").create_snapshot()
    fill(container, {"a/b.md": "newer"})
    container.get_blob_client("staged.md").stage_block("QQ==", b"never committed")
    listed = found(container)
    assert sorted(listed) == ["a/b.md", "c"]
    assert source(container).fetch("a/b.md", listed["a/b.md"].version).data == b"newer"


def test_pages_and_appends_are_documents_too(container: Any) -> None:
    container.get_blob_client("log").upload_blob(b"one\n", blob_type="AppendBlob")
    container.get_blob_client("disk").upload_blob(b"x" * 512, blob_type="PageBlob", length=512)
    listed = found(container)
    version = listed["log"].version
    container.get_blob_client("log").append_block(b"two\n")
    assert refusal(container, "log", version)[0] == "changed_during_read"
    again = found(container)
    assert source(container).fetch("log", again["log"].version).data == b"one\ntwo\n"
    assert len(source(container).fetch("disk", again["disk"].version).data) == 512


def test_blobs_that_cannot_be_read_are_told_beforehand(
    container: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(container, {"cold.md": "x", "large.md": "x" * 20, "fine.md": "x"})
    container.get_blob_client("cold.md").set_standard_blob_tier("Archive")
    monkeypatch.setattr("pipelines.ingest.sources.base.MAX_DOCUMENT_BYTES", 10)
    listed = found(container)
    assert {key: one.problem and one.problem[0] for key, one in listed.items()} == {
        "cold.md": "unsupported", "fine.md": None, "large.md": "limit_size",
    }  # fmt: skip
    assert "rehydrate it" in listed["cold.md"].problem[1]  # type: ignore[index]
    assert refusal(container, "large.md", listed["large.md"].version)[0] == "limit_size"


# Downloads


def test_a_blob_that_changes_or_goes_after_it_was_listed(container: Any) -> None:
    fill(container, {"a.md": "one", "b.md": "b", "c.md": "c"})
    versions = {key: one.version for key, one in found(container).items()}
    fill(container, {"a.md": "two"})
    container.delete_blob("b.md")
    container.get_blob_client("c.md").set_blob_metadata({"owner": "hr"})
    assert refusal(container, "a.md", versions["a.md"]) == (
        "changed_during_read", "the blob has changed since it was listed",
    )  # fmt: skip
    # The emulator finds that a blob which is gone has not the version asked for.
    assert refusal(container, "b.md", versions["b.md"])[0] in ("not_found", "changed_during_read")
    assert refusal(container, "c.md", versions["c.md"])[0] == "changed_during_read"
    assert source(container).fetch("a.md", found(container)["a.md"].version).data == b"two"


def test_a_large_blob_that_changes_while_it_is_read(azurite: Any, container: Any) -> None:
    container.upload_blob("large.txt", b"x" * (24 << 20), max_concurrency=4)
    version = found(container)["large.txt"].version
    with azurite.requests() as asked:
        assert len(source(container).fetch("large.txt", version).data) == 24 << 20
    assert sum(request.is_download for request in asked) > 1  # it does come in pieces

    from pipelines.ingest.sources import azure_download

    real = azure_client.client(source(container)._address, "x")
    downloader = real.download_blob("large.txt", etag=f'"{version}"', match_condition=_unmodified())
    fill(container, {"large.txt": b"y" * (24 << 20)})
    with pytest.raises(Exception, match="ConditionNotMet") as caught:
        downloader.readall()
    assert azure_download.fetch_error(caught.value).error_class == "changed_during_read"


def _unmodified() -> Any:
    from azure.core import MatchConditions

    return MatchConditions.IfNotModified


def test_many_threads_share_a_source(container: Any) -> None:
    fill(container, {f"{n}.md": f"text {n}" for n in range(40)})
    opened = source(container)
    listed = list(opened.list())
    with ThreadPoolExecutor(8) as executor:
        texts = list(executor.map(lambda one: opened.fetch(one.key, one.version).data, listed))
    assert texts == [f"text {one.key.removesuffix('.md')}".encode() for one in listed]


def test_an_empty_blob(container: Any) -> None:
    fill(container, {"empty.md": b""})
    listed = found(container)["empty.md"]
    assert (listed.size, source(container).fetch("empty.md", listed.version).data) == (0, b"")


@pytest.mark.parametrize(
    ("encoding", "stored", "wanted"),
    [
        ("gzip", gzip.compress(b"text" * 1000, mtime=0), b"text" * 1000),
        ("GZIP", gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0), b"ab"),
        ("gzip", b"stored as it is", b"stored as it is"),
        ("gzip", b"", b""),
        ("identity", b"text", b"text"),
        ("gzip", gzip.compress(b"text" * 1000, mtime=0)[:-9], "malformed"),
        ("gzip", b"\x1f\x8bnot really", "malformed"),
        ("gzip", gzip.compress(bytes(MAX_DOCUMENT_BYTES + 1), mtime=0), "limit_size"),
        ("br", b"text", "unsupported"),
        ("gzip", gzip.compress(b"x" * (3 << 20), mtime=0), b"x" * (3 << 20)),
    ],
)
def test_what_a_content_encoding_has_packed_is_unpacked(
    container: Any, encoding: str, stored: bytes, wanted: bytes | str
) -> None:
    from azure.storage.blob import ContentSettings

    fill(container, {"a": stored}, content_settings=ContentSettings(content_encoding=encoding))
    listed = found(container)["a"]
    assert listed.size == (4 if encoding == "identity" else None)
    if isinstance(wanted, str):
        assert refusal(container, "a", listed.version)[0] == wanted
    else:
        assert source(container).fetch("a", listed.version).data == wanted
