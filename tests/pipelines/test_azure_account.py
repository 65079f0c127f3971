"""Which account a URI means, and what opens it."""

from __future__ import annotations

import pytest

from lineage import ConfigError
from pipelines.azure_account import ENVIRONMENT, AzureAccount

FULL = "DefaultEndpointsProtocol=https;AccountName=docs;AccountKey=c2VjcmV0;EndpointSuffix={}"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENVIRONMENT, "AZURE_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)


def account(uri: str = "az://c/p") -> tuple[str, str, str, str]:
    found = AzureAccount.from_environment(uri)
    return found.name, found.endpoint, found.key, found.sas


def test_a_connection_string(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", FULL.format("core.windows.net"))
    assert account() == ("docs", "https://docs.blob.core.windows.net", "c2VjcmV0", "")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", FULL.format("core.chinacloudapi.cn;"))
    assert account()[1] == "https://docs.blob.core.chinacloudapi.cn"


def test_a_connection_string_with_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        "BlobEndpoint=https://docs.blob.core.windows.net/;SharedAccessSignature=?sv=1&sig=a%3D",
    )
    assert account() == ("docs", "https://docs.blob.core.windows.net", "", "sv=1&sig=a%3D")
    options = AzureAccount.from_environment("az://c").object_store_options()
    assert options["azure_storage_sas_token"] == "sv=1&sig=a%3D"
    assert "azure_storage_account_key" not in options


def test_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true")
    name, endpoint, key, _ = account()
    assert (name, endpoint) == ("devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1")
    assert key.endswith("==")
    options = AzureAccount.from_environment("az://c").object_store_options()
    assert options["azure_allow_http"] == "true"


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "docs")
    assert account() == ("docs", "https://docs.blob.core.windows.net", "", "")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    assert account()[2] == "c2VjcmV0"
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:7/docs/")
    assert account()[1] == "http://127.0.0.1:7/docs"


def test_credentials_of_another_account_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "abfss://c@other.dfs.core.windows.net/p"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", FULL.format("core.windows.net"))
    assert account(uri) == ("other", "https://other.blob.core.windows.net", "", "")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "other")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "b3RoZXI=")
    assert account(uri)[2] == "b3RoZXI="
    assert account("abfss://c@docs.dfs.core.windows.net")[2] == "c2VjcmV0"
    assert account("abfss://c@third.dfs.core.windows.net")[2] == ""
    assert account("abfss://c@gov.dfs.core.usgovcloudapi.net")[1] == (
        "https://gov.blob.core.usgovcloudapi.net"
    )


def test_no_account() -> None:
    with pytest.raises(ConfigError, match=r"^lake: az://c names no storage account"):
        AzureAccount.from_environment("az://c", "lake")


@pytest.mark.parametrize("text", ["x", "AccountName=a;AccountKey", "AccountKey=c2VjcmV0", ";"])
def test_what_is_no_connection_string(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    with pytest.raises(ConfigError, match="is not a connection string") as caught:
        AzureAccount.from_environment("az://c")
    assert "c2VjcmV0" not in str(caught.value)


def test_what_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=a;AccountKey=no base 64")
    with pytest.raises(ConfigError, match=r"the key of the storage account 'a' .* is not one"):
        AzureAccount.from_environment("az://c")


def test_a_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", FULL.format("core.windows.net"))
    found = AzureAccount.from_environment("az://c")
    assert "c2VjcmV0" not in f"{found!r} {found}"
