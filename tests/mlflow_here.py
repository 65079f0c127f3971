"""MLflow in this process: imported once, and not by a process for each run that is logged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class TrackingHere:
    """Stands in for `pipelines.tracking_process.TrackingProcess`, where no time limit is needed.

    What is logged is logged by the same functions.
    """

    def __init__(self, task: Mapping[str, Any]) -> None:
        self._task = task
        self._records: list[Any] = []

    def send(self, record: Mapping[str, Any]) -> None:
        self._records.append(json.loads(json.dumps(record, default=str)))

    def answers(self, _deadline: float) -> tuple[dict[str, dict[str, Any]], str | None]:
        from pipelines.tracking_worker import Connection, log_run

        connection = Connection(self._task)
        found: dict[str, dict[str, Any]] = {}
        for record in self._records:
            try:
                run_id, already = log_run(*connection.get(), record)
            except Exception as error:
                found[record["run_key"]] = {"error": str(error)}
            else:
                found[record["run_key"]] = {"mlflow_run_id": run_id, "already": already}
        return found, None

    def close(self) -> None:
        self._records.clear()
