"""Only wiring: which parts there are, and what each is given.

One file, because the order in which parts are built and closed has to be read as a whole: `open_parts` is its table of
contents.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog
from jinja2 import Environment
from sqlalchemy.exc import SQLAlchemyError

from app.booking.acts import Acts, make_acts
from app.booking.cursors import Cursors
from app.booking.notifications import Notifications
from app.booking.refunds import Refunds
from app.booking.stray_payments import Strays
from app.booking.tools import Tools
from app.booking.undone_since import undoable
from app.domain.scheduler_names import owner_of
from app.domain.urls import origin_of
from app.errors import StorageError
from app.mail import Mailer
from app.operations.alerts import Alerts
from app.operations.background import Background
from app.operations.calendar import Calendar
from app.operations.calendly_connections import CalendlyConnections
from app.operations.erasure import Erasure
from app.operations.health import Health
from app.operations.neighbours import Neighbours
from app.operations.outgoing_webhooks import OutgoingWebhooks, Secrets, Sender
from app.operations.reconciling import Reconciling
from app.operations.services import Services
from app.operations.staff_access import Staff
from app.operations.webhook_inbox import Inbox
from app.operations.worker import Worker
from app.operations.working_hours import WorkingHours
from app.parts import Parts
from app.payments.connection import RATE_LIMIT_PATIENCE
from app.payments.stripe_client import Payments
from app.protection.act_limits import ActLimits
from app.protection.hold_limits import HoldLimits
from app.protection.idempotency import Idempotency
from app.protection.page_reader import NameLookups, PageReader
from app.protection.proof_of_work import Challenges
from app.protection.public_addresses import Resolve
from app.protection.rate_limits import RateLimits, SharedCounts
from app.protection.sealing import Sealer
from app.protection.signed_links import Links
from app.scheduling.availability import Availability, CallBudget, SchedulerAvailability, SharedReads
from app.scheduling.calendly.connect import calendly_client, calendly_oauth, token_sealer
from app.scheduling.connect import PROVIDERS, connect
from app.scheduling.connected import Connected, World
from app.scheduling.creates import CreateBudget
from app.scheduling.schedulers import Schedulers
from app.seams import Seams
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics
from app.version import VERSION
from app.web.shared.render import make_templates
from app.widgets import Widgets
from app.widgets_file import load_widgets

log = structlog.get_logger()

#: How often the calls counted here are added to what all processes share; a crash forgets no more than these.
BUDGET_SECONDS = 20


@asynccontextmanager
async def open_parts(settings: Settings, seams: Seams, *, may_migrate: bool = False) -> AsyncIterator[Parts]:
    """Build every part inside the running event loop, and close them again.

    Only with `may_migrate` a missing database is made, and an older one upgraded: a command of the owner's must not
    find an empty database where a setting is wrong, nor upgrade it below a server that runs. Raises WidgetsFileError
    and DatabaseUnusable.
    """
    widgets = load_widgets(settings.widgets_file, settings.schedulers, settings.owner_schedulers)
    templates = make_templates(settings, seams.compiled_templates)
    async with AsyncExitStack() as closing:
        store = await _open_store(settings, seams, closing, may_migrate=may_migrate)
        accounts = await _find_accounts(widgets, store)
        metrics = _make_metrics(settings, accounts)
        base = _Base(settings, seams, closing, widgets, templates, store, accounts, metrics)
        scheduling = await _open_scheduling(base)
        payments = _open_payments(base)
        limits = await _open_limits(base)
        times = await _open_times(base, scheduling, limits)
        mailer = _make_mailer(base)
        tools = _make_tools(base, scheduling, payments, limits, times, mailer)
        acts = make_acts(
            tools,
            limits.holds,
            inherited=await store.unpaid_ids(),
            choosing=await store.offered_ids(),
            undoable=await undoable(store),
        )
        core = _Core(scheduling, limits, times, mailer, tools, acts)
        operations = _open_operations(base, core)
        yield _gather(base, core, operations)


@dataclass(frozen=True, slots=True)
class _Accounts:
    """The owners' accounts: whose the widgets name, and these with the others that are connected."""

    named: tuple[str, ...]
    all: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Base:
    """What every step builds on. A step leaves what it opens with `closing`, which closes the newest first."""

    settings: Settings
    seams: Seams
    closing: AsyncExitStack
    widgets: Widgets
    templates: Environment
    store: Store
    accounts: _Accounts
    metrics: Metrics


