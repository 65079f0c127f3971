"""Running `unstructured` so that it stays offline, quiet and bounded.

Left alone, the library downloads a language model at the first text it classifies, sends usage
figures, and spends half a minute on a long run of brackets.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import zipfile
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipelines.ingest.parsers.base import ParseError
from pipelines.ingest.parsers.textbuild import word_list

_MODEL = "en_core_web_sm"
_QUIET = {
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}
_LONG_RUN = re.compile(r"([^\w\s])\1{15,}")
_CLASSIFIED = 20_000
"""How many characters of an element are looked at to classify it."""
_VERBS = frozenset(
    word_list(
        "am is are was were be been being have has had do does did will would shall should can "
        "could may might must say says said get gets got make makes made go goes went know "
        "take takes took see sees saw come comes came think thinks give gives gave "
        "find finds found tell use uses used want need needs become becomes show shows let keep "
        "begin seem help include includes "
        "provide provides allow allows contain contains require requires"
    )
)
_ready = False


def model_name() -> str:
    """Which classifier of text is used: the installed model, with its version, or `rules`."""
    try:
        return f"{_MODEL}-{version(_MODEL.replace('_', '-'))}"
    except PackageNotFoundError:
        return "rules"


def pandoc_version() -> str:
    """Version of the packaged pandoc, which reads some formats for the library."""
    for name in ("pypandoc-binary", "pypandoc"):
        try:
            return f"{name}-{version(name)}"
        except PackageNotFoundError:
            continue
    return "no-pandoc"


def prepare() -> None:
    """Import the library with telemetry off and without its downloads. Idempotent.

    Raises:
        ParseError: `missing_dependency` when the library is not installed.
    """
    global _ready
    if _ready:
        return
    os.environ.update(_QUIET)
    if importlib.util.find_spec("unstructured") is None:
        raise ParseError(
            "missing_dependency",
            "the library is not installed; run: pip install 'gristmill[unstructured]'",
        )
    from unstructured.nlp import tokenize

    original = tokenize._run_pipeline

    def bounded(text: str) -> Any:
        # Only what classifies sees the shortened text; the element keeps its own.
        return original(_LONG_RUN.sub(lambda run: run[1] * 8, text[:_CLASSIFIED]))

    tokenize._run_pipeline = bounded
    if model_name() == "rules":
        tokenize._get_nlp = _rules  # type: ignore[assignment]
    _ready = True


_nlp: Any = None


def _rules() -> Any:
    """A pipeline without a model: sentences by punctuation, verbs by a word list and endings."""
    global _nlp
    if _nlp is None:
        import spacy
        from spacy.language import Language

        if not Language.has_factory("gristmill_verbs"):

            @Language.component("gristmill_verbs")
            def verbs(doc: Any) -> Any:
                for token in doc:
                    word = token.lower_
                    verb = word in _VERBS or (len(word) > 4 and word.endswith(("ed", "ing")))
                    token.tag_ = "VB" if verb else "NN" if word.isalpha() else "SYM"
                return doc

        _nlp = spacy.blank("en")
        _nlp.add_pipe("sentencizer")
        _nlp.add_pipe("gristmill_verbs")
    return _nlp


def partition(data: bytes, media_type: str, **options: Any) -> list[Any]:
    """The library's elements of a file, its errors classified.

    Raises:
        ParseError: with the class that fits what the library raised.
    """
    prepare()
    from unstructured.errors import (
        DecompressedSizeExceededError,
        PageCountExceededError,
        UnprocessableEntityError,
    )
    from unstructured.partition.auto import partition as run

    try:
        return list(
            run(
                file=io.BytesIO(data), content_type=media_type, strategy="fast", languages=[""],
                **options,
            )
        )  # fmt: skip
    except ParseError:
        raise
    except MemoryError as error:
        raise ParseError("memory", "unstructured ran out of memory") from error
    except RecursionError as error:
        raise ParseError("limit_depth", "nested too deep for unstructured") from error
    except DecompressedSizeExceededError as error:
        raise ParseError("limit_size", str(error)) from error
    except PageCountExceededError as error:
        raise ParseError("limit_pages", str(error)) from error
    except (UnprocessableEntityError, zipfile.BadZipFile, UnicodeError) as error:
        raise ParseError(_class_of(error, "malformed"), f"unstructured: {error}") from error
    except ImportError as error:
        raise ParseError("missing_dependency", f"unstructured needs more: {error}") from error
    except Exception as error:  # the library lets anything through, of any type
        kind = type(error).__name__
        default = "unsupported" if kind == "UnsupportedFileFormatError" else "malformed"
        raise ParseError(_class_of(error, default), f"unstructured: {kind}: {error}") from error


def _class_of(error: Exception, default: str) -> str:
    message = str(error).lower()
    if "soffice" in message or "pandoc was found" in message or "pandoc package" in message:
        return "missing_dependency"
    if "encrypt" in message or "password" in message:
        return "encrypted"
    return default
