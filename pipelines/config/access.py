"""Reading what a config says about who may read: `sources[].acl` and `identity`."""

from __future__ import annotations

from collections.abc import Mapping

from chunkers.suggest import unknown
from lineage.acl import Acl
from pipelines.config.section import Section
from pipelines.config.settings import AdlsConfig, IdentityConfig
from pipelines.config.yaml_file import YamlFile

ACL_LISTS = ("allow_users", "allow_groups", "deny_users", "deny_groups")
_ORIGINS = ("adls",)
_ADLS_KEYS = ("readers", "nested_groups", "inexact")
_AZURE = ("az", "abfs", "abfss")


def read_acl(file: YamlFile, section: Section, uri: str) -> tuple[Acl | None, AdlsConfig | None]:
    """A source's ACL for documents without one of their own, and whether the lake has them.

    Args:
        file: the config.
        section: the source.
        uri: its URI, which decides whether there can be access lists.
    """
    if "acl" not in section:
        return None, None
    path = (*section.path, "acl")
    example = "acl: {default: {allow_groups: [hr]}}"
    value = section.value["acl"]
    if isinstance(value, str) or (isinstance(value, Mapping) and set(value) & set(ACL_LISTS)):
        raise file.error(path, f"stands under `default`; for example `{example}`")
    inner = Section(file, path, value, ("default", "from", *_ADLS_KEYS), example=example)
    if "from" in inner:
        return None, _adls(file, inner, uri)
    for key in _ADLS_KEYS:
        if key in inner:
            raise inner.error(key, "needs `from: adls` beside it")
    if "default" not in inner:
        return None, None
    try:
        return Acl.from_value(inner.value["default"], origin="config"), None
    except ValueError as error:
        raise inner.error("default", f"{error}; for example `{example}`") from None


def _adls(file: YamlFile, section: Section, uri: str) -> AdlsConfig:
    origin: str = section.text("from", example="adls")
    if origin not in _ORIGINS:
        raise section.error("from", unknown("origin of rights", origin, _ORIGINS))
    if uri.partition("://")[0] not in _AZURE or "://" not in uri:
        raise section.error(
            "from", f"`adls` is for az:// and abfss:// sources, not for {uri!r}; take it out"
        )
    if "default" in section:
        raise section.error(
            "default", "has no meaning beside `from: adls`: every file there has an access list"
        )
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    if "readers" in section:
        known = ("users", "groups")
        readers = Section(
            file, (*section.path, "readers"), section.value["readers"], known,
            example="readers: {groups: [0d7f…]}",
        )  # fmt: skip
        users = readers.texts("users", (), example="[5b1c…]")
        groups = readers.texts("groups", (), example="[0d7f…]")
    nested = {}
    if "nested_groups" in section:
        value = section.value["nested_groups"]
        known = tuple(value) if isinstance(value, Mapping) else ()
        example = "nested_groups: {all-staff: [hr, engineering]}"
        inner = Section(file, (*section.path, "nested_groups"), value, known, example=example)
        nested = {key: inner.texts(key, (), example="[hr]") for key in known}
    inexact: str = section.text("inexact", "unknown", example="narrow")
    if inexact not in ("unknown", "narrow"):
        raise section.error("inexact", f"must be `unknown` or `narrow`, not {inexact!r}")
    return AdlsConfig(users, groups, nested, inexact)


def read_identity(file: YamlFile, top: Section) -> IdentityConfig:
    """The section `identity`."""
    if "identity" not in top:
        return IdentityConfig()
    example = "identity: {map: {hr: 0d7f0f8e-…}}"
    section = Section(file, ("identity",), top.value["identity"], ("map",), example=example)
    names = section.text_map("map", example="{hr: 0d7f0f8e-…}")
    for name, target in names.items():
        path = ("identity", "map", name)
        if not name or not target:
            raise file.error(path, f"must translate a name to a name; for example `{example}`")
        if names.get(target, target) != target:
            raise file.error(
                path,
                f"leads to {target!r}, which is translated itself; names are translated once, so "
                f"write `{name}: {names[target]}` if that is meant",
            )
    return IdentityConfig(names)
