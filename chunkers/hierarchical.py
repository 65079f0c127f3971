"""Chunks of two or three sizes, as one tree: small ones to be found, larger ones to be read."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from chunkers import boundaries
from chunkers.base import Chunker
from chunkers.packing import pack
from chunkers.parameters import check_bool, check_int
from chunkers.spans import Span
from chunkers.suggest import unknown
from chunkers.tokens import TokenMap, count_with_context
from lineage.errors import ConfigError
from lineage.records import Document

_OWNER = "chunker 'hierarchical'"
_MOST_PARENTS = 2
_EXAMPLE = "parents: [{granularity: section, target_tokens: 1024, max_tokens: 1536}]"
_CRUMB_SHARE = 4
"""An opening of less than one part in this many of the target goes with what it opens."""


class Level(NamedTuple):
    """A size above the smallest one."""

    granularity: str
    target_tokens: int
    max_tokens: int


@dataclass(frozen=True, kw_only=True)
class HierarchicalChunker:
    """The chunks of another chunker, with larger ones around them.

    The smallest chunks (level 0) are exactly those that `chunker` makes alone, so their ids and
    what a search finds are the same with and without parents. A parent is a run of whole chunks
    of the level below: a section while that fits, small neighbouring sections together, and a
    large one divided evenly, at the best boundaries. Every level covers the document. A parent has
    its own, larger cap, the context of its first child, and the headings that its children share.

    Good for: answers that need more than the passage that was found: search the small ones, read
    the parent. Two or three sizes for questions of different kinds (see profiles).
    Costs: what `chunker` costs, and a look at each chunk. Every level stores the text once more;
    only level 0 is searched, unless a granularity is asked for.
    Comes from: LlamaIndex's AutoMergingRetriever and LangChain's ParentDocumentRetriever; here
    parents follow sections, and are spans with a cap.

    Raises:
        ConfigError: on construction, when a parameter has a wrong type or range, or a parent's
            cap is less than that of the chunks in it.
    """

    name: ClassVar[str] = "hierarchical"

    max_tokens: int = 512
    """Hard cap of the smallest chunks, context included."""
    target_tokens: int | None = None
    """Tokens that the smallest chunks should have; their cap when not given."""
    overlap_tokens: int = 0
    """See `BaseChunker`; parents overlap where their first children do."""
    context: bool = True
    """Whether chunks carry context."""
    chunker: str = "optimal"
    """What makes the smallest chunks."""
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further parameters of `chunker`."""
    granularity: str = "small"
    """What the size of the smallest chunks is called."""
    parents: Sequence[Mapping[str, Any]] | None = field(default=None, hash=False)
    """One or two mappings of `granularity`, `target_tokens` and, if it should not be half as much
    again, `max_tokens`; the smaller one first. By default one, `large`, of three times the cap."""

    def __post_init__(self) -> None:
        check_bool(_OWNER, "context", self.context)
        if not isinstance(self.parameters, Mapping):
            raise ConfigError(
                f"{_OWNER}: parameters must be a mapping of {self.chunker!r}'s own parameters, "
                f"not {self.parameters!r}"
            )
        if self.chunker == self.name:
            raise ConfigError(
                f"{_OWNER}: chunker cannot be 'hierarchical' itself; name what makes the smallest "
                "chunks (for example chunker: optimal)"
            )
        for key in ("target_tokens", "overlap_tokens", "context"):
            if key in self.parameters:
                raise ConfigError(f"{_OWNER}: {key} stands beside `parameters`, not in it")
        _word("granularity", self.granularity)
        self._check_levels()
        _ = self.smallest

    def _check_levels(self) -> None:
        names = [self.granularity]
        below = self.max_tokens
        for level in self.levels:
            if level.granularity in names:
                raise ConfigError(
                    f"{_OWNER}: two sizes are called {level.granularity!r}; give each its own "
                    "granularity"
                )
            names.append(level.granularity)
            if level.max_tokens < below:
                raise ConfigError(
                    f"{_OWNER}: parent {level.granularity!r} has max_tokens {level.max_tokens}, "
                    f"and the chunks in it may have {below}: raise it to at least that, or put "
                    "the smaller parent first"
                )
            if level.target_tokens > level.max_tokens:
                raise ConfigError(
                    f"{_OWNER}: parent {level.granularity!r} has target_tokens "
                    f"{level.target_tokens}, more than its max_tokens {level.max_tokens} allows"
                )
            below = level.max_tokens

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The sizes above the smallest one, from small to large."""
        if self.parents is None:
            return (Level("large", 3 * self.max_tokens, 4 * self.max_tokens),)
        if (
            not isinstance(self.parents, Sequence)
            or isinstance(self.parents, str)
            or not 1 <= len(self.parents) <= _MOST_PARENTS
        ):
            raise ConfigError(
                f"{_OWNER}: parents must be a list of one or two sizes, not {self.parents!r} "
                f"(for example {_EXAMPLE})"
            )
        levels: list[Level] = []
        for value in self.parents:
            levels.append(_level(value, levels[-1].max_tokens if levels else self.max_tokens))
        return tuple(levels)

    @cached_property
    def smallest(self) -> Chunker:
        """What makes the smallest chunks."""
        from chunkers.registry import build

        # What is left at its default is not named: a third party's chunker may not know it.
        parameters = dict(self.parameters)
        if self.target_tokens is not None:
            parameters["target_tokens"] = self.target_tokens
        if self.overlap_tokens:
            parameters["overlap_tokens"] = self.overlap_tokens
        if not self.context:
            parameters["context"] = False
        return build(self.chunker, parameters, max_tokens=self.max_tokens)

    @property
    def version(self) -> str:
        """Moves with that of the chunker that makes the smallest chunks."""
        return f"1+{self.chunker}.{self.smallest.version}"

    def prepare(self) -> None:
        """Make sure that what the smallest chunks need is there; see `SemanticChunker.prepare`."""
        if hasattr(self.smallest, "prepare"):
            self.smallest.prepare()

    def spans(self, document: Document, tokens: TokenMap) -> list[Span]:
        """All levels, the smallest first, each in order; `parent` is an index into the list."""
        below = [
            dataclasses.replace(span, granularity=self.granularity, level=0, parent=None)
            for span in self.smallest.spans(document, tokens)
        ]
        begins = {block.start for block in document.blocks}
        rows: list[list[Span]] = [below]
        offset = 0
        for number, level in enumerate(self.levels, start=1):
            offset += len(below)
            ranges = list(_within(_groups(below, begins, tokens, level), below, tokens, level))
            rows[-1] = [
                dataclasses.replace(child, parent=offset + place)
                for place, (low, high) in enumerate(ranges)
                for child in below[low:high]
            ]
            below = _around(below, ranges, number, level)
            rows.append(below)
        return [span for row in rows for span in row]


def _around(
    children: Sequence[Span], ranges: Sequence[tuple[int, int]], number: int, level: Level
) -> list[Span]:
    """The spans around ranges of children."""
    spans: list[Span] = []
    for low, high in ranges:
        spans.append(_parent(children, low, high, number, level, spans[-1].end if spans else 0))
    return spans


def _parent(
    children: Sequence[Span], low: int, high: int, number: int, level: Level, reached: int
) -> Span:
    first = children[low]
    path = first.heading_path
    for child in children[low + 1 : high]:
        shared = 0
        while shared < min(len(path), len(child.heading_path)):
            if path[shared] != child.heading_path[shared]:
                break
            shared += 1
        path = path[:shared]
    return Span(
        first.start,
        children[high - 1].end,
        level=number,
        granularity=level.granularity,
        context=first.context,
        heading_path=path,
        overlap_chars=max(reached - first.start, 0),
        max_tokens=level.max_tokens,
        target_tokens=level.target_tokens,
    )


def _within(
    groups: Iterator[tuple[int, int]], children: Sequence[Span], tokens: TokenMap, level: Level
) -> Iterator[tuple[int, int]]:
    """The groups, divided where their exact count is over the cap."""
    for low, end in groups:
        while low < end:
            high = end
            while high - low > 1:
                whole = _parent(children, low, high, 0, level, 0)
                if count_with_context(tokens, whole) <= level.max_tokens:
                    break
                high -= 1
            yield low, high
            low = high


def _groups(
    children: Sequence[Span], begins: set[int], tokens: TokenMap, level: Level
) -> Iterator[tuple[int, int]]:
    """Ranges of children that share a parent, in order and end to end.

    Along the headings: what fits the target is one range; of what does not, the sections in it
    are taken, small neighbours together; and where no section divides it, it is divided evenly.
    """
    target = level.target_tokens
    if not children:
        return
    places = [*(child.start for child in children), children[-1].end]
    sizes = tokens.indices(places)
    paths = [child.heading_path for child in children]

    def walk(low: int, high: int, depth: int) -> Iterator[tuple[int, int]]:
        while True:
            if high - low == 1 or sizes[high] - sizes[low] <= target:
                yield low, high
                return
            if all(len(path) <= depth for path in paths[low:high]):
                yield from packed(list(range(low, high)), high)
                return
            runs = _runs(paths, low, high, depth)
            if len(runs) > 1:
                break
            depth += 1
        waiting: list[int] = []
        for first, last in runs:
            if sizes[last] - sizes[first] <= target:
                waiting.append(first)
                continue
            start = waiting[0] if waiting else first
            if sizes[first] - sizes[start] >= target // _CRUMB_SHARE:
                yield from packed(waiting, first)
                start = first
            waiting = []
            yield from walk(start, last, depth + 1)
        if waiting:
            yield from packed(waiting, high)

    def packed(firsts: list[int], high: int) -> Iterator[tuple[int, int]]:
        """Neighbours that begin with these children, as evenly as their borders allow."""
        strengths = [
            boundaries.BLOCK if children[i].start in begins else boundaries.LINE for i in firsts
        ]
        weights = [*(sizes[i] for i in firsts), sizes[high]]
        chosen = pack(weights, strengths, [level.max_tokens] * len(firsts), target)
        edges = [*(firsts[i] for i in chosen), high]
        yield from itertools.pairwise(edges)

    yield from walk(0, len(children), 0)


def _runs(
    paths: Sequence[tuple[str, ...]], low: int, high: int, depth: int
) -> list[tuple[int, int]]:
    """Neighbours whose headings are the same down to `depth`."""
    runs: list[tuple[int, int]] = []
    first = low
    for i in range(low + 1, high):
        if paths[i][: depth + 1] != paths[i - 1][: depth + 1]:
            runs.append((first, i))
            first = i
    return [*runs, (first, high)]


def _level(value: object, below: int) -> Level:
    fields = Level._fields
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{_OWNER}: a parent must be a mapping, not {value!r} (for example {_EXAMPLE})"
        )
    for key in value:
        if key not in fields:
            raise ConfigError(f"{_OWNER}: parents: {unknown('key', str(key), fields)}")
    for key in ("granularity", "target_tokens"):
        if key not in value:
            raise ConfigError(f"{_OWNER}: a parent needs {key} (for example {_EXAMPLE})")
    _word("granularity of a parent", value["granularity"])
    owner = f"{_OWNER}: parent {value['granularity']!r}"
    target = value["target_tokens"]
    check_int(owner, "target_tokens", target, 1)
    cap = value.get("max_tokens")
    if cap is None:
        cap = max(target + target // 2, below)
    check_int(owner, "max_tokens", cap, 1)
    return Level(value["granularity"], target, cap)


def _word(key: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{_OWNER}: {key} must be a name, not {value!r}")
