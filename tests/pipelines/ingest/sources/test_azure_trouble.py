"""A blob service in trouble: bounded waits, retries where they help, and messages that say what."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from blob_proxy import Answer, Asked, Proxy, proxy

from lineage.errors import ConfigError, GristmillError
from pipelines.azure_account import AzureAccount
from pipelines.ingest.sources import FetchError, SourceUnavailable, azure_client
from pipelines.ingest.sources.azure import AzureSource
from pipelines.storage import Storage

pytestmark = pytest.mark.azurite


@pytest.fixture
def container(azurite: Any) -> Any:
    made = azurite.container()
    for number in range(6):
        made.upload_blob(f"{number}.md", f"text {number}")
    return made


@pytest.fixture
def service(azurite: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The emulator behind a proxy that a test makes misbehave."""
    with proxy(azurite.endpoint) as running:
        text = azurite.connection_string.replace(azurite.endpoint, running.endpoint)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
        yield running


def source(container: Any) -> AzureSource:
    return AzureSource("docs", f"az://{container.container_name}")


def trouble(opened: AzureSource) -> GristmillError:
    with pytest.raises(GristmillError) as caught:
        list(opened.list())
    return caught.value


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited for before asking again; nobody really waits."""
    from azure.core.pipeline.transport import HttpTransport

    waited: list[float] = []
    monkeypatch.setattr(azure_client, "_pause", waited.append)
    monkeypatch.setattr(HttpTransport, "sleep", lambda self, seconds: waited.append(seconds))
    return waited


class Once:
    """Answers the first few requests of a kind, and lets the rest pass."""

    def __init__(self, kind: str, answer: Answer, times: int = 1) -> None:
        self.kind, self.answer, self.left = kind, answer, times

    def __call__(self, asked: Asked) -> Answer | None:
        if not getattr(asked, self.kind) or self.left == 0:
            return None
        self.left -= 1
        return self.answer


# Retries


@pytest.mark.parametrize(("status", "code"), [(429, "TooManyRequests"), (503, "ServerBusy")])
def test_a_busy_service_is_asked_again(
    service: Proxy, container: Any, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    monkeypatch.setattr(azure_client, "_PAGE_BLOBS", 3)
    monkeypatch.setattr(azure_client, "_pause", lambda seconds: None)
    opened = source(container)
    answer = Answer(status, code)
    second_page = Once("is_listing", answer)
    service.rule = lambda asked: second_page(asked) if "marker" in asked.query else None
    listed = list(opened.list())
    assert [one.key for one in listed] == [f"{n}.md" for n in range(6)]
    assert second_page.left == 0
    service.rule = Once("is_download", answer)
    assert opened.fetch("3.md", listed[3].version).data == b"text 3"


def test_a_service_that_stays_busy_is_given_up_in_seconds(
    service: Proxy, container: Any, waits: list[float]
) -> None:
    opened = source(container)
    (*_, last) = opened.list()
    service.rule = lambda asked: Answer(503, "ServerBusy")
    error = trouble(opened)
    assert isinstance(error, SourceUnavailable)
    assert "does not answer: 503 ServerBusy; check the network" in str(error)
    assert 0 < sum(waits) < 45
    waits.clear()
    with pytest.raises(FetchError) as caught:
        opened.fetch(last.key, last.version)
    assert caught.value.error_class == "transient_io"
    assert 0 < sum(waits) < 45


def test_a_service_that_stays_throttled_is_given_up_in_seconds(
    service: Proxy, container: Any, waits: list[float]
) -> None:
    service.rule = lambda asked: Answer(429, "TooManyRequests", {"Retry-After": "1000"})
    error = trouble(source(container))
    assert "429 TooManyRequests" in str(error)
    assert 0 < sum(waits) < 35


def test_a_listing_that_fails_part_way_says_so(
    service: Proxy, container: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure_client, "_PAGE_BLOBS", 2)
    monkeypatch.setattr(azure_client, "_RETRIES", 0)
    service.rule = lambda asked: Answer(500, "InternalError") if "marker" in asked.query else None
    with pytest.raises(SourceUnavailable, match="500 InternalError"):
        list(source(container).list())


def test_an_answer_that_breaks_off_is_never_taken_for_the_whole(
    service: Proxy, container: Any
) -> None:
    opened = source(container)
    version = next(one.version for one in opened.list() if one.key == "0.md")
    cut = Answer(200, cut=3)
    service.rule = Once("is_download", cut)
    assert opened.fetch("0.md", version).data == b"text 0"
    service.rule = lambda asked: cut if asked.is_download else None
    with pytest.raises(FetchError) as caught:
        opened.fetch("0.md", version)
    assert caught.value.error_class == "transient_io"


def test_a_service_that_never_answers_is_asked_twice(
    service: Proxy, container: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert azure_client._PROBE_READ_SECONDS <= 8  # it is waited for twice
    monkeypatch.setattr(azure_client, "_PROBE_READ_SECONDS", 1)
    service.rule = lambda asked: Answer(200, delay=3_600)
    before = len(service.asked)
    assert isinstance(trouble(source(container)), SourceUnavailable)
    assert len(service.asked) - before == 2
    assert sum(waits) < 8


# Who may, and what is not there


def test_a_container_that_is_not_there(azurite: Any, waits: list[float]) -> None:
    error = trouble(AzureSource("docs", "az://no-such-container/path"))
    assert isinstance(error, ConfigError)
    assert str(error) == (
        "sources[].uri: 'az://no-such-container/path': the account has no container "
        "'no-such-container'; create it, or correct the name"
    )
    assert waits == []


@pytest.mark.parametrize("name", ["A", "Not_A_Container", "x" * 64])
def test_a_name_that_no_container_can_have(azurite: Any, name: str) -> None:
    error = trouble(AzureSource("docs", f"az://{name}"))
    assert isinstance(error, ConfigError)
    assert name in str(error)


def test_a_wrong_key(
    azurite: Any, container: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = azurite.connection_string.replace("AccountKey=Eby8", "AccountKey=AAAA")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    error = trouble(source(container))
    assert isinstance(error, ConfigError)
    assert "access denied (AuthorizationFailure)" in str(error)
    assert "AZURE_STORAGE_CONNECTION_STRING" in str(error)
    assert "AAAA" not in str(error)
    assert waits == []


@pytest.mark.parametrize(
    "text",
    ["nonsense", "AccountName=x;AccountKey", "AccountKey=abc=", "AccountName=x;AccountKey=no base"],
)
def test_a_malformed_connection_string(
    waits: list[float], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    error = trouble(AzureSource("docs", "az://c"))
    assert isinstance(error, ConfigError)
    assert "copy" in str(error)
    assert "no base" not in str(error)
    assert waits == []


def test_no_account_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECTION_STRING", "ACCOUNT_NAME"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    error = trouble(AzureSource("docs", "az://c"))
    assert isinstance(error, ConfigError)
    assert "names no storage account" in str(error)
    assert "abfss://container@ACCOUNT" in str(error)


def test_nobody_listens(azurite: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = azurite.connection_string.replace(
        azurite.endpoint, f"http://127.0.0.1:{port}/devstoreaccount1"
    )
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    error = trouble(AzureSource("docs", "az://c"))
    assert isinstance(error, SourceUnavailable)
    assert "does not answer" in str(error)
    assert len(str(error)) < 500
    assert 0 < sum(waits) < 45


def test_tags_that_may_not_be_listed_are_done_without(
    service: Proxy, container: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def no_tags(asked: Asked) -> Answer | None:
        if "tags" in asked.query.get("include", [""])[0]:
            return Answer(403, "AuthorizationPermissionMismatch")
        return None

    service.rule = no_tags
    container.upload_blob("t.md", b"", tags={"team": "x"}, metadata={"owner": "y"})
    with caplog.at_level(logging.WARNING, "pipelines"):
        listed = {one.key: dict(one.labels) for one in source(container).list()}
    assert len(listed) == 7
    assert listed["t.md"] == {"owner": "y"}
    assert caplog.text.count("index tags cannot be listed") == 1


# Shared access signatures, and which account is meant


def _signature(container: Any, permission: str = "rl") -> str:
    from azure.storage.blob import generate_container_sas

    return str(
        generate_container_sas(
            "devstoreaccount1",
            container.container_name,
            account_key=AzureAccount.from_environment("az://c").key,
            permission=permission,
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
    )


@pytest.mark.parametrize("way", ["connection string", "variables", "variables with ?"])
def test_a_shared_access_signature_opens_a_source(
    azurite: Any, container: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    token = _signature(container)
    if way == "connection string":
        text = f"BlobEndpoint={azurite.endpoint};SharedAccessSignature={token}"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    else:
        monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "devstoreaccount1")
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azurite.endpoint)
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", way.removeprefix("variables with") + token)
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", ("?" if "?" in way else "") + token)
    opened = source(container)
    listed = list(opened.list())
    assert len(listed) == 6
    assert opened.fetch("1.md", listed[1].version).data == b"text 1"


def test_a_shared_access_signature_opens_a_lake(
    azurite: Any, container: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    token = _signature(container, "racwdl")
    text = f"BlobEndpoint={azurite.endpoint};SharedAccessSignature={token}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    lake = Storage.from_uri(f"az://{container.container_name}/a lake")
    lake.write_bytes("note", b"written")
    assert (lake.read_bytes("note"), lake.list(), lake.size("note")) == (b"written", ["note"], 7)
    table = (lake / "t").uri
    write_deltalake(table, pa.table({"a": [1]}), storage_options=lake.delta_options())
    assert DeltaTable(table, storage_options=lake.delta_options()).version() == 0
    assert (lake / "t").exists("_delta_log")
    lake.delete("note")
    lake.delete("note")
    assert lake.list() == []
