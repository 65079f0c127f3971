from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage import Block, SchemaVersionError, check_blocks, embedded_text, uncovered
from lineage.records import new_block
from lineage.schemas import CHUNKS, DOCUMENTS, check_version


def test_blocks_may_nest_and_must_cover() -> None:
    text = "Title\n\na | b\nc | d"
    blocks = [
        Block("heading", 0, 5, level=1),
        Block("table", 7, 18),
        Block("table_row", 7, 12),
        Block("table_row", 13, 18),
    ]
    assert check_blocks(text, blocks) is None


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([Block("paragraph", 0, 3)], "in no block"),
        ([Block("paragraph", 0, 9)], "outside the text"),
        ([Block("table", 0, 4), Block("table_row", 2, 7)], "crosses"),
        ([Block("paragraph", 4, 7), Block("paragraph", 0, 3)], "out of order"),
        ([Block("poem", 0, 7)], "unknown kind"),
    ],
)
def test_wrong_blocks_are_named(blocks: list[Block], problem: str) -> None:
    assert problem in (check_blocks("one two", blocks) or "")


@given(
    st.text(alphabet="ab \n\t", max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=5),
)
def test_uncovered_finds_every_lost_character(text: str, pairs: list[tuple[int, int]]) -> None:
    spans = [(min(a, b, len(text)), min(max(a, b), len(text))) for a, b in pairs]
    covered = {i for start, end in spans for i in range(start, end)}
    lost = {i for i, c in enumerate(text) if not c.isspace() and i not in covered}
    found = list(uncovered(text, spans))
    inside = {i for start, end in found for i in range(start, end)}
    assert lost <= inside
    assert all(start in lost and end - 1 in lost for start, end in found)
    assert not inside & covered


def test_embedded_text_has_a_blank_line_only_after_a_context() -> None:
    assert embedded_text("A", "b") == "A\n\nb"
    assert embedded_text("", "b") == "b"


def test_newer_major_versions_are_refused_and_minor_ones_read() -> None:
    check_version("documents", "1.7", "1.0")
    with pytest.raises(SchemaVersionError, match=r"2\.0.*Upgrade"):
        check_version("documents", "2.0", "1.0")


def test_schemas_keep_structs_and_microseconds() -> None:
    assert pa.types.is_struct(DOCUMENTS.field("acl").type)
    assert pa.types.is_map(CHUNKS.field("labels").type)
    assert DOCUMENTS.field("written_at").type == pa.timestamp("us", tz="UTC")


def test_import_is_light() -> None:
    code = (
        "import sys, lineage, chunkers; heavy = {'apache_beam', 'mlflow', 'azure', 'unstructured', "
        "'lancedb', 'deltalake', 'pyarrow'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_block_from_a_scanner_is_like_any_other() -> None:
    made = new_block("heading", 3, 9, 2, "here")
    plain = Block("heading", 3, 9, 2, None, None, "here")
    assert type(made) is Block
    assert made == plain
    assert hash(made) == hash(plain)
    assert repr(made) == repr(plain)
    assert pickle.loads(pickle.dumps(made)) == plain
    assert dataclasses.replace(made, page=4) == dataclasses.replace(plain, page=4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.start = 4  # type: ignore[misc]
