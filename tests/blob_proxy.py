"""A blob service that misbehaves on demand: it answers by itself, or passes on to the emulator."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from http_service import Answering, serving

_XML = (
    '<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>no</Message></Error>'
)


@dataclass(frozen=True)
class Asked:
    """A request before it is answered."""

    method: str
    path: str
    query: dict[str, list[str]]

    @property
    def is_listing(self) -> bool:
        return self.query.get("comp") == ["list"]

    @property
    def is_download(self) -> bool:
        return self.method == "GET" and not self.query


@dataclass
class Answer:
    """What to say instead of the emulator."""

    status: int
    code: str = "ServerBusy"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before anything is said."""
    cut: int | None = None
    """Pass the request on, and break off after so many bytes of the answer's body."""
    body: bytes | None = None
    """What to say, in place of an error of this code."""


Rule = Callable[[Asked], Answer | None]


@dataclass
class Proxy:
    endpoint: str
    rule: Rule
    asked: list[Asked] = field(default_factory=list)

    def count(self, what: Callable[[Asked], bool]) -> int:
        return sum(map(what, self.asked))


@contextmanager
def proxy(upstream: str, rule: Rule = lambda asked: None) -> Iterator[Proxy]:
    """A service in front of the one at `upstream`, under the same path."""
    target = urlsplit(upstream)

    class Handler(Answering):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.body()
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, keep_blank_values=True)
            asked = Asked(self.command, unquote(parts.path), query)
            running.asked.append(asked)
            answer = running.rule(asked)
            if answer is not None and answer.delay:
                time.sleep(answer.delay)
            if answer is not None and answer.cut is None:
                said, headers = answer.body, {"Content-Type": "application/xml", **answer.headers}
                if said is None:
                    said = _XML.format(code=answer.code).encode()
                    headers = {"x-ms-error-code": answer.code, **answer.headers}
                self.answer(answer.status, list(headers.items()), said)
                return
            connection = http.client.HTTPConnection(target.hostname or "", target.port)
            connection.request(self.command, self.path, body, dict(self.headers))
            reply = connection.getresponse()
            data = reply.read()
            hop = ("transfer-encoding", "connection", "content-length", "keep-alive")
            kept = [(k, v) for k, v in reply.getheaders() if k.lower() not in hop]
            size = reply.getheader("Content-Length")
            self.answer(reply.status, kept, data, size, answer.cut if answer else None)
            connection.close()

        def answer(
            self,
            status: int,
            headers: list[tuple[str, str]],
            body: bytes,
            size: str | None = None,
            cut: int | None = None,
        ) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            whole = size if self.command == "HEAD" and size else str(len(body))
            self.send_header("Content-Length", whole)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body if cut is None else body[:cut])
            if cut is not None:
                self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_one

    with serving(Handler) as address:
        running = Proxy(f"{address}{target.path}", rule)
        yield running
