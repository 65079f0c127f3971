"""What the pool's tests let workers do. Imported in the workers, so it imports little."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_greeting = ""


class Refused(Exception):
    error_class = "encrypted"


def greet(word: str) -> None:
    global _greeting
    _greeting = word


_marked = 0


def mark() -> None:
    """Leave the id of the process in memory, for copies of it to find."""
    global _marked
    _marked = os.getpid()


def refuse_to_start() -> None:
    raise RuntimeError("no licence file")


def die_at_start() -> None:
    os._exit(7)


def square(number: int) -> int:
    return number * number


def act(task: tuple[str, Any]) -> Any:
    """Do what the first part of the task says."""
    verb, value = task
    return globals()[f"_{verb}"](value)


def _marked_by(_: None) -> int:
    return _marked


def _echo(value: Any) -> Any:
    return value


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return f"slept {seconds}"


def _woken_at(seconds: float) -> float:
    time.sleep(seconds)
    return time.monotonic()  # of the machine, the same in every process


def _spin(_: Any) -> None:
    # The interpreter is held by native code: no signal handler of Python would ever run.
    ctypes.PyDLL(None).sleep(3_600)


def _loop(_: Any) -> None:
    while True:
        pass


def _exit(code: int) -> None:
    os._exit(code)


def _sys_exit(code: int) -> None:
    sys.exit(code)


def _segfault(_: Any) -> None:
    ctypes.string_at(0)


def _kill_self(number: int) -> None:
    os.kill(os.getpid(), number)


def _stop(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _hoard(size: int) -> int:
    held = []
    while size > 0:
        held.append(bytearray(16 << 20))
        size -= 16 << 20
    return len(held)


def _hoard_in_disguise(size: int) -> int:
    try:
        return _hoard(size)
    except MemoryError:
        raise ValueError("document is not well-formed") from None


def _raise(message: str) -> None:
    raise KeyError(message)


def _refuse(message: str) -> None:
    raise Refused(message)


def _unshowable(_: Any) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    raise Mute


def _surrogate(_: Any) -> None:
    raise ValueError("name \udcff")


def _unpicklable(_: Any) -> Any:
    return threading.Lock()


def _big(size: int) -> bytes:
    return b"x" * size


def _pid(_: Any) -> int:
    return os.getpid()


def _group(_: Any) -> tuple[int, int]:
    return os.getpid(), os.getpgid(0)


def _grandchild(path: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3_600)"])
    Path(path).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(3_600)


def _report_pid(path: str) -> None:
    with open(path, "a") as out:
        out.write(f"{os.getpid()}\n")
    time.sleep(3_600)


def _once(path: str) -> str:
    """Die the first time, succeed the second."""
    if not os.path.exists(path):
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "second"


def _flood(size: int) -> str:
    for _ in range(size):
        os.write(1, b"flood\n" * 1000)
        os.write(2, b"flood\n" * 1000)
    print("flood")
    return "done"


def _scratch(_: Any) -> str:
    Path(tempfile.mkdtemp(), "left").write_text("behind")
    return tempfile.gettempdir()


def _scratch_and_die(value: Any) -> None:
    _scratch(value)
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_parent(_: Any) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(3_600)


def _connect(address: tuple[str, int]) -> None:
    with socket.socket() as connection:
        connection.connect(address)


def _connect_ex(address: tuple[str, int]) -> int:
    with socket.socket() as connection:
        return connection.connect_ex(address)


def _send(address: tuple[str, int]) -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as connection:
        return connection.sendto(b"secret", address)


def _sendmsg(address: tuple[str, int]) -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as connection:
        return connection.sendmsg([b"secret"], [], 0, address)


def _bind(address: tuple[str, int]) -> None:
    with socket.socket() as connection:
        connection.bind((address[0], 0))


def _ssl(address: tuple[str, int]) -> None:
    import ssl

    with ssl.create_default_context().wrap_socket(
        socket.socket(), server_hostname="localhost"
    ) as connection:
        connection.connect(address)


def _pair(data: bytes) -> bytes:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(data)
        return right.recv(len(data))


def _interfaces(_: Any) -> list[str]:
    return sorted(name for _, name in socket.if_nameindex())


def _descriptors(_: Any) -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


def _resolve_name(name: str) -> Any:
    return socket.getaddrinfo(name, 80)


def _old_resolve_name(name: str) -> Any:
    return socket.gethostbyname(name)


def _fetch(name: str) -> bytes:
    from urllib.request import urlopen

    with urlopen(f"https://{name}/", timeout=5) as reply:
        data: bytes = reply.read()
    return data


def _environment(name: str) -> str | None:
    return os.environ.get(name)


def _main(_: Any) -> str:
    return str(getattr(sys.modules["__main__"], "__file__", None))


def _greeted(_: Any) -> str:
    return _greeting


def _core_limit(_: Any) -> tuple[int, int]:
    import resource

    return resource.getrlimit(resource.RLIMIT_CORE)
