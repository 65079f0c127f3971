"""Reading a config's section `lineage`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pipelines.config.section import Section, type_name
from pipelines.config.settings import LineageConfig
from pipelines.config.sources import resolve
from pipelines.config.yaml_file import YamlFile


def read_lineage(file: YamlFile, top: Section, folder: Path) -> LineageConfig:
    """Where events go; relative paths start at `folder`."""
    if "lineage" not in top:
        return LineageConfig()
    section = Section(
        file, ("lineage",), top.value["lineage"],
        ("enabled", "file", "url", "endpoint", "namespace"),
        example="lineage: {url: https://marquez.example}",
    )  # fmt: skip
    enabled = section.value.get("enabled", True)
    if not isinstance(enabled, bool):
        raise section.error("enabled", f"must be true or false, not {type_name(enabled)}")
    path: str | None = section.text("file", None, example="events.jsonl")
    url: str | None = section.text("url", None, example="https://marquez.example")
    if path and url:
        raise section.error(
            "file", "stands beside `url`; events go to one of them, so take one out"
        )
    if path and "://" in resolve(path, folder):
        raise section.error("file", f"{path!r} must be a local file; use `url` for an endpoint")
    if url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise section.error(
                "url", "must be an http(s) address without a login; a key goes into the "
                "environment variable OPENLINEAGE_API_KEY",
            )  # fmt: skip
    default = LineageConfig()
    return LineageConfig(
        enabled=enabled,
        file=resolve(path, folder) if path else None,
        url=url,
        endpoint=section.text("endpoint", default.endpoint, example=default.endpoint),
        namespace=section.text("namespace", default.namespace, example="production"),
    )
