"""The part of ADLS Gen2's REST service that access lists need, as its documentation states it.

There is no emulator with a hierarchical namespace. This one holds a tree of access lists beside a
blob emulator that holds the bytes, and is as strict as the documents are: an API version that
knows access lists, a signature, `action=getAccessControl`, object ids rather than names unless
`upn=true`, lists with the default entries of directories, 404 for what is not there, and on
demand 403, 429 and 5xx. Nothing else is answered.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

FIRST_VERSION = "2018-11-09"
ROOT = "/"


@dataclass
class Node:
    """A file or directory."""

    acl: str = "user::rwx,group::---,other::--x"
    default: str = ""
    owner: str = "$superuser"
    group: str = "$superuser"

    @property
    def text(self) -> str:
        return ",".join(filter(None, [self.acl, self.default]))

    @property
    def permissions(self) -> str:
        """Nine letters; the group's are the mask's, and a `+` follows, where entries are named."""
        rights = {":".join(e.split(":")[:2]): e.split(":")[2] for e in self.acl.split(",")}
        group = rights.get("mask:", rights["group:"])
        return rights["user:"] + group + rights["other:"] + ("+" if "mask:" in rights else "")


@dataclass
class Lake:
    """A running service, and its tree: file system and path to node."""

    endpoint: str = ""
    account: str = "devstoreaccount1"
    hierarchical: bool = True
    nodes: dict[tuple[str, str], Node] = field(default_factory=dict)
    trouble: Callable[[str, str], tuple[int, str] | None] = lambda method, path: None
    """Method and path to a status and error code to answer with instead."""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def set(self, file_system: str, path: str, **values: Any) -> None:
        """Put a node, with the directories above it where there are none yet."""
        parts = path.strip("/").split("/") if path != ROOT else []
        self.nodes.setdefault((file_system, ROOT), Node())
        for count in range(1, len(parts)):
            self.nodes.setdefault((file_system, "/".join(parts[:count])), Node())
        self.nodes[file_system, "/".join(parts) or ROOT] = Node(**values)


@contextmanager
def adls(**settings: Any) -> Iterator[Lake]:
    """The service on a free port."""
    lake = Lake(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def say(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response_only(status)
            headers = {"x-ms-request-id": "1", "x-ms-version": FIRST_VERSION, **headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def refuse(self, status: int, code: str) -> None:
            body = json.dumps({"error": {"code": code, "message": code}}).encode()
            retry = {"Retry-After": "0"} if status == 429 else {}
            self.say(status, {"x-ms-error-code": code, **retry}, body)

        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
            _, account, file_system, *rest = unquote(parts.path).split("/", 3)
            path = (rest[0].strip("/") if rest else "") or ROOT
            lake.asked.append((self.command, path))
            trouble = lake.trouble(self.command, path)
            if trouble is not None:
                return self.refuse(*trouble)
            if (self.headers.get("x-ms-version") or "") < FIRST_VERSION:
                return self.refuse(400, "MissingRequiredHeader")
            signed = (self.headers.get("Authorization") or "").startswith(f"SharedKey {account}:")
            if account != lake.account or not (signed and self.headers.get("x-ms-date")):
                return self.refuse(403, "AuthenticationFailed")
            if not lake.hierarchical:
                return self.refuse(400, "HierarchicalNamespaceNotEnabled")
            if (file_system, ROOT) not in lake.nodes:
                return self.refuse(404, "FilesystemNotFound")
            if self.command == "HEAD" and query.get("action") == "getAccessControl":
                return self.access_control(file_system, path, query)
            return self.refuse(400, "InvalidQueryParameterValue")

        def access_control(self, file_system: str, path: str, query: dict[str, str]) -> None:
            node = lake.nodes.get((file_system, path))
            if node is None:
                return self.refuse(404, "PathNotFound")
            if query.get("upn", "false") != "false":
                return self.refuse(400, "InvalidQueryParameterValue")
            return self.say(
                200,
                {
                    "ETag": '"0x1"',
                    "Last-Modified": "Fri, 27 Nov 2026 12:00:00 GMT",
                    "x-ms-owner": node.owner,
                    "x-ms-group": node.group,
                    "x-ms-permissions": node.permissions,
                    "x-ms-acl": node.text,
                },
            )

        do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_POST = handle_one

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    lake.endpoint = f"http://127.0.0.1:{server.server_port}/{lake.account}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield lake
    finally:
        server.shutdown()
        server.server_close()
