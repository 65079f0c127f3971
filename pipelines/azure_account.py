"""Which Azure storage account a URI means, and what the environment has to open it with.

Sources, lake and index all ask here, so one environment opens all of them:

- `AZURE_STORAGE_CONNECTION_STRING`: account, endpoint and a key or a shared access signature;
- or `AZURE_STORAGE_ACCOUNT_NAME` with `AZURE_STORAGE_ACCOUNT_KEY` or `AZURE_STORAGE_SAS_TOKEN`,
  and `AZURE_STORAGE_ENDPOINT` for an emulator;
- or the account's name alone, there or in the URI: then the process's Azure identity is used.

What is for another account than the one that a URI names is not used for it.
"""

from __future__ import annotations

import base64
import os
import shutil
from dataclasses import dataclass
from urllib.parse import urlsplit

from lineage import ConfigError

SCHEMES = ("az", "abfs", "abfss")
CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
ACCOUNT_NAME = "AZURE_STORAGE_ACCOUNT_NAME"
ACCOUNT_KEY = "AZURE_STORAGE_ACCOUNT_KEY"
SAS_TOKEN = "AZURE_STORAGE_SAS_TOKEN"
ENDPOINT = "AZURE_STORAGE_ENDPOINT"
ENVIRONMENT = (CONNECTION_STRING, ACCOUNT_NAME, ACCOUNT_KEY, SAS_TOKEN, ENDPOINT)

_PUBLIC_SUFFIX = "core.windows.net"
_EMULATOR = {
    "accountname": "devstoreaccount1",
    # The emulator's published key, the same everywhere; it opens nothing else.
    "accountkey": (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    ),
    "blobendpoint": "http://127.0.0.1:10000/devstoreaccount1",
}
_OTHER_IDENTITIES = (
    "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT",
    "MSI_ENDPOINT",
)  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class AzureAccount:
    """A storage account. Without `key` and `sas` an identity opens it."""

    name: str
    endpoint: str
    """The Blob service's URL, without a `/` at its end."""
    key: str = ""
    sas: str = ""
    dfs: str = ""
    """The Data Lake service's URL, where it is not the one that follows from `endpoint`."""

    @classmethod
    def from_environment(cls, uri: str, where: str = "") -> AzureAccount:
        """The account for `uri`.

        Args:
            uri: `az://container/path` or `abfss://container@account.dfs.core.windows.net/path`.
            where: the configuration key it comes from, for messages.

        Raises:
            ConfigError: neither the URI nor the environment names an account, or the connection
                string or the key is not well-formed.
        """
        host = urlsplit(uri).netloc.partition("@")[2]
        asked = host.partition(".")[0]
        prefix = f"{where}: " if where else ""
        found = _connection(os.environ.get(CONNECTION_STRING, ""), prefix)
        if not found or (asked and asked != found.get("accountname")):
            name = os.environ.get(ACCOUNT_NAME, "").strip()
            found = {}
            if name and asked in ("", name):
                found = {
                    "accountname": name,
                    "accountkey": os.environ.get(ACCOUNT_KEY, ""),
                    "sharedaccesssignature": os.environ.get(SAS_TOKEN, ""),
                    "blobendpoint": os.environ.get(ENDPOINT, ""),
                }
        name = found.get("accountname", asked)
        if not name:
            raise ConfigError(
                f"{prefix}{uri} names no storage account, and neither {CONNECTION_STRING} nor "
                f"{ACCOUNT_NAME} is set; set one of them, or write "
                "abfss://container@ACCOUNT.dfs.core.windows.net/path"
            )
        key = found.get("accountkey", "").strip()
        if not _is_base64(key):
            raise ConfigError(
                f"{prefix}the key of the storage account {name!r} in the environment is not one; "
                "copy it again from the storage account's access keys"
            )
        endpoint = found.get("blobendpoint") or _endpoint(name, host, found)
        return cls(
            name=name,
            endpoint=endpoint.rstrip("/"),
            key=key,
            sas=found.get("sharedaccesssignature", "").strip().lstrip("?"),
            dfs=found.get("dfsendpoint", "").rstrip("/"),
        )

    @property
    def dfs_endpoint(self) -> str:
        """The Data Lake service's URL, without a `/` at its end."""
        return self.dfs or self.endpoint.replace(".blob.", ".dfs.", 1)

    @property
    def is_plain_http(self) -> bool:
        """Whether requests go unencrypted, as an emulator's do."""
        return self.endpoint.startswith("http://")

    def object_store_options(self) -> dict[str, str]:
        """Options for libraries on Rust's object_store, such as deltalake and lancedb."""
        options = {
            "azure_storage_account_name": self.name,
            "azure_storage_endpoint": self.endpoint,
            "retry_timeout": "30s",  # where nobody answers, its own is three minutes
        }
        if self.is_plain_http:
            options["azure_allow_http"] = "true"
        if self.key:
            options["azure_storage_account_key"] = self.key
        elif self.sas:
            options["azure_storage_sas_token"] = self.sas
        elif shutil.which("az") and not any(map(os.environ.get, _OTHER_IDENTITIES)):
            options["azure_use_azure_cli"] = "true"
        return options


def _is_base64(key: str) -> bool:
    try:
        base64.b64decode(key, validate=True)
    except ValueError:
        return False
    return True


def _connection(text: str, prefix: str) -> dict[str, str]:
    """A connection string's parts, by their names in lower case."""
    if not text.strip():
        return {}
    pairs = [part.partition("=") for part in text.strip().strip(";").split(";")]
    found = {key.strip().lower(): value for key, _, value in pairs}
    if found.get("usedevelopmentstorage", "").lower() == "true":
        return dict(_EMULATOR)
    endpoint = found.get("blobendpoint", "")
    if "accountname" not in found and endpoint:
        parts = urlsplit(endpoint)
        found["accountname"] = parts.path.strip("/") or (parts.hostname or "").partition(".")[0]
    if not all(equals for _, equals, _ in pairs) or not found.get("accountname"):
        raise ConfigError(
            f"{prefix}{CONNECTION_STRING} is not a connection string: it has the form "
            "DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…; copy it again from the "
            "storage account's access keys"
        )
    return found


def _endpoint(name: str, host: str, found: dict[str, str]) -> str:
    if host:
        return f"https://{host.replace('.dfs.', '.blob.', 1)}"
    protocol = found.get("defaultendpointsprotocol") or "https"
    return f"{protocol}://{name}.blob.{found.get('endpointsuffix') or _PUBLIC_SUFFIX}"
