"""Search over a loaded sink, trimmed to what the caller may read.

>>> hits = search(config, "parental leave", Principal(groups=frozenset({"hr"})))  # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from lineage import ConfigError, Principal
from pipelines.load.open import open_sink
from pipelines.load.sink import Hit, Searchable, SearchableSink

if TYPE_CHECKING:
    from pipelines.config import Config, SinkConfig

MAX_LIMIT = 10_000


def search(
    config: Config,
    query: str,
    principal: Principal,
    limit: int = 10,
    sink: str | None = None,
    *,
    granularity: str | None = None,
    parents: bool = False,
) -> list[Hit]:
    """The best chunks for `query`, of those that `principal` may read.

    By BM25; in a sink with an embedder by BM25 and vectors, whose ranks are fused (a score is then
    a sum of 1 / (60 + rank)). The words of the query are alternatives; quotes and operators have
    no meaning. Chunks of equal score come in the order of their ids, so that the same question
    has the same answer.

    Args:
        config: the pipeline.
        query: any text; one without words finds nothing.
        principal: who asks. An anonymous one reads only what is public without exceptions.
        limit: the greatest number of hits, from 1 to `MAX_LIMIT`.
        sink: name of the sink; by default the first one that can be searched.
        granularity: among chunks of this size; by default the smallest of each document.
        parents: whether hits come with the larger chunk around them, where there is one.

    Raises:
        ConfigError: no such sink, one that cannot be searched, an index that was not built yet,
            or a wrong limit.
        MissingExtra: the sink's library is not installed.
    """
    check_limit(limit)
    found = open_searchable(config, sink)
    hits = found.search(query, principal, limit, granularity)
    return with_parents(found, hits, principal) if parents else hits


def open_searchable(config: Config, sink: str | None = None) -> SearchableSink:
    """The sink called `sink`, or the first one that can be searched.

    Raises:
        ConfigError: there is no such sink, or none that can be searched.
    """
    return cast(SearchableSink, open_sink(find_searchable(config, sink)))


def find_searchable(config: Config, sink: str | None = None) -> SinkConfig:
    """See `open_searchable`; its configuration, for who opens it several times."""
    for candidate in config.sinks if sink is None else [config.sink(sink)]:
        opened = open_sink(candidate)
        if hasattr(opened, "search") and hasattr(opened, "fetch"):
            return candidate
    raise ConfigError(
        f"{config.path}: sink {sink!r} cannot be searched"
        if sink
        else f"{config.path}: the configuration has no sink that can be searched; add for example "
        "`sinks: [{name: index, kind: lancedb, uri: .gristmill/index, strategy: default}]`"
    )


def check_limit(limit: int) -> None:
    """Refuse what is no number of hits.

    Raises:
        ConfigError: it is not from 1 to `MAX_LIMIT`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise ConfigError(f"the limit of a search must be from 1 to {MAX_LIMIT}, not {limit}")


def with_parents(index: Searchable, hits: list[Hit], principal: Principal) -> list[Hit]:
    """The hits, each with the larger chunk around it if there is one that `principal` may read."""
    wanted = sorted({hit.parent_chunk_id for hit in hits if hit.parent_chunk_id is not None})
    around = index.fetch(wanted, principal) if wanted else {}
    return [replace(hit, parent=around.get(hit.parent_chunk_id or "")) for hit in hits]
