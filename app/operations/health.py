"""System status: whether everything is ready, and the metrics for monitoring. No person or secret is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from app.errors import StorageError
from app.operations.audit import Audit
from app.scheduling.availability import Availability, CallBudget
from app.store import Store
from app.store.audit import Discrepancy
from app.store.health import Census
from app.store.outgoing_webhooks import Backlog
from app.telemetry.metrics import Metrics
from app.version import VERSION

#: A worker that has not been alive for so long needs someone: a step takes half a minute at the worst.
LATE = timedelta(seconds=90)
CONTENT_TYPE = CONTENT_TYPE_LATEST
#: `/readyz` is open to everyone, so its writes are this far apart, and waited for this many seconds.
TRIAL_EVERY = timedelta(seconds=5)
TRIAL_SECONDS = 2.0


class Provider(Protocol):
    """A provider's client, as its breaker sees it."""

    @property
    def tripped(self) -> bool:
        """Whether it has failed repeatedly and has not answered since."""


class Shelf(Protocol):
    """The cache of answers that are sent without being rendered again."""

    hits: int

    @property
    def bytes_kept(self) -> int:
        """What it takes."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """`ready`: this server can bring bookings to their end. `parts` names each part's state in one word."""

    ready: bool
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What runs here: the program's version, the database as people may see it, the version of its tables, and when a
    worker was last alive."""

    version: str
    database: str
    schema: str
    worker_seen: datetime | None


class Health:
    """Reads the rows when it is asked; `now` gives aware datetimes."""

    def __init__(
        self,
        *,
        store: Store,
        availability: Availability,
        budgets: Mapping[str, CallBudget],
        providers: Mapping[str, Provider],
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._availability = availability
        self._budgets = budgets
        self._providers = providers
        self._shelves: tuple[Shelf, ...] = ()
        self._metrics = metrics
        self._now = now
        self._trial = _Trial(store.try_write, now)
        self._beat = _Beat(now)
        self._told_upto: int | None = None
        self._words: Mapping[str, int] = {}
        self._audit = Audit(store, now)
        self._following = asyncio.Lock()

    def watch(self, *shelves: Shelf) -> None:
        """Count what these shelves answer, too; without any, nothing is kept."""
        self._shelves = shelves

    async def aclose(self) -> None:
        """Leave the database alone from now on."""
        await self._trial.aclose()

    async def readiness(self) -> Readiness:
        """Whether the database can be read and written and a worker is alive. A provider that is down is told and does
        not count: times are shown from the cache, and what is held stays held, which a server taken out of service
        could not do."""
        providers = {name: "down" if one.tripped else "ok" for name, one in self._providers.items()}
        try:
            beat = await self._store.last_beat()
        except (SQLAlchemyError, StorageError):
            return Readiness(False, {"database": "down", "worker": "unknown", **providers})
        late = beat is None or self._beat.age(beat) > LATE
        database = await self._trial.state()
        ready = database == "ok" and not late
        return Readiness(ready, {"database": database, "worker": "late" if late else "ok", **providers})

    async def facts(self) -> ServerFacts:
        """What runs here."""
        store = self._store
        return ServerFacts(VERSION, store.backend.shown, await store.schema(), await store.last_beat())

    async def worker_is_late(self) -> bool:
        """Whether no worker has been alive for too long."""
        beat = await self._store.last_beat()
        return beat is None or self._beat.age(beat) > LATE

    def down(self) -> list[str]:
        """The providers, by name, that have failed repeatedly and not answered since, as this process sees them."""
        return [name for name, one in self._providers.items() if one.tripped]

    async def money_without_booking(self) -> list[Discrepancy]:
        """Money that nothing stands for. Empty in health."""
        return (await self._audit.look()).money_without_booking

    async def bookings_without_money(self) -> list[Discrepancy]:
        """Confirmed bookings that were not paid in full. Empty in health."""
        return (await self._audit.look()).bookings_without_money

    async def exposition(self) -> bytes:
        """Everything, as Prometheus reads it (`CONTENT_TYPE`)."""
        await self._follow_history()
        beat = await self._store.last_beat()
        books = await self._audit.look()
        families = [
            *_of_rows(await self._store.census()),
            *_of_webhooks(await self._store.webhook_backlog()),
            *_of_discrepancies("money_without_booking", "Money that nothing stands for", books.money_without_booking),
            *_of_discrepancies("bookings_without_money", "Bookings not paid in full", books.bookings_without_money),
            _counter("history", "What happened to bookings", "what", self._words),
            _gauge(
                "worker_age_seconds",
                "Since the worker's last sign of life",
                self._beat.age(beat).total_seconds() if beat else float("inf"),
            ),
            *self._of_process(),
        ]
        both = CollectorRegistry()
        both.register(_Both(self._metrics.registry, families))
        return generate_latest(both)

    async def _follow_history(self) -> None:
        async with self._following:  # two readers at once must not count a line twice
            happened = await self._store.happened(self._told_upto)
            self._told_upto = happened.upto
            self._words = happened.words
            for seconds in happened.confirm_seconds:
                self._metrics.confirm_seconds.observe(seconds)

    def _of_process(self) -> Iterator[Metric]:
        looks = self._availability.looks
        hits, kept = sum(one.hits for one in self._shelves), sum(one.bytes_kept for one in self._shelves)
        yield _counter(
            "looks",
            "Looks at times, by how they were answered",
            "from",
            {
                "cache": looks.cached,
                "scheduler": looks.read,
                "stale": looks.stale,
                "warm_page": hits,
            },
        )
        yield _gauge("times_age_seconds", "Age of the times that were shown last", looks.age)
        yield _gauge("pages_bytes", "Bytes of pages kept ready", kept)
        yield _gauges(
            "scheduler_calls_this_month",
            "Calls to a scheduler this month, all processes",
            ("scheduler",),
            {(name,): budget.spent for name, budget in self._budgets.items()},
        )
        yield _gauges(
            "scheduler_calls_budget",
            "Calls a month that its plan has",
            ("scheduler",),
            {(name,): budget.calls_per_month for name, budget in self._budgets.items()},
        )
        yield _gauges(
            "breaker_open",
            "1 while a provider has failed repeatedly",
            ("provider",),
            {(name,): int(one.tripped) for name, one in self._providers.items()},
        )


class _Beat:
    """How old the worker's last sign of life is, also where the clock was set back since: a beat that lies in the
    future is as old as the time for which it has been the last one."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._last: datetime | None = None
        self._since: datetime | None = None

    def age(self, beat: datetime) -> timedelta:
        """Never below zero."""
        now = self._now()
        known = self._since if beat == self._last and self._since else beat
        self._last, self._since = beat, min(known, now)
        return now - self._since


