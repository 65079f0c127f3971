"""The index behind the API: a few open sinks, and the last check of every answer."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from lineage import ConfigError, Principal
from pipelines.config import Config, SinkConfig
from pipelines.load.sink import Hit, SearchableSink, open_sink
from pipelines.serve.metrics import Metrics

_HANDLES = 4
"""Searches at a time; more wait. A sink's handle serves one thread."""


class Index:
    """One sink, opened as often as searches run at a time.

    Raises:
        ConfigError: there is no such sink, or none that can be searched.
    """

    def __init__(self, config: Config, name: str | None, metrics: Metrics) -> None:
        self._sink = _searchable(config, name)
        self._metrics = metrics
        self._handles: queue.LifoQueue[SearchableSink | None] = queue.LifoQueue()
        for _ in range(_HANDLES):
            self._handles.put(None)

    @property
    def name(self) -> str:
        """The sink's name in the configuration."""
        return self._sink.name

    def search(
        self,
        query: str,
        principal: Principal,
        limit: int,
        granularity: str | None = None,
        parents: bool = False,
    ) -> list[Hit]:
        """The best chunks that `principal` may read; see `pipelines.load.search.search`."""
        with self._handle() as sink:
            hits = self._checked(sink.search(query, principal, limit, granularity), principal)
            if not parents:
                return hits
            wanted = sorted({hit.parent_chunk_id for hit in hits if hit.parent_chunk_id})
            found = self._checked(sink.fetch(wanted, principal).values(), principal)
        around = {hit.chunk_id: hit for hit in found}
        return [replace(hit, parent=around.get(hit.parent_chunk_id or "")) for hit in hits]

    def fetch(self, chunk_id: str, principal: Principal) -> Hit | None:
        """The chunk, if it is there and `principal` may read it."""
        with self._handle() as sink:
            found = self._checked(sink.fetch([chunk_id], principal).values(), principal)
        return found[0] if found else None

    def check(self) -> None:
        """Raise what a search would raise, such as ConfigError where nothing was loaded yet."""
        with self._handle() as sink:
            # Without a word in it, the question is embedded by no model.
            sink.search(" ", Principal(), 1)

    def _checked(self, hits: Iterable[Hit], principal: Principal) -> list[Hit]:
        hits = list(hits)
        allowed = [hit for hit in hits if hit.acl.permits(principal)]
        self._metrics.count("gristmill_withheld_total", len(hits) - len(allowed))
        self._metrics.count("gristmill_hits_total", len(allowed))
        return allowed

    @contextmanager
    def _handle(self) -> Iterator[SearchableSink]:
        handle = self._handles.get()
        try:
            if handle is None:
                handle = cast(SearchableSink, open_sink(self._sink))
            yield handle
        except BaseException:
            handle = None  # it may be broken: the next one opens anew
            raise
        finally:
            self._handles.put(handle)


def _searchable(config: Config, name: str | None) -> SinkConfig:
    sinks = [config.sink(name)] if name else config.sinks
    for sink in sinks:
        opened = open_sink(sink)
        if hasattr(opened, "search") and hasattr(opened, "fetch"):
            return sink
    raise ConfigError(
        f"{config.path}: {f'sink {name!r}' if name else 'no sink'} can be searched; add for "
        "example `sinks: [{name: index, kind: lancedb, uri: .gristmill/index}]`"
    )
