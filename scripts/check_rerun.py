"""Check the `--json` output of two runs in a row: the second must have found nothing to do.

python scripts/check_rerun.py FIRST SECOND
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# What a stage counts when it has done something. Counts of what is there are left out.
_WORK = {
    "ingest": ("new", "changed", "acl", "touched", "rejected", "deleted", "parsed", "rows_written"),
    "transform": ("rows_written",),
    "load": ("upserted", "acl_updated", "deleted"),
}


def _stages(path: str) -> dict[str, dict[str, Any]]:
    stages: dict[str, dict[str, Any]] = json.loads(Path(path).read_text().splitlines()[-1])[
        "stages"
    ]
    return stages


def main() -> None:
    """Compare the two outputs; exits with 1 and the reasons when something is wrong."""
    first, second = _stages(sys.argv[1]), _stages(sys.argv[2])
    problems = [f"the first run has no stage {name!r}" for name in _WORK if name not in first]
    if not problems:
        if not first["ingest"]["rows_written"] or not first["transform"]["chunks"]:
            problems.append(f"the first run did nothing: {first}")
        for stage, counts in second.items():
            problems += [
                f"second run: {stage}.{count} is {counts[count]}, not 0"
                for count in _WORK[stage]
                if counts[count]
            ]
    if problems:
        sys.exit("\n".join(problems))
    ingest = first["ingest"]
    print(
        f"first run: {ingest['listed']} listed, {ingest['rejected']} rejected, "
        f"{first['transform']['chunks']} chunks; second run: no changes"
    )


if __name__ == "__main__":
    main()
