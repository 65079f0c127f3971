"""Access control as sources write it down: sidecar files, blob metadata, columns.

What is nearest to the document wins, and replaces what is farther away as a whole:

1. the file's own sidecar, `NAME.acl.yaml`,
2. the blob's metadata or the record's columns,
3. the nearest folder's sidecar, `_acl.yaml`, which holds downwards until replaced,
4. the configuration's `acl.default`,
5. nothing found: `unknown`, which permits nobody.

Something that is there and cannot be read counts as `unknown`, with the reason in the origin; it
never falls through to the next level.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from lineage.acl import Acl

MAX_SIDECAR_BYTES = 256 << 10
LISTS = ("allow_users", "allow_groups", "deny_users", "deny_groups")
NOT_FOUND = Acl.unknown("none found")

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def resolve(
    *, file: Acl | None, stated: Acl | None, folder: Acl | None, default: Acl | None
) -> Acl:
    """The one ACL that holds, by the order above."""
    for found in (file, stated, folder, default):
        if found is not None:
            return found
    return NOT_FOUND


def from_sidecar(data: bytes, path: str, version: str | None = None) -> Acl:
    """The ACL in a sidecar's bytes; `unknown` with the reason when they hold none.

    Args:
        data: the file.
        path: its path in the source, for the origin.
        version: its version, where knowing it saves reading the file another time.
    """
    try:
        return _parse(data).with_origin(sidecar_origin(path, version))
    except ValueError as error:
        return unreadable(path, str(error))


def sidecar_origin(path: str, version: str | None = None) -> str:
    """The origin of an ACL that was read from the sidecar at `path`."""
    return f"sidecar:{path}@{version}" if version else f"sidecar:{path}"


def unreadable(path: str, reason: str) -> Acl:
    """The ACL of what a sidecar covers that cannot be used: nobody."""
    return Acl.unknown(f"sidecar:{path}: {' '.join(reason.split())[:300]}")


def from_metadata(metadata: Mapping[str, str]) -> tuple[Acl | None, dict[str, str]]:
    """The ACL in a blob's metadata, null when it says nothing, and the rest as labels.

    Keys, whatever their case: `acl` with the word `public` or `unknown`, or a JSON object of the
    four lists; or `acl_allow_users`, `acl_allow_groups`, `acl_deny_users`, `acl_deny_groups`,
    each a JSON list or names with commas between. Any other key that begins with `acl_`, and a
    list's name without it, makes the ACL `unknown`: it may be a misspelt restriction.
    """
    found = [(key.lower(), value) for key, value in metadata.items() if _is_acl_key(key)]
    labels = {key: value for key, value in metadata.items() if not _is_acl_key(key)}
    stated = dict(found)
    if not stated:
        return None, labels
    try:
        if len(stated) < len(found):
            raise ValueError("a key is there twice")
        return _from_strings(stated).with_origin("metadata"), labels
    except ValueError as error:
        return Acl.unknown(f"metadata: {' '.join(str(error).split())[:300]}"), labels


def has_acl_key(names: Mapping[str, str]) -> str | None:
    """The first key that reads like an ACL, where ACLs have no place."""
    return next((key for key in names if _is_acl_key(key)), None)


def from_columns(columns: Mapping[str, str], row: Mapping[str, Any]) -> Acl | None:
    """The ACL in a record's columns; null when all of them are null.

    Args:
        columns: ACL list (`allow_groups` …) to column.
        row: column to value: a list of names, or a string as in blob metadata.
    """
    stated = {name: row.get(column) for name, column in columns.items()}
    if all(value is None for value in stated.values()):
        return None
    try:
        lists = {name: _names(name, value) for name, value in stated.items() if value is not None}
        return Acl.from_value(lists, origin="column")
    except ValueError as error:
        return Acl.unknown(f"column: {' '.join(str(error).split())[:300]}")


def _is_acl_key(key: str) -> bool:
    key = key.lower()
    return key == "acl" or key.startswith("acl_") or key in LISTS


def _from_strings(stated: Mapping[str, str]) -> Acl:
    lists = {}
    for key, value in stated.items():
        name = key.removeprefix("acl_")
        if key in LISTS or (key != "acl" and name not in LISTS):
            known = ", ".join(f"acl_{known}" for known in LISTS)
            raise ValueError(f"unknown key {key!r}; known are acl, {known}")
        if key != "acl":
            lists[name] = _names(name, value)
    if "acl" not in stated:
        return Acl.from_value(lists)
    word = stated["acl"].strip()
    if word.startswith("{"):
        if lists:
            raise ValueError("acl holds an object, so there can be no acl_ lists beside it")
        return Acl.from_value(_json(word))
    if word in ("public", "unknown") and any(lists.get(name) for name in LISTS[:2]):
        raise ValueError(f"acl is {word}, so nobody can be allowed besides")
    if word == "public":
        users, groups = (tuple(lists.get(name, ())) for name in LISTS[2:])
        return Acl(state="public", deny_users=users, deny_groups=groups)
    return Acl.from_value(word)


def _names(name: str, value: object) -> Sequence[str]:
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            value = _json(value)
        else:
            return [part for part in (part.strip() for part in value.split(",")) if part]
    if not isinstance(value, Sequence) or not all(isinstance(n, str) and n for n in value):
        raise ValueError(f"{name} is not a list of names: {value!r:.100}")
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON ({error}): {text[:100]!r}") from None


@lru_cache(maxsize=512)
def _parse(data: bytes) -> Acl:
    """Many documents tend to share few access lists, so equal bytes are read once."""
    if len(data) > MAX_SIDECAR_BYTES:
        raise ValueError(f"{len(data)} bytes; the limit is {MAX_SIDECAR_BYTES}")
    try:
        text = data.decode("utf-8-sig")
        _check_events(text)
        value = yaml.load(text, Loader=_SafeLoader)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"not valid YAML: {error}") from None
    if value is None:
        raise ValueError("it is empty; write `public`, or lists such as `allow_groups: [hr]`")
    if not isinstance(value, str | dict):
        raise ValueError(f"it holds a {type(value).__name__} instead of a mapping or a word")
    return Acl.from_value(value)


def _check_events(text: str) -> None:
    """Refuse what `yaml.load` would let through: aliases (bombs), deep nesting, repeated keys."""
    depth = 0
    keys: set[str] = set()
    for event, is_key in _top_level(text):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases (*name) are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > 3:
            raise ValueError("it is nested too deeply")
        if is_key and isinstance(event, yaml.ScalarEvent):
            if event.value in keys:
                raise ValueError(f"the key {event.value!r} is there twice")
            keys.add(event.value)


def _top_level(text: str) -> Iterator[tuple[yaml.Event, bool]]:
    """Parsing events, each with whether it is a key of the outermost mapping."""
    depth = 0
    expecting_key = True
    for event in yaml.parse(text, Loader=_SafeLoader):
        starts = isinstance(event, yaml.CollectionStartEvent)
        ends = isinstance(event, yaml.CollectionEndEvent)
        at_top = depth == 1 and not ends
        yield event, at_top and expecting_key
        if at_top:
            expecting_key = not expecting_key
        depth += starts - ends
