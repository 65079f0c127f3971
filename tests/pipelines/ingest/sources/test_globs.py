"""`include`, `exclude`, and what is never taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.sources.globs import Globs


@pytest.mark.parametrize(
    ("include", "exclude", "taken", "passed_over"),
    [
        (["**/*"], [], ["a", "a/b.md", "a//b", "x/", "a b/ü.txt"], [".git/a", "a/.DS_Store"]),
        (["**/*.md"], [], ["a.md", "a/b/c.md"], ["a.txt", "a.md/x.txt", ".a.md", ".x/a.md"]),
        (["*.md"], [], ["a.md", "deep/down/a.md"], ["a.txt"]),
        (["docs/*.md"], [], ["docs/a.md"], ["a.md", "docs/x/a.md", "old/docs/a.md"]),
        (["./docs/**"], [], ["docs/a", "docs/x/y"], ["doc/a", "docs"]),
        (["**/*.{md,txt}"], [], ["a.md", "b/c.txt"], ["a.html"]),
        (["**/*"], ["drafts/**", "*.tmp"], ["a", "x/drafts/a"], ["drafts/a", "x/a.tmp"]),
        ([".github/**"], [], [".github/a.yml"], [".git/a", "a", ".github/.cache/a"]),
        (["**/.env"], [], [".env", "a/.env"], ["a/.envrc", ".git/.env"]),
        (["**/[ab]*.txt"], [], ["a.txt", "x/b1.txt"], ["c.txt", "A.txt"]),
    ],
)
def test_matching(
    include: list[str], exclude: list[str], taken: list[str], passed_over: list[str]
) -> None:
    globs = Globs(tuple(include), tuple(exclude))
    assert [key for key in taken if not globs.match(key)] == []
    assert [key for key in passed_over if globs.match(key)] == []


def test_what_is_kept_apart_is_never_taken() -> None:
    globs = Globs(("**/*", "state/lake/**"), apart=("state/lake", "mlflow.db"))
    assert not any(map(globs.match, ["state/lake", "state/lake/documents/a.parquet", "mlflow.db"]))
    assert globs.match("state/lake.md")
    assert globs.match("state/lakes/a")
    assert globs.enters("state")
    assert not globs.enters("state/lake")
    assert globs.excluded("state/lake/x")


def test_folders_that_hold_nothing_wanted_are_not_entered() -> None:
    globs = Globs(exclude=("node_modules/**", "**/build/**", "a/*.md"))
    assert not globs.enters("node_modules")
    assert not globs.enters("x/build")
    assert not globs.enters(".git")
    assert globs.enters("a")
    assert Globs((".git/**",)).enters(".git")


_KEYS = st.lists(
    st.text("ab.*é", min_size=1, max_size=4).filter(lambda part: part not in (".", "..")),
    min_size=1, max_size=4,
).map("/".join)  # fmt: skip
_PATTERNS = st.lists(
    st.sampled_from(["**/*", "**/a*", "a/**", "*.b", ".a/**", "**/.b/*", "b/**/*", "a"]), max_size=3
).map(tuple)


@given(key=_KEYS, include=_PATTERNS, exclude=_PATTERNS)
def test_whatever_is_taken_lies_in_folders_that_are_entered(
    key: str, include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    globs = Globs(include, exclude)
    if globs.match(key):
        parts = key.split("/")
        assert all(globs.enters("/".join(parts[:n])) for n in range(1, len(parts)))
