"""What people do: visitors and customers at our doors, owners and strangers at the scheduler and at Stripe.

Everybody acts through whichever process is up, and takes an error page as people do: they are told, and go on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from app.booking.own_page import BookedThere
from app.booking.reschedule import Rescheduled
from app.domain.booking import Actor as By
from app.domain.booking import Booking, Customer, Visitor
from app.domain.money import Money
from app.errors import HoldfastError
from app.parts import Parts
from proof import at_desk
from proof.process import Gone
from proof.story import A_MONTH_ON, Act, Actor
from proof.world import World
from sandbox.calcom import BadControl as CalcomRefusal
from sandbox.faults import BadControl
from sandbox.stripe import ControlError
from sandbox.stripe.errors import StripeError as SandboxRefusal
from sandbox.stripe.payments import Card
from tests.support.sides import CalendlySide
from tests.support.stack import PUBLIC_URL

T = TypeVar("T")
#: What the sandboxes refuse to people who act in them.
REFUSALS = (
    BadControl,
    CalcomRefusal,
    ControlError,
    SandboxRefusal,
    httpx.HTTPStatusError,
    httpx.TransportError,
    KeyError,
    NotImplementedError,
)
#: What is changed at a scheduler without webhooks is followed within this time.
_SEEN_WITHIN = timedelta(days=2)
#: The longest that somebody waits for a visit on Stripe's page.
_LONGEST_WAIT = timedelta(hours=2)
#: The longest that somebody waits for a page.
_PATIENCE = 90.0


class People:
    """Everybody in a story. `bookings` are the visitors' by their number, as far as they have one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bookings: dict[int, Booking] = {}
        self._visitors = sum(one.name.startswith("visitor") for one in world.story.actors)

    async def live(self, number: int, actor: Actor) -> None:
        """Do what the actor does, one thing after the other."""
        for act in actor.acts:
            await asyncio.sleep(act.after)
            clicks = [self._click(number, actor, act, click) for click in range(act.times)]
            await asyncio.gather(*clicks)

    async def _click(self, number: int, actor: Actor, act: Act, click: int) -> None:
        world, name = self.world, f"{actor.name}: {act.what}"
        if click:
            await asyncio.sleep(0.01 * click)
        world.note(name)
        world.begins(act.what)
        world.stir()
        try:
            await self._do(number, act)
        except HoldfastError as error:
            world.note(f"{name}: {type(error).__name__}")
        except (Gone, TimeoutError):
            world.note(f"{name}: no answer")
        except REFUSALS as error:
            world.note(f"{name}: not possible there, {type(error).__name__}")
        else:
            world.note(f"{name}: done")

    async def _do(self, number: int, act: Act) -> None:
        if act.what.startswith("hold"):
            await self._hold(number, act)
            return
        mine = number if number < self._visitors else act.whose
        if act.what in _ALONE:
            await _ALONE[act.what](self, mine, act)
        elif mine in self.bookings:
            await _ACTS[act.what](self, mine, act)

    async def run(self, act: Callable[[Parts], Awaitable[T]]) -> T:
        """Ask a process for it. What the product raises and does not name is wrong, and nobody gets an answer."""
        process = self.world.someone()
        try:
            async with asyncio.timeout(_PATIENCE):
                return await process.run(act)
        except (HoldfastError, Gone, TimeoutError):
            raise
        except Exception as error:
            if process.alive:
                self.world.wrong.append(f"unexpected: {error!r}"[:300])
            raise Gone from error

    # -- until it is booked ----------------------------------------------------------------------------------

    async def _hold(self, number: int, act: Act) -> None:
        world = self.world
        visitor = Visitor(key=f"visitor-{number}-{world.story.seed}", time_zone="Europe/Stockholm", language="en")
        customer = Customer(name=f"Visitor {number + 1}", email=f"visitor{number + 1}@customer.example")

        if act.what == "hold at the last minute":
            await self._until_soon(act.service, act.nth)
        if act.what == "hold on the scheduler's own page":
            self.bookings[number] = await self._book_there(act, visitor, customer)
            return

        async def hold(parts: Parts) -> Booking:
            starts_at, resource = await self.free(parts, act.service, act.nth)
            return await parts.hold.take(
                parts.widgets["studio"],
                service_id=world.side.services[act.service],
                starts_at=starts_at,
                resource_id=None if act.anyone else resource,
                visitor=visitor,
                customer=customer,
            )

        self.bookings[number] = await self.run(hold)

    async def _book_there(self, act: Act, visitor: Visitor, customer: Customer) -> Booking:
        """They book on Calendly's page, which tells us, again and again until it is answered."""
        side = self.world.side
        assert isinstance(side, CalendlySide)
        service, tag = side.services[act.service], f"flow of {visitor.key}"
        starts_at, _ = await self.run(lambda parts: self.free(parts, act.service, act.nth))
        made = side.sandbox.book(
            service, starts_at, name=customer.name, email=customer.email, tracking={"utm_content": tag}
        )
        self.world.network.launch(self.world.deliver())
        told = BookedThere(made["event"].rpartition("/")[2], service, starts_at, tag)
        for pause in (1.0, 5.0, 60.0):
            with suppress(HoldfastError, Gone, TimeoutError):
                return await self._tell(told, visitor, customer)
            await asyncio.sleep(pause)
        return await self._tell(told, visitor, customer)

    async def _tell(self, told: BookedThere, visitor: Visitor, customer: Customer) -> Booking:
        return await self.run(
            lambda parts: parts.own_page.take_in(parts.widgets["studio"], told, visitor=visitor, customer=customer)
        )

    async def free(self, parts: Parts, service: str, nth: int) -> tuple[datetime, str]:
        """The start of the nth free time as the widget shows it, and somebody who is free then."""
        widget = parts.widgets["studio"]
        offered = await parts.availability.service(widget, self.world.side.services[service])
        month: date = self.world.clock().date().replace(day=1)
        months, nth = divmod(nth, A_MONTH_ON)
        for _ in range(months):
            month = _next(month)
        slots = (await parts.availability.times(widget, offered, month=month)).slots
        if not slots:
            slots = (await parts.availability.times(widget, offered, month=_next(month))).slots
        if not slots:
            raise Gone
        slot = slots[min(nth, len(slots) - 1)]
        return slot.starts_at, slot.resource_ids[0]

    async def to_stripe(self, number: int) -> str | None:
        """Begin to pay; the Session's id, None where nothing is to be paid."""
        ident = self.bookings[number].id
        url = await self.run(lambda parts: parts.checkout.start(ident))
        if url is None:
            return None
        return urlsplit(url).path.rpartition("/")[2]

    async def card(self, session: str, card: Card = "ok") -> None:
        with suppress(ControlError, SandboxRefusal):
            await self.world.stripe.pay(session, card=card)
        self.world.network.launch(self.world.deliver())

    async def pay(self, number: int, _: Act) -> None:
        session = await self.to_stripe(number)
        if session:
            await asyncio.sleep(self.world.random.choice((3.0, 40.0, 590.0)))
            await self.card(session)
        await self._come_back(number)

    async def _come_back(self, number: int) -> None:
        if self.world.random.random() < 0.7:
            ident = self.bookings[number].id
            await self.run(lambda parts: parts.settle.booking(ident))

    async def pay_twice(self, number: int, _: Act) -> None:
        sessions = await asyncio.gather(self.to_stripe(number), self.to_stripe(number), return_exceptions=True)
        for session in sessions:
            if isinstance(session, str):
                await self.card(session)
        await self._come_back(number)

    async def walk_away(self, number: int, _: Act) -> None:
        await self.to_stripe(number)

    async def pay_late(self, number: int, _: Act) -> None:
        session = await self.to_stripe(number)
        if session is None:
            return
        await asyncio.sleep(self.world.random.choice((620.0, 1900.0, 4000.0)))
        await self._card_late(session)
        await self._come_back(number)

    async def _card_late(self, session: str) -> None:
        """Pay on a page that may have ended: money that was on its way may land all the same."""
        stripe = self.world.stripe
        if stripe.state.sessions[session]["status"] == "open":
            await self.card(session)
        elif stripe.switches.allow_late_payment:
            async with httpx.AsyncClient(transport=stripe.transport(), base_url="http://stripe.sandbox") as operator:
                await operator.post(f"/_sandbox/sessions/{session}/force_pay")
            self.world.network.launch(self.world.deliver())

    async def _until(self, moment: datetime) -> None:
        await asyncio.sleep(max(0.0, (moment - self.world.clock()).total_seconds()))

    async def pay_at_the_end(self, number: int, _: Act) -> None:
        """They hesitate on Stripe's page until about the moment when their time is over."""
        session = await self.to_stripe(number)
        if session is None:
            return
        ident = self.bookings[number].id
        booking = await self.run(lambda parts: parts.bookings.get(ident))
        await self._until(booking.deadline + timedelta(seconds=self.world.random.choice((-0.2, 0.1, 1, 10, 60, 250))))
        await self.card(session)
        await self._come_back(number)

    async def pay_begun(self, number: int, _: Act) -> None:
        """They pay when they are there already."""
        session = await self.to_stripe(number)
        if session is None:
            return
        await self._until_begun(self.bookings[number].starts_at)
        await self._card_late(session)
        await self._come_back(number)

    async def _until_soon(self, service: str, nth: int) -> None:
        """Wait until minutes before that free time."""
        starts_at, _ = await self.run(lambda parts: self.free(parts, service, nth))
        await self._until(starts_at - timedelta(seconds=self.world.random.choice((120, 400, 580))))

    async def _until_begun(self, starts_at: datetime) -> None:
        late = timedelta(seconds=self.world.random.choice((20, 200, 1000)))
        await self._until(min(starts_at + late, self.world.clock() + _LONGEST_WAIT))

    async def pay_and_call_off(self, number: int, act: Act) -> None:
        """They, or the owner, call it off while it is being confirmed."""
        session = await self.to_stripe(number)
        if session:
            await self.card(session)
        await asyncio.sleep(self.world.random.choice((0.05, 0.2, 0.4, 0.8)))
        await self.cancel(number, act, self.world.random.choice((By.CUSTOMER, By.OWNER)))

    async def correct_and_pay_both(self, number: int, _: Act) -> None:
        """The address is corrected when Stripe's page is open already, and then both pages are paid."""
        first = await self.to_stripe(number)
        ident = self.bookings[number].id
        form = {"name": f"Visitor {number + 1}", "email": f"visitor{number + 1}@mail.example"}
        await self.run(lambda parts: parts.checkout.add_details(ident, form))
        second = await self.to_stripe(number)
        for session in (second, first):
            if session:
                await self._card_late(session)
        await self._come_back(number)

    async def decline_then_pay(self, number: int, _: Act) -> None:
        session = await self.to_stripe(number)
        if session:
            await self.card(session, "decline")
            await self.card(session, "3ds")
        await self._come_back(number)

    async def pay_another_amount(self, number: int, _: Act) -> None:
        """Stripe has another amount than was asked of it."""
        session = await self.to_stripe(number)
        if session:
            there = self.world.stripe.state.sessions[session]
            there["amount_total"] = there["amount_subtotal"] = 100
            await self.card(session)
        await self._come_back(number)

    async def give_up(self, number: int, _: Act) -> None:
        ident = self.bookings[number].id
        await self.run(lambda parts: parts.hold.give_up(ident))

    async def pay_and_give_up(self, number: int, act: Act) -> None:
        session = await self.to_stripe(number)
        payment = self.card(session) if session and self.world.random.random() < 0.5 else asyncio.sleep(0)
        await asyncio.gather(payment, self.give_up(number, act))

    async def give_up_and_go_on(self, number: int, act: Act) -> None:
        """Two tabs at once."""

        async def go_on() -> None:
            session = await self.to_stripe(number)
            if session:
                await self.card(session)

        later = self.world.random.choice((0.0, 0.01, 0.03, 0.1))
        await at_desk.both(self.give_up(number, act), go_on(), later)

    async def nothing(self, number: int, _: Act) -> None:
        """They are gone."""

    async def ask_for_time(self, number: int, _: Act) -> None:
        ident = self.bookings[number].id
        await self.run(lambda parts: parts.hold.extend(ident))

    async def hold_again(self, number: int, act: Act) -> None:
        """The time to pay is over, and they take the same time once more."""
        old, key = self.bookings[number], f"visitor-{number}-{self.world.story.seed}"
        self.bookings[number] = await self.run(lambda parts: parts.hold.again(old.id, key))
        await self.pay(number, act)

    async def correct_address(self, number: int, _: Act) -> None:
        ident = self.bookings[number].id
        email = f"visitor{number + 1}@customer.exampel"
        await self.run(lambda parts: parts.corrections.correct_email(ident, email, by=By.CUSTOMER, only_slips=True))

    # -- once it is booked -----------------------------------------------------------------------------------

    async def look(self, number: int, _: Act) -> None:
        ident = self.bookings[number].id
        await self.run(lambda parts: parts.bookings.view(ident))
        await self.run(lambda parts: parts.settle.booking(ident))

    async def cancel(self, number: int, _: Act, by: By = By.CUSTOMER) -> None:
        ident = self.bookings[number].id
        await self.run(lambda parts: parts.cancel.booking(ident, by=by))

    async def undo(self, number: int, act: Act) -> None:
        ident = self.bookings[number].id
        with suppress(HoldfastError):
            await self.cancel(number, act)
        await asyncio.sleep(self.world.random.choice((0.0, 0.3, 200.0, 599.9, 601.0)))
        clicks = 2 if act.what == "take it back twice" else 1
        await asyncio.gather(*(self.run(lambda parts: parts.cancel.undo(ident)) for _ in range(clicks)))

    async def undo_refunded(self, number: int, act: Act) -> None:
        """They take a cancellation back whose money the owner has returned in Stripe's dashboard meanwhile."""
        await self.cancel(number, act)
        await asyncio.sleep(self.world.random.choice((1.0, 100.0)))
        await self.dashboard_refund(number, act)
        await asyncio.sleep(self.world.random.choice((310.0, 450.0)))
        ident = self.bookings[number].id
        await self.run(lambda parts: parts.cancel.undo(ident))

    async def moved(self, number: int, act: Act, service: str = "", by: By = By.CUSTOMER) -> Rescheduled:
        booking = self.bookings[number]

        async def move(parts: Parts) -> Rescheduled:
            starts_at, _ = await self.free(parts, service or act.service, act.nth)
            return await parts.reschedule.booking(
                booking.id,
                starts_at=starts_at,
                service_id=self.world.side.services[service] if service else "",
                by=by,
            )

        return await self.run(move)

    async def move(self, number: int, act: Act) -> None:
        await self.moved(number, act)

    async def move_dearer(self, number: int, act: Act) -> None:
        if act.what.endswith("begun"):
            await self._until_soon("portrait", act.nth)
        moving = await self.moved(number, act, "portrait")
        if moving.checkout_url:
            session = urlsplit(moving.checkout_url).path.rpartition("/")[2]
            if act.what.endswith("walk away"):
                return
            if act.what.endswith("begun"):
                await self._until_begun(moving.move.starts_at)
                await self._card_late(session)
            else:
                await asyncio.sleep(self.world.random.choice((2.0, 300.0, 1855.0, 1900.0)))
                await self.card(session)
            await self._come_back(number)

    async def move_cheaper(self, number: int, act: Act) -> None:
        await self.moved(number, act, "headshot")

    async def cancel_and_move(self, number: int, act: Act) -> None:
        await at_desk.both(self.moved(number, act), self.cancel(number, act))

    async def choose(self, number: int, act: Act) -> None:
        """One of the times that are held because the money came too late."""
        ident = self.bookings[number].id
        offered = (await self.run(lambda parts: parts.bookings.view(ident))).offered
        if offered:
            one = offered[act.nth % len(offered)]
            await self.run(lambda parts: parts.late_money.choose(ident, one.id))

    # -- others ----------------------------------------------------------------------------------------------

    async def owner_cancels(self, number: int, act: Act) -> None:
        await self.cancel(number, act, By.OWNER)

    async def owner_moves(self, number: int, act: Act) -> None:
        await self.moved(number, act, by=By.OWNER)

    async def owner_gives_back(self, number: int, _: Act) -> None:
        booking = self.bookings[number]
        half = Money(booking.terms.price.amount // 200 * 100, booking.terms.price.currency)
        await self.run(lambda parts: parts.owner_refunds.give_back(booking.id, half))

    async def _reference(self, number: int) -> str:
        ident = self.bookings[number].id
        booking = await self.run(lambda parts: parts.bookings.get(ident))
        there = {one.reference for one in self.world.side.booked()}
        if booking.reservation.reference not in there:
            raise BadControl("not final there")
        soon = booking.starts_at < self.world.clock() + _SEEN_WITHIN
        if soon and not self.world.side.settings:  # no webhooks: it is seen in a look that the calls are saved for
            raise BadControl("seen too late")
        return booking.reservation.reference or ""

    async def cancels_there(self, number: int, _: Act) -> None:
        await self.world.side.owner_cancels(await self._reference(number))
        self.world.network.launch(self.world.deliver())

    async def customer_cancels_there(self, number: int, _: Act) -> None:
        await self.world.side.customer_cancels(await self._reference(number))
        self.world.network.launch(self.world.deliver())

    async def moves_there(self, number: int, act: Act) -> None:
        reference = await self._reference(number)
        starts_at, _ = await self.run(lambda parts: self.free(parts, act.service, act.nth + 3))
        await self.world.side.owner_moves(reference, starts_at)
        self.world.network.launch(self.world.deliver())

    async def stranger(self, number: int, _: Act) -> None:
        await self.world.side.stranger_takes(self.bookings[number].starts_at)

    async def _intent(self, number: int) -> str:
        ident = self.bookings[number].id
        intents = self.world.stripe.state.payment_intents.values()
        paid = [one["id"] for one in intents if one["metadata"].get("booking_id") == ident and one["amount_received"]]
        if not paid:
            raise BadControl("nothing paid")
        return str(paid[-1])

    async def dashboard_refund(self, number: int, act: Act) -> None:
        amount = 10_000 if act.what.startswith("part") else None
        self.world.stripe.refund_in_dashboard(await self._intent(number), amount=amount)
        self.world.network.launch(self.world.deliver())

    async def dispute(self, number: int, _: Act) -> None:
        made = self.world.stripe.open_dispute(await self._intent(number))
        self.world.network.launch(self.world.deliver())
        await asyncio.sleep(self.world.random.choice((10.0, 4000.0)))
        self.world.stripe.close_dispute(made["id"], self.world.random.choice(("won", "lost")))
        self.world.network.launch(self.world.deliver())

    async def forged(self, number: int, _: Act) -> None:
        """Somebody claims that it is paid."""
        body = {"id": "evt_forged", "type": "checkout.session.completed", "data": {"object": {}}}
        booking = self.bookings.get(number)
        if booking:
            body["data"] = {"object": {"id": "cs_x", "metadata": {"booking_id": booking.id}, "payment_status": "paid"}}
        app = self.world.someone().app
        assert app is not None

        async def post(_: Parts) -> int:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
                headers = {"stripe-signature": "t=1,v1=00", "content-type": "application/json"}
                answer = await client.post("/api/webhooks/stripe", content=json.dumps(body), headers=headers)
            return answer.status_code

        if await self.run(post) != 400:
            self.world.wrong.append("a forged webhook was taken")

    async def everybody_looks(self, _number: int, _act: Act) -> None:
        """A crowd reads the same month."""
        await asyncio.gather(*(self.run(lambda parts: self.free(parts, "portrait", 0)) for _ in range(5)))


def _next(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


Does = Callable[[People, int, Act], Awaitable[None]]
_ALONE: dict[str, Does] = {
    "everybody looks": People.everybody_looks,
    "forged webhook": People.forged,
    **at_desk.BOOKS,
}
_ACTS: dict[str, Does] = {
    "pay": People.pay,
    "pay in two tabs": People.pay_twice,
    "go to pay and walk away": People.walk_away,
    "pay after the deadline": People.pay_late,
    "decline, then pay": People.decline_then_pay,
    "pay another amount": People.pay_another_amount,
    "pay in the seconds when the time runs out": People.pay_at_the_end,
    "pay when the visit has begun": People.pay_begun,
    "pay and call it off at once": People.pay_and_call_off,
    "correct the address and pay in both tabs": People.correct_and_pay_both,
    "give up in one tab and go on in another": People.give_up_and_go_on,
    "give up": People.give_up,
    "go to pay and come back to give up": People.pay_and_give_up,
    "walk away": People.nothing,
    "ask for more time": People.ask_for_time,
    "hold it again and pay": People.hold_again,
    "correct the address": People.correct_address,
    "look": People.look,
    "cancel": People.cancel,
    "cancel and take it back": People.undo,
    "take it back twice": People.undo,
    "cancel, and take it back when all was refunded": People.undo_refunded,
    "choose another time": People.choose,
    "ask for the money": People.cancel,
    "move": People.move,
    "move to a dearer service": People.move_dearer,
    "move to a dearer service and walk away": People.move_dearer,
    "move to a dearer service at the last minute and pay when it has begun": People.move_dearer,
    "move to a cheaper service": People.move_cheaper,
    "cancel and move in two tabs": People.cancel_and_move,
    "owner cancels": People.owner_cancels,
    "owner moves": People.owner_moves,
    "owner gives half back": People.owner_gives_back,
    "owner cancels at the scheduler": People.cancels_there,
    "owner moves at the scheduler": People.moves_there,
    "customer cancels at the scheduler": People.customer_cancels_there,
    "stranger takes the time": People.stranger,
    "refund in the dashboard": People.dashboard_refund,
    "part refund in the dashboard": People.dashboard_refund,
    "dispute": People.dispute,
    **at_desk.ACTS,
}