class _Trial:
    """Whether the database can be written, found out by writing: seldom, and once at a time."""

    def __init__(self, write: Callable[[], Awaitable[None]], now: Callable[[], datetime]) -> None:
        self._write = write
        self._now = now
        self._writing: asyncio.Task[None] | None = None
        self._tried_at: datetime | None = None
        self._state = "ok"

    async def state(self) -> str:
        """`ok`, or in a word or two what is wrong."""
        now = self._now()
        if self._writing is None:
            if self._tried_at is not None and abs(now - self._tried_at) < TRIAL_EVERY:
                return self._state
            self._tried_at = now
            self._writing = asyncio.create_task(self._find_out())
        await asyncio.wait({self._writing}, timeout=TRIAL_SECONDS)
        return self._state if self._writing is None else "busy"

    async def aclose(self) -> None:
        """Wait for the write under way; the database is closed next."""
        if self._writing:
            await asyncio.wait({self._writing})

    async def _find_out(self) -> None:
        try:
            await self._write()
            self._state = "ok"
        except StorageError as error:
            self._state = error.state
        except SQLAlchemyError:
            self._state = "down"
        finally:
            self._writing = None


class _Both(Collector):
    """The counters of the process, then what was read for this one answer."""

    def __init__(self, registry: CollectorRegistry, families: Iterable[Metric]) -> None:
        self._registry = registry
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Every family once."""
        yield from self._registry.collect()
        yield from self._families


def _of_rows(census: Census) -> Iterator[Metric]:
    yield _gauges("bookings", "Bookings by status", ("status",), _single(census.bookings))
    yield _gauges("moves", "Moves by state", ("state",), _single(census.moves))
    yield _gauges("disputes", "Payments with a dispute", ("status",), _single(census.disputes))
    for name, sums in (("payments", census.payments), ("refunds", census.refunds)):
        yield _gauges(
            name, f"{name.title()} by state", ("state", "currency"), {key: many for key, (many, _) in sums.items()}
        )
        yield _gauges(
            f"{name}_amount",
            "In smallest units",
            ("state", "currency"),
            {key: amount for key, (_, amount) in sums.items()},
        )
    yield _gauges(
        "webhook_events",
        "Stored webhook events",
        ("provider", "state"),
        dict(census.events.items()),
    )
    yield _gauge("webhook_events_age_seconds", "Age of the oldest event without its effect", census.oldest_event)
    yield _gauge("outbox_owed", "Mails that are due and not sent", census.mails_owed)
    yield _gauge("outbox_given_up", "Mails that could not be sent in the end", census.mails_given_up)
    yield _gauge("outbox_age_seconds", "How long the oldest mail has been due", census.oldest_mail)
    yield _gauge("refunds_age_seconds", "How long the oldest refund has been due", census.oldest_refund)
    yield _gauge(
        "refunds_pending_age_seconds",
        "Age of the oldest refund that Stripe calls pending",
        census.oldest_pending_refund,
    )
    yield _gauge(
        "release_age_seconds", "How long the oldest ended booking waits for the scheduler", census.oldest_unreleased
    )
    yield _gauge(
        "confirm_age_seconds", "How long the oldest paid booking waits to be confirmed", census.oldest_unconfirmed
    )
    yield _gauge(
        "end_age_seconds", "How long the oldest unpaid booking, or move, is past its deadline", census.oldest_unended
    )
    yield _gauge("move_age_seconds", "How long the oldest decided move waits to be made", census.oldest_unmoved)


def _of_webhooks(backlog: Backlog) -> Iterator[Metric]:
    yield _gauge("outgoing_webhooks_waiting", "Messages that an owner's program has not taken yet", backlog.waiting)
    yield _gauge("outgoing_webhooks_given_up", "Messages of the last 30 days that were given up", backlog.given_up)
    yield _gauge("outgoing_webhooks_age_seconds", "Age of the oldest message that waits", backlog.oldest)
    yield _gauge("outgoing_webhooks_failing", "Addresses whose last attempt failed", backlog.failing)
    yield _gauge("outgoing_webhooks_off", "Addresses that were switched off after failing for long", backlog.off)


def _of_discrepancies(name: str, text: str, found: list[Discrepancy]) -> Iterator[Metric]:
    yield _gauge(name, f"{text}; 0 in health", len(found))
    sums: dict[tuple[str, ...], float] = {}
    for one in found:
        sums[one.currency, one.why] = sums.get((one.currency, one.why), 0) + one.amount
    yield _gauges(f"{name}_amount", f"{text}, in smallest units", ("currency", "why"), sums)


def _single(counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(word,): many for word, many in counts.items()}


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"holdfast_{name}", text, value=value)


def _gauges(name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(f"holdfast_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _counter(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"holdfast_{name}", text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family
