"""The sinks that a lake has ever been loaded into, remembered in the lake.

A sink that has left the configuration still holds chunks. This is how it is found again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from pipelines.config import Config, EmbedderConfig, SinkConfig
from pipelines.storage import Storage
from pipelines.upkeep import loads


def remember(lake: str, sink: SinkConfig) -> None:
    """Record where a sink is; nothing in its configuration is secret."""
    folder = Storage.from_uri(lake) / loads.FOLDER
    value = asdict(sink) | {"options": dict(sink.options)}
    # Where it was configured is of no use once it no longer is.
    for part in (value, value["embedder"] or {}):
        part.pop("place", None)
    data = json.dumps(value, indent=1, sort_keys=True).encode()
    name = loads.file_name(sink.name)
    try:
        if folder.read_bytes(name) == data:
            return
    except FileNotFoundError:
        pass
    folder.write_bytes(name, data)


def forget_sink(lake: str, name: str) -> None:
    """Remove the record of a sink, and of its loads."""
    loads.forget(lake, name)
    (Storage.from_uri(lake) / loads.FOLDER).delete(loads.file_name(name))


def left_behind(config: Config) -> Mapping[str, SinkConfig]:
    """Sinks that this lake was loaded into and that are not in the configuration, by name."""
    places = {(sink.kind, sink.uri) for sink in config.sinks}
    return {sink.name: sink for sink in _all(config.lake) if (sink.kind, sink.uri) not in places}


def _all(lake: str) -> Iterator[SinkConfig]:
    folder = Storage.from_uri(lake) / loads.FOLDER
    for name in folder.list():
        if name.endswith(".json") and not name.startswith("."):
            value = json.loads(folder.read_bytes(name))
            if value.get("embedder"):
                value["embedder"] = EmbedderConfig(**value["embedder"])
            yield SinkConfig(**value)
