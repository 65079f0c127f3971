from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

# The helpers of these tests are a module beside them.
sys.path.insert(0, str(Path(__file__).parent))
# MLflow reads it when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture
def tracking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are logged in this process, but where the process is what counts."""
    from mlflow_here import TrackingHere

    if request.node.get_closest_marker("runner") is None:
        monkeypatch.setattr("pipelines.tracking.TrackingProcess", TrackingHere)


@pytest.fixture
def config(project: Any) -> Any:
    """Of the strategies that are compared, see `compare_tools`."""
    from compare_tools import set_up

    from pipelines.config import load_config

    return load_config(set_up(project))
