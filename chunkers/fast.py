"""The optional faster encoder: gigatoken, with the same vocabulary and the same tokens."""

from __future__ import annotations

import base64
import importlib
import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chunkers.vocabularies import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Encode = Callable[[str], "npt.NDArray[np.uint32]"]


def fast_encoder(vocabulary: Vocabulary) -> Encode | None:
    """The same as `encode_ordinary` on valid text, several times as fast; null when not installed.

    The vocabulary goes through a temporary file, because that is how gigatoken takes it. It gets no
    special tokens, so that those are text to it like any other.
    """
    if importlib.util.find_spec("gigatoken") is None:
        return None
    gigatoken = importlib.import_module("gigatoken")
    ranks = sorted(vocabulary.encoding._mergeable_ranks.items(), key=lambda item: item[1])
    lines = b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{vocabulary.name}.tiktoken")
        path.write_bytes(lines)
        tokenizer = gigatoken.Tokenizer.from_tiktoken(
            str(path), pretokenizer=vocabulary.family, special_tokens={}
        )
    encode: Encode = tokenizer.encode
    return encode
