"""From a source's configuration to the source: which kind it is says its URI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lineage.errors import ConfigError
from pipelines.config import RecordsConfig, SourceConfig
from pipelines.config.place import located
from pipelines.ingest.sources import keys
from pipelines.ingest.sources.base import Source
from pipelines.ingest.sources.globs import Globs

if TYPE_CHECKING:
    from pipelines.ingest.sources.adls import AdlsRights

ENTRY_POINTS = "gristmill.sources"
AZURE_SCHEMES = ("az", "abfs", "abfss")
TABLE_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".csv", ".tsv")


def open_source(config: SourceConfig) -> Source:
    """The source that `config` describes. Nothing is opened or asked yet.

    Raises:
        ConfigError: no kind of source has this URI, or its form is wrong; or its choice of
            parsers is.
    """
    scheme = urlsplit(config.uri).scheme if "://" in config.uri else "file"
    common: dict[str, Any] = {
        "name": config.name,
        "globs": Globs(
            tuple(config.include), tuple(config.exclude), tuple(map(keys.escape, config.apart))
        ),
        "default": config.acl,
        "labels": dict(config.labels),
        "place": config.place,
    }
    if config.parser is not None:
        from pipelines.ingest.parsers.registry import check_choice

        with located(config.place.at("parser")):
            check_choice(config.parser)
    if scheme in ("file", *AZURE_SCHEMES):
        if config.records is not None or config.uri.lower().endswith(TABLE_SUFFIXES):
            from pipelines.ingest.sources.records import RecordsSource

            records = config.records or RecordsConfig()
            return RecordsSource(uri=_local(config.uri), records=records, **common)
        if scheme == "file":
            from pipelines.ingest.sources.local import LocalSource

            return LocalSource(root=_local(config.uri), **common)
        from pipelines.ingest.sources.azure import AzureSource

        return AzureSource(uri=config.uri, adls=_adls(config), **common)
    return _from_entry_point(scheme, config)


def _adls(config: SourceConfig) -> AdlsRights | None:
    if config.adls is None:
        return None
    from pipelines.ingest.sources.adls import AdlsRights

    return AdlsRights(
        reader_users=frozenset(config.adls.reader_users),
        reader_groups=frozenset(config.adls.reader_groups),
        nested=dict(config.adls.nested_groups),
        narrow=config.adls.inexact == "narrow",
    )


def _local(uri: str) -> str:
    if not uri.startswith("file://"):
        return uri
    from urllib.request import url2pathname

    return url2pathname(urlsplit(uri).path)


def _from_entry_point(scheme: str, config: SourceConfig) -> Source:
    from importlib.metadata import entry_points

    found = entry_points(group=ENTRY_POINTS)
    for point in found:
        if point.name == scheme:
            source: Source = point.load()(config)
            return source
    others = "".join(f", {name}://" for name in sorted(found.names))
    raise ConfigError(
        f"{config.place.at('uri')}: {config.uri!r} has the unknown scheme {scheme!r}; use a "
        f"local folder, az://container/path, "
        f"abfss://container@account.dfs.core.windows.net/path{others}, or a table of records"
    )
