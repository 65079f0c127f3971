from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from lineage import chunk_id, document_id, fingerprint

TEXT = st.text(max_size=12)
PARTS = st.tuples(TEXT, TEXT, st.integers(0, 3), TEXT, TEXT, st.integers(0, 3))


@given(PARTS, PARTS)
def test_chunk_ids_are_equal_only_for_equal_parts(left: tuple, right: tuple) -> None:
    assert (chunk_id(*left) == chunk_id(*right)) == (left == right)


@given(TEXT, TEXT)
def test_moving_text_between_parts_changes_the_id(a: str, b: str) -> None:
    assert chunk_id("d", "s", 0, a + b, "", 0) != chunk_id("d", "s", 0, a, b, 0) or not b


def test_document_id_uses_the_normalised_key() -> None:
    composed, decomposed = "caf\u00e9.md", "cafe\u0301.md"
    assert document_id("s", composed) == document_id("s", decomposed)
    assert document_id("s", "./a.md") == document_id("s", "a.md")
    assert document_id("s", "a/b.md") != document_id("s", "b.md")
    assert document_id("s", "a.md") != document_id("t", "a.md")


def test_lone_surrogates_do_not_raise() -> None:
    assert document_id("s", "bad\udcff.txt") != document_id("s", "bad\udcfe.txt")


def test_ids_do_not_depend_on_the_process() -> None:
    code = (
        "from lineage import *; print(document_id('s', 'k'), chunk_id('d','s',0,'c','t',1), "
        "fingerprint({'b': 1, 'a': [2]}))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    expected = " ".join(
        [
            document_id("s", "k"),
            chunk_id("d", "s", 0, "c", "t", 1),
            fingerprint({"a": [2], "b": 1}),
        ]
    )
    assert runs == {expected + "\n"}
