"""POSIX access lists of ADLS Gen2, and the one `Acl` that says the same about a file.

A caller reads a file who has `x` on the root and on every directory above it and `r` on the file.
On each of them the first class that matches decides: owning user, named users (masked), owning
and named groups together (masked; any one of them suffices), everybody else (masked). Whom a role
on the container or account lets read is not asked for any of this.

Source: Microsoft, "Access control lists in Azure Data Lake Storage Gen2", access check algorithm.
Its editions differ on a caller in groups of which none grants: older ones stop there, newer ones
go on to "other". The stricter reading is taken here, so that no edition makes it a leak; likewise
the mask holds for "other", as in the algorithm, though the text around it does not say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from lineage.acl import Acl

READ, EXECUTE = 4, 1
SUPERUSER = "$superuser"
ANYBODY_IDENTIFIED = "$anonymous"
"""A deny entry for nobody: it makes `public` mean whoever has said who they are, since the lake
has no anonymous readers."""

NARROWED = "adls, narrowed"
"""How the origin begins of an ACL that permits less than the access lists."""

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PathAcl:
    """The access list of one file or directory; rights are bits, 4 for `r`, 1 for `x`."""

    owner: str
    group: str
    owner_bits: int
    group_bits: int
    other_bits: int
    users: tuple[tuple[str, int], ...] = ()
    groups: tuple[tuple[str, int], ...] = ()
    mask: int = 7

    @classmethod
    def parse(cls, owner: str, group: str, text: str) -> PathAcl:
        """Read what the service says in `x-ms-owner`, `x-ms-group` and `x-ms-acl`.

        Entries of the default list, which only seed what is made later, are passed over.

        Raises:
            ValueError: an entry that is not of the documented form, is there twice or missing.
        """
        found: dict[tuple[str, str], int] = {}
        for entry in text.split(","):
            parts = entry.strip().split(":")
            if parts[0] == "default":
                continue
            if len(parts) != 3 or parts[0] not in ("user", "group", "mask", "other"):
                raise ValueError(f"{entry!r} is not an access list's entry")
            kind, name, rights = parts
            if (name and kind in ("mask", "other")) or (kind, name) in found:
                raise ValueError(f"the entry {entry!r} is there twice, or names somebody")
            found[kind, name] = _bits(rights, entry)
        missing = [k for k in ("user", "group", "other") if (k, "") not in found]
        if missing or not owner or not group:
            raise ValueError(f"no owner, or no entry for {', '.join(missing) or 'the owner'}")
        return cls(
            owner=owner,
            group=group,
            owner_bits=found["user", ""],
            group_bits=found["group", ""],
            other_bits=found["other", ""],
            users=tuple((n, bits) for (kind, n), bits in found.items() if kind == "user" and n),
            groups=tuple((n, bits) for (kind, n), bits in found.items() if kind == "group" and n),
            mask=found.get(("mask", ""), 7),
        )

    def users_with(self, bit: int) -> dict[str, bool]:
        """Whom the list names as a user, and whether it grants them `bit`."""
        named = {name: bool(bits & self.mask & bit) for name, bits in self.users}
        named[self.owner] = bool(self.owner_bits & bit)
        named.pop(SUPERUSER, None)
        return named


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a file's access lists come to."""

    acl: Acl
    """Never permits more than the access lists do."""
    inexact: str | None = None
    """Why `acl` permits less than they do, where it does."""


def _bits(text: str, entry: str) -> int:
    # A sticky bit stands in the place of the last `x`.
    if len(text) == 3 and all(c in f"{r}-" for c, r in zip(text, ("r", "w", "xtT"), strict=True)):
        return 4 * (text[0] == "r") + 2 * (text[1] == "w") + (text[2] in "xt")
    raise ValueError(f"the rights in {entry!r} are not of the form rwx")


@dataclass(frozen=True, slots=True)
class _Condition:
    """What one path asks of a caller whom it does not name, in terms of their groups."""

    granted: frozenset[str]
    refused: frozenset[str] | None
    """Groups whose members are turned away unless they are in a granted one, where everybody else
    is let in; null where everybody else is not."""

    def without(self, groups: Set[str]) -> _Condition:
        refused = None if self.refused is None else self.refused - groups
        return _Condition(self.granted - groups, refused)


@dataclass(frozen=True, slots=True)
class _Flat:
    """Callers in none of `deny` who are in one of `allow`, or everyone of them."""

    everyone: bool
    allow: frozenset[str] = _NONE
    deny: frozenset[str] = _NONE
    exact: bool = True

    @property
    def nobody(self) -> bool:
        return not self.everyone and not self.allow


def resolve(
    paths: Sequence[PathAcl],
    *,
    reader_users: Set[str] = _NONE,
    reader_groups: Set[str] = _NONE,
    nested: Mapping[str, Iterable[str]] | None = None,
) -> Resolved:
    """The rights to read the last of `paths`, which begin at the container's root.

    Args:
        paths: the access lists of the root, each directory on the way, and the file.
        reader_users: who may read by a role on the container or the account, whatever lists say.
        reader_groups: likewise.
        nested: group to the groups that are in it: their members are its members.
    """
    below = _closure(nested or {})
    roles = _widened(reader_groups, below)
    bits = [EXECUTE] * (len(paths) - 1) + [READ]
    named = [path.users_with(bit) for path, bit in zip(paths, bits, strict=True)]
    asked = [
        _condition(path, bit, below).without(roles) for path, bit in zip(paths, bits, strict=True)
    ]
    base = _with_roles(asked, roles)
    own: dict[str, _Flat] = {}
    for user in sorted({name for each in named for name in each} | set(reader_users)):
        if user in reader_users:
            own[user] = _Flat(everyone=True)
        elif not all(each.get(user, True) for each in named):
            own[user] = _Flat(everyone=False, allow=roles)
        else:
            rest = [a for a, each in zip(asked, named, strict=True) if user not in each]
            own[user] = _with_roles(rest, roles)
    return _combined(base, own)


