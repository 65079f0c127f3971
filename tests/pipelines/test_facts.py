"""The path that routing rules see, out of a document's URI."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import SourceConfig
from pipelines.facts import document_key, source_roots
from pipelines.ingest.sources import keys

_NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12
).filter(lambda name: not name.startswith("/"))


@pytest.mark.parametrize(
    ("root", "base"),
    [
        ("/data/my docs (1)/ü", "file:///data/my docs (1)/ü/"),
        ("az://docs", "az://docs/"),
        ("az://docs/my folder (2)/#1?/100%", "az://docs/my folder (2)/#1?/100%/"),
        ("abfss://docs@account.dfs.core.windows.net/a b", None),
    ],
)
@given(name=_NAMES)
def test_a_key_is_the_path_below_the_root(root: str, base: str | None, name: str) -> None:
    scheme, _, path = (base or f"{root}/").partition("://")
    place, slash, folder = path.partition("/")
    uri = keys.uri_of(f"{scheme}://{place}{slash}", folder + name)
    roots = source_roots([SourceConfig("docs", root)])
    assert document_key(uri, roots["docs"]) == name


def test_a_record_is_named_by_its_key() -> None:
    roots = source_roots([SourceConfig("t", "/data/my table.jsonl")])
    assert document_key("file:///data/my%20table.jsonl#a%2Fb", roots["t"]) == "a/b"


def test_without_a_root_it_is_the_whole_path() -> None:
    assert document_key("az://docs/a%20b/c.md", None) == "a b/c.md"
    assert document_key("az://docs/c.md", "az://docs2") == "c.md"
