"""Profiles: what chunks are for, as sizes.

    profiles:
      lookup: {query: lookup, audience: expert}
      analysis: {query: analysis, cost_ceiling: {vectors: 4}}

A rule names one (`profile: lookup`), or several, which gives chunks of several sizes as one tree
(`profile: [lookup, analysis]`). A profile is resolved into a chunker's parameters when the policy
is read, so what it says is in the hash of those parameters, and a profile that changes chunks
again just the documents of the rules that use it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chunkers.adaptive import Sizing
from chunkers.policy_conditions import KeyPath, PolicyError
from chunkers.suggest import unknown
from lineage.errors import ConfigError

QUERIES: Mapping[str, tuple[int, str]] = {
    "lookup": (128, "a name, a number, a sentence that answers"),
    "answer": (320, "a passage that explains"),
    "analysis": (768, "a section to reason over"),
}
"""Tokens of running text by how much a question needs, and what that is."""

AUDIENCES: Mapping[str, tuple[float, str]] = {
    "expert": (0.75, "knows the field and wants the place"),
    "general": (1.0, ""),
    "newcomer": (1.5, "needs what is around as well"),
}
"""Factor by who reads what is found, and why."""

_KEYS = (
    "query", "audience", "cost_ceiling", "target_tokens", "max_tokens", "overlap_tokens", "context",
)  # fmt: skip
_CEILINGS = ("vectors", "tokens")
_MOST_SIZES = 3
EXAMPLE = "{query: lookup}"


@dataclass(frozen=True, slots=True)
class Profile:
    """One named use of chunks, and the sizes that follow from it."""

    name: str
    written: Mapping[str, Any]
    target: int | Mapping[str, int]
    """A number of tokens, or what `chunkers.adaptive.Sizing` reads."""
    max_tokens: int | None
    """The cap where this is the size of a parent."""
    others: Mapping[str, Any]
    """Overlap and context, when given."""
    reasons: tuple[str, ...]
    """How the size came about, step by step."""

    @property
    def base(self) -> int:
        """Tokens that a chunk of running text should have."""
        return self.target if isinstance(self.target, int) else self.target["base"]


def read_profiles(value: object, path: KeyPath) -> dict[str, Profile]:
    """The profiles of a policy's mapping `profiles`.

    Raises:
        PolicyError: a wrong type, an unknown key or word, or ceilings that a fixed size breaks.
    """
    if not isinstance(value, Mapping):
        raise PolicyError(
            path, f"must be a mapping of profiles such as `lookup: {EXAMPLE}`, not {value!r}"
        )
    return {
        str(name): _profile(str(name), each, (*path, str(name))) for name, each in value.items()
    }


def _profile(name: str, value: object, path: KeyPath) -> Profile:
    if not isinstance(value, Mapping) or not value:
        raise PolicyError(path, f"must be a mapping such as `{EXAMPLE}`, not {value!r}")
    for key in value:
        if key not in _KEYS:
            raise PolicyError((*path, key), unknown("key", str(key), _KEYS))
    if ("query" in value) == ("target_tokens" in value):
        raise PolicyError(
            path,
            f"needs one of `query` ({', '.join(QUERIES)}) and `target_tokens`, for example "
            f"`{EXAMPLE}`",
        )
    reasons: list[str] = []
    sizing = _sizing(value, path, reasons)
    others: dict[str, Any] = {}
    ceiling = _ceiling(value.get("cost_ceiling"), (*path, "cost_ceiling"))
    least = math.ceil(1000 / ceiling["vectors"]) if "vectors" in ceiling else 1
    if least > 1:
        reasons.append(
            f"at most {ceiling['vectors']:g} vectors per 1,000 tokens: at least {least} tokens"
        )
    overlap = _count(value, "overlap_tokens", path, 0)
    base = sizing if isinstance(sizing, int) else sizing.base
    if overlap and "tokens" in ceiling:
        most = math.floor((ceiling["tokens"] - 1) * max(base, least))
        if most < overlap:
            reasons.append(
                f"at most {ceiling['tokens']:g} embedded tokens per token of text: overlap {most} "
                f"instead of {overlap}"
            )
            overlap = most
    if overlap:
        others["overlap_tokens"] = overlap
    if "context" in value:
        others["context"] = value["context"]
    target: int | dict[str, int]
    if isinstance(sizing, int):
        target = sizing
        if target < least:
            raise PolicyError(
                (*path, "target_tokens"),
                f"is {target}, and a ceiling of {ceiling['vectors']:g} vectors per 1,000 tokens "
                f"needs at least {least}: raise one of the two",
            )
    else:
        target = {"base": max(sizing.base, least)}
        floor = max(sizing.least or 0, least)
        if floor > 1:
            target["least"] = floor
        if sizing.most is not None:
            target["most"] = max(sizing.most, floor)
    cap = _count(value, "max_tokens", path, 1) or None
    return Profile(name, dict(value), target, cap, others, tuple(reasons))


def _sizing(value: Mapping[str, Any], path: KeyPath, reasons: list[str]) -> int | Sizing:
    """The size before ceilings: a fixed one, or one that adapts to the document."""
    audience = value.get("audience", "general")
    if not isinstance(audience, str) or audience not in AUDIENCES:
        raise PolicyError((*path, "audience"), unknown("audience", str(audience), AUDIENCES))
    factor, why = AUDIENCES[audience]
    written = value.get("target_tokens")
    if isinstance(written, int) and not isinstance(written, bool):
        if written < 1:
            raise PolicyError((*path, "target_tokens"), f"must be from 1 up, not {written}")
        reasons.append(f"target_tokens: {written} tokens")
        fixed = round(written * factor)
        if factor != 1.0:
            reasons.append(f"audience {audience} \u00d7{factor:g}, {why}: {fixed} tokens")
        return fixed
    if "query" in value:
        query = value["query"]
        if not isinstance(query, str) or query not in QUERIES:
            raise PolicyError((*path, "query"), unknown("query", str(query), QUERIES))
        size, what = QUERIES[query]
        sizing = Sizing(size)
        reasons.append(f"query {query}: {size} tokens, {what}")
    else:
        try:
            sizing = Sizing.read(written)
        except ConfigError as error:
            raise PolicyError((*path, "target_tokens"), str(error)) from error
        reasons.append(f"target_tokens: {sizing.base} tokens for running text")
    if factor != 1.0:
        sizing = Sizing(round(sizing.base * factor), sizing.least, sizing.most)
        reasons.append(f"audience {audience} \u00d7{factor:g}, {why}: {sizing.base} tokens")
    return sizing


def _ceiling(value: object, path: KeyPath) -> Mapping[str, float]:
    if value is None:
        return {}
    example = "for example `cost_ceiling: {vectors: 6, tokens: 1.1}`"
    if not isinstance(value, Mapping) or not value:
        raise PolicyError(path, f"must be a mapping, {example}, not {value!r}")
    for key, number in value.items():
        if key not in _CEILINGS:
            raise PolicyError((*path, str(key)), unknown("key", str(key), _CEILINGS))
        low = 1.0 if key == "tokens" else 0.01
        if isinstance(number, bool) or not isinstance(number, int | float) or number < low:
            raise PolicyError(
                (*path, key), f"must be a number from {low:g} up, {example}, not {number!r}"
            )
    return value


def _count(value: Mapping[str, Any], key: str, path: KeyPath, low: int) -> int:
    number = value.get(key, 0)
    if key in value and (isinstance(number, bool) or not isinstance(number, int) or number < low):
        raise PolicyError((*path, key), f"must be a whole number from {low} up, not {number!r}")
    return int(number)


def resolve(
    chunker: str, parameters: Mapping[str, Any], chosen: Sequence[Profile], path: KeyPath
) -> tuple[str, dict[str, Any]]:
    """The chunker and the parameters that some profiles stand for; a rule's own parameters win.

    Raises:
        PolicyError: too many profiles, two of one size, or a chunker that makes levels itself.
    """
    ordered = sorted(chosen, key=lambda profile: profile.base)
    smallest = ordered[0]
    given = {**smallest.others, "target_tokens": _target(smallest), **parameters}
    if len(ordered) == 1:
        return chunker, given
    if len(ordered) > _MOST_SIZES:
        raise PolicyError(path, f"names {len(ordered)} profiles; at most {_MOST_SIZES} sizes go")
    if chunker == "hierarchical":
        raise PolicyError(
            path,
            "several profiles make a hierarchy by themselves: name the chunker of the smallest "
            "chunks, for example `chunker: optimal`",
        )
    for small, large in itertools.pairwise(ordered):
        if large.base == small.base:
            raise PolicyError(
                path, f"profiles {small.name!r} and {large.name!r} both come to {large.base} tokens"
            )
    shared = ("target_tokens", "overlap_tokens", "context")
    tree: dict[str, Any] = {key: given[key] for key in shared if key in given}
    target = tree["target_tokens"]
    if isinstance(target, Mapping):
        # However a document's type and length raise it, a child stays smaller than its parent.
        tree["target_tokens"] = {"most": ordered[1].base, **target}
    tree |= {
        "chunker": chunker,
        "granularity": smallest.name,
        "parents": [_parent(profile) for profile in ordered[1:]],
    }
    own = {key: value for key, value in given.items() if key not in shared}
    return "hierarchical", {**tree, "parameters": own} if own else tree


def _target(profile: Profile) -> Any:
    target = profile.target
    return dict(target) if isinstance(target, Mapping) else target


def _parent(profile: Profile) -> dict[str, Any]:
    parent: dict[str, Any] = {"granularity": profile.name, "target_tokens": profile.base}
    if profile.max_tokens is not None:
        parent["max_tokens"] = profile.max_tokens
    return parent
