"""The runner and its worker processes change nothing in what the stages do."""

from __future__ import annotations

from typing import Any

import pytest
from change_tools import eagerly, everything, in_process

PROSE = "# Leave\n\nEveryone has thirty days. They are agreed on with the team.\n\n" * 8


def history(project: Any, **options: Any) -> list[Any]:
    """Runs with changes of every kind in between, what each has told, and what readers see."""
    told: list[Any] = []

    def run() -> None:
        for stage in ("ingest", "transform", "load"):
            summary = getattr(project, stage)(**options).as_dict()
            told.append({k: v for k, v in summary.items() if isinstance(v, int)})

    for name in "abcd":
        project.write(f"{name}.md", PROSE.replace("thirty", f"thirty-{name}"))
    project.write("e.csv", "name,town\nAnn,Ostwick\nBob,Larkmoor\n")
    project.write("f.pdf", b"%PDF-1.4 not really")
    run()
    project.write("a.md", PROSE + "\n# New\n\nA section at the end.\n")
    project.write("b.md.acl.yaml", "allow_groups: [hr]\n")
    (project.root / "docs" / "c.md").unlink()
    project.write("f.pdf", "Plain text by now.")
    run()
    run()
    return [*told, everything(project)]


@pytest.mark.runner
def test_stages_do_the_same_with_and_without_runner_and_processes(
    project: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = history(project, batch=3, workers=2)
    plain = type(project)(tmp_path / "plain")
    plain.root.mkdir()
    plain.settings = {"sources": [{"name": "docs", "uri": "docs", "acl": {"default": "public"}}]}
    in_process(monkeypatch)
    eagerly(monkeypatch)
    swift = history(plain, batch=3)
    assert repr(real).replace(str(project.root / "docs"), "") == repr(swift).replace(
        str(plain.root / "docs"), ""
    )
