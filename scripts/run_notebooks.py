"""Execute notebooks and fail on the first error.

    python scripts/run_notebooks.py [FOLDER]

Each is executed in its own folder; the files themselves are left as they are.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def main() -> None:
    """Execute every notebook of the folder, `notebooks` by default."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "notebooks").resolve()
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        sys.exit(f"no notebook in {folder}")
    for path in paths:
        started = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(
            notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}
        )
        client.execute()
        print(f"{path.name}: {len(notebook.cells)} cells, {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
