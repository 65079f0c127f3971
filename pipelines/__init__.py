"""Beam pipelines and the outside world: ingest, transform, load, tables, the command line.

>>> from pipelines import read_chunks
>>> read_chunks(".gristmill/lake", "default").to_pandas()  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.tables.lake import read_chunks as read_chunks
    from pipelines.tables.lake import read_documents as read_documents

__all__ = ["read_chunks", "read_documents"]


def __getattr__(name: str) -> Any:
    # Lazily, so that the command line's help does not pay for pyarrow.
    if name in __all__:
        from pipelines.tables import lake

        return getattr(lake, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
