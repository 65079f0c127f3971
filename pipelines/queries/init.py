"""A first config for a folder or container: small, complete, and explained in its comments."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lineage.errors import ConfigError
from pipelines.config.reader import build_config
from pipelines.config.yaml_file import parse_yaml

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MOST_FILES = 20_000
_RECORDS = (".parquet", ".jsonl", ".ndjson", ".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look at a local folder found."""

    files: int = 0
    suffixes: tuple[tuple[str, int], ...] = ()
    """The most frequent suffixes and their numbers."""
    acl_files: int = 0
    complete: bool = True
    """False when there were more files than were looked at."""


def survey(folder: Path) -> Survey:
    """Count the files of a folder by suffix, and the access files among them."""
    suffixes: Counter[str] = Counter()
    files = acl_files = 0
    for _, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if name in ("_acl.yaml", "_acl.yml") or name.endswith((".acl.yaml", ".acl.yml")):
                acl_files += 1
                continue
            files += 1
            suffixes[os.path.splitext(name)[1].lower() or "no suffix"] += 1
            if files >= _MOST_FILES:
                return Survey(files, tuple(suffixes.most_common(6)), acl_files, False)
    return Survey(files, tuple(suffixes.most_common(6)), acl_files)


def default_name(target: str) -> str:
    """A pipeline's name made of the last part of a path or URI."""
    last = target.partition("?")[0].rstrip("/").rpartition("/")[2]
    last = os.path.splitext(last)[0] if last.lower().endswith(_RECORDS) else last
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._").lower()
    return name[:64] or "documents"


def write_config(target: str, output: Path, *, name: str | None, force: bool) -> Survey | None:
    """Write a config for `target` to `output`.

    Returns:
        What the folder holds, or null for a URI.

    Raises:
        ConfigError: `target` does not exist, `output` does and `force` is false, or it cannot be
            written.
    """
    if output.exists() and not force:
        raise ConfigError(f"{output} exists already: choose another --output, or give --force")
    if not output.parent.is_dir():
        raise ConfigError(f"{output}: there is no folder {output.parent}; create it first")
    found: Survey | None = None
    excluded = ""
    uri = target
    if not _URI.match(target):
        path = Path(target)
        if not path.exists():
            raise ConfigError(
                f"{target}: there is no such folder. Give a folder, a table of records, or a "
                "container such as az://container/prefix"
            )
        found = survey(path) if path.is_dir() else None
        home = Path(os.path.abspath(output.parent))
        uri = os.path.relpath(os.path.abspath(path), home)
        if home == path.absolute() or path.absolute() in home.parents or uri == ".":
            inside = os.path.relpath(home, os.path.abspath(path))
            prefix = "" if inside == "." else f"{inside}/"
            excluded = f'    exclude: ["{prefix}.gristmill/**", "{prefix}{output.name}"]\n'
    records = target.lower().endswith(_RECORDS)
    text = _TEMPLATE.format(
        name=_quoted(name or default_name(os.path.abspath(target) if found else target)),
        uri=_quoted(uri),
        contents=_contents(found),
        excluded=excluded,
        acl=_acl_comment(found, uri),
        records=_RECORDS_TEXT if records else "",
        azure=_AZURE if _URI.match(target) else "",
    )
    # What is written must be valid, whatever names came in.
    build_config(parse_yaml(text, Path(os.path.abspath(output)), os.environ), os.environ)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{output}: cannot be written ({error.strerror}): check the rights of {output.parent}, "
            "or give another --output"
        ) from error
    return found


def _quoted(text: str) -> str:
    """Plain where YAML reads it back as it is, else in double quotes."""
    if re.fullmatch(r"[A-Za-z0-9._/][A-Za-z0-9._/:@-]*", text) and not re.fullmatch(
        r"[-+.0-9_eE:]*|true|false|yes|no|on|off|null|y|n", text, re.IGNORECASE
    ):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${") + '"'


def _contents(found: Survey | None) -> str:
    if found is None or not found.files:
        return ""
    listed = ", ".join(f"{number} {suffix}" for suffix, number in found.suffixes)
    more = "" if found.complete else "at least "
    return f"    # {more}{found.files} file{'' if found.files == 1 else 's'}: {listed}\n"


def _acl_comment(found: Survey | None, uri: str) -> str:
    if found is not None and found.acl_files:
        return (
            f"    # {found.acl_files} access files (_acl.yaml, NAME.acl.yaml) say who may read "
            "what. Whatever none of\n    # them covers gets this default; unknown means nobody.\n"
        )
    where = (
        "No access file (_acl.yaml in a folder, NAME.acl.yaml beside a file) was found."
        if found is not None
        else "Rights come from blob metadata, access files or columns, where there are any."
    )
    return (
        f"    # {where}\n    # What has none gets this default; unknown means that nobody can find "
        "it. Others: public,\n    # {allow_groups: [staff]}.\n"
    )


_RECORDS_TEXT = """    # Which columns are what. One row is one document.
    records: {key: id, text: text}
"""

_AZURE = """# Credentials come from the environment, never from here:
# AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and a signed-in identity.
"""

_TEMPLATE = """# What is read, how it is chunked, and where the chunks go.
#   gristmill run THIS_FILE        brings everything up to date; run it again whenever you like
#   gristmill status THIS_FILE     what is there, and what is behind
#   gristmill search THIS_FILE "words" --group NAME
# Relative paths start at this file's folder. ${{NAME}} and ${{NAME:-default}} come from the
# environment.
{azure}name: {name}

# The tables of documents and chunks: a folder, or az://container/path, abfss://…
lake: .gristmill/lake

sources:
  - uri: {uri}
{contents}{excluded}{acl}    acl: {{default: unknown}}
{records}
# How documents are chunked. Without a policy, the built-in one routes by the type of the data.
strategies:
  - name: default
    encoding: o200k_base         # whose tokens are counted; or cl100k_base
    max_tokens: 512              # the hard cap of a chunk, its context included

# Where the chunks can be searched.
sinks:
  - {{name: index, kind: lancedb, uri: .gristmill/index, strategy: default}}

# Where each run's figures go: `mlflow ui --backend-store-uri sqlite:///.gristmill/mlflow.db`
mlflow: {{tracking_uri: "sqlite:///.gristmill/mlflow.db"}}
"""
