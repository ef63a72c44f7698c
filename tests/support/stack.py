"""The whole product in one process: real app, real database, the providers' sandboxes, one clock that the test owns.

`Stack` is what most tests start from. `Anna` and `Bo` are visitors with browsers of their own; they act through
the HTML door only.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from anyio.lowlevel import checkpoint
from asgi_lifespan import LifespanManager
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.applications import Starlette

from app.booking.reschedule import Rescheduled
from app.domain.booking import Actor, Booking, Customer, Status, Visitor
from app.domain.refund import Refund
from app.errors import SlotTaken
from app.main import Seams, create_app
from app.parts import Parts
from app.settings import Settings
from app.store.backend import Backend
from app.store.sqlite_file import database_path
from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.mailbox import MailboxSandbox
from sandbox.seed import StudioIds
from sandbox.stripe import StripeSandbox
from tests.support.once import COMPILED, empty_database, open_api, share_statements
from tests.support.postgres import postgres_database
from tests.support.receivers import Receivers
from tests.support.sides import HapioSide, Side, open_side
from tests.support.stripe_transport import TransportHTTPClient

#: A Monday in Stockholm, 09:00, well before the next clock change.
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
#: Free cancellation until a day before, half until two hours before, then nothing.
TIERS = "[{ at_least_hours = 24, refund_percent = 100 }, { at_least_hours = 2, refund_percent = 50 }]"
PUBLIC_URL = "https://book.example"

WIDGET = """
[studio]
title = "Studio Nord"
services = [
  {{ id = "{portrait}", description = "An hour in the studio."{prices[0]} }},
  {{ id = "{headshot}", description = "Half an hour."{prices[1]} }},
  {{ id = "{planning}", description = "A free call."{prices[2]} }},
]
currency = "{currency}"
allowed_origins = ["https://studio.example"]
cancellation = {cancellation}
owner_name = "Studio Nord"
owner_email = "owner@studio.example"
{more}
"""


#: Where the scheduler has none of its own.
PRICES = (', price = "1200"', ', price = "650"', ', price = "0"')
NO_PRICES = ("", "", "")


async def no_wait(seconds: float) -> None:
    """Waiting costs a test nothing."""
    await checkpoint()


@dataclass
class Stack:
    """The product and its providers."""

    clock: Clock
    hapio: HapioSandbox
    stripe: StripeSandbox
    mailbox: MailboxSandbox
    side: Side
    settings: Settings
    hooks: _Hooks
    doom: Doom
    random: Random = field(default_factory=lambda: Random(1))
    #: Acts before each request to the scheduler, where someone else is to be quicker.
    interloper: Callable[[], Awaitable[None]] | None = None
    #: Changes what the scheduler and Stripe answer.
    alter: Callable[[httpx.Request, httpx.Response], httpx.Response] | None = None
    sites: Sites = field(default_factory=lambda: Sites())
    receivers: Receivers = field(default_factory=Receivers)
    #: Whether another process may run over the same database, from the next start on.
    shared: bool = False
    client: httpx.AsyncClient = field(init=False)
    parts: Parts = field(init=False)
    _life: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Begin a life of the app's process; the worker is in the test's hands."""
        seams = Seams(
            now=self.clock,
            random=self.random,
            sleep=no_wait,
            scheduler_transports={
                "hapio": self.hapio.transport(),
                self.side.name: _Wire(self.side.transport(), self.doom, self._interlope, self._altered),
            },
            stripe_http=TransportHTTPClient(_Wire(self.stripe.transport(), self.doom, after=self._altered)),
            site_transport=self.sites,
            webhook_transport=self.receivers,
            resolve=self.sites.resolve,
            compiled_templates=COMPILED,
            shared=self.shared,
        )
        app = create_app(self.settings, seams, run_worker=False)
        await self._life.enter_async_context(LifespanManager(app, startup_timeout=60))
        self.parts = app.state.parts
        share_statements(self.parts.store.engine.sync_engine)
        event.listen(self.parts.store.engine.sync_engine, "after_cursor_execute", self._count_write)
        self._count_commits(self.parts.store.backend)
        self.hooks.app = self.sites.own = app
        transport = httpx.ASGITransport(app=app)
        self.client = await self._life.enter_async_context(httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL))

    async def _interlope(self) -> None:
        if self.interloper:
            await self.interloper()

    def _altered(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        return self.alter(request, response) if self.alter else response

    async def stop(self) -> None:
        """End the app's process; database and providers stay."""
        self.hooks.app = None
        await self._life.aclose()

    async def restart(self) -> None:
        """A new process over the same database."""
        await self.stop()
        await self.start()

    def _count_write(self, _c: object, _cursor: object, statement: str, *_: object) -> None:
        self.doom.wrote(statement)

    def _count_commits(self, backend: Backend) -> None:
        agreed = backend.commit

        async def commit(connection: AsyncConnection) -> None:
            await agreed(connection)
            self.doom.committed()

        setattr(backend, "commit", commit)  # noqa: B010 - a method, as the type checker sees it

    async def tick(self, *, after: timedelta = timedelta(0), times: int = 1) -> None:
        """Let time pass, then let the worker do what is due."""
        self.clock.advance(after)
        for _ in range(times):
            await self.parts.worker.tick()

    async def until_quiet(self) -> None:
        """An hour and a half of worker's time, so that every deadline and every pause is over."""
        for minutes in (5, 5, 10, 20, 25, 25):
            await self.tick(after=timedelta(minutes=minutes))
            await self.stripe.deliver_due()

    def visitor(self, name: str = "anna") -> Visitor:
        """A fresh page view."""
        return Visitor(key=f"{name}-{self.random.getrandbits(64):x}", time_zone="Europe/Stockholm", language="en")

    def customer(self, name: str = "Anna Ek") -> Customer:
        """Who comes."""
        return Customer(name=name, email=f"{name.split()[0].lower()}@customer.example")

    @staticmethod
    def minutes(count: int) -> timedelta:
        """A span of time."""
        return timedelta(minutes=count)

    async def free_slot(self, service: str = "portrait", nth: int = 0) -> datetime:
        """The start of the n-th free time, as a visitor is shown it."""
        widget = self.parts.widgets["studio"]
        offered = await self.parts.availability.service(widget, getattr(self, f"{service}_id"))
        today = self.clock().date()
        times = await self.parts.availability.times(widget, offered, month=today.replace(day=1))
        return times.slots[nth].starts_at

    @property
    def ids(self) -> StudioIds:
        """Hapio's ids of the studio's objects, by name."""
        assert isinstance(self.side, HapioSide)
        return self.side.ids

    @property
    def portrait_id(self) -> str:
        """The service that costs 1,200 kr."""
        return self.side.services["portrait"]

    @property
    def headshot_id(self) -> str:
        """The service that costs 650 kr."""
        return self.side.services["headshot"]

    @property
    def planning_id(self) -> str:
        """The free service."""
        return self.side.services["planning"]

    async def hold(
        self,
        starts_at: datetime | None = None,
        *,
        service: str = "portrait",
        visitor: Visitor | None = None,
        customer: Customer | None = None,
        resource_id: str | None = None,
    ) -> Booking:
        """A hold with details, by the act that every door calls."""
        return await self.parts.hold.take(
            self.parts.widgets["studio"],
            service_id=getattr(self, f"{service}_id"),
            starts_at=starts_at or await self.free_slot(service),
            resource_id=resource_id,
            visitor=visitor or self.visitor(),
            customer=customer or self.customer(),
        )

    async def at_stripe(self, booking: Booking) -> str:
        """Start paying; the id of the Checkout Session that the visitor is sent to."""
        url = await self.parts.checkout.start(booking.id)
        assert url
        return urlsplit(url).path.rpartition("/")[2]

    async def paid(self, booking: Booking, *, card: Literal["ok", "decline", "3ds"] = "ok") -> str:
        """Start paying and pay on Stripe's page; the Session's id."""
        session_id = await self.at_stripe(booking)
        await self.stripe.pay(session_id, card=card)
        return session_id

    async def confirmed(
        self,
        starts_at: datetime | None = None,
        *,
        service: str = "portrait",
        customer: Customer | None = None,
        resource_id: str | None = None,
    ) -> Booking:
        """A booking that is confirmed, and paid where it costs anything; three days from now unless said otherwise."""
        starts_at = starts_at or await self.in_days(3, service, resource_id=resource_id)
        booking = await self.hold(starts_at, service=service, customer=customer, resource_id=resource_id)
        if booking.terms.free:
            assert await self.parts.checkout.start(booking.id) is None
        else:
            await self.paid(booking)
            await self.parts.settle.booking(booking.id)  # as the return page does, should the webhook be off
        confirmed = await self.now(booking)
        assert confirmed.status is Status.CONFIRMED
        return confirmed

    async def now(self, booking: Booking) -> Booking:
        """The booking as it stands now."""
        return await self.parts.bookings.get(booking.id)

    async def in_days(self, days: int, service: str = "portrait", *, resource_id: str | None = None) -> datetime:
        """The first free time of a person, or of anyone, that many days from now or later."""
        widget = self.parts.widgets["studio"]
        offered = await self.parts.availability.service(widget, getattr(self, f"{service}_id"))
        after = self.clock().date() + timedelta(days=days)
        slot = await self.parts.availability.next_free(widget, offered, after=after, resource_id=resource_id)
        assert slot
        return slot.starts_at

    async def cancel(self, booking: Booking, *, by: Actor = Actor.CUSTOMER) -> Booking:
        """Call the booking off, as it stands now."""
        return await self.parts.cancel.booking(booking.id, by=by)

    async def move(
        self,
        booking: Booking,
        starts_at: datetime,
        *,
        service: str = "",
        resource_id: str | None = None,
        by: Actor = Actor.CUSTOMER,
    ) -> Rescheduled:
        """Move the booking, to another service only where it is named."""
        return await self.parts.reschedule.booking(
            booking.id,
            starts_at=starts_at,
            service_id=getattr(self, f"{service}_id") if service else "",
            resource_id=resource_id,
            by=by,
        )

    async def pay_difference(self, moving: Rescheduled, *, card: Literal["ok", "decline", "3ds"] = "ok") -> Booking:
        """Pay on Stripe's page what the move costs more; the booking as it is then."""
        await self.stripe.pay(session_of(moving), card=card)
        return await self.now(moving.booking)

    async def refunds(self, booking: Booking) -> list[Refund]:
        """Every refund of the booking, oldest first."""
        return list((await self.parts.bookings.view(booking.id)).refunds)

    async def history(self, booking: Booking) -> list[str]:
        """What happened to the booking, in the words of its history."""
        return [entry.what for entry in (await self.parts.bookings.view(booking.id)).history]

    async def intent_of(self, booking: Booking) -> str:
        """Stripe's PaymentIntent of the payment that paid the booking."""
        payment = (await self.parts.bookings.view(booking.id)).payment
        assert payment
        assert payment.payment_intent_id
        return payment.payment_intent_id

    async def mail(self, address: str) -> list[str]:
        """Send all mail that is due; the subjects that came to this address since the last call."""
        for _ in range(10):
            await self.parts.worker.tick()
        came = [message for message in self.mailbox.messages if address in message.recipients]
        self.mailbox.messages[:] = [message for message in self.mailbox.messages if address not in message.recipients]
        return [message.header("Subject") for message in came]

    async def pay_late(self, session_id: str) -> None:
        """Money that lands on an expired Session, with its webhook."""
        self.stripe.switches.allow_late_payment = True
        await self._operate(f"sessions/{session_id}/force_pay")

    async def paid_by_bank(self, booking: Booking) -> str:
        """Pay by a bank that takes days; the Session's id. Our Sessions leave such methods out: one that was switched
        on behind our back must be survived all the same."""
        session_id = await self.at_stripe(booking)
        self.stripe.state.sessions[session_id]["payment_method_types"].append("sepa_debit")
        await self.stripe.pay(session_id, card="delayed")
        return session_id

    async def settle_delayed(self, session_id: str, outcome: str) -> None:
        """The bank has spoken, days later: "succeeded" or "failed"."""
        intent = self.stripe.state.sessions[session_id]["payment_intent"]
        await self._operate(f"payment_intents/{intent}/settle_delayed", {"outcome": outcome})

    async def _operate(self, act: str, body: dict[str, str] | None = None) -> None:
        async with httpx.AsyncClient(transport=self.stripe.transport(), base_url="http://stripe.sandbox") as operator:
            (await operator.post(f"/_sandbox/{act}", json=body)).raise_for_status()
        await self.stripe.deliver_due()

    async def take_everyone(self, starts_at: datetime, service: str = "portrait") -> list[Booking]:
        """Other visitors hold this time with every person that offers the service."""
        offered = await self.parts.availability.service(self.parts.widgets["studio"], getattr(self, f"{service}_id"))
        taken = []
        for resource in offered.resources:
            with suppress(SlotTaken):
                taken.append(await self.hold(starts_at, service=service, resource_id=resource.id))
        return taken

    async def book_elsewhere(
        self, starts_at: datetime, service: str = "portrait", *, is_temporary: bool = False
    ) -> list[str]:
        """Another program books everyone who is free at this time, outside Holdfast; Hapio's booking ids."""
        service_id = getattr(self, f"{service}_id")
        widget = self.parts.widgets["studio"]
        offered = await self.parts.availability.service(widget, service_id)
        slot = await self.parts.availability.find_slot(widget, offered, starts_at)
        assert slot
        made = []
        async with self.hapio_api() as api:
            for resource_id in slot.resource_ids:
                body = {
                    "service_id": service_id,
                    "location_id": self.ids.location,
                    "resource_id": resource_id,
                    "starts_at": slot.starts_at.isoformat(),
                    "ends_at": slot.ends_at.isoformat(),
                    "is_temporary": is_temporary,
                }
                answer = await api.post("/bookings", json=body)
                made.append(answer.raise_for_status().json()["id"])
        return made

    def hapio_api(self) -> httpx.AsyncClient:
        """Hapio's API, for what other programs do."""
        return open_api(self.hapio)

    async def status(self, booking: Booking) -> Status:
        """Where the booking stands now."""
        return (await self.parts.bookings.get(booking.id)).status

    # -- facts that promises are about -------------------------------------------------------------------

    def hapio_bookings(self) -> list[Any]:
        """What Hapio has that takes up time: temporary or final, not cancelled."""
        return [booking for booking in self.hapio.state.bookings.values() if not booking.is_canceled]

    def money_kept(self) -> int:
        """What was captured and not given back, in the smallest unit; refunds on their way count as refunded."""
        captured = sum(intent["amount_received"] for intent in self.stripe.state.payment_intents.values())
        returned = sum(
            refund["amount"]
            for refund in self.stripe.state.refunds.values()
            if refund["status"] in {"succeeded", "pending"}
        )
        return int(captured - returned)

    def money_held(self) -> int:
        """What is held on cards and neither captured nor let go."""
        return int(sum(intent["amount_capturable"] for intent in self.stripe.state.payment_intents.values()))


def session_of(moving: Rescheduled) -> str:
    """The id of the Checkout Session on which the difference is to be paid."""
    assert moving.checkout_url
    return urlsplit(moving.checkout_url).path.rpartition("/")[2]


def make_settings(folder: Path, **changes: Any) -> Settings:
    """Settings of the product under test, its database in `folder`."""
    values: dict[str, Any] = {
        "hapio_api_token": "hapio-sandbox-token",
        "hapio_base_url": "http://hapio.sandbox/v1",
        "stripe_secret_key": "sk_test_sandbox",
        "stripe_webhook_secret": ("whsec_sandbox",),
        "stripe_api_base": "http://stripe.sandbox",
        "stripe_checkout_origins": ("http://stripe.sandbox",),
        "secret_keys": ("an-old-secret-key-of-32-characters!!",),
        "public_url": PUBLIC_URL,
        "database_url": f"sqlite:///{folder / 'holdfast.sqlite3'}",
        "widgets_file": folder / "widgets.toml",
        "mail_from": "Studio Nord <book@book.example>",
    }
    return Settings.model_validate(values | changes)


class Crash(BaseException):
    """The process dies here: nothing may catch it."""


#: How statements begin that change rows, and those that change only where the worker's looks have come to.
_CHANGES = ("INSERT", "UPDATE", "DELETE", "WITH")
_NOTES = ("INSERT INTO counters", "DELETE FROM counters")


@dataclass
class Doom:
    """Kills the process after its n-th outside effect: a committed transaction, or a changing call that took effect.

    Of several transactions in a row that only note how far the worker has come, the first counts: with the rows of the
    others the next process does the same. `at` 0 only counts.
    """

    at: int = 0
    effects: int = 0
    commits: int = 0
    _written: bool = False
    _noted: bool = False

    def wrote(self, statement: str) -> None:
        """A statement of the transaction under way."""
        self._written |= statement.startswith(_CHANGES) and not statement.startswith(_NOTES)

    def committed(self) -> None:
        """The transaction is over."""
        self.commits += 1
        written, self._written = self._written, False
        if written:
            self.effect()
        elif not self._noted:
            self.effect()
            self._noted = True

    def effect(self) -> None:
        """Something outside has changed."""
        self._noted = False
        self.effects += 1
        if self.effects == self.at:
            raise Crash

    def answered(self) -> None:
        """A provider has answered a changing call."""
        self.effect()

    @property
    def fired(self) -> bool:
        """Whether the process has died."""
        return 0 < self.at <= self.effects


class Sites(httpx.AsyncBaseTransport):
    """Everyone's websites, ours among them as its proxy serves it."""

    def __init__(self) -> None:
        #: What is at an address: (status, headers, body), or what goes wrong there.
        self.pages: dict[str, tuple[int, dict[str, str], bytes] | Exception] = {}
        #: Where names lead; those that are not here lead to some public address.
        self.names: dict[str, list[str]] = {}
        self.asked: list[httpx.Request] = []
        self.own: Starlette | None = None
        #: What our proxy does to our headers: replaces them, or with None takes them away.
        self.proxy: dict[str, str | None] = {}

    async def resolve(self, host: str, port: int) -> list[str]:
        """As a name server would."""
        found = self.names.get(host, ["93.184.215.14"])
        if not found:
            raise OSError(host)
        return found

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Whatever is at the address that the Host header names."""
        self.asked.append(request)
        origin = f"{request.url.scheme}://{request.headers['host']}"
        if origin == PUBLIC_URL:
            assert self.own
            response = await httpx.ASGITransport(app=self.own).handle_async_request(request)
            for name, value in self.proxy.items():
                response.headers.pop(name, None)
                if value is not None:
                    response.headers[name] = value
            return response
        answer = self.pages.get(origin + request.url.raw_path.decode(), (404, {}, b"nothing here"))
        if isinstance(answer, Exception):
            raise answer
        status, headers, body = answer
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


class _Wire(httpx.AsyncBaseTransport):
    """A provider's wire, on which each changing call counts as an effect once it was answered."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        doom: Doom,
        before: Callable[[], Awaitable[None]] | None = None,
        after: Callable[[httpx.Request, httpx.Response], httpx.Response] | None = None,
    ) -> None:
        self._inner = inner
        self._doom = doom
        self._before = before
        self._after = after

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._before:
            await self._before()
        response = await self._inner.handle_async_request(request)
        if request.method != "GET":
            self._doom.answered()
        if self._after is None:
            return response
        await response.aread()
        return self._after(request, response)


