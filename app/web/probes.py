"""Routes for operators: whether the server is alive and ready, and its metrics. They name no person, address or key."""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import NotFound, Unauthorized
from app.operations.health import CONTENT_TYPE
from app.parts import parts_of


async def healthz(request: Request) -> Response:
    """GET /healthz: the process is alive, and so is the worker where it runs in this process, else 503."""
    worker = request.app.state.worker
    if worker is None or worker.running:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "the worker has ended"}, 503)


async def readyz(request: Request) -> Response:
    """GET /readyz: 200 while the database answers and a worker is alive, else 503. Tells each part's state, providers
    included."""
    readiness = await parts_of(request).health.readiness()
    body = {"status": "ready" if readiness.ready else "not ready", **readiness.parts}
    return JSONResponse(body, 200 if readiness.ready else 503, headers={"Cache-Control": "no-store"})


async def metrics(request: Request) -> Response:
    """GET /metrics, for anyone who presents METRICS_TOKEN as a bearer: turnover is nobody else's business. Without that
    setting there is no such page."""
    parts = parts_of(request)
    if parts.settings.metrics_token is None:
        raise NotFound("metrics are off")
    wanted = f"Bearer {parts.settings.metrics_token.get_secret_value()}"
    if not hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted.encode()):
        raise Unauthorized("metrics")
    return Response(await parts.health.exposition(), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
