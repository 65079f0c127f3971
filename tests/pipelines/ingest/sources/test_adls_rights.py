"""Access lists of ADLS Gen2 as one flat list, against an evaluator that follows the documentation.

The evaluator below knows nothing of the code under test: it asks path by path, caller by caller.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lineage import Acl, Principal
from pipelines.ingest.sources.adls_rights import PathAcl, resolve

SLOW = [HealthCheck.too_slow]
"""What a busy machine may trip."""

USERS = ["u1", "u2"]
GROUPS = ["g1", "g2", "g3"]


@dataclass(frozen=True)
class Entry:
    """A path's list as text and as plain values, made side by side."""

    owner: str
    group: str
    rights: dict[str, str]
    """`user:NAME`, `group:NAME`, `mask`, `other` to `rwx`; empty names are the owners'."""

    @property
    def text(self) -> str:
        def entry(key: str, rights: str) -> str:
            kind, _, name = key.partition(":")
            return f"{kind}:{name}:{rights}"

        return ",".join(entry(key, rights) for key, rights in self.rights.items())

    def parsed(self) -> PathAcl:
        return PathAcl.parse(self.owner, self.group, self.text)


def may(entry: Entry, letter: str, user: str | None, groups: frozenset[str]) -> bool:
    """The documented algorithm, on the text's own letters."""
    mask = entry.rights.get("mask", "rwx")
    if user is not None and user == entry.owner:
        return letter in entry.rights["user:"]
    if user is not None and f"user:{user}" in entry.rights:
        return letter in entry.rights[f"user:{user}"] and letter in mask
    member = False
    for key, rights in entry.rights.items():
        kind, _, name = key.partition(":")
        if kind == "group" and (name or entry.group) in groups:
            member = True
            if letter in rights and letter in mask:
                return True
    return not member and letter in entry.rights["other"] and letter in mask


def may_read(
    paths: list[Entry],
    user: str | None,
    groups: frozenset[str],
    roles: frozenset[str] = frozenset(),
) -> bool:
    if user in roles or groups & roles:
        return True
    *folders, file = paths
    return all(may(f, "x", user, groups) for f in folders) and may(file, "r", user, groups)


def callers() -> Iterator[tuple[str | None, frozenset[str]]]:
    for user in [*USERS, "u9", None]:
        for count in range(len(GROUPS) + 1):
            for groups in itertools.combinations(GROUPS, count):
                if user or groups:
                    yield user, frozenset(groups)


RIGHTS = st.sampled_from(["---", "r--", "--x", "r-x", "rwx", "-w-"])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    named = {"user:": draw(RIGHTS)}
    for user in draw(st.lists(st.sampled_from(USERS), unique=True)):
        named[f"user:{user}"] = draw(RIGHTS)
    named["group:"] = draw(RIGHTS)
    for group in draw(st.lists(st.sampled_from(GROUPS), unique=True)):
        named[f"group:{group}"] = draw(RIGHTS)
    if draw(st.booleans()):
        named["mask"] = draw(RIGHTS)
    named["other"] = draw(RIGHTS)
    owner = draw(st.sampled_from([*USERS, "$superuser"]))
    return Entry(owner, draw(st.sampled_from([*GROUPS, "$superuser"])), named)


PATHS = st.lists(entries(), min_size=1, max_size=4)


def wrong(acl: Acl, paths: list[Entry], roles: frozenset[str]) -> tuple[list[object], list[object]]:
    """Callers who are let in and should not be, and those who are not and should be."""
    leaks: list[object] = []
    denials: list[object] = []
    for user, groups in callers():
        truth = may_read(paths, user, groups, roles)
        answer = acl.permits(Principal(user, groups))
        if answer != truth:
            (leaks if answer else denials).append((user, sorted(groups)))
    return leaks, denials


@settings(max_examples=400, deadline=None, suppress_health_check=SLOW)
@given(PATHS, st.frozensets(st.sampled_from([*USERS, *GROUPS]), max_size=2) | st.just(frozenset()))
def test_never_wider_and_equal_where_it_says_so(paths: list[Entry], roles: frozenset[str]) -> None:
    resolved = resolve(
        [entry.parsed() for entry in paths],
        reader_users=roles & set(USERS),
        reader_groups=roles & set(GROUPS),
    )
    leaks, denials = wrong(resolved.acl, paths, roles)
    assert not leaks, resolved
    if resolved.inexact is None:
        assert not denials, resolved
    assert not resolved.acl.permits(Principal())


def subsets(names: list[str]) -> list[tuple[str, ...]]:
    counts = range(len(names) + 1)
    return [chosen for count in counts for chosen in itertools.combinations(names, count)]


