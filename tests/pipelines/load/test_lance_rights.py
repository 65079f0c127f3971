"""What a change of rights writes into a LanceDB index: rights, in however many parts it comes."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from load_tables import Doc, World, key

from lineage import Acl
from pipelines.load.lancedb import LanceSink
from pipelines.load.sink import SetAcl

HR = Acl(state="explicit", allow_groups=("hr",))
DOCUMENTS = 12
WORDS = " ".join(sha256(bytes([number])).hexdigest() for number in range(200))
"""Text that compression makes no smaller than half."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.commit(*(Doc(f"d{n}", texts=(WORDS, f"The end of {n}.")) for n in range(DOCUMENTS)))
    world.load()
    return world


def data_bytes(world: World) -> dict[str, int]:
    files = (world.folder / "index" / "chunks.lance" / "data").iterdir()
    return {path.name: path.stat().st_size for path in files}


@pytest.mark.parametrize("part", [1, 5, DOCUMENTS])
def test_rights_in_parts_write_no_text(world: World, part: int) -> None:
    before = data_bytes(world)
    sink = LanceSink.from_config(world.config.sinks[0], "o")
    changes = [SetAcl(key(f"d{n}"), HR, {}) for n in range(DOCUMENTS)]
    for start in range(0, DOCUMENTS, part):
        sink.apply(changes[start : start + part])
    table = sink._existing()
    assert table is not None
    text = table.index_stats("embedded_text_idx")
    assert text is not None
    assert (text.num_indexed_rows, text.num_unindexed_rows) == (2 * DOCUMENTS, 0)
    written = [size for name, size in data_bytes(world).items() if name not in before]
    assert max(written) < len(WORDS) // 2
    assert {tuple(row["allow_groups"]) for row in world.index()} == {("hr",)}
    assert len(world.index()) == 2 * DOCUMENTS
