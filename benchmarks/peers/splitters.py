"""The splitters of others, each as a function of one text, with the same tokenizer and cap.

Each maker imports its package, so that one which is not installed is left out by its
`ImportError`, and gets the encoding, a function that counts tokens, and the cap.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from typing import Any

import tiktoken

Split = Callable[[str], object]
Maker = Callable[[tiktoken.Encoding, Callable[[str], int], int], Split]

_MODELS = {"o200k_base": "gpt-4o", "cl100k_base": "gpt-4"}


def langchain_recursive(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter(
        chunk_size=cap, chunk_overlap=0, length_function=count
    ).split_text


def langchain_tokens(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    from langchain_text_splitters import TokenTextSplitter

    splitter = TokenTextSplitter(encoder.name, chunk_size=cap, chunk_overlap=0)
    return splitter.split_text


def langchain_python(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter.from_language(
        Language.PYTHON, chunk_size=cap, chunk_overlap=0, length_function=count
    ).split_text


def chonkie_recursive(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    import chonkie

    return chonkie.RecursiveChunker(tokenizer=encoder, chunk_size=cap).chunk


def chonkie_sentence(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    import chonkie

    return chonkie.SentenceChunker(tokenizer=encoder, chunk_size=cap, chunk_overlap=0).chunk


def chonkie_code(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    import chonkie

    return chonkie.CodeChunker(tokenizer=encoder, chunk_size=cap, language="python").chunk


def semchunk(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    import semchunk

    # It remembers every count for good. With a counter of its own for each text, a second round
    # over the same text is work again.
    return lambda text: semchunk.chunkerify(lambda part: count(part), cap)(text)


def llama_sentence(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    from llama_index.core.node_parser import SentenceSplitter

    return SentenceSplitter(
        chunk_size=cap, chunk_overlap=0, tokenizer=encoder.encode_ordinary
    ).split_text


def llama_code(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    import tree_sitter
    import tree_sitter_python
    from llama_index.core.node_parser import CodeSplitter

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))
    return CodeSplitter(
        "python", count_mode="token", max_tokens=cap, tokenizer=encoder.encode_ordinary,
        parser=parser,
    ).split_text  # fmt: skip


def haystack_recursive(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    from haystack import Document
    from haystack.components.preprocessors import RecursiveDocumentSplitter

    # Without its sentence separator, which needs a model to be downloaded.
    splitter = RecursiveDocumentSplitter(
        split_length=cap, split_unit="token", separators=["\n\n", "\n", " "]
    )
    splitter.warm_up()
    return lambda text: splitter.run([Document(content=text)])


def rust_text(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    from semantic_text_splitter import TextSplitter

    return TextSplitter.from_tiktoken_model(_MODELS[encoder.name], cap).chunks


def rust_markdown(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    from semantic_text_splitter import MarkdownSplitter

    return MarkdownSplitter.from_tiktoken_model(_MODELS[encoder.name], cap).chunks


def rust_code(encoder: tiktoken.Encoding, count: Callable[[str], int], cap: int) -> Split:
    import tree_sitter_python
    from semantic_text_splitter import CodeSplitter

    grammar = tree_sitter_python.language()
    return CodeSplitter.from_tiktoken_model(grammar, _MODELS[encoder.name], cap).chunks


TEXT: dict[str, tuple[str, Maker]] = {
    "langchain recursive": ("langchain-text-splitters", langchain_recursive),
    "langchain tokens": ("langchain-text-splitters", langchain_tokens),
    "chonkie recursive": ("chonkie", chonkie_recursive),
    "chonkie sentence": ("chonkie", chonkie_sentence),
    "semchunk": ("semchunk", semchunk),
    "semantic-text-splitter": ("semantic-text-splitter", rust_text),
    "semantic-text-splitter markdown": ("semantic-text-splitter", rust_markdown),
    "haystack recursive": ("haystack-ai", haystack_recursive),
    "llama-index sentence": ("llama-index-core", llama_sentence),
}
"""Splitters of prose and Markdown, with the packages they come from."""

CODE: dict[str, tuple[str, Maker]] = {
    "langchain recursive python": ("langchain-text-splitters", langchain_python),
    "semantic-text-splitter code": ("semantic-text-splitter", rust_code),
    "chonkie code": ("chonkie", chonkie_code),
    "llama-index code": ("llama-index-core", llama_code),
}
"""Splitters of Python source."""

SYNTAX_TREES = ("semantic-text-splitter code", "chonkie code", "llama-index code")
"""Those of `CODE` that parse it with tree-sitter."""


def available(
    makers: dict[str, tuple[str, Maker]], encoder: tiktoken.Encoding, cap: int
) -> Iterator[tuple[str, Split | None, str]]:
    """Name, function and version of each; instead of a function the reason why there is none."""
    registry: Any = tiktoken.registry
    # Those that ask for the encoding by name get this one instead of a download.
    registry.ENCODINGS[encoder.name] = encoder

    def count(text: str) -> int:
        return len(encoder.encode_ordinary(text))

    for name, (package, make) in makers.items():
        try:
            version = importlib.metadata.version(package)
            yield name, make(encoder, count, cap), version
        except importlib.metadata.PackageNotFoundError:
            yield name, None, "not installed"
        except Exception as error:
            yield name, None, f"{type(error).__name__}: {error}"
