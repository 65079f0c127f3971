"""The shapes of documents in the lake, for policy rules that ask for structure."""

from __future__ import annotations

from collections.abc import Mapping

from chunkers.shape import Shape, shape_of
from lineage.records import Block
from pipelines.tables import Table, content_places
from pipelines.tables.lake import by_file
from pipelines.tables.reading import read_rows


def read_shapes(documents: Table, contents: Mapping[str, int]) -> dict[str, Shape]:
    """The shape of each document, from its blocks; no text is read.

    Args:
        documents: the documents table.
        contents: document ids, and the `seq` that holds the content of each.
    """
    shapes: dict[str, Shape] = {}
    for place, wanted in by_file(content_places(documents, contents), contents):
        for rows in read_rows(documents.folder, place, ["blocks"], wanted):
            for identifier, blocks in zip(
                rows["document_id"].to_pylist(), rows["blocks"], strict=True
            ):
                fields = blocks.values.flatten() if blocks.is_valid else []
                names = [field.name for field in blocks.type.value_type]
                columns = dict(zip(names, fields, strict=False))
                kinds = ("kind", "start", "end", "page")
                values = [columns[name].to_pylist() for name in kinds] if columns else []
                shapes[identifier] = shape_of(
                    [
                        Block(kind, start, end, page=page)
                        for kind, start, end, page in zip(*values, strict=True)
                    ]
                )
    return shapes