@asynccontextmanager
async def open_stack(
    folder: Path,
    *,
    widget: str = "",
    currency: str = "sek",
    cancellation: str = TIERS,
    settings: dict[str, Any] | None = None,
    webhooks: bool = True,
    doom: Doom | None = None,
    scheduler: str = "hapio",
    database: str = "sqlite",
) -> AsyncIterator[Stack]:
    """Open sandboxes and the app. `webhooks` False turns Stripe's off; `doom` kills the app's process; `scheduler` is
    where the calendar is kept, `database` of which kind ours is: "sqlite" or "postgresql"."""
    if database == "postgresql":
        async with (
            postgres_database() as url,
            open_stack(
                folder,
                widget=widget,
                currency=currency,
                cancellation=cancellation,
                settings={"database_url": url, **(settings or {})},
                webhooks=webhooks,
                doom=doom,
                scheduler=scheduler,
            ) as stack,
        ):
            yield stack
        return
    clock = Clock(MONDAY)
    mailbox = MailboxSandbox(now=clock)
    port = await mailbox.start_smtp()
    hooks = _Hooks()
    async with httpx.AsyncClient(transport=hooks) as webhook_client:
        side = await open_side(scheduler, clock, webhook_client, PUBLIC_URL)
        (folder / "widgets.toml").write_text(
            WIDGET.format(
                **side.services,
                prices=NO_PRICES if isinstance(side, HapioSide) else PRICES,
                currency=currency,
                cancellation=cancellation,
                # Of late money whose time is gone most stories want the refund, and not what may come before it.
                more=widget if "choose_hours" in widget else f"choose_hours = 0\n{widget}",
            )
        )
        stripe = StripeSandbox(
            now=clock,
            webhook_client=webhook_client,
            webhook_url=f"{PUBLIC_URL}/api/webhooks/stripe" if webhooks else None,
        )
        chosen = make_settings(folder, **{"smtp_url": f"smtp://127.0.0.1:{port}", **side.settings, **(settings or {})})
        if chosen.database_url.startswith("sqlite:") and not (file := database_path(chosen.database_url)).exists():
            file.write_bytes(await empty_database())
        hapio = side.sandbox if isinstance(side, HapioSide) else HapioSandbox(now=clock)
        stack = Stack(clock, hapio, stripe, mailbox, side, chosen, hooks, doom or Doom())
        try:
            await stack.start()
            yield stack
        finally:
            await stack.stop()
            await mailbox.stop_smtp()


class _Hooks(httpx.AsyncBaseTransport):
    """Where Stripe's webhooks arrive: whichever app is running now."""

    app: Starlette | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.app is None:
            raise httpx.ConnectError("nobody is listening", request=request)
        try:
            return await httpx.ASGITransport(app=self.app).handle_async_request(request)
        except Crash:
            self.app = None
            raise httpx.ReadError("the process died", request=request) from None


def text_of(page: str) -> str:
    """What a page says, without markup."""
    visible = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", " ", page)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", visible)).strip()
