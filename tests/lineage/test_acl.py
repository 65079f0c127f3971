from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage import Acl, Principal

NAMES = st.text(min_size=1, max_size=6)
LISTS = st.lists(st.sampled_from(["a", "b", "c", "A"]), max_size=3).map(tuple)


@st.composite
def acls(draw: st.DrawFn) -> Acl:
    state = draw(st.sampled_from(["explicit", "public", "unknown"]))
    allow = {"allow_users": draw(LISTS), "allow_groups": draw(LISTS)} if state == "explicit" else {}
    return Acl(state=state, deny_users=draw(LISTS), deny_groups=draw(LISTS), **allow)


PRINCIPALS = st.builds(
    Principal,
    user=st.none() | st.sampled_from(["a", "b", "c", "A"]),
    groups=st.frozensets(st.sampled_from(["a", "b", "c", "A"]), max_size=3),
)


@given(acls(), PRINCIPALS)
def test_permits_is_the_written_rule(acl: Acl, principal: Principal) -> None:
    denied = principal.user in acl.deny_users or bool(principal.groups & set(acl.deny_groups))
    listed = principal.user in acl.allow_users or bool(principal.groups & set(acl.allow_groups))
    anonymous = principal.user is None and not principal.groups
    denies = bool(acl.deny_users or acl.deny_groups)
    expected = {
        "unknown": False,
        "explicit": listed and not denied,
        "public": not denied and not (anonymous and denies),
    }[acl.state]
    assert acl.permits(principal) is expected


@given(acls(), PRINCIPALS)
def test_one_more_deny_never_permits_more(acl: Acl, principal: Principal) -> None:
    narrower = Acl(
        state=acl.state,
        allow_users=acl.allow_users,
        allow_groups=acl.allow_groups,
        deny_users=(*acl.deny_users, "b"),
        deny_groups=acl.deny_groups,
    )
    assert acl.permits(principal) or not narrower.permits(principal)


@given(acls())
def test_round_trip_keeps_rights_and_fingerprint(acl: Acl) -> None:
    again = Acl.from_dict(acl.as_dict())
    assert again == acl
    assert again.fingerprint == acl.fingerprint


@given(acls(), acls())
def test_fingerprints_differ_exactly_where_rights_do(left: Acl, right: Acl) -> None:
    assert (left.fingerprint == right.fingerprint) == (left == right)


@given(st.lists(NAMES, max_size=4), st.lists(NAMES, max_size=4))
def test_moving_a_name_between_lists_changes_the_fingerprint(a: list[str], b: list[str]) -> None:
    left = Acl(state="explicit", allow_users=tuple(a), allow_groups=tuple(b))
    right = Acl(state="explicit", allow_users=tuple(b), allow_groups=tuple(a))
    assert (left.fingerprint == right.fingerprint) == (set(a) == set(b))


def test_origin_is_no_part_of_the_fingerprint() -> None:
    assert Acl.public("a").fingerprint == Acl.public("b").fingerprint


def test_missing_acl_is_unknown_never_public() -> None:
    assert Acl.from_dict(None).state == "unknown"
    assert not Acl.from_dict(None).permits(Principal("root", frozenset({"admins"})))


def test_written_forms() -> None:
    assert Acl.from_value("public").state == "public"
    assert Acl.from_value({"allow_groups": ["hr"]}).allow_groups == ("hr",)
    assert Acl.from_value({}).state == "explicit"
    denies = Acl.from_value({"deny_users": ["eve"]})
    assert denies.state == "public"
    assert denies.permits(Principal("bob"))
    assert not denies.permits(Principal())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("everyone", "everyone"),
        ({"allow_group": ["hr"]}, "allow_group"),
        ({"allow_groups": "hr"}, "list of names"),
        ({"allow_groups": [""]}, "not a name"),
        ({"allow_users": [7]}, "not a name"),
        ([1], "mapping"),
        (None, "mapping"),
    ],
)
def test_bad_forms_are_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Acl.from_value(value)


@given(acls(), acls(), PRINCIPALS)
def test_narrowed_rights_permit_nobody_whom_either_refuses(
    left: Acl, right: Acl, principal: Principal
) -> None:
    both = left.narrowed(right)
    if both.permits(principal):
        assert left.permits(principal)
        assert right.permits(principal)
    assert left.narrowed(left) == left
    assert both.fingerprint == right.narrowed(left).fingerprint
    assert both.narrowed(right).fingerprint == both.fingerprint


def test_narrowing_keeps_who_is_in_both() -> None:
    staff = Acl("explicit", ("ann", "bob"), ("hr", "it"), ("eve",), origin="old")
    fewer = Acl("explicit", ("bob",), ("it", "all"), (), ("guests",), origin="new")
    assert staff.narrowed(fewer) == Acl(
        "explicit", ("bob",), ("it",), ("eve",), ("guests",), origin="old"
    )
    assert staff.narrowed(Acl.public()) == staff
    assert staff.narrowed(Acl.unknown()).state == "unknown"
