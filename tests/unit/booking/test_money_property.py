"""Whatever customers and owners do, in whatever order: what is kept is what the terms say, and no cent more goes out
than came in.

Each example is a widget of its own, with terms, prices and a currency of its own, and one booking that lives through
several acts; a plain model next to it reckons what should be left. All examples share one running product, and each
begins a week after the one before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.booking import Actor, Booking, Status
from app.domain.charge_minimum import least_charge
from app.domain.money import Money, currency_quantum
from app.domain.move import MoveState
from app.errors import BookingConflict, StripeError
from app.widgets import MoveSetting, ServiceSetting, TierSetting, Widget
from sandbox.stripe import Fault
from tests.support.stack import Stack, open_stack, session_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: Two, none, three decimals, and the one that Stripe counts in cents although it has none.
CURRENCIES = ["eur", "jpy", "bhd", "isk"]
#: Where rounding shows: shares that leave halves and thirds, prices that nothing divides.
SHARES = st.sampled_from([0, 1, 33, 50, 67, 75, 99, 100])
AWKWARD = (65, 101, 333, 9_999, 12_345)


@dataclass(frozen=True)
class Shop:
    """An owner's choices. `prices` are of three services, in steps of what the currency can move."""

    currency: str
    prices: tuple[int, int, int]
    tiers: tuple[tuple[int, int], ...]
    undo_minutes: int
    full: bool

    def price(self, service: int) -> Money:
        """What a service costs."""
        return Money(self.prices[service] * currency_quantum(self.currency), self.currency)


@st.composite
def shops(draw: st.DrawFn) -> Shop:
    hours = sorted(draw(st.sets(st.sampled_from([0, 2, 5, 24, 72]), min_size=1, max_size=3)), reverse=True)
    percents = sorted(draw(st.lists(SHARES, min_size=len(hours), max_size=len(hours))), reverse=True)
    # Free now and then; else at least what Stripe takes, and awkward to divide.
    price = st.sampled_from([0, *AWKWARD, *AWKWARD]) | st.integers(60, 99_999)
    return Shop(
        currency=draw(st.sampled_from(CURRENCIES)),
        prices=draw(st.tuples(price, price, price)),
        tiers=tuple(zip(hours, percents, strict=True)),
        undo_minutes=draw(st.sampled_from([0, 10])),
        full=draw(st.booleans()),
    )


service = st.integers(0, 2)
moves = st.tuples(st.just("move"), service, st.sampled_from(["pay", "walk away", "give up"]))
waits = st.tuples(st.just("wait"), st.sampled_from([100, 30, 24, 23, 5, 2, 1]))
undone = st.tuples(st.just("cancel and undo"))
goodwill = st.tuples(st.just("goodwill"), st.integers(1, 120))
lost = st.tuples(st.just("lose an answer"))
acts = st.lists(st.one_of(moves, moves, waits, undone, goodwill, lost), max_size=6)
ends = st.sampled_from(["customer cancels"] * 4 + ["owner cancels", "the visit takes place"])


@dataclass
class Ledger:
    """What should be left, calculated from the terms alone."""

    shop: Shop
    price: int
    kept: int = field(init=False)
    by_hand: int = 0
    #: The price in parts, each with the most per cent of it that a cancellation refunds.
    parts: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.kept = self.price
        self.parts = [(self.price, 100)]

    def move(self, to: int, left: timedelta) -> None:
        """The difference is paid, or its share comes back as far as anything is left. What was paid before keeps the
        share of this moment as its most."""
        drop, dropped, stays = max(0, self.price - to), [], []
        for amount, most in sorted(self.parts, key=lambda part: -part[1]):
            off = min(amount, drop)
            drop -= off
            dropped.append((off, most))
            stays.append((amount - off, most))
        percent = 100 if self.shop.full else self.percent(left)
        back = sum(off for off, _ in dropped) if self.shop.full else self.rounded(dropped, percent)
        self.kept += max(0, to - self.price) - min(back, self.kept)
        self.parts = [(amount, min(most, percent)) for amount, most in stays] + [(max(0, to - self.price), 100)]
        self.price = to

    def give(self, amount: int) -> int:
        """Something goes back, as far as anything is left."""
        given = min(amount, self.kept)
        self.kept -= given
        return given

    def give_by_hand(self, amount: int) -> None:
        """The owner gives something back outside the terms: a cancellation gives that much less."""
        self.by_hand += self.give(amount)

    def due(self, left: timedelta) -> int:
        """What a cancellation that long before the start gives back."""
        return max(0, self.share(left) - self.by_hand)

    def share(self, left: timedelta) -> int:
        """What the terms give back of the price that long before the start."""
        return self.rounded(self.parts, self.percent(left))

    def percent(self, left: timedelta) -> int:
        """What the tiers say that long before the start."""
        return next((percent for hours, percent in self.shop.tiers if left >= hours * HOUR), 0)

    def rounded(self, parts: list[tuple[int, int]], percent: int) -> int:
        """That share of the parts, rounded once."""
        quantum = currency_quantum(self.shop.currency)
        steps = sum((Decimal(amount) / quantum * min(most, percent) / 100 for amount, most in parts), Decimal(0))
        return int(steps.quantize(Decimal(1), ROUND_HALF_UP)) * quantum


