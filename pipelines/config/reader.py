"""From the parsed YAML of a pipeline to its `Config`: every check in one place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from chunkers.policy import DEFAULT_POLICY, Policy, PolicyError
from chunkers.suggest import unknown
from chunkers.vocabularies import encoding_names
from lineage.errors import ConfigError
from pipelines.config.access import read_identity
from pipelines.config.budget import read_budget
from pipelines.config.embedder import read_embedder, with_embedder
from pipelines.config.evaluation import read_evaluation
from pipelines.config.lineage import read_lineage
from pipelines.config.section import Section
from pipelines.config.serve import read_serve
from pipelines.config.settings import (
    DEFAULT_ENCODING,
    DEFAULT_MAX_TOKENS,
    BatchConfig,
    Config,
    EmbedderConfig,
    GuardConfig,
    MlflowConfig,
    SinkConfig,
    StrategyConfig,
)
from pipelines.config.sources import URI, keep_apart, read_source, resolve
from pipelines.config.yaml_file import KeyPath, YamlFile, read_yaml
from pipelines.policies import ALIAS, follow_promoted

KEYS = (
    "name", "lake", "sources", "strategies", "sinks", "mlflow", "guard", "batch", "identity",
    "budget", "serve", "evaluation", "embedder", "lineage",
)  # fmt: skip
RESERVED = ("parsers", "limits", "schedule")
SINK_KINDS = ("lancedb",)
SINK_KINDS_LATER = ("azure_search", "azure-search", "pgvector", "postgres", "beam")
LAKE_SCHEMES = ("abfs", "abfss", "adl", "az", "azure", "gs", "s3", "s3a")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
T = TypeVar("T")


def read_config(path: Path, environ: Mapping[str, str] | None) -> Config:
    """See `pipelines.config.load_config`."""
    return build_config(read_yaml(Path(os.path.abspath(path)), environ), environ)


def build_config(file: YamlFile, environ: Mapping[str, str] | None) -> Config:
    """The configuration that a parsed file holds; `file.path` is absolute.

    Raises:
        ConfigError: see `pipelines.config.load_config`.
    """
    path = file.path
    if file.value is None:
        raise ConfigError(
            f"{path}: is empty. `gristmill init FOLDER --output {path.name}` writes a config."
        )
    example = "name: handbook"
    top = Section(file, (), file.value, KEYS, reserved=RESERVED, example=example)
    folder = path.parent
    raw = dict(file.raw)
    name = _name(top, example="handbook")
    embedder = read_embedder(file, top, folder)
    strategies = tuple(
        top.each(
            "strategies",
            lambda place, value: _strategy(file, place, value, folder, raw, environ, embedder),
            example="[{name: default}]",
        )
    ) or (StrategyConfig(),)
    if not file.raw.get("strategies"):
        raw["strategies"] = [{"name": "default", "policy": dict(DEFAULT_POLICY)}]
    _unique(top, "strategies", strategies)
    lake = _lake(top, folder)
    strategies = tuple(follow_promoted(lake, strategy) for strategy in strategies)
    sources = tuple(
        top.each(
            "sources", lambda p, v: read_source(file, p, v, folder), example="[{uri: documents}]"
        )
    )
    if not sources:
        raise top.error(
            "sources", "is missing; a pipeline reads from somewhere: `sources: [{uri: documents}]`"
        )
    _unique(top, "sources", sources)
    sinks = tuple(
        top.each(
            "sinks",
            lambda p, v: _sink(file, p, v, folder, [s.name for s in strategies], embedder),
            example="[{name: index, kind: lancedb, uri: .gristmill/index}]",
        )
    )
    _unique(top, "sinks", sinks)
    mlflow = _mlflow(file, top, folder, name)
    stores = {"lake": lake, **{f"sinks[{n}].uri": sink.uri for n, sink in enumerate(sinks)}}
    if mlflow and mlflow.tracking_uri.startswith("sqlite:///"):
        database = mlflow.tracking_uri.removeprefix("sqlite:///")
        stores |= {f"mlflow{end}": f"{database}{end}" for end in ("", "-journal", "-wal", "-shm")}
        stores["mlflow artifacts"] = f"{database.removesuffix('.db')}-artifacts"
    return Config(
        name=name,
        lake=lake,
        sources=tuple(keep_apart(top, n, source, stores) for n, source in enumerate(sources)),
        strategies=strategies,
        sinks=sinks,
        mlflow=mlflow,
        guard=_guard(file, top),
        batch=_batch(file, top),
        identity=read_identity(file, top),
        budget=read_budget(file, top),
        serve=read_serve(file, top, [sink.name for sink in sinks]),
        evaluation=read_evaluation(
            file,
            top,
            folder,
            strategies,
            lambda place, value: _strategy(file, place, value, folder, None, environ, embedder),
            embedder,
        ),
        embedder=embedder,
        lineage=read_lineage(file, top, folder),
        path=path,
        place=file.place(()),
        raw=raw,
    )


def _name(section: Section, *, example: str, default: Any = ...) -> str:
    name: str = section.text("name", default, example=example)
    if not _NAME.match(name):
        raise section.error(
            "name",
            f"{name!r} must be of at most 64 letters, digits, `.`, `_` and `-`, and begin with a "
            f"letter or digit; for example `name: {example}`",
        )
    return name


def _unique(top: Section, key: str, items: Iterable[Any]) -> None:
    seen: dict[str, int] = {}
    for n, item in enumerate(items):
        if item.name in seen:
            raise top.file.error(
                (key, n, "name"),
                f"{item.name!r} is also the name of {key}[{seen[item.name]}]; names are unique, "
                f"so give this one another: `name: {item.name}-2`",
            )
        seen[item.name] = n


def _lake(top: Section, folder: Path) -> str:
    value: str = top.text("lake", example=".gristmill/lake")
    match = URI.match(value)
    if match and match[1].lower() not in (*LAKE_SCHEMES, "file"):
        schemes = [f"{scheme}://" for scheme in LAKE_SCHEMES]
        raise top.error(
            "lake", f"{value!r}: a lake is a local folder or one of {', '.join(schemes)}"
        )
    return resolve(value, folder)


def _strategy(
    file: YamlFile,
    path: KeyPath,
    value: object,
    folder: Path,
    raw: dict[str, Any] | None,
    environ: Mapping[str, str] | None,
    embedder: EmbedderConfig | None,
) -> StrategyConfig:
    known = ("name", "encoding", "max_tokens", "policy")
    section = Section(file, path, value, known, example="{name: default, max_tokens: 512}")
    encoding: str = section.text("encoding", DEFAULT_ENCODING, example=DEFAULT_ENCODING)
    if encoding not in encoding_names():
        raise section.error("encoding", unknown("encoding", encoding, encoding_names()))
    max_tokens: int = section.number(
        "max_tokens", DEFAULT_MAX_TOKENS, example="512", low=8, high=1_000_000, whole=True
    )
    promoted, policy, written = _followed(section, folder, environ, embedder)
    _locate(policy.file, policy.path, lambda: policy.value.check(max_tokens))
    if raw is not None:
        raw["strategies"] = list(raw["strategies"])
        raw["strategies"][int(path[-1])] = {**file.raw["strategies"][path[-1]], "policy": written}
    return StrategyConfig(
        name=_name(section, example="default", default="default"),
        encoding=encoding,
        max_tokens=max_tokens,
        policy=policy.value,
        promoted=promoted,
    )


def _followed(
    section: Section,
    folder: Path,
    environ: Mapping[str, str] | None,
    embedder: EmbedderConfig | None,
) -> tuple[bool, _Placed, Any]:
    """Whether promoted policies are followed, and the policy that holds otherwise."""
    value = section.value.get("policy")
    if not isinstance(value, Mapping) or "alias" not in value:
        return False, *_policy(section, folder, environ, embedder)
    example = "policy: {alias: promoted, otherwise: {default: {chunker: structure}}}"
    place = (*section.path, "policy")
    inner = Section(section.file, place, value, ("alias", "otherwise"), example=example)
    alias = inner.text("alias", example="promoted")
    if alias != ALIAS:
        raise inner.error("alias", f"there is one alias, {ALIAS}, not {alias!r}; write `{example}`")
    return True, *_policy(inner, folder, environ, embedder, "otherwise")


class _Placed:
    """A policy and where it was written, for messages about it."""

    def __init__(self, value: Policy, file: YamlFile, path: KeyPath) -> None:
        self.value = value
        self.file = file
        self.path = path


def _policy(
    section: Section,
    folder: Path,
    environ: Mapping[str, str] | None,
    embedder: EmbedderConfig | None,
    key: str = "policy",
) -> tuple[_Placed, Any]:
    file, path = section.file, (*section.path, key)
    value = section.value.get(key)
    if value is None:
        return _Placed(Policy.built_in(), file, path), dict(DEFAULT_POLICY)
    written = file.raw
    for part in path:
        written = written[part]
    if isinstance(value, str):
        target = Path(resolve(value, folder))
        if not target.exists():
            raise section.error(
                key,
                f"there is no file {target}. Write it, or take `{key}` out to use the "
                "built-in one.",
            )
        file, path = read_yaml(target, environ), ()
        value, written = file.value, file.raw
    elif not isinstance(value, Mapping):
        raise section.error(
            key,
            f"must be a file or a mapping, not {value!r}; for example "
            f"`{key}: {{default: {{chunker: structure}}}}`",
        )
    policy = _locate(file, path, lambda: _read_policy(value, embedder))
    return _Placed(policy, file, path), written


def _read_policy(value: object, embedder: EmbedderConfig | None) -> Policy:
    filled = with_embedder(value, embedder) if isinstance(value, Mapping) else value
    return Policy.from_value(filled)


def _locate(file: YamlFile, path: KeyPath, action: Callable[[], T]) -> T:
    """Do `action`, giving a policy's mistake its file and line."""
    try:
        return action()
    except PolicyError as error:
        raise file.error((*path, *error.path), error.message) from error


