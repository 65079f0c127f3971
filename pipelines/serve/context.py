"""What routes work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request

from lineage import Principal
from pipelines.config import Config, ServeConfig
from pipelines.serve.index import Index
from pipelines.serve.limits import RateLimit
from pipelines.serve.metrics import Metrics
from pipelines.serve.tokens import Authenticator, Refused

if TYPE_CHECKING:
    from fastapi import APIRouter

RouterFactory = Callable[["Context"], "APIRouter"]
"""Makes the routes of one subject; `pipelines.serve.app.ROUTERS` lists them."""


@dataclass(frozen=True)
class Context:
    """One running API."""

    config: Config
    settings: ServeConfig
    index: Index
    authenticator: Authenticator
    metrics: Metrics
    rate: RateLimit
    failures: RateLimit
    """Of addresses that send what is refused."""

    def caller(self, request: Request) -> Principal:
        """Who sent `request`: what its token says, and nothing else in it.

        Raises:
            Refused: there is no valid token, or its bearer asks too often.
        """
        address = request.client.host if request.client else ""
        try:
            principal = self.authenticator.principal(request.headers.get("authorization"))
        except Refused as refused:
            if refused.status < 500:
                self._limit(self.failures, address)
            raise
        self._limit(self.rate, principal.user or address)
        return principal

    def _limit(self, rate: RateLimit, key: str) -> None:
        seconds = rate.wait(key)
        if seconds:
            raise Refused(429, "too_many_requests", f"too many requests; wait {seconds} s")
