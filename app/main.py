"""Only wiring: which parts there are, and what each is given.

One file, because the order in which parts are built and closed has to be read as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random, SystemRandom

import httpx
import stripe
import structlog
from jinja2 import BytecodeCache
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.api import webhooks
from app.api.door import WebhookLimits
from app.api.kept_answers import KeptAnswers
from app.api.routes import doors_with_kept_answers
from app.api.routes import routes as api_routes
from app.booking.acts import make_acts
from app.booking.cursors import Cursors
from app.booking.notifications import Notifications
from app.booking.overdue import Overdue
from app.booking.refunds import Refunds
from app.booking.stray_payments import Strays
from app.booking.tools import Tools
from app.domain.scheduler_names import owner_of
from app.domain.urls import origin_of
from app.error_answers import show_error, show_http_error, show_outermost
from app.errors import ChallengeNeeded, HoldfastError, StorageError
from app.mail import Mailer
from app.mail.mailer import Give, give
from app.operations.alerts import Alerts
from app.operations.background import Background
from app.operations.calendar import Calendar
from app.operations.calendly_connections import CalendlyConnections
from app.operations.erasure import Erasure
from app.operations.health import Health
from app.operations.neighbours import Neighbours, beat
from app.operations.outgoing_webhooks import OutgoingWebhooks, Secrets, Sender
from app.operations.reconciling import Reconciling
from app.operations.services import Services
from app.operations.staff_access import Staff
from app.operations.webhook_inbox import Inbox
from app.operations.worker import Worker
from app.operations.working_hours import WorkingHours
from app.parts import Parts, parts_in
from app.payments.connection import RATE_LIMIT_PATIENCE
from app.payments.stripe_client import Payments
from app.protection.act_limits import ActLimits
from app.protection.hold_limits import HoldLimits
from app.protection.idempotency import Idempotency
from app.protection.page_reader import NameLookups, PageReader, Resolve
from app.protection.proof_of_work import Challenges
from app.protection.rate_limits import RateLimits, SharedCounts
from app.protection.sealing import Sealer
from app.protection.signed_links import Links
from app.scheduling.availability import Availability, CallBudget, SchedulerAvailability, SharedReads
from app.scheduling.calendly.connect import calendly_client, calendly_oauth, token_sealer
from app.scheduling.connect import PROVIDERS, connect
from app.scheduling.connected import World
from app.scheduling.creates import CreateBudget
from app.scheduling.schedulers import Schedulers
from app.settings import Settings
from app.store import Store
from app.store.sqlite_driver import Connect, open_connection
from app.telemetry.metrics import Metrics
from app.version import VERSION
from app.web import probes
from app.web import routes as web
from app.web.embed.embed_check import PageChecks
from app.web.shared.page_cache import Pages, WarmPages
from app.web.shared.page_limits import PageLimits
from app.web.shared.ready_answers import STATE, ReadyAnswers
from app.web.shared.ready_json import ReadyJson
from app.web.shared.render import make_templates
from app.web.shared.security_headers import (
    SecurityHeaders,
    method_of,
)
from app.web.shared.warm_files import FILES, Files, WarmFiles
from app.web.visitor.proof_of_work import show_challenge
from app.widgets_file import load_widgets

log = structlog.get_logger()

#: How often the calls counted here are added to what all processes share; a crash forgets no more than these.
BUDGET_SECONDS = 20
#: How long a stop waits for the worker's step: one call of Stripe's with all its attempts, and the write after it.
STOP_SECONDS = 30


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Seams:
    """What tests replace: the clock, random numbers, waiting, the transports to the providers and the mail server, how
    a SQLite file is opened, and where compiled templates are kept."""

    now: Callable[[], datetime] = utc_now
    random: Random = field(default_factory=SystemRandom)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    #: The pause between two rounds of what is repeated as long as the process runs, and which nobody waits for.
    rest: Callable[[float], Awaitable[None]] = asyncio.sleep
    scheduler_transports: Mapping[str, httpx.AsyncBaseTransport] = field(default_factory=dict)
    stripe_http: stripe.HTTPClient | None = None
    site_transport: httpx.AsyncBaseTransport | None = None
    webhook_transport: httpx.AsyncBaseTransport | None = None
    resolve: Resolve | None = None
    compiled_templates: BytecodeCache | None = None
    connect: Connect = open_connection
    give_mail: Give = give
    #: Whether times are shared with other processes over the database. Tests of one process leave it out.
    shared: bool = True


@asynccontextmanager
async def open_parts(settings: Settings, seams: Seams, *, may_migrate: bool = False) -> AsyncIterator[Parts]:
    """Build every part inside the running event loop, and close them again.

    Only with `may_migrate` a missing database is made, and an older one upgraded: a command of the owner's must not
    find an empty database where a setting is wrong, nor upgrade it below a server that runs. Raises WidgetsFileError
    and DatabaseUnusable.
    """
    now = seams.now
    widgets = load_widgets(settings.widgets_file, settings.schedulers, settings.owner_schedulers)
    templates = make_templates(settings, seams.compiled_templates)
    async with AsyncExitStack() as closing:
        store = Store(settings.database_url, now=now, connect=seams.connect)
        closing.push_async_callback(store.close)
        await (store.migrate() if may_migrate else store.must_be_current())
        # A booking outlives its widget: accounts that are connected stay so, whether or not the file still names them.
        owned = {widget.scheduler: None for widget in widgets.values() if owner_of(widget.scheduler)}
        names = [*owned, *(one.name for one in await store.all_scheduler_tokens() if one.name not in owned)]
        metrics = Metrics(
            version=VERSION, providers=(*settings.schedulers, *settings.owner_schedulers, *names, "stripe")
        )
        world = World(
            now=now,
            random=seams.random,
            sleep=seams.sleep,
            transports=seams.scheduler_transports,
            called=lambda name, call: metrics.called(
                name, call.operation, str(call.status or "no_answer"), call.seconds
            ),
            tokens=store,
        )
        connected = connect(settings, world, names)
        creates = {name: one.creates for name, one in connected.items() if one.creates}
        schedulers = Schedulers({name: one.scheduler for name, one in connected.items()}, creates)
        budgets = {name: one.budget for name, one in connected.items()}
        counted: list[CallBudget | CreateBudget] = [*budgets.values(), *creates.values()]
        for budget in counted:
            await budget.save(store.add_to_counter)
            closing.push_async_callback(budget.save, store.add_to_counter)
        keeping = Background("budget", partial(_keep, counted, store, seams.rest), sleep=seams.sleep)
        closing.push_async_callback(keeping.aclose)
        for scheduler in schedulers.values():
            closing.push_async_callback(scheduler.aclose)
        payments = _payments(settings, seams, metrics)
        if payments:
            closing.push_async_callback(payments.aclose)
        counts = await _counts(settings, closing)
        rate_limits = RateLimits(now, shared=counts)
        neighbours = Neighbours(store, sleep=asyncio.sleep)
        holder = f"{seams.random.getrandbits(64):x}" if seams.shared else ""
        availability = Availability(
            {
                name: SchedulerAvailability(
                    name=name,
                    scheduler=one.scheduler,
                    occupancy=store,
                    budget=one.budget,
                    now=now,
                    ttl=settings.availability_ttl,
                    max_age=settings.availability_max_age,
                    rate_limits=rate_limits,
                    shared=SharedReads(store, scheduler=name, holder=holder, now=now, sleep=asyncio.sleep)
                    if seams.shared
                    else None,
                    changed=neighbours.changed,
                )
                for name, one in connected.items()
            }
        )
        services = Services(
            widgets=widgets,
            store=store,
            schedulers=schedulers,
            availability=availability,
            providers=PROVIDERS,
            changed=neighbours.changed,
            now=now,
        )
        await services.catch_up()
        closing.push_async_callback(neighbours.aclose)
        if seams.shared:
            neighbours.watch(availability, services)
        closing.push_async_callback(availability.aclose)
        links = Links(settings.keys, now=now, random=seams.random)
        notifications = Notifications(
            store=store,
            widgets=widgets,
            links=links,
            public_url=settings.public_url,
            has_staff=bool(settings.staff_emails),
            now=now,
        )
        challenges = Challenges(settings.keys, now=now, random=seams.random)
        hold_limits = HoldLimits(store=store, rate_limits=rate_limits, challenges=challenges, now=now, shared=counts)
        refunds = Refunds(store=store, payments=payments, notifications=notifications, now=now, random=seams.random)
        smtp_url = settings.smtp_url.get_secret_value() if settings.smtp_url else None
        mailer = Mailer(
            smtp_url=smtp_url, mail_from=settings.mail_from, templates=templates, now=now, through=seams.give_mail
        )
        strays = Strays(
            store=store,
            payments=payments,
            mailer=mailer,
            widgets=widgets,
            public_url=settings.public_url,
            now=now,
        )
        cursors = Cursors(store, now)
        tools = Tools(
            store=store,
            schedulers=schedulers,
            payments=payments,
            availability=availability,
            widgets=widgets,
            links=links,
            notifications=notifications,
            refunds=refunds,
            strays=strays,
            cursors=cursors,
            act_limits=ActLimits(rate_limits),
            metrics=metrics,
            public_url=settings.public_url,
            now=now,
            random=seams.random,
        )
        acts = make_acts(tools, hold_limits, inherited=await store.unpaid_ids())
        inbox = Inbox(
            store=store,
            acts=acts,
            availability=availability,
            payments=payments,
            cursors=cursors,
            scheduler_webhooks={name: one.webhooks for name, one in connected.items() if one.webhooks},
            now=now,
            random=seams.random,
            sleep=seams.sleep,
        )
        staff = Staff(
            emails=settings.staff_emails,
            store=store,
            links=links,
            rate_limits=rate_limits,
            mailer=mailer,
            budgets=budgets,
            public_url=settings.public_url,
            now=now,
            random=seams.random,
        )
        oauth = calendly_oauth(settings, world, "calendly") if settings.calendly_client_id else None
        if oauth:
            closing.push_async_callback(oauth.aclose)
        calendly = CalendlyConnections(
            names=list(owned),
            widgets=widgets,
            store=store,
            staff=staff,
            oauth=oauth,
            client=partial(calendly_client, settings, world),
            tokens=token_sealer(settings, world),
            states=Sealer(settings.keys, "calendly-state", now=now),
            mailer=mailer,
            public_url=settings.public_url,
            hears=settings.calendly_webhook_key is not None,
            now=now,
            random=seams.random,
        )
        working_hours = WorkingHours(
            store=store,
            schedulers=schedulers,
            availability=availability,
            widgets=widgets,
            mailer=mailer,
            public_url=settings.public_url,
            now=now,
            sleep=seams.sleep,
            random=seams.random,
        )
        worker = Worker(
            acts=acts,
            inbox=inbox,
            refunds=refunds,
            strays=strays,
            notifications=notifications,
            overdue=Overdue(store=store, notifications=notifications),
            connections=calendly,
            working_hours=working_hours,
            store=store,
            mailer=mailer,
            now=now,
            sleep=seams.sleep,
            metrics=metrics,
            alone=not seams.shared,
            keep_done=timedelta(days=settings.keep_done_days),
        )
        lookups = NameLookups()
        closing.callback(lookups.close)
        sites = PageReader(
            named={origin_of(settings.public_url), *(site for one in widgets.values() for site in one.allowed_origins)},
            agent=f"Mozilla/5.0 (compatible; Holdfast embed doctor; {settings.public_url}/embed/doctor)",
            check=f"{settings.public_url}/embed/doctor",
            resolve=seams.resolve or lookups,
            transport=seams.site_transport,
        )
        closing.push_async_callback(sites.aclose)
        # Of its own: what strangers let the embed check look up must not keep these waiting.
        webhook_lookups = NameLookups()
        closing.callback(webhook_lookups.close)
        sender = Sender(
            named=settings.webhook_private_origins,
            agent=f"Holdfast/{VERSION} ({settings.public_url})",
            resolve=seams.resolve or webhook_lookups,
            transport=seams.webhook_transport,
        )
        closing.push_async_callback(sender.aclose)
        outgoing_webhooks = OutgoingWebhooks(
            store=store,
            widgets=widgets,
            sender=sender,
            secrets=Secrets(
                settings.keys,
                {
                    f"{widget.name}.{one.name}": one.secret_versions
                    for widget in widgets.values()
                    for one in widget.webhooks
                },
            ),
            mailer=mailer,
            live=settings.live,
            now=now,
            random=seams.random,
            sleep=seams.sleep,
        )
        health = Health(
            store=store,
            availability=availability,
            budgets=budgets,
            providers={
                **{name: one.pulse for name, one in schedulers.items()},
                **({"stripe": payments} if payments else {}),
            },
            metrics=metrics,
            now=now,
        )
        closing.push_async_callback(health.aclose)
        yield Parts(
            settings=settings,
            widgets=widgets,
            links=links,
            store=store,
            availability=availability,
            bookings=acts.bookings,
            offers=acts.offers,
            hold=acts.hold,
            own_page=acts.own_page,
            book_for=acts.book_for,
            desk_payments=acts.desk_payments,
            checkout=acts.checkout,
            settle=acts.settle,
            late_money=acts.late_money,
            cancel=acts.cancel,
            reschedule=acts.reschedule,
            owner_refunds=acts.owner_refunds,
            manage_links=acts.manage_links,
            corrections=acts.corrections,
            customers=acts.customers,
            follow=acts.follow,
            sweep=acts.sweep,
            inbox=inbox,
            worker=worker,
            mailer=mailer,
            templates=templates,
            rate_limits=rate_limits,
            hold_limits=hold_limits,
            idempotency=Idempotency(store=store, now=now, random=seams.random),
            sites=sites,
            metrics=metrics,
            erasure=Erasure(store=store, schedulers=schedulers, now=now),
            reconciling=Reconciling(
                store=store, schedulers=schedulers, payments=payments, acts=acts, strays=strays, now=now
            ),
            health=health,
            alerts=Alerts(store=store, health=health, mailer=mailer, calendly=calendly, now=now),
            staff=staff,
            services=services,
            calendly=calendly,
            outgoing_webhooks=outgoing_webhooks,
            working_hours=working_hours,
            calendar=Calendar(store=store, working_hours=working_hours),
            now=now,
        )


async def _keep(
    budgets: Collection[CallBudget | CreateBudget], store: Store, rest: Callable[[float], Awaitable[None]]
) -> None:
    while True:
        await rest(BUDGET_SECONDS)
        try:
            for budget in budgets:
                await budget.save(store.add_to_counter)
        except (SQLAlchemyError, StorageError) as error:  # what was not saved is kept for the next time
            log.warning("budget not saved", error=type(error).__name__)


async def _counts(settings: Settings, closing: AsyncExitStack) -> SharedCounts | None:
    if settings.redis_url is None:
        return None
    # Imported here: its client takes a while to load, and one process needs none of it.
    from app.protection.shared_counts import RedisCounts

    counts = RedisCounts(settings.redis_url.get_secret_value())
    closing.push_async_callback(counts.aclose)
    return counts


def _payments(settings: Settings, seams: Seams, metrics: Metrics) -> Payments | None:
    if settings.stripe_secret_key is None:
        return None
    return Payments(
        secret_key=settings.stripe_secret_key.get_secret_value(),
        webhook_secrets=[secret.get_secret_value() for secret in settings.stripe_webhook_secret],
        api_base=settings.stripe_api_base,
        now=seams.now,
        http_client=seams.stripe_http,
        on_call=partial(metrics.called, "stripe"),
        patience=RATE_LIMIT_PATIENCE,
        sleep=seams.sleep,
        random=seams.random,
    )


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
