"""Splitters of LangChain and LlamaIndex as chunkers, where their pieces are exact spans.

    default: {chunker: "langchain:RecursiveCharacterTextSplitter", chunk_size: 300}
    default: {chunker: "llamaindex:SentenceSplitter", chunk_size: 300, chunk_overlap: 0}

They return strings. A piece is taken when the document says the same at the place where it has to
begin: after the piece before, white space aside, or inside that one. A splitter that alters, moves
or loses text is refused for the document, with the piece that shows it.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from chunkers.base import BaseChunker, Part
from chunkers.context import ContextFitter
from chunkers.counting import count_tokens, counter
from chunkers.spans import Span, trim
from chunkers.suggest import unknown
from chunkers.tokens import TokenMap
from chunkers.vocabularies import DEFAULT_ENCODING, encoding_names, vocabulary
from lineage.errors import ConfigError, MissingExtra, TerminalError
from lineage.records import Document, uncovered

_MODULES = {
    "langchain": ("langchain_text_splitters", "langchain-text-splitters", "split_text"),
    "llamaindex": ("llama_index.core.node_parser", "llama-index-core", "get_nodes_from_documents"),
}
PREFIXES = tuple(_MODULES)
_INK = re.compile(r"\S")
Split = Callable[[str], list[str]]


class NotSpans(TerminalError):
    """A splitter's pieces are not parts of the text, in order and without a gap."""


@dataclass(frozen=True, kw_only=True)
class ForeignChunker(BaseChunker):
    """A splitter of another library, held to our promises.

    Its pieces keep their overlap, which is flagged; those over the cap are divided; those that lie
    inside the one before are left out. It gives no context. `chunk_size` is in tokens of the
    strategy's encoding where the splitter can count by a function, and `max_tokens` when not given;
    `chunk_overlap` is then 0.

    Good for: comparing, and for moving over step by step.
    Costs: what the splitter costs, and one pass of the encoding.
    """

    family: str
    """`langchain` or `llamaindex`."""
    splitter: str
    """Name of its class."""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Its own parameters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self._splitter(DEFAULT_ENCODING)

    @property
    def name(self) -> str:  # type: ignore[override]
        """What policies call it."""
        return f"{self.family}:{self.splitter}"

    @property
    def version(self) -> str:  # type: ignore[override]
        """Moves with the version of the other library."""
        return f"1+{metadata.version(_MODULES[self.family][1])}"

    def _splitter(self, encoding: str) -> Split:
        options = json.dumps(dict(self.options), sort_keys=True)
        return _splitter(self.family, self.splitter, options, self.max_tokens, encoding)

    def parts(
        self, document: Document, tokens: TokenMap, contexts: ContextFitter
    ) -> Iterator[Part]:
        """Its pieces without their overlap."""
        for start, end in self._ranges(document, tokens):
            yield Part(start, end)

    def spans(self, document: Document, tokens: TokenMap) -> list[Span]:
        """Its pieces as spans.

        Raises:
            NotSpans: a piece is not where it has to be, or text is in no piece.
        """
        spans: list[Span] = []
        for begin, stop in self._ranges(document, tokens):
            start, end = trim(document.text, begin, stop)
            if start == end or (spans and end <= spans[-1].end):
                continue
            for left, right in self._pieces(tokens, start, end, ""):
                reached = spans[-1].end if spans else 0
                if spans and (right <= reached or left <= spans[-1].start):
                    continue
                spans.append(Span(left, right, overlap_chars=max(reached - left, 0)))
        return spans

    def _ranges(self, document: Document, tokens: TokenMap) -> list[tuple[int, int]]:
        pieces = self._splitter(tokens.encoding)(document.text) if document.text.strip() else []
        return resolve(document.text, pieces, self.name)


def resolve(text: str, pieces: Sequence[str], owner: str) -> list[tuple[int, int]]:
    """Where each piece is in the text.

    Raises:
        NotSpans: a piece is not a part of the text where it has to be, or text is in no piece.
    """
    ranges: list[tuple[int, int]] = []
    first = 0
    reached = 0
    for number, piece in enumerate(pieces, start=1):
        if not piece.strip():
            continue
        # The last place that leaves no gap: with repeated text, where nothing is lost.
        ink = _INK.search(text, reached)
        furthest = ink.start() if ink else len(text)
        start = text.rfind(piece, first, furthest + len(piece))
        if start < 0:
            raise NotSpans(
                f"{owner}: piece {number} of {len(pieces)} is not a part of the text between "
                f"characters {first} and {furthest + len(piece)}, where it has to be: it says "
                f"{piece[:60]!r}, and the text goes on with {text[furthest : furthest + 60]!r}. "
                "A splitter that alters or loses text gives no exact spans; use another one"
            )
        ranges.append((start, start + len(piece)))
        first = start
        reached = max(reached, start + len(piece))
    for start, end in uncovered(text, ranges):
        raise NotSpans(
            f"{owner}: characters [{start}:{end}] are in none of its pieces: "
            f"{text[start : start + 60]!r}. A splitter that loses text is not used; take another"
        )
    return ranges


