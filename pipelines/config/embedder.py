"""Reading `embedder`: the model that makes vectors, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chunkers.policy import PolicyError
from chunkers.suggest import unknown
from pipelines.config.section import Section
from pipelines.config.settings import EmbedderConfig
from pipelines.config.sources import resolve
from pipelines.config.yaml_file import YamlFile

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
        return EmbedderConfig(kind, model, threads=threads, place=file.place(("embedder",)))
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
        place=file.place(("embedder",)),
    )


def with_embedder(policy: Mapping[str, Any], embedder: EmbedderConfig | None) -> dict[str, Any]:
    """A policy as written, with a description of the embedder for each `embedder: true` in it.

    The description holds the model's fingerprint, so that another model chunks anew exactly what
    it decides about.

    Raises:
        PolicyError: there is no embedder, or one that chunkers cannot use.
    """
    filled: dict[str, Any] = _filled(policy, embedder, ())
    return filled


def _filled(value: Any, embedder: EmbedderConfig | None, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, list):
        return [_filled(item, embedder, (*path, n)) for n, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _description(embedder, (*path, key))
        if key == "embedder" and item is True
        else _filled(item, embedder, (*path, key))
        for key, item in value.items()
    }


def _description(embedder: EmbedderConfig | None, path: tuple[str | int, ...]) -> dict[str, Any]:
    if embedder is None:
        raise PolicyError(
            path,
            "is true, and the configuration has no `embedder`; for example "
            f"`{_EXAMPLE}` beside `strategies`",
        )
    if embedder.kind != "onnx":
        raise PolicyError(
            path,
            f"is true, and the configuration's embedder is of kind {embedder.kind}: chunkers embed "
            f"every sentence in processes without a network, so it takes a local model "
            f"(`{_EXAMPLE}`), or name one here: `embedder: {{kind: onnx, model: /models/NAME}}`",
        )
    return {"kind": "onnx", "model": embedder.model, "fingerprint": embedder.fingerprint()}
