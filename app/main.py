"""Wiring, and nothing else: which parts there are, and what each is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random, SystemRandom

import httpx
import stripe
import structlog
from jinja2 import Environment
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app import probes, webhooks
from app.api.door import WebhookLimits
from app.api.envelope import envelope
from app.api.routes import routes as api_routes
from app.availability import Availability, CallBudget
from app.bookings import Bookings
from app.challenge import Challenges
from app.errors import ChallengeNeeded, HoldfastError, InvalidRequest, NotFound
from app.forgetting import Forgetting
from app.gate import Gate
from app.guard import Guard
from app.hapio import HapioCall, HapioClient
from app.health import Health
from app.idempotency import Idempotency
from app.inbox import Inbox
from app.letters import Letters
from app.limiter import Limiter
from app.links import Links
from app.mail import Mailer
from app.metrics import Metrics
from app.moves import Moves
from app.payments import Payments
from app.refunds import Refunds
from app.settings import Settings, WebhookScheme
from app.site import Resolve, SiteReader, look_up, origin_of
from app.staff import Staff
from app.store import Store
from app.web import routes as web
from app.web.challenge import show_challenge
from app.web.pages import Pages, WarmPages
from app.web.render import make_templates, render_error
from app.widgets import Widget, load_widgets
from app.worker import Worker

log = structlog.get_logger()

#: How often the calls counted here are added to what all processes share; a crash forgets no more than these.
BUDGET_SECONDS = 20
#: How long a stop waits for the worker's step: one call of Stripe's with all its attempts, and the write after it.
STOP_SECONDS = 30


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Outside:
    """What tests own: the clock, chance, waiting, and the wires to the providers."""

    now: Callable[[], datetime] = utc_now
    random: Random = field(default_factory=SystemRandom)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    hapio_transport: httpx.AsyncBaseTransport | None = None
    stripe_http: stripe.HTTPClient | None = None
    site_transport: httpx.AsyncBaseTransport | None = None
    resolve: Resolve = look_up


@dataclass(frozen=True, slots=True)
class House:
    """Every part, for the doors."""

    settings: Settings
    widgets: Mapping[str, Widget]
    links: Links
    store: Store
    availability: Availability
    bookings: Bookings
    inbox: Inbox
    worker: Worker
    mailer: Mailer
    templates: Environment
    pages: Pages
    limiter: Limiter
    gate: Gate
    idempotency: Idempotency
    sites: SiteReader
    metrics: Metrics
    health: Health
    forgetting: Forgetting
    staff: Staff
    now: Callable[[], datetime]


@asynccontextmanager
async def open_house(settings: Settings, outside: Outside, *, may_migrate: bool = False) -> AsyncIterator[House]:
    """Build every part inside the running event loop, and close them again.

    Only with `may_migrate` a missing database is made, and an older one upgraded: a command of the owner's must not
    find an empty database where a setting is wrong, nor upgrade it below a server that runs. Raises WidgetsFileError
    and DatabaseUnusable.
    """
    now = outside.now
    widgets = load_widgets(settings.widgets_file)
    metrics = Metrics()
    templates = make_templates(settings)
    async with AsyncExitStack() as closing:
        store = Store(settings.database_url, now=now)
        closing.push_async_callback(store.close)
        await (store.migrate() if may_migrate else store.must_be_current())
        budget = CallBudget(calls_per_month=settings.hapio_calls_per_month, now=now)
        await budget.save(store.add_to_counter)
        closing.push_async_callback(budget.save, store.add_to_counter)
        closing.callback(asyncio.create_task(_keep(budget, store)).cancel)

        def called(call: HapioCall) -> None:
            budget.record(call)
            metrics.called("hapio", call.operation, str(call.status or "no_answer"), call.seconds)

        hapio = HapioClient(
            base_url=settings.hapio_base_url,
            token=settings.hapio_api_token.get_secret_value(),
            now=now,
            random=outside.random,
            sleep=outside.sleep,
            transport=outside.hapio_transport,
            on_call=called,
        )
        closing.push_async_callback(hapio.aclose)
        payments = _payments(settings, outside, metrics)
        if payments:
            closing.push_async_callback(payments.aclose)
        availability = Availability(
            hapio=hapio,
            occupied=store.occupied,
            budget=budget,
            now=now,
            ttl=settings.availability_ttl,
            max_age=settings.availability_max_age,
        )
        closing.push_async_callback(availability.aclose)
        links = Links(settings.keys, now=now, random=outside.random)
        letters = Letters(store=store, widgets=widgets, links=links, public_url=settings.public_url, now=now)
        limiter = Limiter(now)
        challenges = Challenges(settings.keys, now=now, random=outside.random)
        gate = Gate(store=store, limiter=limiter, challenges=challenges, now=now)
        refunds = Refunds(store=store, payments=payments, letters=letters, now=now, random=outside.random)
        moves = Moves(
            store=store,
            hapio=hapio,
            payments=payments,
            availability=availability,
            widgets=widgets,
            links=links,
            letters=letters,
            refunds=refunds,
            public_url=settings.public_url,
            now=now,
            random=outside.random,
        )
        bookings = Bookings(
            store=store,
            hapio=hapio,
            payments=payments,
            availability=availability,
            widgets=widgets,
            links=links,
            letters=letters,
            refunds=refunds,
            moves=moves,
            gate=gate,
            metrics=metrics,
            public_url=settings.public_url,
            now=now,
            random=outside.random,
        )
        smtp_url = settings.smtp_url.get_secret_value() if settings.smtp_url else None
        mailer = Mailer(smtp_url=smtp_url, mail_from=settings.mail_from, templates=templates, now=now)
        hapio_secret = settings.hapio_webhook_secret
        inbox = Inbox(
            store=store,
            bookings=bookings,
            availability=availability,
            payments=payments,
            hapio_secret=hapio_secret.get_secret_value() if hapio_secret else "",
            hapio_scheme=WebhookScheme.read(settings.hapio_webhook_scheme),
            now=now,
            random=outside.random,
            sleep=outside.sleep,
        )
        worker = Worker(
            bookings=bookings,
            inbox=inbox,
            refunds=refunds,
            letters=letters,
            store=store,
            mailer=mailer,
            now=now,
            sleep=outside.sleep,
            metrics=metrics,
        )
        pages = Pages(epoch=availability.epoch, visitor_key=links.visitor_key)
        sites = SiteReader(
            named={origin_of(settings.public_url), *(site for one in widgets.values() for site in one.allowed_origins)},
            agent=f"Mozilla/5.0 (compatible; Holdfast embed doctor; {settings.public_url}/embed/doctor)",
            resolve=outside.resolve,
            transport=outside.site_transport,
        )
        closing.push_async_callback(sites.aclose)
        staff = Staff(
            emails=settings.staff_emails,
            store=store,
            links=links,
            limiter=limiter,
            mailer=mailer,
            budget=budget,
            public_url=settings.public_url,
            now=now,
            random=outside.random,
        )
        yield House(
            settings=settings,
            widgets=widgets,
            links=links,
            store=store,
            availability=availability,
            bookings=bookings,
            inbox=inbox,
            worker=worker,
            mailer=mailer,
            templates=templates,
            pages=pages,
            limiter=limiter,
            gate=gate,
            idempotency=Idempotency(store=store, now=now, random=outside.random),
            sites=sites,
            metrics=metrics,
            forgetting=Forgetting(store=store, hapio=hapio, now=now),
            health=Health(
                store=store,
                availability=availability,
                budget=budget,
                providers={"hapio": hapio} | ({"stripe": payments} if payments else {}),
                pages=pages,
                metrics=metrics,
                now=now,
            ),
            staff=staff,
            now=now,
        )


async def _keep(budget: CallBudget, store: Store) -> None:
    while True:
        await asyncio.sleep(BUDGET_SECONDS)
        try:
            await budget.save(store.add_to_counter)
        except SQLAlchemyError as error:  # busy for once: what was not saved is kept for the next time
            log.warning("budget not saved", error=type(error).__name__)


def _payments(settings: Settings, outside: Outside, metrics: Metrics) -> Payments | None:
    if settings.stripe_secret_key is None:
        return None
    return Payments(
        secret_key=settings.stripe_secret_key.get_secret_value(),
        webhook_secrets=[secret.get_secret_value() for secret in settings.stripe_webhook_secret],
        api_base=settings.stripe_api_base,
        now=outside.now,
        http_client=outside.stripe_http,
        on_call=partial(metrics.called, "stripe"),
    )


def create_app(settings: Settings, outside: Outside | None = None, *, run_worker: bool = True) -> Starlette:
    """The ASGI application. With `run_worker` the worker's clock runs beside it in the same process."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_house(settings, outside or Outside(), may_migrate=True) as house:
            app.state.house = house
            clock = asyncio.create_task(house.worker.run()) if run_worker else None
            yield
            if clock:
                house.worker.stop()
                await asyncio.wait({clock}, timeout=STOP_SECONDS)
                clock.cancel()
                with suppress(asyncio.CancelledError):
                    await clock

    app = Starlette(
        routes=[*probes.routes, *webhooks.routes, *api_routes, *web.routes],
        lifespan=lifespan,
        exception_handlers={
            ChallengeNeeded: show_challenge,
            HoldfastError: show_error,
            HTTPException: show_http_error,
            Exception: show_error,
        },
    )
    app.add_middleware(WebhookLimits)
    app.add_middleware(Guard)
    app.add_middleware(WarmPages)
    return app


async def show_error(request: Request, error: Exception) -> Response:
    """Every error, once: JSON for programs, a page for people."""
    told = error if isinstance(error, HoldfastError) else HoldfastError()
    request.app.state.house.metrics.told(told.code)
    if request.url.path.startswith("/api/"):
        return envelope(told)
    return render_error(request, told)


async def show_http_error(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such page, wrong method."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    response = await show_error(request, NotFound() if status == 404 else InvalidRequest())
    response.status_code = status
    response.headers.update(getattr(error, "headers", None) or {})  # which methods there are
    return response
