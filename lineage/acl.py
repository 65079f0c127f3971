"""Access control lists and their one reference evaluator.

An `Acl` travels with every document and every chunk. Whatever a store's own filter language
makes of it, its answer must equal `Acl.permits`; each sink is tested against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

AclState = Literal["explicit", "public", "unknown"]

_STATES: tuple[str, ...] = get_args(AclState)
_LISTS = ("allow_users", "allow_groups", "deny_users", "deny_groups")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: an optional user and the groups that user is in, already expanded.

    Names are opaque and case-sensitive. No user and no group is an anonymous caller.
    """

    user: str | None = None
    groups: frozenset[str] = frozenset()

    @property
    def identified(self) -> bool:
        """Whether the caller has said anything about who they are."""
        return self.user is not None or bool(self.groups)


@dataclass(frozen=True, slots=True)
class Acl:
    """Who may read a document.

    `explicit` permits the listed users and groups, `public` permits everybody, `unknown`
    permits nobody. Deny entries win over both. Lists are kept sorted and without repetition,
    so equal rights are equal values.

    Raises:
        ValueError: an unknown state, an empty principal name, or allow entries where the
            state is not `explicit`.
    """

    state: AclState = "unknown"
    allow_users: tuple[str, ...] = ()
    allow_groups: tuple[str, ...] = ()
    deny_users: tuple[str, ...] = ()
    deny_groups: tuple[str, ...] = ()
    origin: str = ""
    """Where it was found: `sidecar:PATH`, `metadata`, `column`, `config`, or why it was not."""
    fingerprint: str = field(default="", compare=False)
    """Hash of the state and the four lists; `origin` stays out of it. Filled in when empty."""

    def __post_init__(self) -> None:
        if self.state not in _STATES:
            raise ValueError(f"ACL state {self.state!r} is none of {', '.join(_STATES)}")
        for name in _LISTS:
            names = getattr(self, name)
            if isinstance(names, str):
                raise ValueError(f"ACL {name} must be a list of names, not the string {names!r}")
            if any(not isinstance(n, str) or not n for n in names):
                raise ValueError(f"ACL {name} holds something that is not a name: {names!r}")
            object.__setattr__(self, name, tuple(sorted(set(names))))
        if self.state != "explicit" and (self.allow_users or self.allow_groups):
            raise ValueError(f"an ACL of state {self.state!r} cannot have allow entries")
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", self._fingerprint())

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(self.state.encode())
        for name in _LISTS:
            entries: tuple[str, ...] = getattr(self, name)
            digest.update(b"\x00%d" % len(entries))
            for entry in entries:
                data = entry.encode("utf-8", "surrogatepass")
                digest.update(b"\x00%d:" % len(data))
                digest.update(data)
        return digest.hexdigest()[:32]

    @classmethod
    def public(cls, origin: str = "") -> Acl:
        """Everybody, anonymous callers included."""
        return cls(state="public", origin=origin)

    @classmethod
    def unknown(cls, origin: str = "") -> Acl:
        """Nobody: the rights could not be found or read."""
        return cls(state="unknown", origin=origin)

    @classmethod
    def from_value(cls, value: object, origin: str = "") -> Acl:
        """Read the written form: the word `public` or `unknown`, or a mapping of the four lists.

        A mapping with only deny entries is public with exceptions; an empty mapping permits
        nobody, explicitly.

        Raises:
            ValueError: another type, an unknown key (named, with the known ones), a bad name.
        """
        if value in ("public", "unknown"):
            return cls(state="public" if value == "public" else "unknown", origin=origin)
        if not isinstance(value, Mapping):
            raise ValueError(
                f"an ACL is the word 'public', the word 'unknown', or a mapping with "
                f"{', '.join(_LISTS)}; got {value!r}"
            )
        unknown = [key for key in value if key not in _LISTS]
        if unknown:
            words = "; everybody and nobody are the words public and unknown, without a mapping"
            raise ValueError(
                f"unknown ACL key {unknown[0]!r}; known are {', '.join(_LISTS)}"
                f"{words if unknown[0] in ('public', 'unknown') else ''}"
            )
        lists = {name: _names(name, value.get(name)) for name in _LISTS}
        denies_only = any(lists[n] for n in _LISTS[2:]) and not any(
            name in value for name in _LISTS[:2]
        )
        state: AclState = "public" if denies_only else "explicit"
        return cls(
            state,
            lists["allow_users"],
            lists["allow_groups"],
            lists["deny_users"],
            lists["deny_groups"],
            origin,
        )

    def permits(self, principal: Principal) -> bool:
        """Whether `principal` may read what carries this ACL.

        Unknown permits nobody. A deny entry wins over any allow entry. Public with deny entries
        needs an identified caller, since an anonymous one cannot be shown not to be denied.
        """
        if self.state == "unknown":
            return False
        if principal.user is not None and principal.user in self.deny_users:
            return False
        if not principal.groups.isdisjoint(self.deny_groups):
            return False
        if self.state == "public":
            return principal.identified or not (self.deny_users or self.deny_groups)
        return (principal.user is not None and principal.user in self.allow_users) or (
            not principal.groups.isdisjoint(self.allow_groups)
        )

    def narrowed(self, other: Acl) -> Acl:
        """Rights that permit nobody whom this ACL or `other` refuses; found where these were.

        They may permit fewer than both do: no list says "allowed by name here, and through a
        group there", so such a caller is left out.
        """
        if self.fingerprint == other.fingerprint:
            return self
        if "unknown" in (self.state, other.state):
            return Acl.unknown(self.origin)
        deny_users = (*self.deny_users, *other.deny_users)
        deny_groups = (*self.deny_groups, *other.deny_groups)
        if self.state == other.state == "public":
            return Acl("public", (), (), deny_users, deny_groups, self.origin)
        # Where one of the two is public, the other's entries are all that is allowed.
        first, second = (
            acl if acl.state == "explicit" else mate for acl, mate in ((self, other), (other, self))
        )
        return Acl(
            "explicit",
            tuple(set(first.allow_users) & set(second.allow_users)),
            tuple(set(first.allow_groups) & set(second.allow_groups)),
            deny_users,
            deny_groups,
            self.origin,
        )

    def with_origin(self, origin: str) -> Acl:
        """The same rights, found at `origin`."""
        return replace(self, origin=origin)

    def as_dict(self) -> dict[str, Any]:
        """The Arrow struct's value."""
        return {
            "state": self.state,
            **{name: list(getattr(self, name)) for name in _LISTS},
            "origin": self.origin,
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any] | None) -> Acl:
        """The inverse of `as_dict`; a missing value is `unknown`, never public."""
        if value is None:
            return cls.unknown("missing")
        return cls(
            value["state"],
            tuple(value.get("allow_users") or ()),
            tuple(value.get("allow_groups") or ()),
            tuple(value.get("deny_users") or ()),
            tuple(value.get("deny_groups") or ()),
            value.get("origin") or "",
        )


def _names(key: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"ACL {key} must be a list of names, for example [hr]; got {value!r}")
    return tuple(value)
