"""Our node parser in LlamaIndex, against the real package."""

from __future__ import annotations

from itertools import pairwise

import pytest
from llama_index.core.node_parser import get_leaf_nodes, get_root_nodes
from llama_index.core.schema import Document, MetadataMode, NodeRelationship

from chunkers.adapters.llamaindex import GristmillNodeParser
from lineage import ConfigError

REPEATED = "The same sentence again and again. " * 120
TEXT = "# Guide\n\n" + "".join(f"## Part {i}\n\n{REPEATED[:1400]}\n\n" for i in range(3))


def test_nodes_are_exact_spans_even_where_the_text_repeats() -> None:
    text = "a b c.\n\n" * 400
    parser = GristmillNodeParser(chunker="recursive", max_tokens=40, overlap_tokens=8)
    nodes = parser.get_nodes_from_documents([Document(text=text)])
    places = [(node.start_char_idx, node.end_char_idx) for node in nodes]
    assert all(
        text[start:end] == node.text for (start, end), node in zip(places, nodes, strict=True)
    )
    assert places == sorted(set(places))
    assert places[-1][1] == len(text.rstrip())
    assert all(later[0] <= earlier[1] + 2 for earlier, later in pairwise(places))


def test_ids_survive_an_edit_elsewhere_and_neighbours_are_linked() -> None:
    parser = GristmillNodeParser(max_tokens=120)
    before = parser.get_nodes_from_documents([Document(text=TEXT, id_="d")])
    changed = TEXT.replace("## Part 2\n\n", "## Part 2\n\nAn edit. ")
    after = parser.get_nodes_from_documents([Document(text=changed, id_="d")])
    kept = {node.node_id for node in before} & {node.node_id for node in after}
    assert len(kept) >= len(before) * 0.6
    assert len({node.node_id for node in before}) == len(before)
    assert before[1].relationships[NodeRelationship.PREVIOUS].node_id == before[0].node_id
    assert before[0].ref_doc_id == "d"
    other = parser.get_nodes_from_documents([Document(text=TEXT, id_="e")])
    assert not {node.node_id for node in before} & {node.node_id for node in other}


def test_context_is_embedded_and_figures_are_not() -> None:
    parser = GristmillNodeParser(max_tokens=120)
    document = Document(text=TEXT, metadata={"file": "guide.md"})
    node = parser.get_nodes_from_documents([document])[-1]
    embedded = node.get_content(metadata_mode=MetadataMode.EMBED)
    assert "context: Guide > Part 2" in embedded
    assert "file: guide.md" in embedded
    assert "token_count" not in embedded


def test_levels_are_parents_and_children() -> None:
    parser = GristmillNodeParser(
        chunker="hierarchical",
        max_tokens=120,
        parameters={"parents": [{"granularity": "large", "target_tokens": 400}]},
    )
    nodes = parser.get_nodes_from_documents([Document(text=TEXT)])
    leaves, roots = get_leaf_nodes(nodes), get_root_nodes(nodes)
    assert len(leaves) + len(roots) == len(nodes)
    assert len(leaves) > len(roots) > 1
    by_id = {node.node_id: node for node in nodes}
    for leaf in leaves:
        assert leaf.text in by_id[leaf.parent_node.node_id].text


def test_own_ids_are_used() -> None:
    parser = GristmillNodeParser(max_tokens=120, id_func=lambda i, doc: f"n{i}")
    nodes = parser.get_nodes_from_documents([Document(text=TEXT)])
    assert [node.node_id for node in nodes][:3] == ["n0", "n1", "n2"]


def test_mistakes_show_at_once() -> None:
    with pytest.raises(ConfigError, match="did you mean 'optimal'"):
        GristmillNodeParser(chunker="optimla")
