"""Whether the sources' bytes still hash to what lineage says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa

from lineage import content_sha256, document_id
from pipelines.config import Config, SourceConfig
from pipelines.progress import Progress
from pipelines.queries.violations import Report, Violation


def verify_sources(config: Config, live: pa.Table, report: Report, progress: Progress) -> None:
    """Read every listed document of every source again and compare its hash.

    Only bytes of the same version with another hash are a violation. A document that changed or
    went away since is what ingest is for: it is counted.
    """
    columns = ["document_id", "source", "source_uri", "source_version", "content_sha256", "op"]
    rows: dict[str, dict[str, Any]] = {
        row["document_id"]: row for row in live.select(columns).to_pylist()
    }
    counts: Counter[str] = Counter(checked=0, changed=0, missing=0, new=0, unreadable=0)
    progress.stage("verify sources", len(rows))
    seen: set[str] = set()
    for source in config.sources:
        _verify_source(source, rows, seen, counts, report, progress)
    configured = {source.name for source in config.sources}
    counts["missing"] = sum(
        row["source"] in configured and identifier not in seen for identifier, row in rows.items()
    )
    report.sources = dict(counts)


def _verify_source(
    source: SourceConfig,
    rows: dict[str, dict[str, Any]],
    seen: set[str],
    counts: Counter[str],
    report: Report,
    progress: Progress,
) -> None:
    from pipelines.ingest.sources import open_source
    from pipelines.ingest.sources.base import FetchError

    opened = open_source(source)
    for listed in opened.list():
        identifier = document_id(source.name, listed.key)
        seen.add(identifier)
        row = rows.get(identifier)
        if row is None:
            counts["new"] += 1
            continue
        progress.advance(1)
        if row["source_version"] != listed.version:
            counts["changed"] += 1
            continue
        if listed.problem or row["content_sha256"] is None:
            counts["unreadable"] += 1
            continue
        try:
            fetched = opened.fetch(listed.key, listed.version)
        except FetchError as error:
            counts["changed" if error.error_class == "changed_during_read" else "unreadable"] += 1
            continue
        counts["checked"] += 1
        found = content_sha256(fetched.data)
        if found != row["content_sha256"]:
            report.add(
                Violation(
                    "source", None, identifier, row["source_uri"], None,
                    f"its bytes hash to {found}, and lineage says {row['content_sha256']}, "
                    f"though its version is the same; run `gristmill ingest` with --verify-hash",
                )
            )  # fmt: skip