def a_flat_list_exists(paths: list[Entry]) -> bool:
    """Whether any flat list at all says what the access lists say, by trying all of them."""
    asked = list(callers())
    truth = [may_read(paths, user, groups) for user, groups in asked]

    def hits(users: tuple[str, ...], groups: tuple[str, ...]) -> tuple[bool, ...]:
        return tuple(u in users or bool(g.intersection(groups)) for u, g in asked)

    pairs = {hits(users, groups) for users in subsets(USERS) for groups in subsets(GROUPS)}
    everyone = tuple(True for _ in asked)
    return any(
        all((a and not d) == t for a, d, t in zip(allow, deny, truth, strict=True))
        for allow in pairs | {everyone}
        for deny in pairs
    )


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(PATHS)
def test_says_inexact_only_where_no_flat_list_would_do(paths: list[Entry]) -> None:
    if resolve([entry.parsed() for entry in paths]).inexact is not None:
        assert not a_flat_list_exists(paths)


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(PATHS, st.dictionaries(st.sampled_from(GROUPS), st.lists(st.sampled_from(GROUPS))))
def test_groups_in_groups(paths: list[Entry], nested: dict[str, list[str]]) -> None:
    resolved = resolve([entry.parsed() for entry in paths], nested=nested)
    for user, groups in callers():
        if any(
            inner in groups and outer not in groups for outer in nested for inner in nested[outer]
        ):
            continue  # nobody is in the inner group and not in the outer one
        truth = may_read(paths, user, groups)
        answer = resolved.acl.permits(Principal(user, groups))
        assert not answer or truth
        assert answer == truth or resolved.inexact


def directory(**rights: str) -> PathAcl:
    entry = {"user:": "rwx", "group:": "---", "other": "---"}
    entry |= {key.replace("_", ":", 1): value for key, value in rights.items()}
    return Entry("$superuser", "$superuser", entry).parsed()


def test_a_named_user_without_rights_in_an_allowed_group_is_a_deny_entry() -> None:
    paths = [directory(other="--x"), directory(group_hr="r--", user_eve="---")]
    resolved = resolve(paths)
    assert resolved.inexact is None
    assert resolved.acl == Acl("explicit", (), ("hr",), ("eve",), (), "adls")


def test_the_mask_takes_rights_of_named_ones_and_not_of_the_owner() -> None:
    text = "user::r--,user:amy:r--,group::r--,group:hr:r--,mask::---,other::---"
    assert resolve([PathAcl.parse("olga", "staff", text)]).acl.allow_users == ("olga",)
    assert resolve([PathAcl.parse("olga", "staff", text)]).acl.allow_groups == ()


def test_every_directory_must_be_passed() -> None:
    closed = directory()
    assert resolve([closed, directory(group_hr="r--")]).acl == Acl("explicit", origin="adls")
    both = resolve([directory(group_staff="--x"), directory(group_hr="r--")])
    assert both.inexact is not None
    assert both.acl.allow_groups == ()
    nested = resolve(
        [directory(group_staff="--x"), directory(group_hr="r--")], nested={"staff": ["hr"]}
    )
    assert nested.inexact is None
    assert nested.acl.allow_groups == ("hr",)


def test_everybody_else_means_whoever_is_identified() -> None:
    acl = resolve([directory(other="--x"), directory(other="r--")]).acl
    assert acl.permits(Principal("anyone"))
    assert not acl.permits(Principal())


def test_a_role_reads_whatever_the_lists_say() -> None:
    paths = [directory(), directory()]
    acl = resolve(paths, reader_users={"amy"}, reader_groups={"admins"}).acl
    assert acl == Acl("explicit", ("amy",), ("admins",), origin="adls")
    denying = [directory(other="--x"), directory(group_hr="r--", user_eve="---")]
    resolved = resolve(denying, reader_groups={"admins"})
    assert resolved.inexact is not None
    assert resolved.acl.deny_users == ("eve",)


def test_nothing_is_cut_off() -> None:
    names = [f"{n:08x}-0000-0000-0000-000000000000" for n in range(1_200)]
    text = ",".join(f"group:{name}:r--" for name in names)
    path = PathAcl.parse("o", "g", f"user::r--,group::---,{text},mask::r--,other::---")
    assert resolve([path]).acl.allow_groups == tuple(sorted(names))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user::rwx",
        "user::rwx,group::r-x",
        "user::rwx,group::r-x,other::r",
        "user::rwx,group::r-x,other::rwq",
        "user::rwx,user::rwx,group::r-x,other::---",
        "user::rwx,group::r-x,other:x:---",
        "user::rwx,group::r-x,other::---,robot:x:rwx",
        "user::wrx,group::r-x,other::---",
    ],
)
def test_what_is_not_an_access_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"entry|rights|owner"):
        PathAcl.parse("o", "g", text)


def test_default_entries_and_sticky_bits() -> None:
    text = (
        "user::rwx,group::r-x,other::--t,default:user::rwx,default:group:hr:rwx,default:other::rwx"
    )
    path = PathAcl.parse("o", "g", text)
    assert path.groups == ()
    assert path.other_bits == 1


@example("user::rwx,group::r-x,mask::rwx,other::---")
@settings(deadline=None, suppress_health_check=SLOW)
@given(st.text(alphabet="usergopmakthfl:,rwx-", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert PathAcl.parse("o", "g", text).owner == "o"
