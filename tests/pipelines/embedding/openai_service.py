"""An embeddings service that enforces what the documentation of Azure OpenAI says.

Deployments by path, an API version, a key; limits on inputs and tokens of a request and on tokens
and requests of a minute, answered with 429 and Retry-After; `usage`; vectors by index. Time is the
caller's, so that waiting costs none.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from http_service import Answering, serving

from chunkers.counting import count_tokens


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


class Service:
    def __init__(self, clock: Clock, *, tokens: int = 10_000, requests: int = 10) -> None:
        self.clock = clock
        self.tokens, self.requests = tokens, requests
        self.key = "secret-key"
        self.deployment = "small"
        self.dimensions = 8
        self.log: deque[tuple[float, int]] = deque()
        self.seen: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.trouble: deque[tuple[int, dict[str, str]]] = deque()
        """Statuses to answer with before anything else."""
        self.shuffle = False
        self.endpoint = ""

    def answer(
        self, path: str, headers: Any, body: dict[str, Any]
    ) -> tuple[int, dict[str, str], Any]:
        parts = urlsplit(path)
        if headers.get("api-key") != self.key:
            return 401, {}, _error("401", "Access denied due to invalid subscription key")
        if parts.path != f"/openai/deployments/{self.deployment}/embeddings":
            return 404, {}, _error("DeploymentNotFound", "The API deployment does not exist")
        if "api-version" not in parse_qs(parts.query):
            return 404, {}, _error("404", "Resource not found")
        if self.trouble:
            status, more = self.trouble.popleft()
            return status, more, _error(str(status), "trouble")
        texts = body["input"]
        if not isinstance(texts, list) or not texts or len(texts) > 2048:
            return 400, {}, _error("invalid", "input must have 1 to 2048 items")
        counts = [count_tokens(text, "cl100k_base") for text in texts]
        if any(not text for text in texts) or max(counts) > 8191:
            return 400, {}, _error("invalid", "input is empty or has more than 8191 tokens")
        now = self.clock()
        while self.log and self.log[0][0] <= now - 60:
            self.log.popleft()
        used = sum(size for _, size in self.log)
        if used + sum(counts) > self.tokens or len(self.log) >= self.requests:
            wait = self.log[0][0] + 60 - now if self.log else 60
            return 429, {"retry-after": str(int(wait) + 1)}, _error("429", "rate limit")
        self.log.append((now, sum(counts)))
        self.seen.append(body)
        size = body.get("dimensions") or self.dimensions
        data = [
            {"object": "embedding", "index": n, "embedding": vector(text, size)}
            for n, text in enumerate(texts)
        ]
        if self.shuffle:
            data.reverse()
        total = sum(counts)
        usage = {"prompt_tokens": total, "total_tokens": total}
        return 200, {}, {"object": "list", "data": data, "model": "m", "usage": usage}


def vector(text: str, size: int) -> list[float]:
    digest = hashlib.sha256(text.encode()).digest()
    return [digest[n % 32] / 255 - 0.5 for n in range(size)]


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@contextmanager
def running(service: Service) -> Iterator[Service]:
    class Handler(Answering):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.body())
            status, headers, value = service.answer(self.path, self.headers, body)
            service.statuses.append(status)
            headers = {**headers, "content-type": "application/json"}
            self.say(status, json.dumps(value).encode(), headers)

    with serving(Handler) as service.endpoint:
        yield service
