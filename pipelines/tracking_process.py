"""The driver's side of `pipelines.tracking_worker`: a process with a time limit.

It can be started before there is anything to log, so that its imports and a fresh store cost no
time of the run's own, and it logs a run while the driver goes on with something else.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
}


class TrackingProcess:
    """A running worker. `task` says where to log to: `tracking_uri`, `experiment`, `artifacts`.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, task: Mapping[str, Any]) -> None:
        package_root = str(Path(__file__).parents[1])
        path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH", "")]))
        # Files, not pipes: nobody has to read along for it not to stall.
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `answers`
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            # -P: what stands in the current folder is not ours to import.
            [sys.executable, "-P", "-m", "pipelines.tracking_worker"],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=self._errors,
            env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": path},
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._put({**task, "driver": os.getpid()})
        # A worker that still imports does not read: writing must not wait for it.
        threading.Thread(target=self._feed, name="gristmill-tracking", daemon=True).start()

    def send(self, record: Mapping[str, Any]) -> None:
        """Have a run logged, as soon as the worker gets to it."""
        self._put(record)

    def answers(self, deadline: float) -> tuple[dict[str, dict[str, Any]], str | None]:
        """Wait until all runs are logged, or for `deadline` of `time.monotonic`, and end.

        Returns:
            Answers by run key, and what to say of the runs without one; null when time ran out.
        """
        self._lines.put(None)
        late = False
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            late = True
        finally:
            self._kill()
        with self._output as output, self._errors as errors:
            said, complained = _content(output), _content(errors)
        answers = {}
        for line in said.splitlines():
            if line.startswith("{") and line.endswith("}"):
                answer = json.loads(line)
                answers[answer.pop("run_key")] = answer
        if late:
            return answers, None
        last = complained.strip().splitlines()[-1:] or ["no message"]
        code = self._process.returncode
        return answers, f"the process that logs it ended with code {code}: {last[0]}"

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._lines.put(None)
        self._kill()
        self._output.close()
        self._errors.close()

    def _put(self, value: Mapping[str, Any]) -> None:
        self._lines.put(json.dumps(value, default=str).encode() + b"\n")

    def _feed(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            while (line := self._lines.get()) is not None:
                stdin.write(line)
                stdin.flush()
        except OSError:
            # It died, and `answers` says so.
            return
        finally:
            with suppress(OSError):
                stdin.close()

    def _kill(self) -> None:
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._process.kill()
        self._process.wait()


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
