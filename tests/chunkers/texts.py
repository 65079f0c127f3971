"""Texts that tear naive chunkers apart, as hypothesis strategies and as examples."""

from __future__ import annotations

from hypothesis import strategies as st

from chunkers.blocks import scan
from chunkers.conformance_texts import FRAGMENTS as FRAGMENTS
from chunkers.conformance_texts import HOSTILE as HOSTILE
from chunkers.conformance_texts import SURROGATES as SURROGATES
from lineage import Block, Document

mixed = st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
texts = mixed | any_text


def markdown(text: str, **fields: str) -> Document:
    """A document with the blocks that Markdown gives it."""
    return Document(text=text, blocks=scan(text, "markdown"), data_type="markdown", **fields)


def one_block(text: str) -> Document:
    """A document whose text is one paragraph."""
    blocks = [Block("paragraph", 0, len(text))] if text else []
    return Document(text=text, blocks=blocks)