def _sink(
    file: YamlFile,
    path: KeyPath,
    value: object,
    folder: Path,
    strategies: list[str],
    embedder: EmbedderConfig | None,
) -> SinkConfig:
    known = ("name", "kind", "uri", "strategy", "options", "embedder")
    example = "{name: index, kind: lancedb, uri: .gristmill/index, strategy: default}"
    section = Section(file, path, value, known, example=example)
    kind: str = section.text("kind", example="lancedb")
    if kind not in SINK_KINDS:
        kinds = {*SINK_KINDS, *_entry_points("gristmill.sinks")}
        if kind in SINK_KINDS_LATER and kind not in kinds:
            raise section.error("kind", f"{kind!r} is not supported yet; use `kind: lancedb`")
        if kind not in kinds:
            raise section.error("kind", unknown("kind of sink", kind, kinds))
    only = strategies[0] if len(strategies) == 1 else ...
    strategy: str = section.text("strategy", only, example=strategies[0])
    if strategy not in strategies:
        raise section.error("strategy", unknown("strategy", strategy, strategies))
    options = section.value.get("options") or {}
    if not isinstance(options, Mapping):
        raise section.error("options", f"must be a mapping, not {options!r}")
    embeds = section.value.get("embedder", False)
    if not isinstance(embeds, bool):
        raise section.error("embedder", f"must be true or false, not {embeds!r}")
    if embeds and embedder is None:
        raise section.error(
            "embedder",
            "is true, and the configuration has no `embedder`; for example "
            "`embedder: {kind: onnx, model: models/all-MiniLM-L6-v2}` beside `sinks`",
        )
    return SinkConfig(
        name=_name(section, example="index", default=kind),
        kind=kind,
        uri=resolve(section.text("uri", example=".gristmill/index"), folder),
        strategy=strategy,
        options=dict(options),
        embedder=embedder if embeds else None,
        place=file.place(path),
    )


