"""Sources of documents: local folders, Azure Blob containers, tables of records.

>>> from pipelines.config import load_config
>>> from pipelines.ingest.sources import open_source
>>> source = open_source(load_config("gristmill.yaml").sources[0])  # doctest: +SKIP
>>> [listed.key for listed in source.list()]  # doctest: +SKIP

Others come from the entry points of the group `gristmill.sources`: the name is the URI's scheme,
the value a function of a `SourceConfig` that returns a `Source`.
"""

from pipelines.ingest.sources.base import Fetched as Fetched
from pipelines.ingest.sources.base import FetchError as FetchError
from pipelines.ingest.sources.base import Listed as Listed
from pipelines.ingest.sources.base import Source as Source
from pipelines.ingest.sources.base import SourceUnavailable as SourceUnavailable
from pipelines.ingest.sources.open import open_source as open_source

__all__ = ["FetchError", "Fetched", "Listed", "Source", "SourceUnavailable", "open_source"]
