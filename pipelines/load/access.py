"""`Acl.permits` as a LanceDB filter."""

from __future__ import annotations

from collections.abc import Iterable

from lineage import Principal


def literal(text: str) -> str:
    """A SQL string literal; a quote is doubled, and nothing else is special."""
    return "'" + text.replace("'", "''") + "'"


def any_of(column: str, names: Iterable[str]) -> str:
    """Whether the list `column` holds one of `names`.

    Names that are not valid Unicode are left out: no stored name can equal them.
    """
    literals = [literal(name) for name in sorted(names) if _storable(name)]
    return f"array_has_any({column}, [{', '.join(literals)}])" if literals else "false"


def permitted(principal: Principal) -> str:
    """The rows that `principal` may read: the same answer as `Acl.permits`, term by term.

    Unknown matches neither state, so it permits nobody. Lists in the index are never null.
    """
    users = [] if principal.user is None else [principal.user]
    public = "acl_state = 'public'"
    if not principal.identified:
        return f"({public} AND NOT acl_denies)"
    allowed = [
        f"acl_state = 'explicit' AND {term}"
        for column, names in (("allow_users", users), ("allow_groups", principal.groups))
        if (term := any_of(column, names)) != "false"
    ]
    denied = [
        f"NOT {term}"
        for column, names in (("deny_users", users), ("deny_groups", principal.groups))
        if (term := any_of(column, names)) != "false"
    ]
    anyone = " OR ".join(f"({term})" for term in [public, *allowed])
    return " AND ".join(f"({term})" for term in [anyone, *denied])


def _storable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