def _entry_points(group: str) -> list[str]:
    from importlib.metadata import entry_points

    return [point.name for point in entry_points(group=group)]


def _mlflow(file: YamlFile, top: Section, folder: Path, name: str) -> MlflowConfig | None:
    if "mlflow" not in top:
        return None
    example = "mlflow: {tracking_uri: sqlite:///.gristmill/mlflow.db, experiment: handbook}"
    section = Section(
        file, ("mlflow",), top.value["mlflow"], ("tracking_uri", "experiment"), example=example
    )
    uri: str = section.text("tracking_uri", example='"sqlite:///.gristmill/mlflow.db"')
    if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
        uri = f"sqlite:///{resolve(uri.removeprefix('sqlite:///'), folder)}"
    elif uri != "databricks" and not URI.match(uri):
        raise section.error(
            "tracking_uri",
            f"{uri!r} must be a URI such as sqlite:///.gristmill/mlflow.db or https://host; "
            f"MLflow's plain folders are not supported",
        )
    return MlflowConfig(uri, section.text("experiment", name, example="handbook"))


def _guard(file: YamlFile, top: Section) -> GuardConfig:
    if "guard" not in top:
        return GuardConfig()
    section = Section(
        file, ("guard",), top.value["guard"], ("max_delete_ratio", "min_documents"),
        example="guard: {max_delete_ratio: 0.5, min_documents: 5}",
    )  # fmt: skip
    ratio = section.number(
        "max_delete_ratio", 0.5, example="0.5", low=0, high=1, whole=False
    )  # fmt: skip
    return GuardConfig(
        max_delete_ratio=float(ratio),
        min_documents=section.number(
            "min_documents", 5, example="5", low=0, high=10**9, whole=True
        ),
    )


def _batch(file: YamlFile, top: Section) -> BatchConfig:
    if "batch" not in top:
        return BatchConfig()
    section = Section(
        file, ("batch",), top.value["batch"], ("documents",), example="batch: {documents: 5000}"
    )
    return BatchConfig(
        section.number("documents", 5000, example="5000", low=1, high=10**9, whole=True)
    )
