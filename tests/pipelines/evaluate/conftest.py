from __future__ import annotations

import os
import sys
from pathlib import Path

# The helpers of these tests are a module beside them.
sys.path.insert(0, str(Path(__file__).parent))
# MLflow reads it when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
