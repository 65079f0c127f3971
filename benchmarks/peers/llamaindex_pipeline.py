"""LlamaIndex: read a folder, split it by sentences, write the nodes to Parquet.

Usage: python llamaindex_pipeline.py FOLDER OUT.parquet WORKERS
Prints one JSON line: seconds of importing, of reading and of splitting, and the node count.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from pathlib import Path


def main(folder: str, out: str, workers: int) -> None:
    # Its worker processes would download the vocabulary that the package brings, and, without a
    # network, die while they unpickle their task, which its pool then waits for for ever.
    found = importlib.util.find_spec("llama_index.core")
    assert found is not None
    assert found.origin is not None
    cache = Path(found.origin).parent / "_static" / "tiktoken_cache"
    os.environ["TIKTOKEN_CACHE_DIR"] = str(cache)
    began = time.perf_counter()
    import pyarrow as pa
    import pyarrow.parquet as pq
    from llama_index.core import SimpleDirectoryReader
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.readers.file import HTMLTagReader, MarkdownReader

    imported = time.perf_counter()
    reader = SimpleDirectoryReader(
        folder,
        recursive=True,
        required_exts=[".md", ".html", ".txt"],
        exclude_hidden=False,  # the folder may lie below a hidden one
        file_extractor={".md": MarkdownReader(), ".html": HTMLTagReader("body", True)},
    )
    documents = reader.load_data(num_workers=workers)
    read = time.perf_counter()
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=512, chunk_overlap=0)]
    )
    nodes = pipeline.run(documents=documents, num_workers=workers)
    rows = {
        "id": [node.node_id for node in nodes],
        "text": [node.get_content() for node in nodes],
        "metadata": [json.dumps(node.metadata, default=str) for node in nodes],
    }
    pq.write_table(pa.table(rows), out)
    done = time.perf_counter()
    print(
        json.dumps(
            {
                "import_seconds": round(imported - began, 2),
                "read_seconds": round(read - imported, 2),
                "split_seconds": round(done - read, 2),
                "files": len({d.metadata.get("file_path") for d in documents}),
                "chunks": len(nodes),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
