"""The ASGI application, over the parts that `app.build` builds; and the worker's task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.api import webhooks
from app.api.door import WebhookLimits
from app.api.kept_answers import KeptAnswers
from app.api.routes import doors_with_kept_answers
from app.api.routes import routes as api_routes
from app.build import open_parts
from app.error_answers import show_error, show_http_error, show_outermost
from app.errors import ChallengeNeeded, HoldfastError
from app.operations.background import Background
from app.operations.neighbours import beat
from app.parts import Parts, parts_in
from app.seams import Seams
from app.settings import Settings
from app.version import VERSION
from app.web import probes
from app.web import routes as web
from app.web.embed.embed_check import PageChecks
from app.web.shared.page_cache import Pages, WarmPages
from app.web.shared.page_limits import PageLimits
from app.web.shared.ready_answers import STATE, ReadyAnswers
from app.web.shared.ready_json import ReadyJson
from app.web.shared.security_headers import (
    SecurityHeaders,
    method_of,
)
from app.web.shared.warm_files import FILES, Files, WarmFiles
from app.web.visitor.proof_of_work import show_challenge

__all__ = ["STOP_SECONDS", "Seams", "create_app", "open_parts", "run_worker_of", "tell_start"]

log = structlog.get_logger()

#: How long a stop waits for the worker's step: one call of Stripe's with all its attempts, and the write after it.
STOP_SECONDS = 30


@asynccontextmanager
async def run_worker_of(parts: Parts, seams: Seams) -> AsyncIterator[Background]:
    """The worker at work, and outgoing webhooks next to it, each started again whenever it ends by itself; at the end
    the worker may finish its step. What is being sent is cut off: it is sent again."""
    worker, webhooks = parts.worker, parts.outgoing_webhooks
    clock = Background("worker", worker.run, sleep=seams.sleep, stopped=lambda: worker.stopping)
    sending = Background("webhooks", webhooks.run, sleep=seams.sleep, stopped=lambda: webhooks.stopping)
    try:
        yield clock
    finally:
        worker.stop()
        webhooks.stop()
        await sending.aclose()
        await clock.aclose(patience=STOP_SECONDS)


async def tell_start(parts: Parts, *, worker: bool) -> None:
    """Write the first line of the log: what runs here, with which important settings."""
    settings = parts.settings
    live = settings.stripe_secret_key and "_live_" in settings.stripe_secret_key.get_secret_value()[:8]
    log.info(
        "started",
        version=VERSION,
        mode="live" if live else "test" if settings.stripe_secret_key else "without payments",
        database=parts.store.backend.shown,
        schema=await parts.store.schema(),
        widgets=sorted(parts.widgets),
        public_url=settings.public_url,
        mail=parts.mailer.enabled,
        worker=worker,
    )


def create_app(settings: Settings, seams: Seams | None = None, *, run_worker: bool = True) -> Starlette:
    """The ASGI application. With `run_worker` the worker runs in the same process."""

    files = Files()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, ReadyAnswers]]:
        world = seams or Seams()
        async with open_parts(settings, world, may_migrate=True) as parts, AsyncExitStack() as running:
            app.state.parts = parts
            app.state.pages = Pages(epoch=parts.availability.epoch, visitor_key=parts.links.visitor_key)
            app.state.kept_answers = kept = KeptAnswers(epoch=parts.availability.epoch, now=parts.now)
            parts.health.watch(app.state.pages, kept)
            app.state.page_checks = PageChecks()
            running.callback(app.state.page_checks.close)
            if world.shared:
                process = f"{world.random.getrandbits(64):x}"
                serving = Background("serving", lambda: beat(parts.store, process, world.rest), sleep=asyncio.sleep)
                running.push_async_callback(serving.aclose)
            app.state.worker = None
            if run_worker:
                app.state.worker = await running.enter_async_context(run_worker_of(parts, world))
            await tell_start(parts, worker=run_worker)
            json = {
                path.encode(): ReadyJson(path, door, parts, kept) for path, door in doors_with_kept_answers(app.routes)
            }
            app.state.ready = ReadyAnswers({b"/w/": app.state.pages, **json, **dict.fromkeys(FILES, files)})
            yield {STATE: app.state.ready}
            log.info("stopping")

    app = Starlette(
        routes=[*probes.routes, *webhooks.routes, *api_routes(settings), *web.routes],
        lifespan=lifespan,
        exception_handlers={
            ChallengeNeeded: show_challenge,
            HoldfastError: show_error,
            HTTPException: show_http_error,
            Exception: show_outermost,
        },
    )
    app.router.redirect_slashes = False  # see show_http_error
    app.add_middleware(WebhookLimits)
    app.add_middleware(PageLimits)
    app.add_middleware(
        SecurityHeaders, https=settings.public_url.startswith("https://"), show_error=show_error, answered=count_answer
    )
    app.add_middleware(WarmPages)
    app.add_middleware(WarmFiles, files=files)
    return app


def count_answer(scope: Scope, route: str, status: int, seconds: float) -> None:
    """Count an answer in the metrics. Warm pages and files are answered before this."""
    parts_in(scope).metrics.answered(method_of(scope), route, status, seconds)