def _combined(base: _Flat, own: Mapping[str, _Flat]) -> Resolved:
    """One access list for callers whom no path names, and for each of those whom one does."""
    reason = None if base.exact else "who may read depends on several groups at once"
    deny = base.deny
    if base.nobody:
        # Then the deny entries of groups bear on named users alone.
        asked = {flat.deny for flat in own.values() if flat.everyone}
        deny = frozenset[str]().union(*asked)
    allow_users: list[str] = []
    deny_users: list[str] = []
    for user, flat in own.items():
        same = (flat.everyone, flat.allow) == (base.everyone, base.allow) and (
            flat.nobody or flat.deny == deny
        )
        plain = same or flat.nobody or (flat.everyone and flat.deny == deny)
        if not (flat.exact and plain):
            reason = reason or f"the rights of {user} depend on other groups than everybody's do"
        if same:
            continue
        if flat.everyone and flat.deny <= deny and not base.everyone:
            allow_users.append(user)
        elif not _contains(flat, base, deny):
            deny_users.append(user)
    if base.everyone:
        if not deny_users and not deny:
            deny_users = [ANYBODY_IDENTIFIED]
        acl = Acl("public", deny_users=tuple(deny_users), deny_groups=tuple(deny))
    elif not base.allow and not allow_users:
        acl = Acl("explicit")
    else:
        acl = Acl(
            "explicit",
            tuple(allow_users),
            tuple(base.allow),
            tuple(deny_users) if base.allow else (),
            tuple(deny),
        )
    return Resolved(acl.with_origin("adls"), reason)


def _contains(flat: _Flat, base: _Flat, deny: Set[str]) -> bool:
    """Whether a caller with the rights of `flat` may do whatever `base` lets them do."""
    wide = flat.everyone or (not base.everyone and base.allow <= flat.allow)
    return wide and flat.deny <= deny


def _condition(path: PathAcl, bit: int, below: Mapping[str, frozenset[str]]) -> _Condition:
    entries = [(path.group, path.group_bits), *path.groups]
    entries = [(name, bits) for name, bits in entries if name != SUPERUSER]
    granted = _widened({n for n, bits in entries if bits & path.mask & bit}, below)
    if not path.other_bits & path.mask & bit:
        return _Condition(granted, None)
    return _Condition(granted, _widened({name for name, _ in entries}, below) - granted)


def _with_roles(conditions: Sequence[_Condition], roles: frozenset[str]) -> _Flat:
    flat = _flatten(conditions)
    if not roles:
        return flat
    # Somebody with a role may read in spite of any deny entry, which a flat list cannot say.
    exact = flat.exact and not flat.deny
    allow = _NONE if flat.everyone else flat.allow | roles
    return _Flat(flat.everyone, allow, flat.deny, exact)


def _flatten(conditions: Sequence[_Condition]) -> _Flat:
    """The flat form of all conditions together; where there is none, a narrower one.

    A flat form is canonical: its deny entries are the groups no member of which is ever let in,
    its allow entries the groups each of which suffices by itself. So it suffices to find those,
    and to look for a caller about whom they are wrong.
    """
    barred = _barred(conditions, _NONE)
    if not _possible(conditions, barred):
        return _Flat(everyone=False)
    rest = [c.without(barred) for c in conditions]
    turning = [(c.granted, c.refused) for c in rest if c.refused]
    needed = [c.granted for c in rest if c.refused is None]
    if not needed:
        late = frozenset[str]().union(*(refused for _, refused in turning))
        return _Flat(True, _NONE, barred | late, exact=not turning)
    alone = frozenset(
        group
        for group in frozenset[str].intersection(*needed)
        if all(group not in refused for _, refused in turning)
    )
    clash = frozenset[str]().union(*(r for granted, r in turning if not alone <= granted))
    without = _barred(conditions, barred | alone)
    exact = not clash and not _possible(conditions, without)
    return _Flat(False, alone, barred | clash, exact)


def _barred(conditions: Sequence[_Condition], absent: Set[str]) -> frozenset[str]:
    """`absent`, and the groups that a caller in none of `absent` cannot be in and be let in."""
    barred = frozenset(absent)
    while True:
        more = frozenset[str]().union(
            *(c.refused for c in conditions if c.refused and c.granted <= barred)
        )
        if more <= barred:
            return barred
        barred |= more


def _possible(conditions: Sequence[_Condition], barred: Set[str]) -> bool:
    """Whether a caller who is in all groups but the barred ones is let in."""
    return all(c.refused is not None or c.granted - barred for c in conditions)


def _widened(groups: Iterable[str], below: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*({group} | below.get(group, _NONE) for group in groups))


def _closure(nested: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Group to all groups in it, at any depth; circles do no harm."""
    below = {group: frozenset(members) for group, members in nested.items()}
    while True:
        wider = {g: _widened(members, below) for g, members in below.items()}
        if wider == below:
            return below
        below = wider
