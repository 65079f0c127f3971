"""The face for people, the registry, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from chunkers import BaseChunker, build, chunk, count_tokens, names, registry
from chunkers.base import Chunker
from lineage.errors import ConfigError, TerminalError

TEXT = "# Leave\n\nTwenty days a year.\n\n## Sick leave\n\n" + "Call your manager first. " * 60


def test_chunks_have_text_place_size_and_context() -> None:
    chunks = chunk(TEXT, "structure", max_tokens=80)
    assert len(chunks) > 2
    for piece in chunks:
        assert TEXT[piece.start : piece.end] == piece.text == str(piece)
        assert piece.tokens == count_tokens(piece.embedded_text) <= 80
    assert chunks[-1].context == "Leave > Sick leave"
    assert chunks[-1].heading_path == ("Leave", "Sick leave")


def test_repr_shows_place_size_start_of_text_and_context() -> None:
    last = chunk(TEXT, "structure", max_tokens=80)[-1]
    assert repr(last).startswith(f"<chunk [{last.start}:{last.end}] {last.tokens} tokens, 'Call")
    assert "\u2026" in repr(last)
    assert "context='Leave > Sick leave'" in repr(last)
    assert len(repr(last)) < 200


def test_the_default_is_optimal() -> None:
    assert chunk(TEXT, max_tokens=80) == chunk(TEXT, "optimal", max_tokens=80)


def test_a_string_is_text_even_when_it_looks_like_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("content")
    assert [piece.text for piece in chunk(str(path), "fixed")] == [str(path)]


def test_a_path_is_read_as_bytes_with_its_newlines(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"\xef\xbb\xbf# One\r\n\r\nText.\r\n")
    assert [piece.text for piece in chunk(path)] == ["# One\r\n\r\nText."]


def test_the_suffix_decides_the_format(tmp_path: Path) -> None:
    rows = "name,value\n" + "".join(f"row {i},{i}\n" for i in range(100))
    path = tmp_path / "a.csv"
    path.write_text(rows)
    assert chunk(path, "table", max_tokens=64)[-1].context == "name,value"
    assert chunk(rows, "table", max_tokens=64, data_type="csv")[-1].context == "name,value"


def test_other_parameters_go_to_the_chunker() -> None:
    loose = chunk(TEXT, "optimal", max_tokens=80, target_tokens=40, overfull_weight=0.0)
    assert loose != chunk(TEXT, "optimal", max_tokens=80, target_tokens=40, overfull_weight=50.0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"chunker": "optmal"}, "did you mean 'optimal'"),
        ({"chunker": "fixed", "targt_tokens": 3}, "unknown parameter 'targt_tokens'"),
        ({"target_tokens": "many"}, "target_tokens must be a whole number, `auto`"),
        ({"target_tokens": 600}, "more than max_tokens allows"),
        ({"target_tokens": True}, "must be a whole number"),
        ({"max_tokens": 3}, "max_tokens must be from 8 up"),
        ({"overlap_tokens": 400}, "more than half of max_tokens"),
        ({"overlap_tokens": -1}, "overlap_tokens must be from 0 up"),
        ({"context": "yes"}, "context must be true or false"),
        ({"size_weight": "big"}, "size_weight must be a number"),
        ({"encoding": "o300k"}, "encoding 'o300k' is not known"),
        ({"data_type": "markdwn"}, "did you mean 'markdown'"),
    ],
)
def test_wrong_usage_names_the_key_and_the_cure(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        chunk(TEXT, **arguments)  # type: ignore[arg-type]


def test_a_file_that_is_not_there_or_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match=r"gone\.md cannot be read"):
        chunk(tmp_path / "gone.md")
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf\xe9")
    with pytest.raises(TerminalError, match="is not UTF-8"):
        chunk(path)


def test_max_tokens_is_not_a_policys_parameter() -> None:
    with pytest.raises(ConfigError, match="max_tokens is the strategy's"):
        build("fixed", {"max_tokens": 100}, max_tokens=512)


@pytest.mark.parametrize("name", names())
def test_every_chunker_is_a_frozen_value_with_name_and_version(name: str) -> None:
    made = build(name, {"target_tokens": 100}, max_tokens=256)
    assert isinstance(made, Chunker)
    assert made.name == name
    assert made.version
    assert made == build(name, {"target_tokens": 100}, max_tokens=256)
    assert hash(made) == hash(build(name, {"target_tokens": 100}, max_tokens=256))
    assert type(made).__doc__
    assert "Good for" in type(made).__doc__
    assert "Costs" in type(made).__doc__


@dataclass(frozen=True, kw_only=True)
class Shouting(BaseChunker):
    name = "shouting"
    version = "1"
    loud: bool = False

    def parts(self, document, tokens, contexts):  # type: ignore[no-untyped-def]
        raise NotImplementedError


def test_a_third_party_registers_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("shouting", f"{__name__}:Shouting", registry.ENTRY_POINTS)
    broken = metadata.EntryPoint("broken", "no_such_module_here:Chunker", registry.ENTRY_POINTS)
    monkeypatch.setattr(
        registry, "_third_party", lambda: {"shouting": point, "broken": broken, "fixed": broken}
    )
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Shouting.__module__])
    assert {"shouting", "broken"} <= set(names())
    assert build("shouting", {"loud": True}, max_tokens=64).max_tokens == 64  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="unknown parameter 'lod'; did you mean 'loud'"):
        build("shouting", {"lod": True}, max_tokens=64)
    with pytest.raises(ConfigError, match="cannot be imported: ModuleNotFoundError"):
        build("broken", {}, max_tokens=64)
    assert type(build("fixed", {}, max_tokens=64)).__name__ == "FixedChunker"


def test_importing_loads_nothing_heavy() -> None:
    program = (
        "import sys; before = set(sys.modules); import chunkers\n"
        "found = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(found - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['chunkers', 'lineage']"
