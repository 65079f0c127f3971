"""Sentence-transformer models in ONNX, from a folder."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lineage.errors import ConfigError, MissingExtra
from pipelines.embedding.base import encodable, unit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DEFAULT_MAX_TOKENS = 256
"""What most sentence-transformer models were trained on, where the folder does not say."""

_MODEL_FILES = ("model.onnx", "onnx/model.onnx")
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


class _Model(NamedTuple):
    session: Any
    tokenizer: Any
    inputs: tuple[str, ...]
    dimensions: int
    name: str


class OnnxEmbedder:
    """A model of the sentence-transformers family (Reimers and Gurevych, 2019) on the CPU.

    The folder holds `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json`; of
    `1_Pooling/config.json` and `sentence_bert_config.json` it takes the pooling and the number of
    tokens, which are the mean and 256 where those are missing. Vectors are scaled to length 1.

    Every text is run by itself, which on a CPU costs no more than batches with padding, and makes
    a vector independent of its neighbours to the last bit. Texts are spread over `threads`.
    """

    def __init__(
        self, folder: str | Path, *, max_tokens: int | None = None, threads: int = 1
    ) -> None:
        """Keeps the parameters; the model is loaded on first use.

        Args:
            folder: of the model.
            max_tokens: word pieces read of a text, the two special ones included; what the folder
                says when not given.
            threads: texts embedded at the same time.
        """
        self.folder = Path(folder)
        self.threads = threads
        self._max_tokens = max_tokens

    def __reduce__(self) -> tuple[Any, ...]:
        make = functools.partial(OnnxEmbedder, max_tokens=self._max_tokens, threads=self.threads)
        return make, (self.folder,)

    def __repr__(self) -> str:
        return f"OnnxEmbedder({str(self.folder)!r}, max_tokens={self.max_tokens})"

    @property
    def name(self) -> str:
        """The folder's name, and a hash of the files and parameters that make the vectors.

        Raises:
            ConfigError: the folder holds no model, or one that is of another kind.
            MissingExtra: the libraries that run it are not installed.
        """
        return self._model.name

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._model.dimensions

    @functools.cached_property
    def max_tokens(self) -> int:
        """Word pieces read of a text, the two special ones included."""
        if self._max_tokens is not None:
            return self._max_tokens
        found = _read_json(self.folder / "sentence_bert_config.json").get("max_seq_length")
        return found if isinstance(found, int) else DEFAULT_MAX_TOKENS

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors of `texts`, `(len(texts), dimensions)`."""
        import numpy as np

        model = self._model
        encoded = model.tokenizer.encode_batch([encodable(text) for text in texts])
        vectors = np.zeros((len(texts), model.dimensions), np.float32)

        def run(i: int) -> None:
            vectors[i] = self._pooled(model, encoded[i].ids)

        if self.threads > 1 and len(texts) > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(run, range(len(texts))))
        else:
            for i in range(len(texts)):
                run(i)
        return unit(vectors)

    def _pooled(self, model: _Model, ids: list[int]) -> npt.NDArray[np.float32]:
        import numpy as np

        row = np.array([ids], np.int64)
        given = {
            "input_ids": row,
            "attention_mask": np.ones_like(row),
            "token_type_ids": np.zeros_like(row),
        }
        (states, *_) = model.session.run(None, {key: given[key] for key in model.inputs})
        pooled = states[0, 0] if self._pooling == "cls" else states[0].mean(axis=0)
        return np.asarray(pooled, np.float32)

    @functools.cached_property
    def _pooling(self) -> str:
        settings = _read_json(self.folder / "1_Pooling" / "config.json")
        chosen = [
            key
            for key, value in settings.items()
            if key.startswith("pooling_mode_") and value is True
        ]
        if not chosen:
            return "mean"
        if len(chosen) > 1 or chosen[0] not in _POOLINGS:
            raise ConfigError(
                f"embedding model {self.folder}: its pooling ({', '.join(chosen)}) is not "
                "supported; use a model that takes the mean of its tokens or the first of them"
            )
        return _POOLINGS[chosen[0]]

    def check(self) -> None:
        """Make sure that the folder has a model, without loading it.

        Raises:
            ConfigError: it has none.
        """
        self._file()

    @functools.cached_property
    def _model(self) -> _Model:
        file = self._file()
        tokenizer_file = self.folder / "tokenizer.json"
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise missing_extra(error) from error
        options = onnxruntime.SessionOptions()
        # One thread a text: the sums are then taken in one order on every machine.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
            tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:  # the bindings raise whatever their libraries do
            raise ConfigError(
                f"embedding model {self.folder} cannot be loaded: {error}; "
                "copy its files again, or name another folder"
            ) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        inputs = tuple(given.name for given in session.get_inputs())
        unknown = sorted(set(inputs) - {"input_ids", "attention_mask", "token_type_ids"})
        shape = session.get_outputs()[0].shape
        if unknown or len(shape) != 3 or not isinstance(shape[2], int):
            raise ConfigError(
                f"embedding model {self.folder}: takes {', '.join(inputs)} and gives {shape}, so "
                "it is no sentence encoder; its first output has to be (batch, tokens, dimensions)"
            )
        return _Model(session, tokenizer, inputs, shape[2], self._identity(file, tokenizer_file))

    def _file(self) -> Path:
        for name in _MODEL_FILES:
            if (self.folder / name).is_file():
                if not (self.folder / "tokenizer.json").is_file():
                    raise ConfigError(
                        f"embedding model {self.folder}: there is no tokenizer.json in the folder"
                    )
                return self.folder / name
        raise ConfigError(
            f"embedding model {self.folder}: no {' or '.join(_MODEL_FILES)} there; name the folder "
            "of a sentence-transformers model that was exported to ONNX"
        )

    def _identity(self, *files: Path) -> str:
        digest = hashlib.sha256(f"{self._pooling}/{self.max_tokens}".encode())
        for file in files:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return f"{self.folder.resolve().name}@{digest.hexdigest()[:16]}"


def missing_extra(error: ImportError) -> MissingExtra:
    """What to install when a library for embeddings is not there."""
    return MissingExtra(
        f"embeddings need the extra 'embeddings': pip install 'gristmill[embeddings]' ({error})"
    )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}
