"""Which chunkers there are, and how one is made from a policy's parameters.

A package adds its own with an entry point in the group `gristmill.chunkers`: the name is what
policies call it, the object a callable that takes `max_tokens` and the policy's parameters as
keywords and returns a `chunkers.base.Chunker`. A dataclass like `BaseChunker` will do. Splitters of
other libraries go by `langchain:CLASS` and `llamaindex:CLASS` (`chunkers.adapters.foreign`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, cast

from chunkers.base import Chunker
from chunkers.parameters import from_mapping
from chunkers.suggest import unknown
from lineage.errors import ConfigError

if TYPE_CHECKING:
    from chunkers.adaptive import AdaptiveChunker

ENTRY_POINTS = "gristmill.chunkers"

_OWN = {
    "fixed": "chunkers.fixed:FixedChunker",
    "sentence": "chunkers.sentence:SentenceChunker",
    "recursive": "chunkers.recursive:RecursiveChunker",
    "structure": "chunkers.structure:StructureChunker",
    "table": "chunkers.table:TableChunker",
    "code": "chunkers.code:CodeChunker",
    "optimal": "chunkers.optimal:OptimalChunker",
    "semantic": "chunkers.semantic:SemanticChunker",
    "slides": "chunkers.slides:SlidesChunker",
    "page": "chunkers.slides:PageChunker",
    "conversation": "chunkers.conversation:ConversationChunker",
    "records": "chunkers.records:RecordsChunker",
    "hierarchical": "chunkers.hierarchical:HierarchicalChunker",
}

_FOREIGN = ("langchain", "llamaindex")
"""Before a colon and the name of a class: splitters of other libraries."""


@functools.cache
def _third_party() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def names() -> list[str]:
    """The names of all registered chunkers."""
    return sorted({*_OWN, *_third_party()})


def factory(name: str) -> Callable[..., Chunker]:
    """What makes the chunker called `name`. Ours cannot be replaced by an entry point.

    Raises:
        ConfigError: there is none, or its package cannot be imported.
    """
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        found: Callable[..., Chunker] = getattr(import_module(module), attribute)
        return found
    if name.partition(":")[0] in _FOREIGN and ":" in name:
        foreign = import_module("chunkers.adapters.foreign")
        return functools.partial(foreign.make, name)
    point = _third_party().get(name)
    if point is None:
        raise ConfigError(unknown("chunker", name, names()))
    try:
        loaded: Callable[..., Chunker] = point.load()
    except Exception as error:  # whatever a third party's import raises
        raise ConfigError(
            f"chunker {name!r} ({point.value}) cannot be imported: "
            f"{type(error).__name__}: {error}; install or repair the package that provides it"
        ) from error
    return loaded


def build(name: str, parameters: Mapping[str, Any], *, max_tokens: int) -> Chunker:
    """The chunker called `name`, with a policy's `parameters`, under the strategy's cap.

    Raises:
        ConfigError: the name or a parameter is not known, or a value is refused.
    """
    made = factory(name)
    owner = f"chunker {name!r}"
    if not isinstance(parameters, Mapping):
        raise ConfigError(
            f"{owner}: parameters must be a mapping, not {parameters!r} (target_tokens: 400)"
        )
    if "max_tokens" in parameters:
        raise ConfigError(
            f"{owner}: max_tokens is the strategy's, not a chunker's parameter; use target_tokens "
            f"for the size (for example target_tokens: {max_tokens})"
        )
    target = parameters.get("target_tokens")
    if isinstance(target, str | Mapping):
        return _adaptive(name, parameters, target, max_tokens)
    values = {**parameters, "max_tokens": max_tokens}
    if isinstance(made, type) and dataclasses.is_dataclass(made):
        return cast(Chunker, from_mapping(made, owner, values))
    try:
        return made(**values)
    except TypeError as error:
        raise ConfigError(f"{owner} does not accept {dict(parameters)!r}: {error}") from error


def _adaptive(
    name: str, parameters: Mapping[str, Any], target: object, max_tokens: int
) -> AdaptiveChunker:
    """A chunker whose target depends on the document."""
    from chunkers.adaptive import AdaptiveChunker, Sizing

    owner = f"chunker {name!r}"
    try:
        sizing = Sizing.read(target)
    except ConfigError as error:
        raise ConfigError(f"{owner}: {error}") from error
    if sizing.least is not None and sizing.least > max_tokens:
        raise ConfigError(
            f"{owner}: target_tokens may not be under {sizing.least}, more than max_tokens allows "
            f"({max_tokens}): raise max_tokens, or lower that bound (a ceiling of "
            f"{1000 // max_tokens + 1} or more vectors per 1,000 tokens)"
        )
    others = {key: value for key, value in parameters.items() if key != "target_tokens"}
    base = min(sizing.base, max_tokens)
    inner = build(name, {**others, "target_tokens": base}, max_tokens=max_tokens)
    if not dataclasses.is_dataclass(inner):
        raise ConfigError(
            f"{owner} takes no sizes that depend on the document, because it is no dataclass: give "
            f"target_tokens as a number (for example target_tokens: {sizing.base})"
        )
    return AdaptiveChunker(inner, sizing, max_tokens)
