"""A small pipeline with evidence, whose strategies are compared in tests."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

SUBJECTS = ("harbour", "payroll", "kernel", "orchard", "violin", "glacier")
HOSTILE = '<script>alert(1)</script> & "quotes" \u202e <img src=x onerror=alert(2)>'


def prose(subject: str) -> str:
    parts = [f"# The {subject}\n"]
    for n in range(8):
        parts.append(
            f"\n## Part {n}\n\nThe {subject} number {n} is kept by keeper {subject}{n}. "
            f"It was made in year {1900 + n * 7} and weighs {n + 3} tons. However, nobody "
            f"knows why the {subject} is painted in colour {n * 11}.\n"
        )
    return "".join(parts)


def questions() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {
            "id": f"{subject}-{n}",
            "question": f"Who keeps the {subject} number {n}?",
            "class": "lookup" if n % 2 else "analysis",
            "evidence": [
                {"document": f"{subject}.md", "quote": f"is kept by keeper {subject}{n}."}
            ],
        }
        for subject in SUBJECTS
        for n in range(8)
    ]
    made.append({"id": "none", "question": "What do zebras eat?", "unanswerable": True})
    made.append(
        {
            "id": "hostile",
            "question": HOSTILE,
            "evidence": [{"document": "hostile.txt", "quote": "alert(1)"}],
        }
    )
    return made


_PREPARED: list[Path] = []
"""A copy of what `set_up` makes, once it has been made."""


def set_up(project: Any, **evaluation: Any) -> Path:
    """Documents, evidence, an ingested lake, an MLflow store; returns the configuration's path."""
    _configure(project, evaluation)
    if _PREPARED:
        shutil.copytree(_PREPARED[0], project.root, dirs_exist_ok=True)
        path: Path = project.config_path
        return path
    from pipelines.tracking_worker import make_store

    for subject in SUBJECTS:
        project.write(f"{subject}.md", prose(subject))
    project.write("hostile.txt", f"{HOSTILE}\n\nA second paragraph.\n")
    (project.root / "evidence.jsonl").write_text("\n".join(map(json.dumps, questions())))
    project.ingest()
    make_store(project.root / "state" / "mlflow.db")
    kept = Path(tempfile.mkdtemp(prefix="gristmill-compare-"))
    atexit.register(shutil.rmtree, kept, ignore_errors=True)
    shutil.copytree(project.root, kept, dirs_exist_ok=True)
    _PREPARED.append(kept)
    path = project.config_path
    return path


def _configure(project: Any, evaluation: dict[str, Any]) -> None:
    policy = {"default": {"chunker": "structure"}}
    project.settings |= {
        "sinks": [],
        "strategies": [{"name": "base", "max_tokens": 96, "policy": policy}],
        "mlflow": {"tracking_uri": "sqlite:///state/mlflow.db", "experiment": "chunking"},
        "evaluation": {
            "evidence": "evidence.jsonl",
            "objective": "recall_at_60_tokens",
            "budgets": [60, 200],
            "grid": {"chunker": ["fixed"], "max_tokens": [24]},
            **evaluation,
        },
    }
