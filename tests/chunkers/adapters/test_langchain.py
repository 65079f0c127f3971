"""Our splitter in LangChain, against the real package."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from langchain_core.documents import Document
from langchain_text_splitters import TextSplitter

from chunkers.adapters.langchain import GristmillTextSplitter
from chunkers.counting import count_tokens
from lineage import ConfigError

REPEATED = "The same sentence again and again. " * 120
TEXT = "# Guide\n\n" + "".join(f"## Part {i}\n\n{REPEATED[:1400]}\n\n" for i in range(3))


def test_documents_are_exact_spans_with_the_metadata_of_their_source() -> None:
    splitter = GristmillTextSplitter("optimal", max_tokens=120)
    assert isinstance(splitter, TextSplitter)
    documents = splitter.split_documents([Document(page_content=TEXT, metadata={"source": "a"})])
    assert len(documents) > 6
    for document in documents:
        start, end = document.metadata["start_index"], document.metadata["end_index"]
        assert TEXT[start:end] == document.page_content
        assert document.metadata["source"] == "a"
        assert document.metadata["token_count"] <= 120
    starts = [document.metadata["start_index"] for document in documents]
    assert starts == sorted(set(starts)), "where the text repeats, a search would find the first"
    assert documents[-1].metadata["context"] == "Guide > Part 2"
    assert documents[-1].metadata["heading_path"] == ["Guide", "Part 2"]
    assert splitter.split_text(TEXT) == [document.page_content for document in documents]


def test_context_can_be_part_of_what_is_embedded() -> None:
    splitter = GristmillTextSplitter("structure", max_tokens=120, context_in_text=True)
    document = splitter.create_documents([TEXT])[-1]
    assert document.page_content.startswith("Guide > Part 2\n\n")
    assert count_tokens(document.page_content) == document.metadata["token_count"] <= 120


def test_every_text_keeps_its_own_metadata() -> None:
    splitter = GristmillTextSplitter("code", max_tokens=60, data_type="code:python")
    found = splitter.create_documents(["x = 1\n", "y = 2\n"], [{"n": [1]}, {"n": [2]}])
    assert [document.metadata["n"] for document in found] == [[1], [2]]


def test_parents_are_numbered() -> None:
    parents = [{"granularity": "large", "target_tokens": 400}]
    splitter = GristmillTextSplitter("hierarchical", max_tokens=120, parents=parents)
    documents = splitter.create_documents([TEXT])
    small = [document for document in documents if document.metadata["level"] == 0]
    assert len(small) > 1
    for document in small:
        parent = documents[document.metadata["parent"]]
        assert document.page_content in parent.page_content


def test_mistakes_show_at_once() -> None:
    with pytest.raises(ConfigError, match="did you mean 'optimal'"):
        GristmillTextSplitter("optimla")
    with pytest.raises(ConfigError, match="size_weight"):
        GristmillTextSplitter("optimal", size_wieght=1)


def test_our_chunkers_import_without_the_framework() -> None:
    code = "import json, sys, chunkers; chunkers.chunk('x'); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    heavy = ("langchain_core", "llama_index", "apache_beam", "pytest", "hypothesis")
    assert not [name for name in loaded if name.partition(".")[0] in heavy]