@pytest.fixture(scope="module")
async def studio(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Stack, list[str]]]:
    """One running product, and three services that Hapio has no price for."""
    async with open_stack(tmp_path_factory.mktemp("money"), settings={"smtp_url": None}) as stack:
        stack.hapio.switches.update({"rate_limit_per_minute": 10**6})
        services = []
        async with stack.hapio_api() as api:
            for name in ("Short", "Long", "Longest"):
                body = {"name": name, "type": "fixed", "duration": "PT30M", "price": None}
                services.append((await api.post("/services", json=body)).raise_for_status().json()["id"])
                for person in stack.ids.resources.values():
                    (await api.put(f"/resources/{person}/services/{services[-1]}")).raise_for_status()
        yield stack, services


@given(shop=shops(), first=service, acts=acts, end=ends)
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
async def test_what_is_kept_is_always_what_the_terms_say(
    studio: tuple[Stack, list[str]], shop: Shop, first: int, acts: list[tuple[Any, ...]], end: str
) -> None:
    stack, services = studio
    life = await Life.begin(stack, services, shop, first)
    for name, *chosen in acts:
        await life.act(name, *chosen)
        await life.check()
    await life.act(end)
    await life.check()
    stack.stripe.faults.clear()
    for _ in range(4):
        await stack.tick(after=11 * MINUTE)
    await life.check()
    assert life.refunded() == sum(refund.amount.amount for refund in await life.standing_refunds())
    stack.clock.advance(7 * DAY)
    await stack.tick()


