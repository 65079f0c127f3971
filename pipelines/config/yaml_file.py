"""Strict YAML: values with the line each came from, and environment variables expanded.

YAML itself keeps the last of two equal keys, reads `no` as false and knows nothing of lines.
Here a repeated key is an error, every value remembers its line, and a literal secret is refused
before anything can log it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lineage.errors import ConfigError
from pipelines.config.place import ConfigPlace

KeyPath = tuple[str | int, ...]
"""Where a value stands: mapping keys and list positions from the top."""

_VARIABLE = re.compile(r"\$(\$)?\{([^{}]*)\}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SECRET_KEYS = frozenset(
    {"account_key", "api_key", "apikey", "connection_string", "credential", "password", "sas",
     "sas_token", "secret", "secret_key", "storage_key", "token"}
)  # fmt: skip
_SECRET_VALUE = re.compile(
    r"AccountKey=|SharedAccessKey=|SharedAccessSignature=|[?&]sig=|DefaultEndpointsProtocol="
    r"|://[^/@\s:]+:[^/@\s]+@",
    re.IGNORECASE,
)
_MAX_NODES = 100_000


@dataclass(slots=True)
class YamlFile:
    """A parsed YAML file: its value, and what is known about each place in it."""

    path: Path
    value: Any = None
    """Environment variables expanded."""
    raw: Any = None
    """The same before expansion, so that what came from the environment is not in it."""
    lines: dict[KeyPath, int] = field(default_factory=dict)
    """Line of each key and list item, from 1."""
    expanded: set[KeyPath] = field(default_factory=set)
    """Places whose text came, in whole or in part, from the environment."""

    def error(self, path: KeyPath, message: str) -> ConfigError:
        """A `ConfigError` that names the file, the line and the key path."""
        place = path
        while place and place not in self.lines:
            place = place[:-1]
        line = f", line {self.lines[place]}" if place in self.lines else ""
        key = f"{dotted(path)}: " if path else ""
        return ConfigError(f"{self.path}{line}: {key}{message}")

    def place(self, path: KeyPath) -> ConfigPlace:
        """Where the mapping at `path` stands, for messages about what it leads to."""
        depth = len(path)
        lines = {
            str(each[depth]) if len(each) > depth else "": line
            for each, line in self.lines.items()
            if each[:depth] == path and len(each) <= depth + 1
        }
        return ConfigPlace(dotted(path), str(self.path), lines)


def dotted(path: KeyPath) -> str:
    """A key path as a reader writes it: `sources[0].include`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(path: Path, environ: Mapping[str, str] | None = None) -> YamlFile:
    """Read and parse the YAML file at `path`.

    Raises:
        ConfigError: the file is missing, is a folder, is not UTF-8 or not YAML, repeats a key,
            holds a literal secret, or names an environment variable that is not set.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file. Check the path, or write a config with "
            f"`gristmill init FOLDER --output {path.name}`."
        ) from None
    except IsADirectoryError:
        raise ConfigError(
            f"{path}: is a folder, not a config file. `gristmill init {path}` writes a config "
            f"for the documents in it."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: is not UTF-8 text (byte {error.start}). Save the config as UTF-8."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Check its rights."
        ) from error
    return parse_yaml(text, path, os.environ if environ is None else environ)


def parse_yaml(text: str, path: Path, environ: Mapping[str, str]) -> YamlFile:
    """Parse `text`, read from `path`; see `read_yaml`."""
    loader = yaml.SafeLoader(text)
    result = YamlFile(path)
    try:
        node = loader.get_single_node()
        if node is not None:
            result.value, result.raw = _Builder(result, loader, environ).build(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        problem = str(error.problem or error.context)
        cure = (
            "Indent with spaces, never with tabs."
            if "'\\t'" in problem
            else "Inside {…} and […], put text that holds braces or `: ` in quotes."
        )
        raise ConfigError(f"{path}{line}: not valid YAML: {problem}. {cure}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    finally:
        loader.dispose()
    return result


class _Builder:
    """Turns the node tree of one file into plain values."""

    def __init__(self, result: YamlFile, loader: yaml.SafeLoader, environ: Mapping[str, str]):
        self.result = result
        self.loader = loader
        self.environ = environ
        self.open: set[int] = set()
        self.nodes = 0

    def build(self, node: yaml.Node, path: KeyPath) -> tuple[Any, Any]:
        """The value of `node` twice: expanded, and as written."""
        self.nodes += 1
        self.result.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self.open or self.nodes > _MAX_NODES:
            raise self.result.error(path, "an alias repeats itself or too much; write it out")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            pairs = [self.build(item, (*path, n)) for n, item in enumerate(node.value)]
            return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> tuple[Any, Any]:
        own: dict[str, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            line = key_node.start_mark.line + 1
            key = self.loader.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                self.result.lines[(*path, str(key))] = line
                raise self.result.error(
                    (*path, str(key)), f'a key must be text, not {key!r}; write it as "{key}"'
                )
            if key in own:
                self.result.lines[(*path, key)] = line
                raise self.result.error(
                    (*path, key), f"given twice, first on line {own[key]}; keep one of them"
                )
            own[key] = line
        self.loader.flatten_mapping(node)
        value: dict[str, Any] = {}
        raw: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.loader.construct_object(key_node, deep=True)
            self.result.lines[(*path, key)] = key_node.start_mark.line + 1
            value[key], raw[key] = self.build(value_node, (*path, key))
        return value, raw

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> tuple[Any, Any]:
        value = self.loader.construct_object(node, deep=True)
        if not isinstance(value, str):
            return value, value
        self._refuse_secret(value, path)
        text = _VARIABLE.sub(lambda match: self._variable(match, path), value)
        return text, value

    def _refuse_secret(self, value: str, path: KeyPath) -> None:
        bare = _VARIABLE.sub("", value)
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        named = key.lower() in _SECRET_KEYS and "labels" not in path
        if (named and bare) or _SECRET_VALUE.search(bare):
            raise self.result.error(
                path,
                "holds a secret in clear text. Put it in the environment and refer to it, for "
                "example ${MY_SECRET}; for Azure set AZURE_STORAGE_CONNECTION_STRING, or sign in "
                "with an identity and give no secret at all.",
            )

    def _variable(self, match: re.Match[str], path: KeyPath) -> str:
        if match[1]:
            return match[0][1:]
        name, has_default, default = match[2].partition(":-")
        if not _VARIABLE_NAME.match(name):
            raise self.result.error(
                path,
                f"{match[0]} does not name an environment variable; write ${{NAME}} or "
                f"${{NAME:-default}}, and $${{…}} for the characters themselves",
            )
        self.result.expanded.add(path)
        value = self.environ.get(name)
        if has_default:
            return value or default
        if value is None:
            raise self.result.error(
                path,
                f"the environment variable {name} is not set. Set it (export {name}=…), or give "
                f"a default: ${{{name}:-default}}.",
            )
        return value
