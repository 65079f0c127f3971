"""Embedders by description, for parameters that are written down.

A package registers what opens one with an entry point in the group `gristmill.embedders`: the name
is the `kind` of a description, the object a callable that takes the description and returns
something with `embed(texts)`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

from chunkers.suggest import unknown
from lineage.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ENTRY_POINTS = "gristmill.embedders"
EXAMPLE = "{kind: onnx, model: /models/all-MiniLM-L6-v2}"


class Embeds(Protocol):
    """What turns texts into vectors, one row each."""

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors of `texts`."""


Embed = Callable[[Sequence[str]], "npt.NDArray[np.float32]"]
Serve = Callable[[Mapping[str, Any]], Embed]

_serving: ContextVar[Serve | None] = ContextVar("embedders_serving", default=None)


@functools.cache
def _registered() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def check(owner: str, value: object) -> None:
    """Refuses what is no embedder, no function and no description of a registered kind.

    Raises:
        ConfigError: that, with an example.
    """
    if isinstance(value, Mapping):
        kind = value.get("kind")
        if kind not in _registered():
            raise ConfigError(
                f"{owner}: embedder: {unknown('kind of embedder', str(kind), _registered())} "
                f"(for example embedder: {EXAMPLE})"
            )
    elif not callable(value) and not callable(getattr(value, "embed", None)):
        raise ConfigError(
            f"{owner}: embedder must be an object with embed(texts), a function of texts, or a "
            f"description such as {EXAMPLE}, not {value!r}. In a pipeline's policy, "
            "`embedder: true` stands for the configuration's embedder"
        )


def described(parameters: object) -> list[Mapping[str, Any]]:
    """The descriptions among a chunker's parameters, those of chunkers inside it included."""
    if isinstance(parameters, Mapping):
        return [
            each
            for name, value in parameters.items()
            for each in (
                [value] if name == "embedder" and isinstance(value, Mapping) else described(value)
            )
        ]
    if isinstance(parameters, list | tuple):
        return [each for value in parameters for each in described(value)]
    return []


@contextmanager
def served_by(serve: Serve) -> Iterator[None]:
    """Within it, `serve` says what embeds for a description: a cache can be put in front.

    Holds for the thread, or the task, that enters it.
    """
    before = _serving.get()
    _serving.set(serve)
    try:
        yield
    finally:
        _serving.set(before)


def function_of(value: Embeds | Embed | Mapping[str, Any]) -> Embed:
    """What embeds texts: for a description what `served_by` says, else what `opened` gives."""
    if isinstance(value, Mapping):
        serve = _serving.get()
        return opened(value).embed if serve is None else serve(value)
    made: Any = value
    embed: Embed = getattr(made, "embed", made)
    return embed


def opened(description: Mapping[str, Any]) -> Embeds:
    """The embedder of a description, opened once in a process."""
    return _opened(json.dumps(description, sort_keys=True))


@functools.lru_cache(maxsize=4)
def _opened(description: str) -> Embeds:
    value = json.loads(description)
    made: Embeds = _registered()[value["kind"]].load()(value)
    return made
