"""What is installed, what is missing, and what that costs."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from typing import Literal

State = Literal["ok", "missing", "warning", "failed"]

_COSTS = {
    "ingest": "the ingest stage does not run here",
    "transform": "the transform stage does not run here, and run records cannot be published",
    "load": "the load stage and search do not run here",
    "serve": "the read API does not run here",
    "azure": "Azure Blob containers cannot be sources",
    "azure-openai": "an Azure OpenAI deployment cannot embed",
    "embeddings": "local models cannot embed",
    "evaluate": "strategies cannot be compared, nor tuned from feedback",
    "openlineage": "no lineage events are sent",
    "unstructured": "`parser: unstructured` cannot be chosen, and DOC and PPT are rejected",
    "fast": "tokens are counted 4 to 6 times more slowly",
}
"""Extra to what is not possible without it."""
_GRAMMAR = "tree-sitter-"
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)[^;]*(?:;.*extra == ['\"]([^'\"]+)['\"])?")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    detail: str
    cure: str | None = None


def installation() -> Iterator[Check]:
    """Python, gristmill, what each extra asks for, and what is no Python package."""
    yield Check("python", "ok", f"{platform.python_version()} on {_system()}")
    yield Check("gristmill", "ok", _version("gristmill") or "not installed as a package")
    missing = [name for name in required() if _version(name) is None]
    yield (
        Check("base", "failed", f"{', '.join(missing)} missing", "pip install gristmill")
        if missing
        else Check("base", "ok", _versions(required()))
    )
    for extra, cost in _COSTS.items():
        names = [name for name in required(extra) if not name.startswith(_GRAMMAR)]
        missing = [name for name in names if not _installed(name)]
        cure = f"pip install 'gristmill[{extra}]'"
        yield (
            Check(extra, "missing", f"{', '.join(missing)} missing: {cost}", cure)
            if missing
            else Check(extra, "ok", _versions(tuple(names)))
        )
    yield _grammars()
    yield _office()
    if _version("unstructured"):
        yield _language_model()


@cache
def required(extra: str | None = None) -> tuple[str, ...]:
    """The distributions that gristmill asks for, or those of one extra, sorted."""
    try:
        found = [_REQUIREMENT.match(line) for line in requires("gristmill") or ()]
    except PackageNotFoundError:
        return ()
    return tuple(sorted(match[1] for match in found if match and match[2] == extra))


def _system() -> str:
    return f"{platform.system()} {platform.machine()}"


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _installed(distribution: str) -> bool:
    # The full MLflow serves as well as its small part.
    names = {"mlflow-skinny": ("mlflow-skinny", "mlflow")}.get(distribution, (distribution,))
    return any(_version(name) is not None for name in names)


def _versions(distributions: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {found}" for name in distributions if (found := _version(name)))


def _grammars() -> Check:
    prefix = "tree_sitter_"
    found = sorted(
        name.removeprefix(prefix) for name in packages_distributions() if name.startswith(prefix)
    )
    if found:
        return Check("grammars of code", "ok", ", ".join(found))
    return Check(
        "grammars of code", "missing", "source code is cut at blank lines, not at definitions",
        "pip install 'gristmill[code]'",
    )  # fmt: skip


def _office() -> Check:
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office:
        return Check("LibreOffice", "ok", office)
    return Check(
        "LibreOffice", "missing", "DOC and PPT files are rejected (missing_dependency)",
        "install LibreOffice so that `soffice` is on the PATH",
    )  # fmt: skip


def _language_model() -> Check:
    model = _version("en-core-web-sm")
    if model:
        return Check("unstructured's language model", "ok", f"en-core-web-sm {model}")
    return Check(
        "unstructured's language model", "missing",
        "en-core-web-sm is not installed; a rule-based stand-in splits sentences, so unstructured "
        "tells titles from text less well (the parser's version says which)",
        "install the spaCy model en-core-web-sm into the image",
    )  # fmt: skip
