"""Names of access lists, translated once, and translated anew when the map changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage import Acl, ConfigError, Principal
from pipelines.ingest.identity import Names

SLOW = [HealthCheck.too_slow]
"""What a busy machine may trip."""

NAMES = st.sampled_from(["a", "b", "c", "d", "guid-1", "guid-2"])
LISTS = st.lists(NAMES, max_size=3).map(tuple)
ACLS = st.builds(Acl, st.just("explicit"), LISTS, LISTS, LISTS, LISTS, st.just("sidecar:x@1"))
MAPS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["guid-1", "guid-2", "guid-3"]))


@settings(deadline=None, suppress_health_check=SLOW)
@given(ACLS, MAPS, MAPS)
def test_what_an_earlier_run_knows_is_used_only_where_it_is_still_right(
    acl: Acl, before: dict[str, str], now: dict[str, str]
) -> None:
    stored = Names(before).translate(acl)
    usable = Names(now).untranslated({stored.origin: stored})
    again = Names(now).translate(acl)
    for origin, known in usable.items():
        assert origin == acl.origin
        assert Names(now).translate(known) == again
    if before == now and not {"guid-1", "guid-2"} & set(acl.allow_users + acl.allow_groups):
        assert usable or stored == acl


@settings(deadline=None, suppress_health_check=SLOW)
@given(ACLS, MAPS)
def test_translating_twice_is_translating_once(acl: Acl, targets: dict[str, str]) -> None:
    names = Names(targets)
    once = names.translate(acl)
    assert names.translate(once.with_origin(acl.origin)) == once
    for kind in ("allow_users", "allow_groups", "deny_users", "deny_groups"):
        assert set(getattr(once, kind)) == {targets.get(n, n) for n in getattr(acl, kind)}


def test_a_changed_map_is_a_change_of_rights(project: Any) -> None:
    project.write("a.md", "words of a")
    project.write("a.md.acl.yaml", "allow_groups: [hr]\ndeny_users: [eve]\n")
    project.write("b.md", "words of b")
    project.run()
    assert project.documents()["a.md"]["acl"]["allow_groups"] == ["hr"]
    for target in ("guid-1", "guid-2"):
        project.settings["identity"] = {"map": {"hr": target, "nobody": "guid-9"}}
        summary = project.ingest()
        assert (summary.counts["acl"], summary.counts["unchanged"]) == (1, 1)
        acl = Acl.from_dict(project.documents()["a.md"]["acl"])
        assert acl.permits(Principal("amy", frozenset({target})))
        assert not acl.permits(Principal("eve", frozenset({target})))
        assert not acl.permits(Principal("amy", frozenset({"hr"})))
        assert project.ingest().counts["unchanged"] == 2


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({"map": {"a": "b", "b": "c"}}, "translated once"),
        ({"map": {"a": ""}}, "translate a name"),
        ({"maps": {}}, "did you mean `map`"),
        ({"map": ["a"]}, "a mapping"),
    ],
)
def test_maps_that_are_refused(project: Any, identity: Any, message: str) -> None:
    project.settings["identity"] = identity
    with pytest.raises(ConfigError, match=message):
        _ = project.config
