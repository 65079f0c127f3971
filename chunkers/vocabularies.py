"""Token vocabularies. They come with the package: counting never needs a download.

Packed layout, LZMA compressed: 4 bytes little-endian token count k, k bytes with the length of each
token, then the tokens' bytes in rank order. The ranks are those of OpenAI's tiktoken (MIT licence).
"""

from __future__ import annotations

import functools
import hashlib
import lzma
from dataclasses import dataclass
from importlib import resources
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from lineage.errors import ConfigError, TerminalError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tiktoken

Family = Literal["cl100k", "o200k"]
"""Which of tiktoken's split patterns an encoding uses; see `chunkers.pretokens`."""

DEFAULT_ENCODING = "o200k_base"

_END = "<|endoftext|>"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
_LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"


@dataclass(frozen=True, slots=True)
class _Packed:
    """A vocabulary in `chunkers/data`."""

    sha256: str
    """Of the decompressed file; a test rebuilds tiktoken's own file from it and checks its hash."""
    pattern: str
    special: tuple[tuple[str, int], ...]


PACKED = {
    "cl100k_base": _Packed(
        sha256="79045c4dbf49c4e3b90893afbcbfd80cf94cf2b99256bd84b19ffcace49d9bd2",
        pattern=(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
            r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
        ),
        special=(
            (_END, 100257),
            ("<|fim_prefix|>", 100258),
            ("<|fim_middle|>", 100259),
            ("<|fim_suffix|>", 100260),
            ("<|endofprompt|>", 100276),
        ),
    ),
    "o200k_base": _Packed(
        sha256="ba55b38e477b631966c2496061ecd7d10108501c7c47358222d9dc27c22f9422",
        pattern="|".join(
            (
                rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_CONTRACTION}",
                rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_CONTRACTION}",
                r"\p{N}{1,3}",
                r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
                r"\s*[\r\n]+",
                r"\s+(?!\S)",
                r"\s+",
            )
        ),
        special=((_END, 199999), ("<|endofprompt|>", 200018)),
    ),
}
"""The vocabularies that come with the package."""

_FAMILIES: dict[str, Family] = {
    "cl100k_base": "cl100k",
    "o200k_base": "o200k",
    "o200k_harmony": "o200k",
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """An encoding, ready to use."""

    name: str
    family: Family
    encoding: tiktoken.Encoding
    lengths: npt.NDArray[np.uint8]
    """Bytes of each token, by token id."""


def encoding_names() -> list[str]:
    """The encodings that may be named in a configuration."""
    return sorted(_FAMILIES)


@functools.cache
def vocabulary(name: str) -> Vocabulary:
    """The encoding called `name`, loaded once a process.

    Raises:
        ConfigError: there is no such encoding.
        TerminalError: the packed vocabulary of this installation is damaged.
    """
    import numpy as np
    import tiktoken

    if name in PACKED:
        ranks, lengths = _unpack(name)
        packed = PACKED[name]
        encoding = tiktoken.Encoding(
            name,
            pat_str=packed.pattern,
            mergeable_ranks=ranks,
            special_tokens=dict(packed.special),
        )
        return Vocabulary(name, _FAMILIES[name], encoding, np.frombuffer(lengths, np.uint8))
    if name not in _FAMILIES:
        known = ", ".join(encoding_names())
        raise ConfigError(
            f"encoding {name!r} is not known: use one of {known} (encoding: {DEFAULT_ENCODING})"
        )
    # The text tokens of o200k_harmony are those of o200k_base; only its special tokens differ.
    base = vocabulary("o200k_base")
    return Vocabulary(name, base.family, base.encoding, base.lengths)


def _unpack(name: str) -> tuple[dict[bytes, int], bytes]:
    """Ranks by token bytes, and the lengths in rank order."""
    packed = resources.files("chunkers").joinpath("data", f"{name}.xz").read_bytes()
    try:
        raw = lzma.decompress(packed)
    except lzma.LZMAError as error:
        raise _damaged(name) from error
    if hashlib.sha256(raw).hexdigest() != PACKED[name].sha256:
        raise _damaged(name)
    count = int.from_bytes(raw[:4], "little")
    lengths = raw[4 : 4 + count]
    ends = accumulate(lengths, initial=4 + count)
    begin = next(ends)
    ranks: dict[bytes, int] = {}
    for rank, end in enumerate(ends):
        ranks[raw[begin:end]] = rank
        begin = end
    return ranks, lengths


def _damaged(name: str) -> TerminalError:
    return TerminalError(
        f"the vocabulary file chunkers/data/{name}.xz of this installation is damaged: its content "
        "does not have the expected sha256; install gristmill again"
    )
