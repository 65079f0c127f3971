"""The index behind the API: a few open sinks, and the last check of every answer."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

from lineage import Principal
from pipelines.config import Config
from pipelines.load.open import open_sink
from pipelines.load.profile import Reading, read_from
from pipelines.load.search import find_searchable, with_parents
from pipelines.load.sink import Hit, Searchable, SearchableSink
from pipelines.serve.metrics import Metrics

H = TypeVar("H", bound=Sequence[Hit])
_HANDLES = 4
"""Searches at a time; more wait. A sink's handle serves one thread."""


class Index:
    """One sink, opened as often as searches run at a time.

    Raises:
        ConfigError: there is no such sink, or none that can be searched.
    """

    def __init__(self, config: Config, name: str | None, metrics: Metrics) -> None:
        self._sink = find_searchable(config, name)
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
        with self._checked() as sink:
            hits = sink.search(query, principal, limit, granularity)
            hits = with_parents(sink, hits, principal) if parents else hits
        return self._given(hits)

    def read(self, query: str, principal: Principal, limit: int, profile: str) -> Reading:
        """The passages, or the sections around them; see `pipelines.load.profile.read`."""
        with self._checked() as sink:
            reading = read_from(sink, query, principal, profile, limit)
        self._given(reading.hits)
        return reading

    def fetch(self, chunk_id: str, principal: Principal) -> Hit | None:
        """The chunk, if it is there and `principal` may read it."""
        with self._checked() as sink:
            found = sink.fetch([chunk_id], principal)
        return next(iter(self._given(list(found.values()))), None)

    def check(self) -> None:
        """Raise what a search would raise, such as ConfigError where nothing was loaded yet."""
        with self._handle() as sink:
            # Without a word in it, the question is embedded by no model.
            sink.search(" ", Principal(), 1)

    def _given(self, hits: H) -> H:
        self._metrics.count(
            "gristmill_hits_total", sum(1 + (hit.parent is not None) for hit in hits)
        )
        return hits

    @contextmanager
    def _checked(self) -> Iterator[Searchable]:
        with self._handle() as sink:
            yield _Checked(sink, self._metrics)

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


class _Checked:
    """A sink of whose answers only what `Acl.permits` allows, too, goes on."""

    def __init__(self, sink: Searchable, metrics: Metrics) -> None:
        self._sink = sink
        self._metrics = metrics

    def search(
        self, query: str, principal: Principal, limit: int, granularity: str | None = None
    ) -> list[Hit]:
        """See `Searchable.search`."""
        return self._allowed(self._sink.search(query, principal, limit, granularity), principal)

    def fetch(self, chunk_ids: Sequence[str], principal: Principal) -> dict[str, Hit]:
        """See `Searchable.fetch`."""
        hits = self._allowed(self._sink.fetch(chunk_ids, principal).values(), principal)
        return {hit.chunk_id: hit for hit in hits}

    def _allowed(self, hits: Iterable[Hit], principal: Principal) -> list[Hit]:
        hits = list(hits)
        allowed = [hit for hit in hits if hit.acl.permits(principal)]
        self._metrics.count("gristmill_withheld_total", len(hits) - len(allowed))
        return allowed
