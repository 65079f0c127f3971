"""The parts of ADLS Gen2's REST service that access lists need, as its documentation states them.

There is no emulator with a hierarchical namespace. This one holds a tree of access lists beside a
blob emulator that holds the bytes, and is as strict as the documents are: an API version that
knows access lists, a signature, `action=getAccessControl`, object ids rather than names unless
`upn=true`, lists with the default entries of directories, 404 for what is not there, and on
demand 403, 429 and 5xx. Nothing else is answered. `listing` is a page of List Blobs with
`include=permissions`, directories among the files, for a proxy in front of the blob emulator.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from http_service import Answering, serving

FIRST_VERSION = "2018-11-09"
_ALWAYS = {"x-ms-request-id": "1", "x-ms-version": FIRST_VERSION}
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


def listing(
    lake: Lake, file_system: str, files: Mapping[str, int], query: Mapping[str, str]
) -> bytes:
    """A page of List Blobs (2020-06-12 and later) for an account with a hierarchical namespace.

    Args:
        lake: whose access lists.
        file_system: which container.
        files: name to size.
        query: of the request.
    """
    assert set(query["include"].split(",")) == {"metadata", "permissions"}
    prefix, marker = query.get("prefix", ""), query.get("marker", "")
    folders = {path for name, path in lake.nodes if name == file_system} - files.keys() - {ROOT}
    names = sorted(n for n in {*files, *folders} if n.startswith(prefix) and n >= marker)
    size = int(query.get("maxresults", 5000))
    items = []
    for name in names[:size]:
        node = lake.nodes.get((file_system, name), Node())
        folder = name in folders
        encoded = ' Encoded="true"' if "\ufffe" in name else ""
        shown = quote(name) if encoded else escape(name)
        items.append(
            f"<Blob><Name{encoded}>{shown}</Name><Properties>"
            "<Last-Modified>Fri, 27 Nov 2026 12:00:00 GMT</Last-Modified><Etag>0x1</Etag>"
            f"<Owner>{node.owner}</Owner><Group>{node.group}</Group>"
            f"<Permissions>{node.permissions}</Permissions><Acl>{node.text}</Acl>"
            f"<ResourceType>{'directory' if folder else 'file'}</ResourceType>"
            f"<Content-Length>{files.get(name, 0)}</Content-Length>"
            "<Content-Type>text/markdown</Content-Type><BlobType>BlockBlob</BlobType></Properties>"
            f"<Metadata>{'<hdi_isfolder>true</hdi_isfolder>' if folder else ''}</Metadata></Blob>"
        )
    after = escape(names[size]) if len(names) > size else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://x/" '
        f'ContainerName="{file_system}"><Prefix>{escape(prefix)}</Prefix>'
        f"<MaxResults>{size}</MaxResults><Blobs>{''.join(items)}</Blobs>"
        f"<NextMarker>{after}</NextMarker></EnumerationResults>"
    ).encode()


@contextmanager
def adls(**settings: Any) -> Iterator[Lake]:
    """The service on a free port."""
    lake = Lake(**settings)

    class Handler(Answering):
        protocol_version = "HTTP/1.1"

        def refuse(self, status: int, code: str) -> None:
            body = json.dumps({"error": {"code": code, "message": code}}).encode()
            retry = {"Retry-After": "0"} if status == 429 else {}
            self.say(status, body, {**_ALWAYS, "x-ms-error-code": code, **retry})

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
                headers={
                    **_ALWAYS,
                    "ETag": '"0x1"',
                    "Last-Modified": "Fri, 27 Nov 2026 12:00:00 GMT",
                    "x-ms-owner": node.owner,
                    "x-ms-group": node.group,
                    "x-ms-permissions": node.permissions,
                    "x-ms-acl": node.text,
                },
            )

        do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_POST = handle_one

    with serving(Handler) as address:
        lake.endpoint = f"{address}/{lake.account}"
        yield lake
