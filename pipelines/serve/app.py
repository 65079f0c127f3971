"""The application: routes, limits, and what goes out when something is wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineage import ConfigError, TransientError
from pipelines.config import Config, ServeConfig
from pipelines.serve.context import Context, RouterFactory
from pipelines.serve.index import Index
from pipelines.serve.limits import RateLimit
from pipelines.serve.metrics import Metrics
from pipelines.serve.routes import feedback, search, service
from pipelines.serve.tokens import Authenticator, Refused

_LOG = logging.getLogger(__name__)

ROUTERS: tuple[RouterFactory, ...] = (search.router, feedback.router, service.router)
OPEN_PATHS = ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json")
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
)


def create_app(config: Config, settings: ServeConfig, authenticator: Authenticator) -> FastAPI:
    """The API over the index of `config`.

    Raises:
        ConfigError: no sink of the configuration can be searched.
    """
    metrics = Metrics()
    context = Context(
        config=config,
        settings=settings,
        index=Index(config, settings.sink, metrics),
        authenticator=authenticator,
        metrics=metrics,
        rate=RateLimit(settings.requests_per_minute),
        failures=RateLimit(settings.requests_per_minute),
    )
    app = FastAPI(
        title=f"{config.name}: read API",
        description="Search and fetch, trimmed to what the bearer of the token may read.",
        version="1",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    for factory in ROUTERS:
        app.include_router(factory(context))
    app.add_exception_handler(Refused, _refused(metrics))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ConfigError, _no_index)
    app.add_exception_handler(TransientError, _away)
    app.add_middleware(Frame, context=context)
    _describe_tokens(app)
    return app


class Frame:
    """Around every request: its size, its time, and headers of its answer."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        body = await self._body(receive)
        try:
            if body is None:
                limit = self._context.settings.max_body_bytes
                refused = error(413, "too_large", f"a request can have at most {limit} bytes")
                await refused(scope, receive, answer)
            else:
                await self._app(scope, _replay(body, receive), answer)
        except Exception:
            # What went wrong is for the log; it may name what the caller may not know of.
            _LOG.exception("a request failed")
            await error(500, "internal", "the request failed; the server's log says why")(
                scope, receive, answer
            )
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._context.metrics.count("gristmill_requests_total", route=route, status=str(status))
            self._context.metrics.observe(route, time.monotonic() - started)

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body, or null when it is too large: then the rest is not read."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b""
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._context.settings.max_body_bytes:
                return None
            if not message.get("more_body"):
                return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """What every error looks like."""
    value = {"error": {"code": code, "message": message}}
    return JSONResponse(value, status_code=status, headers=dict(headers or {}))


def _refused(metrics: Metrics) -> Any:
    def handle(request: Request, refused: Refused) -> JSONResponse:
        headers = {}
        if refused.status in (401, 403, 429, 503):
            metrics.count("gristmill_refused_total", reason=refused.code)
        if refused.status == 401:
            kind = "" if refused.code == "no_token" else ' error="invalid_token"'
            headers["WWW-Authenticate"] = f"Bearer{kind}"
        if refused.status == 429:
            headers["Retry-After"] = "".join(c for c in refused.message if c.isdigit())
        return error(refused.status, refused.code, refused.message, headers)

    return handle


def _invalid(request: Request, problem: Any) -> JSONResponse:
    first = problem.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    return error(422, "invalid_request", f"{where}: {first['msg']}")


def _http(request: Request, problem: Any) -> JSONResponse:
    return error(problem.status_code, "not_found" if problem.status_code == 404 else "http",
                 str(problem.detail), problem.headers)  # fmt: skip


def _no_index(request: Request, problem: Any) -> JSONResponse:
    _LOG.warning("%s", problem)
    return error(503, "no_index", "there is no index yet; run `gristmill load`")


def _away(request: Request, problem: Any) -> JSONResponse:
    _LOG.warning("%s", problem)
    message = "what this needs does not answer; the server's log says more"
    return error(503, "unavailable", message, {"Retry-After": "10"})


def _describe_tokens(app: FastAPI) -> None:
    """Say in the OpenAPI description that all but the service's routes take a token."""
    original = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            api = original()
            api.setdefault("components", {})["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            }
            for path, methods in api["paths"].items():
                if path not in OPEN_PATHS:
                    for operation in methods.values():
                        operation["security"] = [{"bearer": []}]
        schema = app.openapi_schema
        assert schema is not None
        return schema

    app.openapi = described  # type: ignore[method-assign]