@dataclass
class Life:
    """One booking, and next to it what should be left of its money."""

    stack: Stack
    services: list[str]
    shop: Shop
    widget: Widget
    booking: Booking
    ledger: Ledger

    @classmethod
    async def begin(cls, stack: Stack, services: list[str], shop: Shop, first: int) -> Life:
        """A widget with these terms, and one booking, paid."""
        widgets: Any = stack.parts.widgets
        widget = Widget(
            scheduler="hapio",
            name=f"shop{len(widgets)}",
            currency=shop.currency,
            services=tuple(
                ServiceSetting(id=one, price=shop.price(number).to_decimal()) for number, one in enumerate(services)
            ),
            cancellation=tuple(
                TierSetting(at_least_hours=hours, refund_percent=percent) for hours, percent in shop.tiers
            ),
            undo_minutes=shop.undo_minutes,
            reschedule=MoveSetting(
                until_hours=0,
                at_most=100,
                other_service=True,
                refund_difference="full" if shop.full else "by_terms",
            ),
            max_free_per_customer=1000,
        )
        widgets[widget.name] = widget
        booking = await stack.parts.hold.take(
            widget,
            service_id=services[first],
            starts_at=await free(stack, widget, services[first]),
            resource_id=None,
            visitor=stack.visitor(),
            customer=stack.customer(),
        )
        if shop.price(first):
            await stack.paid(booking)
        else:
            await stack.parts.checkout.start(booking.id)
        booking = await stack.now(booking)
        assert booking.status is Status.CONFIRMED
        return cls(stack, services, shop, widget, booking, Ledger(shop, shop.price(first).amount))

    async def act(self, name: str, *chosen: Any) -> None:
        """One act, on the product and in the ledger."""
        match name, chosen:
            case "move", (int(to), str(then)):
                await self.move(to, then)
            case "wait", (int(hours),):
                self.stack.clock.set(max(self.stack.clock(), self.booking.starts_at - hours * HOUR))
                await self.stack.tick()
            case "cancel and undo", ():
                await self.cancel_and_undo()
            case "goodwill", (int(percent),):
                amount = self.shop.price(0).share(percent) or Money(
                    currency_quantum(self.shop.currency), self.shop.currency
                )
                self.ledger.give_by_hand(amount.amount)
                await self.stack.parts.owner_refunds.give_back(self.booking.id, amount)
            case "lose an answer", ():
                self.stack.stripe.faults.append(Fault("drop_after", path="/v1/refunds", method="POST"))
            case "customer cancels", ():
                self.ledger.give(self.ledger.due(self.booking.starts_at - self.stack.clock()))
                await self.stack.cancel(self.booking)
            case "owner cancels", ():
                self.ledger.give(self.ledger.kept)
                await self.stack.cancel(self.booking, by=Actor.OWNER)
            case "the visit takes place", ():
                self.stack.clock.set(self.booking.ends_at)
            case _:
                raise ValueError(name)
        self.booking = await self.stack.now(self.booking)

    async def move(self, to: int, then: str) -> None:
        """To another service; where that costs more, the difference is paid, or not."""
        price = self.shop.price(to).amount
        starts_at = await free(self.stack, self.widget, self.services[to])
        left = self.booking.starts_at - self.stack.clock()
        try:
            moving = await self.stack.parts.reschedule.booking(
                self.booking.id, starts_at=starts_at, service_id=self.services[to], by=Actor.CUSTOMER
            )
        except StripeError:  # a difference below the smallest sum that Stripe takes: nothing has changed
            assert 0 < price - self.ledger.price < 60
            return
        # Another service may not cost the same for the same service: what was bought keeps its price.
        if self.services[to] == self.booking.service_id:
            price = self.ledger.price
        if moving.move.state is MoveState.DONE:
            if price > self.ledger.price:  # less than Stripe charges is not asked for
                assert price - self.ledger.price < least_charge(self.shop.currency)
                price = self.ledger.price
            self.ledger.move(price, left)
        elif then == "pay":
            assert price > self.ledger.price
            assert (await self.stack.pay_difference(moving)).starts_at == starts_at
            self.ledger.move(price, left)
        elif then == "give up":
            await self.stack.parts.reschedule.give_up(self.booking.id)
        else:
            await self.stack.tick(after=40 * MINUTE)
            assert self.stack.stripe.state.sessions[session_of(moving)]["status"] == "expired"

    async def cancel_and_undo(self) -> None:
        """Where there are no minutes to undo in, the cancellation stands, and the life goes no further."""
        if not self.shop.undo_minutes:
            return
        await self.stack.cancel(self.booking)
        try:
            assert (await self.stack.parts.cancel.undo(self.booking.id)).status is Status.CONFIRMED
        except BookingConflict:
            raise AssertionError("nobody else wants this time") from None

    async def check(self) -> None:
        """What is kept, with all that is still to go back taken off, is what the ledger says; and of no payment has
        more gone out than came in."""
        owed = sum(refund.amount.amount for refund in await self.standing_refunds())
        assert self.captured() - owed == self.ledger.kept >= 0
        for intent in self.intents():
            assert self.refunded(intent["id"]) <= intent["amount_received"]

    async def standing_refunds(self) -> list[Any]:
        """The refunds that were made, or are to be made."""
        return [refund for refund in await self.stack.refunds(self.booking) if refund.status != "withdrawn"]

    def intents(self) -> list[Any]:
        """Stripe's PaymentIntents of this booking."""
        made = self.stack.stripe.state.payment_intents.values()
        return [intent for intent in made if intent["metadata"]["booking_id"] == self.booking.id]

    def captured(self) -> int:
        """What came in, by Stripe's account."""
        return sum(intent["amount_received"] for intent in self.intents())

    def refunded(self, intent_id: str = "") -> int:
        """What went out, by Stripe's account."""
        ours = {intent["id"] for intent in self.intents()} if not intent_id else {intent_id}
        made = self.stack.stripe.state.refunds.values()
        return sum(refund["amount"] for refund in made if refund["payment_intent"] in ours)


async def free(stack: Stack, widget: Widget, service_id: str) -> Any:
    """A free time five days from now."""
    offered = await stack.parts.availability.service(widget, service_id)
    after = stack.clock().date() + 5 * DAY
    slot = await stack.parts.availability.next_free(widget, offered, after=after)
    assert slot
    return slot.starts_at
