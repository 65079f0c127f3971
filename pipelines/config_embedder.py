"""Reading `embedder`: the model that makes vectors, and where it is."""

from __future__ import annotations

from pathlib import Path

from chunkers.suggest import unknown
from pipelines.config import EmbedderConfig
from pipelines.config_section import Section
from pipelines.config_sources import resolve
from pipelines.config_yaml import YamlFile

KINDS = ("onnx", "azure_openai")
_EXAMPLE = "embedder: {kind: onnx, model: models/all-MiniLM-L6-v2}"
_LOCAL = ("kind", "model", "threads")
_AZURE = (
    "kind", "model", "deployment", "endpoint", "dimensions", "tokens_per_minute",
    "requests_per_minute", "api_version",
)  # fmt: skip


def read_embedder(file: YamlFile, top: Section, folder: Path) -> EmbedderConfig | None:
    """The value of `embedder`, null without it or for `none`.

    Raises:
        ConfigError: an unknown kind or key, a wrong or missing value.
    """
    value = top.value.get("embedder")
    if value is None or value == "none":
        return None
    loose = Section(file, ("embedder",), value, {*_LOCAL, *_AZURE}, example=_EXAMPLE)
    kind = loose.text("kind", "onnx", example="onnx")
    if kind not in KINDS:
        raise loose.error("kind", unknown("kind of embedder", kind, KINDS))
    if kind == "onnx":
        section = Section(file, ("embedder",), value, _LOCAL, example=_EXAMPLE)
        model = section.text("model", example="models/all-MiniLM-L6-v2")
        if model.startswith((".", "/", "~")) or Path(resolve(model, folder)).is_dir():
            model = resolve(str(Path(model).expanduser()), folder)
        threads = section.number("threads", 1, example="1", low=1, high=256, whole=True)
        return EmbedderConfig(kind, model, threads=threads)
    section = Section(file, ("embedder",), value, _AZURE, example=_EXAMPLE)
    model = section.text("model", example="text-embedding-3-small")
    endpoint = section.text("endpoint", example="https://NAME.openai.azure.com")
    if not endpoint.startswith(("https://", "http://")):
        raise section.error("endpoint", f"{endpoint!r} must begin with https://")
    dimensions = None
    if "dimensions" in section:
        dimensions = section.number("dimensions", 0, example="512", low=1, high=65536, whole=True)
    return EmbedderConfig(
        kind,
        model,
        deployment=section.text("deployment", model, example=model),
        endpoint=endpoint.rstrip("/"),
        dimensions=dimensions,
        tokens_per_minute=section.number(
            "tokens_per_minute", 350_000, example="350000", low=1, high=10**12, whole=True
        ),
        requests_per_minute=section.number(
            "requests_per_minute", 2_100, example="2100", low=1, high=10**9, whole=True
        ),
        api_version=section.text("api_version", "2024-10-21", example='"2024-10-21"'),
    )
