"""No network for code that has no business there: telemetry switched off, sockets refused."""

from __future__ import annotations

import socket
from typing import Any, NoReturn

QUIET_ENVIRONMENT = {
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SCARF_NO_ANALYTICS": "true",
    "TRANSFORMERS_OFFLINE": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
}
"""Environment variables that stop the libraries we know from calling home."""

SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    # The default allocator reserves address space in gigabytes, which the memory limit counts.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "TOKENIZERS_PARALLELISM": "false",
}
"""A worker is one thread: the number of processes is the parallelism that was asked for."""


class NetworkForbidden(OSError):
    """Code in a worker without network tried to reach it."""


def forbid_network() -> None:
    """Make every attempt to look up or reach an internet address raise `NetworkForbidden`.

    Local sockets (`AF_UNIX`) keep working. This stops Python code; native code is stopped only
    where the fork server may also leave the network namespace.
    """

    def refuse(what: object = "", *_: Any, **__: Any) -> NoReturn:
        raise NetworkForbidden(f"parsing workers have no network; refused: {what!r}")

    for name in (
        "getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo",
        "create_connection",
    ):  # fmt: skip
        setattr(socket, name, refuse)

    for name in ("connect", "connect_ex", "bind", "sendto", "sendmsg"):
        setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guarded(original: Any) -> Any:
    def call(self: socket.socket, *arguments: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise NetworkForbidden(f"parsing workers have no network; refused: {arguments[-1]!r}")
        return original(self, *arguments)

    return call
