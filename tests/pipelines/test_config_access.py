"""What a config says about rights: `sources[].acl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lineage import Acl, ConfigError
from pipelines.config import Config, load_config


def load(folder: Path, acl: Any, uri: str = "az://documents") -> Config:
    path = folder / "gristmill.yaml"
    path.write_text(
        yaml.safe_dump({"name": "t", "lake": "lake", "sources": [{"uri": uri, "acl": acl}]})
    )
    return load_config(path)


def test_access_lists_of_the_lake(tmp_path: Path) -> None:
    source = load(
        tmp_path,
        {
            "from": "adls",
            "readers": {"users": ["amy"], "groups": ["admins"]},
            "nested_groups": {"staff": ["hr", "it"]},
            "inexact": "narrow",
        },
    ).sources[0]
    assert source.acl is None
    assert source.adls is not None
    assert (source.adls.reader_users, source.adls.reader_groups) == (("amy",), ("admins",))
    assert source.adls.nested_groups == {"staff": ("hr", "it")}
    assert source.adls.inexact == "narrow"
    assert load(tmp_path, {"from": "adls"}).sources[0].adls is not None


def test_a_default(tmp_path: Path) -> None:
    source = load(tmp_path, {"default": "public"}).sources[0]
    assert (source.acl, source.adls) == (Acl.public("config"), None)


@pytest.mark.parametrize(
    ("acl", "message"),
    [
        ({"from": "posix"}, "unknown origin of rights 'posix'.*adls"),
        ({"from": "adls", "default": "public"}, "no meaning beside"),
        ({"readers": {"users": ["a"]}}, "needs `from: adls`"),
        ({"from": "adls", "inexact": "wide"}, "`unknown` or `narrow`"),
        ({"from": "adls", "readers": {"user": ["a"]}}, "did you mean `users`"),
        ({"from": "adls", "readers": {"users": [1]}}, "must be text"),
        ({"from": "adls", "nested_groups": ["a"]}, "must be a mapping"),
        ({"from": "adls", "nested_groups": {"a": 1}}, "must be a list"),
        ({"form": "adls"}, "did you mean `from`"),
    ],
)
def test_what_is_refused(tmp_path: Path, acl: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, acl)


def test_a_folder_has_no_access_lists_of_a_lake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="az:// and abfss://"):
        load(tmp_path, {"from": "adls"}, uri="documents")