# The database, and what is read from it first


async def _open_store(settings: Settings, seams: Seams, closing: AsyncExitStack, *, may_migrate: bool) -> Store:
    store = Store(settings.database_url, now=seams.now, connect=seams.connect)
    closing.push_async_callback(store.close)
    await (store.migrate() if may_migrate else store.must_be_current())
    return store


async def _find_accounts(widgets: Widgets, store: Store) -> _Accounts:
    """A booking outlives its widget: accounts that are connected stay so, whether or not the file still names them."""
    named = tuple(dict.fromkeys(widget.scheduler for widget in widgets.values() if owner_of(widget.scheduler)))
    others = (one.name for one in await store.all_scheduler_tokens() if one.name not in named)
    return _Accounts(named, (*named, *others))


def _make_metrics(settings: Settings, accounts: _Accounts) -> Metrics:
    return Metrics(
        version=VERSION, providers=(*settings.schedulers, *settings.owner_schedulers, *accounts.all, "stripe")
    )


# The schedulers, and the times that they have


@dataclass(frozen=True, slots=True)
class _Scheduling:
    """The schedulers that this server is connected to, by name."""

    world: World
    connected: Mapping[str, Connected]
    schedulers: Schedulers
    budgets: Mapping[str, CallBudget]


async def _open_scheduling(base: _Base) -> _Scheduling:
    seams, store, closing = base.seams, base.store, base.closing
    world = World(
        now=seams.now,
        random=seams.random,
        sleep=seams.sleep,
        transports=seams.scheduler_transports,
        called=lambda name, call: base.metrics.called(
            name, call.operation, str(call.status or "no_answer"), call.seconds
        ),
        tokens=store,
    )
    connected = connect(base.settings, world, base.accounts.all)
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
    return _Scheduling(world, connected, schedulers, budgets)


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


@dataclass(frozen=True, slots=True)
class _Times:
    availability: Availability
    services: Services


async def _open_times(base: _Base, scheduling: _Scheduling, limits: _Limits) -> _Times:
    """The free times, as fresh as what the neighbours do over the same database."""
    neighbours = Neighbours(base.store, sleep=asyncio.sleep)
    availability = _make_availability(base, scheduling, limits, neighbours)
    services = Services(
        widgets=base.widgets,
        store=base.store,
        schedulers=scheduling.schedulers,
        availability=availability,
        providers=PROVIDERS,
        changed=neighbours.changed,
        now=base.seams.now,
    )
    await services.catch_up()
    base.closing.push_async_callback(neighbours.aclose)
    if base.seams.shared:
        neighbours.watch(availability, services)
    base.closing.push_async_callback(availability.aclose)
    return _Times(availability, services)


def _make_availability(base: _Base, scheduling: _Scheduling, limits: _Limits, neighbours: Neighbours) -> Availability:
    settings, seams, store = base.settings, base.seams, base.store
    holder = f"{seams.random.getrandbits(64):x}" if seams.shared else ""
    return Availability(
        {
            name: SchedulerAvailability(
                name=name,
                scheduler=one.scheduler,
                occupancy=store,
                budget=one.budget,
                now=seams.now,
                ttl=settings.availability_ttl,
                max_age=settings.availability_max_age,
                rate_limits=limits.rates,
                shared=SharedReads(store, scheduler=name, holder=holder, now=seams.now, sleep=asyncio.sleep)
                if seams.shared
                else None,
                changed=neighbours.changed,
            )
            for name, one in scheduling.connected.items()
        }
    )


# Payments, limits and mail


def _open_payments(base: _Base) -> Payments | None:
    settings, seams = base.settings, base.seams
    if settings.stripe_secret_key is None:
        return None
    payments = Payments(
        secret_key=settings.stripe_secret_key.get_secret_value(),
        webhook_secrets=[secret.get_secret_value() for secret in settings.stripe_webhook_secret],
        api_base=settings.stripe_api_base,
        now=seams.now,
        http_client=seams.stripe_http,
        on_call=partial(base.metrics.called, "stripe"),
        patience=RATE_LIMIT_PATIENCE,
        sleep=seams.sleep,
        random=seams.random,
    )
    base.closing.push_async_callback(payments.aclose)
    return payments


