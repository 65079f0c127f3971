"""Reading the `sources` of a config."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chunkers.suggest import unknown
from pipelines.config.access import ACL_LISTS, read_acl
from pipelines.config.section import Section
from pipelines.config.settings import RecordsConfig, SourceConfig
from pipelines.config.yaml_file import KeyPath, YamlFile

URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def resolve(value: str, folder: Path) -> str:
    """An absolute local path for a path or a `file://` URI; any other URI as it is."""
    if value.startswith("file://"):
        from urllib.parse import unquote, urlsplit

        value = unquote(urlsplit(value).path)
    elif URI.match(value):
        return value
    return os.path.normpath(folder / Path(value).expanduser())


def read_source(file: YamlFile, path: KeyPath, value: object, folder: Path) -> SourceConfig:
    """The source at `path` of the config; relative paths start at `folder`."""
    known = ("name", "uri", "include", "exclude", "acl", "labels", "parser", "records")
    section = Section(file, path, value, known, example="{uri: documents}")
    uri = resolve(section.text("uri", example="documents"), folder)
    last = uri.partition("?")[0].rstrip("/").rpartition("/")[2] or "source"
    name: str = section.text("name", last, example="handbook")
    if len(name) > 200 or any(ord(character) < 32 for character in name):
        raise section.error("name", f"{name!r} must be one line of at most 200 characters")
    acl, adls = read_acl(file, section, uri)
    return SourceConfig(
        name=name,
        uri=uri,
        include=section.texts("include", ("**/*",), example='["**/*.md"]'),
        exclude=section.texts("exclude", (), example='["drafts/**"]'),
        acl=acl,
        adls=adls,
        labels=section.text_map("labels", example="{owner: hr}"),
        parser=_parser(section),
        records=_records(file, section),
        place=file.place(path),
    )


def keep_apart(
    top: Section, number: int, source: SourceConfig, stores: Mapping[str, str]
) -> SourceConfig:
    """The source without what the pipeline itself writes below it.

    Args:
        top: the whole config, for messages.
        number: the source's place in `sources`.
        source: as it was read.
        stores: configuration key to path or URI of everything that the pipeline writes.

    Raises:
        ConfigError: the source is the place of a store itself, or inside of it.
    """
    apart = []
    for key, store in stores.items():
        below = _below(source.uri, store)
        if below:
            apart.append(below)
        elif below == "" or _below(store, source.uri):
            raise top.file.error(
                ("sources", number, "uri"),
                f"{source.uri!r} is or lies in {store!r}, the place of this pipeline's `{key}`; "
                "keep documents and tables apart: name another folder for one of them",
            )
    return replace(source, apart=tuple(apart))


def _below(folder: str, path: str) -> str | None:
    """`path` relative to `folder`: empty when they are the same, null when it is not in there."""
    (scheme, where, outer), (other, elsewhere, inner) = _place(folder), _place(path)
    accounts = {account for account in (where[1], elsewhere[1]) if account}
    if scheme != other or where[0] != elsewhere[0] or len(accounts) > 1:
        return None
    if not f"{inner}/".startswith(f"{outer}/" if outer else ""):
        return None
    return inner[len(outer) :].strip("/")


def _place(uri: str) -> tuple[str, tuple[str, str], str]:
    """Kind of store, container and account, and the path in it without slashes around."""
    scheme, found, rest = uri.partition("://")
    if not found:
        return "file", ("", ""), uri.strip("/")
    authority, _, path = rest.partition("/")
    container, _, host = authority.partition("@")
    scheme = "az" if scheme.lower() in ("az", "azure", "abfs", "abfss", "adl") else scheme.lower()
    return scheme, (container, host.partition(".")[0]), path.strip("/")


def _parser(section: Section) -> str | dict[str, str] | None:
    if isinstance(section.value.get("parser"), Mapping):
        return section.text_map("parser", example="{html: unstructured}")
    choice: str | None = section.text("parser", None, example="unstructured")
    return choice


def _records(file: YamlFile, section: Section) -> RecordsConfig | None:
    if "records" not in section:
        return None
    known = ("key", "text", "title", "media_type", "modified_at", "acl", "labels")
    inner = Section(
        file, (*section.path, "records"), section.value["records"], known,
        example="records: {key: id, text: body}",
    )  # fmt: skip
    acl = inner.text_map("acl", example="{allow_groups: readers}")
    for key in acl:
        if key not in ACL_LISTS:
            raise inner.file.error((*inner.path, "acl", key), unknown("ACL list", key, ACL_LISTS))
    labels = inner.value.get("labels")
    if isinstance(labels, list):
        columns = {name: name for name in inner.texts("labels", (), example="[owner]")}
    else:
        columns = inner.text_map("labels", example="{owner: department}")
    return RecordsConfig(
        key=inner.text("key", "id", example="id"),
        text=inner.text("text", "text", example="body"),
        title=inner.text("title", None, example="title"),
        media_type=inner.text("media_type", None, example="media_type"),
        modified_at=inner.text("modified_at", None, example="updated_at"),
        acl=acl,
        labels=columns,
    )
