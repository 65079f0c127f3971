"""Health, metrics and the description of the API; they need no token and name nobody."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from lineage import GristmillError
from pipelines.serve.context import Context
from pipelines.serve.metrics import CONTENT_TYPE
from pipelines.serve.page import page


def router(context: Context) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["service"])

    @routes.get("/healthz", summary="Whether the process answers")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz", summary="Whether the index can be searched")
    def ready() -> JSONResponse:
        try:
            context.index.check()
        except (GristmillError, OSError):
            return JSONResponse({"status": "no index"}, status_code=503)
        return JSONResponse({"status": "ok"})

    @routes.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    def metrics() -> PlainTextResponse:
        return PlainTextResponse(context.metrics.text(), media_type=CONTENT_TYPE)

    @routes.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(page(request.app.openapi()))

    return routes