@dataclass(frozen=True, slots=True)
class _Limits:
    rates: RateLimits
    holds: HoldLimits


async def _open_limits(base: _Base) -> _Limits:
    seams = base.seams
    counts = await _open_counts(base)
    rates = RateLimits(seams.now, shared=counts)
    challenges = Challenges(base.settings.keys, now=seams.now, random=seams.random)
    holds = HoldLimits(store=base.store, rate_limits=rates, challenges=challenges, now=seams.now, shared=counts)
    return _Limits(rates, holds)


async def _open_counts(base: _Base) -> SharedCounts | None:
    if base.settings.redis_url is None:
        return None
    # Imported here: its client takes a while to load, and one process needs none of it.
    from app.protection.shared_counts import RedisCounts

    counts = RedisCounts(base.settings.redis_url.get_secret_value())
    base.closing.push_async_callback(counts.aclose)
    return counts


def _make_mailer(base: _Base) -> Mailer:
    smtp_url = base.settings.smtp_url
    return Mailer(
        smtp_url=smtp_url.get_secret_value() if smtp_url else None,
        mail_from=base.settings.mail_from,
        templates=base.templates,
        now=base.seams.now,
        through=base.seams.give_mail,
    )


# The acts


def _make_tools(
    base: _Base, scheduling: _Scheduling, payments: Payments | None, limits: _Limits, times: _Times, mailer: Mailer
) -> Tools:
    store, widgets, public_url = base.store, base.widgets, base.settings.public_url
    now, random = base.seams.now, base.seams.random
    links = Links(base.settings.keys, now=now, random=random)
    notifications = Notifications(
        store=store,
        widgets=widgets,
        links=links,
        public_url=public_url,
        has_staff=bool(base.settings.staff_emails),
        now=now,
    )
    return Tools(
        store=store,
        schedulers=scheduling.schedulers,
        payments=payments,
        availability=times.availability,
        widgets=widgets,
        links=links,
        notifications=notifications,
        refunds=Refunds(store=store, payments=payments, notifications=notifications, now=now, random=random),
        strays=Strays(store=store, payments=payments, mailer=mailer, widgets=widgets, public_url=public_url, now=now),
        cursors=Cursors(store, now),
        act_limits=ActLimits(limits.rates),
        metrics=base.metrics,
        public_url=public_url,
        now=now,
        random=random,
    )


@dataclass(frozen=True, slots=True)
class _Core:
    """The acts, and what they work with: what the operations are built around."""

    scheduling: _Scheduling
    limits: _Limits
    times: _Times
    mailer: Mailer
    tools: Tools
    acts: Acts


# The operations


@dataclass(frozen=True, slots=True)
class _Operations:
    inbox: Inbox
    staff: Staff
    calendly: CalendlyConnections
    working_hours: WorkingHours
    worker: Worker
    sites: PageReader
    outgoing_webhooks: OutgoingWebhooks
    health: Health


def _open_operations(base: _Base, core: _Core) -> _Operations:
    settings, seams = base.settings, base.seams
    tools, acts, mailer = core.tools, core.acts, core.mailer
    webhooks = {name: one.webhooks for name, one in core.scheduling.connected.items() if one.webhooks}
    inbox = Inbox(tools, acts, webhooks, seams.sleep)
    staff = Staff(
        tools,
        mailer,
        emails=settings.staff_emails,
        rate_limits=core.limits.rates,
        budgets=core.scheduling.budgets,
    )
    calendly = _open_calendly(base, core, staff)
    working_hours = WorkingHours(tools, mailer, seams.sleep)
    worker = Worker(
        tools,
        acts,
        mailer,
        inbox=inbox,
        connections=calendly,
        working_hours=working_hours,
        sleep=seams.sleep,
        alone=not seams.shared,
        keep_done=timedelta(days=settings.keep_done_days),
    )
    return _Operations(
        inbox=inbox,
        staff=staff,
        calendly=calendly,
        working_hours=working_hours,
        worker=worker,
        sites=_open_page_reader(base),
        outgoing_webhooks=_open_webhooks(base, mailer),
        health=_open_health(base, core),
    )


