"""Embedders by description, for parameters that are written down.

A package registers what opens one with an entry point in the group `gristmill.embedders`: the name
is the `kind` of a description, the object a callable that takes the description and returns
something with `embed(texts)`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
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


def function_of(value: Embeds | Embed | Mapping[str, Any]) -> Embed:
    """What embeds texts; a description is opened once in a process."""
    if isinstance(value, Mapping):
        value = _opened(json.dumps(value, sort_keys=True))
    made: Any = value
    embed: Embed = getattr(made, "embed", made)
    return embed


@functools.lru_cache(maxsize=4)
def _opened(description: str) -> Embeds:
    value = json.loads(description)
    opened: Embeds = _registered()[value["kind"]].load()(value)
    return opened
