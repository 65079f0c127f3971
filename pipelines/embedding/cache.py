"""Vectors by model and text, in a Delta table of the lake: no text is embedded twice.

    >>> embedder = CachingEmbedder(open_embedder(model), VectorCache(lake / "vectors"))
    ... # doctest: +SKIP

Whoever embeds shares it: comparing strategies, semantic chunking, loading, on any machine. The
table holds hashes of texts, never texts. Rows are only added, and what two writers add at the same
time is the same, so it needs no lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.embedding.base import Embedder
from pipelines.storage import Storage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from deltalake import DeltaTable

FOLDER = "vectors"

SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("text_sha256", pa.string()),
        ("vector", pa.list_(pa.float32())),
        ("written_at", pa.timestamp("us", tz="UTC")),
    ]
)
_WRITE_TEXTS = 1000
"""Vectors are kept in portions of this many texts, so that a crash loses no more."""
_COMPACT_FILES = 64
"""A table of more files than this is folded before more is added."""


def text_key(text: str) -> str:
    """The hash under which a text's vector is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class VectorCache:
    """The table in `folder`. Opening does no I/O."""

    def __init__(self, folder: Storage) -> None:
        self.folder = folder

    @classmethod
    def of(cls, lake: str) -> VectorCache:
        """The cache of a lake."""
        return cls(Storage.from_uri(lake) / FOLDER)

    def get(self, model: str, keys: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """The vectors of `model` that are there, by the keys of their texts."""
        import numpy as np

        found: dict[str, npt.NDArray[np.float32]] = {}
        for rows in self._rows(model, keys, ["text_sha256", "vector"]):
            vectors = rows["vector"].combine_chunks()
            if not len(vectors):
                continue
            flat = np.asarray(vectors.flatten(), np.float32).reshape(len(vectors), -1)
            found |= dict(zip(rows["text_sha256"].to_pylist(), flat, strict=True))
        return found

    def known(self, model: str, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that have a vector of `model`."""
        return {
            key
            for rows in self._rows(model, keys, ["text_sha256"])
            for key in rows["text_sha256"].to_pylist()
        }

    def put(self, model: str, keys: Sequence[str], vectors: npt.NDArray[np.float32]) -> None:
        """Add vectors, which must not be there yet, in one commit."""
        from deltalake import write_deltalake

        if not len(keys):
            return
        offsets = pa.array(range(0, vectors.size + 1, vectors.shape[1]), pa.int32())
        now = datetime.now(UTC)
        rows = pa.table(
            [
                pa.array([model] * len(keys), pa.string()),
                pa.array(keys, pa.string()),
                pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel(), pa.float32())),
                pa.array([now] * len(keys), SCHEMA.field("written_at").type),
            ],
            schema=SCHEMA,
        )
        self.folder.make_folder()
        options = self.folder.delta_options()
        write_deltalake(self.folder.uri, rows, mode="append", storage_options=options)

    def compact(self) -> None:
        """Fold many small files into few; vectors stay, and so do the old files for readers."""
        delta = self._delta()
        if delta is not None and len(delta.file_uris()) > _COMPACT_FILES:
            delta.optimize.compact()

    def sweep(self, retention_hours: int) -> None:
        """Remove files that were folded away so many hours ago."""
        delta = self._delta()
        if delta is not None:
            delta.vacuum(
                retention_hours=retention_hours,
                enforce_retention_duration=False,
                dry_run=False,
                full=True,
            )

    def forget(self, keys: Sequence[str]) -> None:
        """Remove the vectors of some texts for good, of all models, old files included."""
        delta = self._delta()
        if delta is None or not keys:
            return
        for start in range(0, len(keys), 1000):
            among = ", ".join(f"'{key}'" for key in keys[start : start + 1000])
            delta.delete(f"text_sha256 IN ({among})")
        delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)

    def _delta(self) -> DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        if self.folder.is_local and not self.folder.exists("_delta_log"):
            return None
        try:
            return DeltaTable(self.folder.uri, storage_options=self.folder.delta_options())
        except TableNotFoundError:
            return None

    def _rows(self, model: str, keys: Sequence[str], columns: list[str]) -> Iterator[pa.Table]:
        """The rows asked for: hashes are read first, vectors only where there is a hit."""
        import pyarrow.parquet as pq

        delta = self._delta()
        if delta is None or not keys:
            return
        wanted = pa.array(sorted(set(keys)), pa.string())
        filesystem, root = self.folder.filesystem()
        actions = pa.table(delta.get_add_actions(flatten=True))
        for path, low, high in zip(
            *(actions[name].to_pylist() for name in ("path", "min.model", "max.model")), strict=True
        ):
            # Statistics may be cut short: the bounds only tell what is surely not there.
            if low is not None and high is not None and not low[:32] <= model[:32] <= high[:32]:
                continue
            with pq.ParquetFile(f"{root}/{path}", filesystem=filesystem) as parquet:
                for group in range(parquet.num_row_groups):
                    small = parquet.read_row_group(group, columns=["model", "text_sha256"])
                    # Whoever folded the files may have chosen another type for text.
                    small = small.cast(pa.schema([SCHEMA.field(n) for n in small.schema.names]))
                    mask = pc.and_(
                        pc.equal(small["model"], model),
                        pc.is_in(small["text_sha256"], value_set=wanted),
                    )
                    if pc.any(mask).as_py():
                        rows = parquet.read_row_group(group, columns=columns)
                        rows = rows.cast(pa.schema([SCHEMA.field(n) for n in rows.schema.names]))
                        yield rows.filter(mask)


class CachingEmbedder:
    """An embedder that asks a cache first, and keeps what it did not know.

    `embedded` counts the texts that were really embedded.
    """

    def __init__(self, embedder: Embedder, cache: VectorCache) -> None:
        self.embedder = embedder
        self.cache = cache
        self.embedded = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return CachingEmbedder, (self.embedder, self.cache)

    @property
    def name(self) -> str:
        """The embedder's."""
        return self.embedder.name

    @property
    def dimensions(self) -> int:
        """The embedder's."""
        return self.embedder.dimensions

    @property
    def max_tokens(self) -> int:
        """The embedder's."""
        return self.embedder.max_tokens

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The texts that would have to be embedded, each once, in their order."""
        keys = {text: text_key(text) for text in texts}
        known = self.cache.known(self.name, list(keys.values()))
        return [text for text, key in keys.items() if key not in known]

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """See `Embedder.embed`; each different text is embedded at most once, now or ever."""
        import numpy as np

        if not len(texts):
            return np.zeros((0, self.dimensions), np.float32)
        keys = [text_key(text) for text in texts]
        found = self.cache.get(self.name, keys)
        fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        names = list(fresh)
        for start in range(0, len(names), _WRITE_TEXTS):
            part = names[start : start + _WRITE_TEXTS]
            vectors = self.embedder.embed([fresh[key] for key in part])
            self.cache.put(self.name, part, vectors)
            self.embedded += len(part)
            found |= dict(zip(part, vectors, strict=True))
        return np.stack([found[key] for key in keys])
