"""Names as keys: one line, valid, distinct, and back again."""

from __future__ import annotations

import os
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.sources import keys

NFC, NFD = "é", "e\u0301"

_FILE_NAMES = (
    st.binary(min_size=1, max_size=12)
    .map(lambda data: data.replace(b"/", b"-").replace(b"\0", b"0"))
    .map(lambda data: data.decode("utf-8", "surrogateescape"))
)
_TEXT_NAMES = st.text(
    st.sampled_from(list("aé%20Fe\u0301\n\t .~\u2028\u212b\u0000\ud55c")), min_size=1, max_size=6
)


@given(_FILE_NAMES | _TEXT_NAMES)
def test_a_key_is_one_printable_line_and_leads_back_to_the_name(name: str) -> None:
    for key in (keys.escape(name), keys.exact_key(name)):
        assert keys.name_of(key) == name
        key.encode("utf-8")
        assert len(key.splitlines()) == 1
    assert unicodedata.is_normalized("NFC", keys.exact_key(name))


@given(st.lists(_FILE_NAMES | _TEXT_NAMES, unique=True, max_size=8))
def test_no_two_names_share_a_key(names: list[str]) -> None:
    assert len({keys.exact_key(name) for name in names}) == len(names)
    components = keys.component_keys(names)
    assert list(components) == names
    assert len(set(components.values())) == len(names)
    assert all(unicodedata.is_normalized("NFC", key) for key in components.values())


@given(st.lists(_TEXT_NAMES, unique=True, max_size=8), st.randoms())
def test_keys_do_not_depend_on_the_order_of_the_names(names: list[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert keys.component_keys(shuffled) == keys.component_keys(names)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("plain.md", "plain.md"),
        ("with space & ünïcode.md", "with space & ünïcode.md"),
        ("100% sure.md", "100% sure.md"),
        ("a%20b", "a%2520b"),
        ("two\nlines\r", "two%0Alines%0D"),
        ("nul\0", "nul%00"),
        ("line\u2028sep", "line%E2%80%A8sep"),
        (os.fsdecode(b"latin-\xe9"), "latin-%E9"),
    ],
)
def test_readable_keys(name: str, key: str) -> None:
    assert keys.escape(name) == key


def test_the_same_name_has_the_same_key_however_it_is_composed() -> None:
    assert keys.component_keys([NFD]) == {NFD: NFC}
    assert keys.component_keys([NFC]) == {NFC: NFC}


def test_twins_in_one_folder_stay_apart() -> None:
    assert keys.component_keys([NFD, NFC]) == {NFD: "e%CC%81", NFC: NFC}


def test_each_of_many_decomposed_names_is_composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[str] = []
    real = unicodedata.normalize

    def normalize(form: Any, name: str) -> str:
        composed.append(name)
        return real(form, name)

    monkeypatch.setattr(keys.unicodedata, "normalize", normalize)
    names = [f"{NFD}{n}" for n in range(2_000)]
    assert len(set(keys.component_keys(names).values())) == len(names)
    assert composed == names


def test_exact_keys_keep_names_apart_that_only_look_alike() -> None:
    assert keys.exact_key(NFD) == "e%CC%81"
    assert keys.exact_key("./a") == "%2E/a"
    assert keys.exact_key("a//b") == "a//b"


@given(_FILE_NAMES)
def test_uris_are_plain_ascii(name: str) -> None:
    uri = keys.uri_of("file:///", name)
    assert uri.isascii()
    assert not set(uri) & set(" #?%\n") - {"%"}


def test_uris_keep_what_they_may() -> None:
    assert keys.uri_of("az://c/", "a (1)/b+c@d=1~.md") == "az://c/a%20(1)/b+c@d=1~.md"
    assert keys.uri_of("az://c/", "50%#?\xe9") == "az://c/50%25%23%3F%C3%A9"
