"""Access lists as sources write them, and what happens to those that cannot be read."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lineage import Acl, Principal
from pipelines.ingest.sources import acls, sidecars
from pipelines.ingest.sources.sidecars import Sidecars

HR = Acl(state="explicit", allow_groups=("hr",))
NAMES = st.text(min_size=1, max_size=8).filter(lambda n: n.strip() == n and "," not in n)
LISTS = st.dictionaries(st.sampled_from(acls.LISTS), st.lists(NAMES, max_size=3), max_size=4)


def same(found: Acl | None, wanted: Acl) -> bool:
    return found is not None and found.fingerprint == wanted.fingerprint


# Sidecars


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("public", Acl.public()),
        ("unknown\n", Acl.unknown()),
        ("allow_groups: [hr]\n", HR),
        ("\ufeffallow_groups:\r\n  - hr\r\n", HR),
        ("# who may\nallow_groups: [hr, hr]\n", HR),
        ('{"allow_groups": ["hr"]}', HR),
        ("deny_users: [bob]\n", Acl(state="public", deny_users=("bob",))),
        ("allow_groups: []\n", Acl(state="explicit")),
        ("{}", Acl(state="explicit")),
    ],
)
def test_what_a_sidecar_says(text: str, wanted: Acl) -> None:
    found = acls.from_sidecar(text.encode(), "a/_acl.yaml")
    assert same(found, wanted)
    assert found.origin == "sidecar:a/_acl.yaml"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"# only a comment\n", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"Public", "ACL is the word 'public'"),
        (b"everybody", "ACL is the word 'public'"),
        (b"- hr\n", "list instead of a mapping"),
        (b"42", "int instead of a mapping"),
        (b"allow_group: [hr]\n", "unknown ACL key 'allow_group'"),
        (b"allow_groups: hr\n", "must be a list"),
        (b"allow_groups: [1]\n", "not a name"),
        (b"allow_groups: [yes]\n", "not a name"),
        (b"allow_groups: [null]\n", "not a name"),
        (b"allow_groups: ['']\n", "not a name"),
        (b"allow_groups: [[hr]]\n", "not a name"),
        (b"allow_groups: [hr\n", "not valid YAML"),
        (b"allow_groups: [hr]\nallow_groups: [all]\n", "is there twice"),
        (b"allow_groups: &a [hr]\ndeny_groups: *a\n", "aliases"),
        (b"allow_groups: [[[[hr]]]]\n", "nested too deeply"),
        (b"public\n---\nallow_groups: [hr]\n", "not valid YAML"),
        (b"allow_users: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
        (b"allow_groups: [h\xff]\n", "not UTF-8 at byte 16"),
        (b"\xff\xfea\0", "not UTF-8 at byte 0"),
        (b"allow_groups: [\0]\n", "not valid YAML"),
        (b"a" * (acls.MAX_SIDECAR_BYTES + 1), "the limit is 262144"),
    ],
)
def test_a_sidecar_that_cannot_be_read_permits_nobody_and_says_why(
    data: bytes, reason: str
) -> None:
    found = acls.from_sidecar(data, "docs/_acl.yaml")
    assert found.state == "unknown"
    assert reason in found.origin
    assert found.origin.startswith("sidecar:docs/_acl.yaml: ")
    assert len(found.origin.splitlines()) == 1
    assert not found.permits(Principal("bob", frozenset({"hr", "all"})))


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode()))
def test_no_bytes_open_a_document_unless_they_say_so(data: bytes) -> None:
    found = acls.from_sidecar(data, "x")
    if found.state == "public":
        assert data.decode("utf-8-sig").strip().strip("'\"") == "public" or b"deny_" in data
    assert found.state in ("unknown", "public", "explicit")


@given(LISTS)
def test_written_and_read_again(lists: dict[str, list[str]]) -> None:
    wanted = Acl.from_value(lists)
    assert same(acls.from_sidecar(yaml.safe_dump(lists).encode(), "x"), wanted)
    assert same(acls.from_metadata({"acl": json.dumps(lists)})[0], wanted)
    split = {f"acl_{name}": json.dumps(names) for name, names in lists.items()}
    assert not split or same(acls.from_metadata(split)[0], wanted)


def test_a_bomb_is_refused_at_once() -> None:
    levels = "".join(f"k{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    found = acls.from_sidecar(f"k0: &a0 [x]\n{levels}".encode(), "x")
    assert "aliases" in found.origin
    for nested in (b"[" * 100_000, b"[" * 10 + b"]" * 10, b"- " * 100_000):
        assert "nest" in acls.from_sidecar(nested, "x").origin


# Which sidecar holds for what


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("report.docx.acl.yaml", "report.docx"),
        ("report.docx.acl.yml", "report.docx"),
        ("Report.docx.ACL.YAML", "Report.docx"),
        ("_acl.yaml", ""),
        ("_ACL.yml", ""),
        (".acl.yaml", ""),
        ("_acl.yaml.acl.yaml", "_acl.yaml"),
        ("acl.yaml", None),
        ("my_acl.yaml", None),
        ("report.acl.yaml.txt", None),
        ("report.docx", None),
    ],
)
def test_names_of_sidecars(name: str, target: str | None) -> None:
    assert sidecars.target_of(name) == target


def test_the_composition_of_a_name_does_not_matter() -> None:
    rights = Sidecars()
    rights.add(unicodedata.normalize("NFC", "café.md"), "a", HR)
    assert same(rights.of(unicodedata.normalize("NFD", "café.md")), HR)
    assert rights.of("cafe.md") is None


def test_each_of_two_twins_has_its_own() -> None:
    rights = Sidecars()
    rights.add(unicodedata.normalize("NFC", "é"), "a", HR)
    rights.add(unicodedata.normalize("NFD", "é"), "b", Acl.public())
    assert same(rights.of(unicodedata.normalize("NFC", "é")), HR)
    assert same(rights.of(unicodedata.normalize("NFD", "é")), Acl.public())


def test_two_for_the_same_permit_nobody() -> None:
    rights = Sidecars()
    rights.add("a.md", "a.md.acl.yaml", Acl.public())
    rights.add("a.md", "a.md.acl.yml", Acl.public())
    found = rights.of("a.md")
    assert found is not None
    assert (found.state, "keep one" in found.origin) == ("unknown", True)


def test_sidecars_of_files_that_are_not_there_are_told() -> None:
    rights = Sidecars()
    rights.add("report.docx", "report.docx.acl.yaml", HR)
    rights.add("report", "report.acl.yaml", HR)
    rights.add("", "_acl.yaml", HR)
    rights.add("sub/", "sub/_acl.yaml", HR)
    rights.seen("report.docx")
    assert rights.unseen() == ["report.acl.yaml"]
    assert "report.acl.yaml" in sidecars.unseen_message(rights.unseen())


# Blob metadata


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        ({"acl": "public"}, Acl.public()),
        ({"ACL": " public "}, Acl.public()),
        ({"acl": "unknown"}, Acl.unknown()),
        ({"acl": '{"allow_groups": ["hr"]}'}, HR),
        ({"acl_allow_groups": "hr"}, HR),
        ({"Acl_Allow_Groups": ' ["hr"] '}, HR),
        ({"acl_allow_groups": " hr , hr,"}, HR),
        ({"acl_allow_groups": ""}, Acl(state="explicit")),
        ({"acl_allow_groups": "[]"}, Acl(state="explicit")),
        ({"acl_deny_users": "bob"}, Acl(state="public", deny_users=("bob",))),
        ({"acl": "public", "acl_deny_users": "bob"}, Acl(state="public", deny_users=("bob",))),
        (
            {"acl_allow_users": "a,b", "acl_deny_groups": '["x, y"]'},
            Acl(state="explicit", allow_users=("a", "b"), deny_groups=("x, y",)),
        ),
    ],
)
def test_what_metadata_says(metadata: dict[str, str], wanted: Acl) -> None:
    found, labels = acls.from_metadata({**metadata, "owner": "hr", "Cost": "12"})
    assert same(found, wanted)
    assert found is not None
    assert found.origin == "metadata"
    assert labels == {"owner": "hr", "Cost": "12"}


@pytest.mark.parametrize(
    "metadata",
    [
        {"acl": "everybody"},
        {"acl": ""},
        {"acl": "{not json"},
        {"acl": '{"allow_group": ["hr"]}'},
        {"acl": '{"allow_groups": "hr"}'},
        {"acl": '{"allow_groups": ["hr"]}', "acl_deny_users": "bob"},
        {"acl": "public", "acl_allow_groups": "hr"},
        {"acl": "unknown", "acl_allow_groups": "hr"},
        {"acl_groups": "hr"},
        {"acl_allow_groups": "hr", "acl_deny_user": "bob"},
        {"acl_allow_groups": "[hr]"},
        {"acl_allow_groups": '["hr", 1]'},
        {"acl_allow_groups": '["hr", ""]'},
        {"acl_allow_groups": "[" * 5000},
        {"acl_allow_groups": "a", "ACL_allow_groups": "b"},
    ],
)
def test_metadata_that_cannot_be_read_permits_nobody(metadata: dict[str, str]) -> None:
    found, _ = acls.from_metadata(metadata)
    assert found is not None
    assert found.state == "unknown"
    assert found.origin.startswith("metadata: ")
    assert len(found.origin) < 400


def test_metadata_without_an_acl_says_nothing() -> None:
    assert acls.from_metadata({"owner": "hr", "aclaim": "x"}) == (
        None,
        {"owner": "hr", "aclaim": "x"},
    )


# The order of the places


@given(
    st.lists(st.none() | st.sampled_from([HR, Acl.public(), Acl.unknown()]), min_size=4, max_size=4)
)
def test_the_nearest_place_holds_whole(found: list[Any]) -> None:
    file, stated, folder, default = found
    acl = acls.resolve(file=file, stated=stated, folder=folder, default=default)
    first = next((one for one in found if one is not None), None)
    assert acl == (first or Acl.unknown("none found"))
