"""From a sink's configuration to the sink.

Others add a kind by an entry point of the group `gristmill.sinks`: a callable
`(config: SinkConfig, origin: str) -> Sink`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, TypeAlias, cast

from chunkers.suggest import unknown
from lineage import ConfigError
from pipelines.load.sink import Sink

if TYPE_CHECKING:
    from pipelines.config import Config, SinkConfig

ENTRY_POINTS = "gristmill.sinks"

SinkFactory: TypeAlias = Callable[["SinkConfig", str], Sink]


def _lancedb(config: SinkConfig, origin: str) -> Sink:
    from pipelines.load.lancedb import LanceSink

    return LanceSink.from_config(config, origin)


_BUILT_IN: dict[str, SinkFactory] = {"lancedb": _lancedb}


def kinds() -> list[str]:
    """Names of all sink kinds that are installed, sorted."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def open_sink(config: SinkConfig, origin: str = "") -> Sink:
    """The sink that `config` describes, fed from the chunk table that `origin` identifies.

    Raises:
        ConfigError: the kind is not known, or its options are wrong.
    """
    factory = _BUILT_IN.get(config.kind)
    if factory is None:
        for point in entry_points(group=ENTRY_POINTS):
            if point.name == config.kind:
                factory = cast(SinkFactory, point.load())
    if factory is None:
        raise ConfigError(
            f"{config.place.at('kind')}: {unknown('kind of sink', config.kind, kinds())}"
        )
    return factory(config, origin)


def check_sinks(config: Config) -> None:
    """Make sure that what is configured can be loaded into, as far as a look tells.

    Raises:
        ConfigError: a sink's settings are wrong, or something else is in its place.
    """
    for sink in config.sinks:
        check = getattr(open_sink(sink), "check", None)
        if check is not None:
            check()
