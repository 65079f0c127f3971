"""The configuration of a pipeline: one YAML file, read strictly, as frozen values.

    config = load_config("gristmill.yaml")
    config.strategy("default").policy.route(facts)

Relative paths are taken from the file's folder, `${ENV}` and `${ENV:-default}` are expanded, and
whatever is wrong is a `ConfigError` that names the file, the line, the key, the value and a valid
example.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipelines.config.settings import (
    DEFAULT_ENCODING,
    DEFAULT_MAX_TOKENS,
    AdlsConfig,
    BatchConfig,
    BudgetConfig,
    Config,
    EmbedderConfig,
    EvaluationConfig,
    GuardConfig,
    IdentityConfig,
    Limits,
    LineageConfig,
    MlflowConfig,
    RecordsConfig,
    ServeConfig,
    SinkConfig,
    SourceConfig,
    StrategyConfig,
)

__all__ = [
    "DEFAULT_ENCODING",
    "DEFAULT_MAX_TOKENS",
    "AdlsConfig",
    "BatchConfig",
    "BudgetConfig",
    "Config",
    "EmbedderConfig",
    "EvaluationConfig",
    "GuardConfig",
    "IdentityConfig",
    "Limits",
    "LineageConfig",
    "MlflowConfig",
    "RecordsConfig",
    "ServeConfig",
    "SinkConfig",
    "SourceConfig",
    "StrategyConfig",
    "load_config",
]


def load_config(path: str | Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration at `path`; `environ` stands in for the process's environment.

    Raises:
        ConfigError: anything wrong with the file, each as one message with place and cure.
    """
    from pipelines.config.reader import read_config

    return read_config(Path(path), environ)
