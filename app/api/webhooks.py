"""The providers' door: raw bytes in, 2xx once stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import NotFound, WebhookRefused
from app.parts import parts_of
from app.settings import SCHEDULERS

Endpoint = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger()

#: Stripe's events are far below this (Stripe docs, "Webhooks"), and so are Hapio's bookings.
MAX_BODY = 1 << 20


async def stripe_webhook(request: Request) -> Response:
    """POST /api/webhooks/stripe, signed in the header `Stripe-Signature`."""
    signature = request.headers.get("stripe-signature")
    parts = parts_of(request)
    with _refusals_logged("stripe"), parts.metrics.webhook("stripe"):
        await parts.inbox.receive_stripe(await _body(request), signature)
    return JSONResponse({"success": True, "message": "Webhook received"})


def scheduler_webhook(scheduler: str) -> Endpoint:
    """POST /api/webhooks/{scheduler}, signed as that scheduler signs. NotFound where it is not connected, or has no
    secret to check with."""

    async def receive(request: Request) -> Response:
        parts = parts_of(request)
        if scheduler not in (*parts.settings.schedulers, *parts.settings.owner_schedulers):
            raise NotFound("no such scheduler is connected")
        with _refusals_logged(scheduler), parts.metrics.webhook(scheduler):
            await parts.inbox.receive_scheduler(scheduler, await _body(request), request.headers)
        return JSONResponse({"success": True, "message": "Webhook received"})

    return receive


@contextmanager
def _refusals_logged(provider: str) -> Iterator[None]:
    """Log why a webhook is refused: the sender reads no answer of ours, and the owner only the log."""
    try:
        yield
    except WebhookRefused as error:
        log.warning("webhook refused", provider=provider, reason=str(error))
        raise


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise WebhookRefused("body too large")
    return body


routes = [
    Route("/api/webhooks/stripe", stripe_webhook, methods=["POST"]),
    *(Route(f"/api/webhooks/{name}", scheduler_webhook(name), methods=["POST"]) for name in SCHEDULERS),
]