def make(name: str, *, max_tokens: int, **parameters: Any) -> ForeignChunker:
    """The chunker called `langchain:CLASS` or `llamaindex:CLASS`.

    Raises:
        ConfigError: no such class, or a parameter that it refuses.
        MissingExtra: the library is not installed.
    """
    family, _, splitter = name.partition(":")
    given = {f.name for f in dataclasses.fields(BaseChunker)} & set(parameters)
    for key in sorted(given):
        if parameters[key] not in (None, 0, True):
            raise ConfigError(
                f"chunker {name!r}: {key} is a parameter of our chunkers; use the splitter's own "
                "(for example chunk_size: 400)"
            )
    options = {key: value for key, value in parameters.items() if key not in given}
    return ForeignChunker(family=family, splitter=splitter, options=options, max_tokens=max_tokens)


@functools.lru_cache(maxsize=16)
def _splitter(family: str, name: str, options: str, max_tokens: int, encoding: str) -> Split:
    found = _class(family, name)
    parameters = json.loads(options)
    accepted = _accepted(found)
    if "chunk_size" in accepted:
        parameters.setdefault("chunk_size", max_tokens)
        if "chunk_overlap" in accepted:
            parameters.setdefault("chunk_overlap", 0)
    if "length_function" in accepted:
        parameters.setdefault("length_function", lambda text: count_tokens(text, encoding))
    if "encoding_name" in accepted:
        _lend_vocabulary(parameters.setdefault("encoding_name", encoding))
    if "tokenizer" in accepted and family == "llamaindex":
        parameters.setdefault("tokenizer", lambda text: counter(encoding).encode(text).tolist())
    try:
        made = found(**parameters)
    except Exception as error:  # whatever another library's validation raises
        first = str(error).strip().split("\n", 1)[0]
        raise ConfigError(
            f"chunker '{family}:{name}' does not accept {json.loads(options)!r}: {first}"
        ) from error
    return _by_langchain(made) if family == "langchain" else _by_llamaindex(made)


def _lend_vocabulary(encoding: str) -> None:
    """Ours for theirs: `tiktoken.get_encoding` would download it."""
    if encoding in encoding_names():
        from tiktoken import registry

        registry.ENCODINGS.setdefault(encoding, vocabulary(encoding).encoding)


def _class(family: str, name: str) -> Any:
    module, distribution, method = _MODULES[family]
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        raise MissingExtra(
            f"chunker '{family}:{name}' needs the package {distribution}: "
            f"pip install {distribution}"
        )
    loaded = importlib.import_module(module)
    known = [
        each
        for each in dir(loaded)
        if inspect.isclass(found := getattr(loaded, each))
        and hasattr(found, method)
        and not inspect.isabstract(found)
    ]
    if name not in known:
        raise ConfigError(unknown(f"splitter of {family}", name, known))
    return getattr(loaded, name)


def _accepted(found: Any) -> set[str]:
    """Names of parameters that a class takes, by its constructors and its fields."""
    names = set(getattr(found, "model_fields", {}))
    for each in found.__mro__:
        init = each.__dict__.get("__init__")
        if init is None:
            continue
        parameters = inspect.signature(init).parameters.values()
        names |= {p.name for p in parameters}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break  # what is named further up does not get there
    return names


def _by_langchain(made: Any) -> Split:
    def split(text: str) -> list[str]:
        return [
            piece if isinstance(piece, str) else piece.page_content
            for piece in made.split_text(text)
        ]

    return split


def _by_llamaindex(made: Any) -> Split:
    from llama_index.core.schema import Document as Text
    from llama_index.core.schema import MetadataMode

    def split(text: str) -> list[str]:
        nodes = made.get_nodes_from_documents([Text(text=text)])
        return [node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes]

    return split
