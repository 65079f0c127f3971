"""What the label-free figures cost beside the chunking that they measure.

    python benchmarks/quality.py FILE…

CPU time on one core: the token map, spans and exact counts, against all figures together.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from chunkers import TokenMap, build, count_with_context
from chunkers.blocks import scan
from chunkers.quality import measure
from lineage import Document

CHUNKERS = ("optimal", "structure", "recursive", "sentence", "fixed")


def main() -> None:
    print(f"{'file':<28} {'chunker':<10} {'MB':>6} {'chunk ms':>9} {'figures ms':>10} {'share':>6}")
    for path in map(Path, sys.argv[1:]):
        text = path.read_text("utf-8")
        kind = "markdown" if path.suffix == ".md" else "text"
        document = Document(text=text, blocks=scan(text, kind))
        for name in CHUNKERS:
            chunker = build(name, {}, max_tokens=256)
            best = [float("inf")] * 2
            for _ in range(5):
                begin = time.process_time()
                tokens = TokenMap(text)
                spans = chunker.spans(document, tokens)
                counts = [count_with_context(tokens, span) for span in spans]
                middle = time.process_time()
                measure(document, spans, counts, 256, 256)
                best = [
                    min(best[0], middle - begin),
                    min(best[1], time.process_time() - middle),
                ]
            print(
                f"{path.name[:28]:<28} {name:<10} {len(text) / 1e6:6.2f} {best[0] * 1e3:9.1f} "
                f"{best[1] * 1e3:10.1f} {best[1] / best[0]:6.0%}"
            )


if __name__ == "__main__":
    main()
