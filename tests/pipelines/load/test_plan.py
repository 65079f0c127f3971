from __future__ import annotations

import pyarrow as pa
import pytest

from lineage import Acl
from lineage.schemas import CHUNKS
from pipelines.load.plan import make_plan, rights_parts


def headers(*rows: tuple[str, str, int | None]) -> pa.Table:
    schema = pa.schema(
        [
            *(CHUNKS.field(name) for name in ("document_id", "op", "chunk_count", "acl", "labels")),
            ("upsert_seq", pa.int64()),
        ]
    )
    values = [
        {
            "document_id": name,
            "op": op,
            "upsert_seq": seq,
            "chunk_count": 1,
            "acl": Acl.public().as_dict(),
            "labels": [],
        }
        for name, op, seq in rows
    ]
    return pa.Table.from_pylist(values, schema=schema)


def ids(table: pa.Table) -> list[str]:
    return table["document_id"].to_pylist()


def test_incremental() -> None:
    plan = make_plan(
        headers(
            ("a", "upsert", 7), ("b", "acl", None), ("c", "acl", 6), ("d", "delete", None),
            ("e", "reject", None),
        )
    )  # fmt: skip
    assert plan.delete == ("d", "e")
    assert ids(plan.set_acl) == ["b"]
    assert ids(plan.replace) == ["c", "a"]
    assert plan.documents == 5


def test_resync_replaces_all_and_deletes_strangers() -> None:
    rows = headers(("a", "upsert", 7), ("b", "acl", 2), ("c", "delete", None), ("d", "acl", None))
    plan = make_plan(rows, frozenset({"a", "c", "d", "stranger"}))
    assert plan.delete == ("c", "d", "stranger")
    assert ids(plan.set_acl) == []
    assert ids(plan.replace) == ["b", "a"]


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ([3, 3, 3], 4, [3, 3, 3]),
        ([3, 3, 3], 6, [6, 3]),
        ([10], 4, [4, 4, 2]),
        ([1, 10, 1], 4, [1, 4, 4, 3]),
        ([2, 9, 5], 4, [2, 4, 4, 1, 4, 1]),
        ([], 4, []),
        ([4], 4, [4]),
    ],
)
def test_slices_keep_commits_together(counts: list[int], size: int, expected: list[int]) -> None:
    rows = [
        (f"{seq}-{n:03}", "upsert", seq) for seq, count in enumerate(counts) for n in range(count)
    ]
    plan = make_plan(headers(*rows))
    slices = list(plan.replacements(size))
    assert [part.num_rows for part in slices] == expected
    assert [name for part in slices for name in ids(part)] == [name for name, _, _ in rows]


@pytest.mark.parametrize(
    ("counts", "most", "expected"),
    [
        ([5, 5, 5], 10, [2, 1]),
        ([50, 1, 1], 10, [1, 2]),
        ([1, 1, 50], 10, [2, 1]),
        ([0, 0, 0], 2, [2, 1]),
        ([], 10, []),
        ([10, 10], 10, [1, 1]),
    ],
)
def test_rights_are_set_for_a_bounded_number_of_chunks(
    counts: list[int], most: int, expected: list[int]
) -> None:
    rows = headers(*((f"d{n}", "acl", None) for n in range(len(counts))))
    rows = rows.set_column(2, "chunk_count", pa.array(counts, pa.int32()))
    parts = list(rights_parts(rows, most))
    assert [part.num_rows for part in parts] == expected
    assert [name for part in parts for name in ids(part)] == ids(rows)
