"""Names in access lists, translated to those that callers have.

A source may write `hr` where a directory knows a group by its object id. What is stored is
translated, so that tables, sinks and callers speak of the same names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lineage import Acl, fingerprint

_MARK = " names:"
_DIGITS = 12


class Names:
    """The translation that `identity.map` of a configuration describes.

    No target may be a name that is itself translated to another one, so that translating twice
    is the same as translating once.
    """

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = dict(targets)
        self._done: dict[tuple[str, str], Acl] = {}

    def translate(self, acl: Acl) -> Acl:
        """`acl` with each name that is in the map replaced.

        Its origin then tells which entries of the map may have been used.
        """
        if not self._targets:
            return acl
        key = (acl.fingerprint, acl.origin)
        found = self._done.get(key)
        if found is None:
            found = self._done[key] = self._translated(acl)
        return found

    def untranslated(self, known: Mapping[str, Acl]) -> dict[str, Acl]:
        """The ACLs of an earlier run that the source would find unchanged, by its own origins.

        Left out are those that another map has translated: their first names are lost, and the
        source has to be asked again.
        """
        usable = {}
        for origin, acl in known.items():
            plain, _, written = origin.partition(_MARK)
            if written == self._entries(acl):
                usable[plain] = acl.with_origin(plain)
        return usable

    def _translated(self, acl: Acl) -> Acl:
        other = replace(
            acl,
            allow_users=self._of(acl.allow_users),
            allow_groups=self._of(acl.allow_groups),
            deny_users=self._of(acl.deny_users),
            deny_groups=self._of(acl.deny_groups),
            fingerprint="",
        )
        entries = self._entries(other)
        return other.with_origin(f"{acl.origin}{_MARK}{entries}") if entries else other

    def _of(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(self._targets.get(name, name) for name in names)

    def _entries(self, acl: Acl) -> str:
        """Hash of the map's entries that lead to a name in `acl`; empty when none does."""
        held = {*acl.allow_users, *acl.allow_groups, *acl.deny_users, *acl.deny_groups}
        used = {name: target for name, target in self._targets.items() if target in held}
        return fingerprint(used)[:_DIGITS] if used else ""