def _open_calendly(base: _Base, core: _Core, staff: Staff) -> CalendlyConnections:
    settings, world = base.settings, core.scheduling.world
    oauth = calendly_oauth(settings, world, "calendly") if settings.calendly_client_id else None
    if oauth:
        base.closing.push_async_callback(oauth.aclose)
    return CalendlyConnections(
        core.tools,
        core.mailer,
        staff,
        names=base.accounts.named,
        oauth=oauth,
        client=partial(calendly_client, settings, world),
        tokens=token_sealer(settings, world),
        states=Sealer(settings.keys, "calendly-state", now=base.seams.now),
        hears=settings.calendly_webhook_key is not None,
    )


def _open_page_reader(base: _Base) -> PageReader:
    public_url = base.settings.public_url
    sites = PageReader(
        named={origin_of(public_url), *(site for one in base.widgets.values() for site in one.allowed_origins)},
        agent=f"Mozilla/5.0 (compatible; Holdfast embed check; {public_url}/embed/doctor)",
        check=f"{public_url}/embed/doctor",
        resolve=_open_resolve(base),
        transport=base.seams.site_transport,
    )
    base.closing.push_async_callback(sites.aclose)
    return sites


def _open_webhooks(base: _Base, mailer: Mailer) -> OutgoingWebhooks:
    settings, seams, widgets = base.settings, base.seams, base.widgets
    # Of its own: what strangers let the embed check look up must not keep these waiting.
    resolve = _open_resolve(base)
    sender = Sender(
        named=settings.webhook_private_origins,
        agent=f"Holdfast/{VERSION} ({settings.public_url})",
        resolve=resolve,
        transport=seams.webhook_transport,
    )
    base.closing.push_async_callback(sender.aclose)
    secrets = {
        f"{widget.name}.{one.name}": one.secret_versions for widget in widgets.values() for one in widget.webhooks
    }
    return OutgoingWebhooks(
        store=base.store,
        widgets=widgets,
        sender=sender,
        secrets=Secrets(settings.keys, secrets),
        mailer=mailer,
        live=settings.live,
        now=seams.now,
        random=seams.random,
        sleep=seams.sleep,
    )


def _open_resolve(base: _Base) -> Resolve:
    lookups = NameLookups()
    base.closing.callback(lookups.close)
    return base.seams.resolve or lookups


def _open_health(base: _Base, core: _Core) -> Health:
    payments = core.tools.payments
    pulses = {name: one.pulse for name, one in core.scheduling.schedulers.items()}
    health = Health(
        store=base.store,
        availability=core.times.availability,
        budgets=core.scheduling.budgets,
        providers={**pulses, **({"stripe": payments} if payments else {})},
        metrics=base.metrics,
        now=base.seams.now,
    )
    base.closing.push_async_callback(health.aclose)
    return health


# All of it


def _gather(base: _Base, core: _Core, operations: _Operations) -> Parts:
    settings, store, now = base.settings, base.store, base.seams.now
    tools, acts, mailer = core.tools, core.acts, core.mailer
    health, calendly, working_hours = operations.health, operations.calendly, operations.working_hours
    return Parts(
        settings=settings,
        widgets=base.widgets,
        links=tools.links,
        store=store,
        availability=tools.availability,
        bookings=acts.bookings,
        policy=acts.policy,
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
        inbox=operations.inbox,
        worker=operations.worker,
        mailer=mailer,
        templates=base.templates,
        rate_limits=core.limits.rates,
        hold_limits=core.limits.holds,
        idempotency=Idempotency(store=store, now=now, random=tools.random),
        sites=operations.sites,
        metrics=base.metrics,
        erasure=Erasure(store=store, schedulers=tools.schedulers, now=now),
        reconciling=Reconciling(tools, acts),
        health=health,
        alerts=Alerts(store=store, health=health, mailer=mailer, calendly=calendly, now=now),
        staff=operations.staff,
        services=core.times.services,
        calendly=calendly,
        outgoing_webhooks=operations.outgoing_webhooks,
        working_hours=working_hours,
        calendar=Calendar(store=store, working_hours=working_hours),
        now=now,
    )
