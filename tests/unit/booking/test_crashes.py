"""The process dies after any of its effects; whatever it did ends with money, time, rows and mails in agreement."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.domain.booking import Actor, Booking, EndReason, Status
from app.domain.move import Move
from app.domain.reservation import Reservation
from app.errors import HoldfastError
from app.store.reservations import settle_due
from app.store.tables import reservations, select_bookings, select_moves, to_booking, to_move, to_reservation
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.stack import Crash, Doom, Stack, open_stack, session_of

Story = Callable[[Stack], Awaitable[None]]
#: What becomes of a booking that is confirmed before the process may die.
Change = Callable[[Stack, Booking], Awaitable[object]]


async def walk_away(stack: Stack) -> None:
    await stack.hold()
    await stack.tick(after=timedelta(minutes=11))


async def pay(stack: Stack) -> None:
    await stack.paid(await stack.hold())


async def pay_without_webhook(stack: Stack) -> None:
    booking = await stack.hold()
    back = await stack.paid(booking)
    await stack.client.get(back)


async def book_for_free(stack: Stack) -> None:
    booking = await stack.hold(service="planning")
    await stack.parts.checkout.start(booking.id)


async def walk_away_from_stripe(stack: Stack) -> None:
    await stack.at_stripe(await stack.hold())
    await stack.tick(after=timedelta(minutes=32))


async def give_up_while_paying(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    await stack.parts.hold.give_up(booking.id)


async def pay_late(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=timedelta(minutes=32))
    await stack.pay_late(session_id)


async def pay_late_for_a_time_that_is_gone(stack: Stack) -> None:
    booking = await stack.hold(service="headshot")
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=timedelta(minutes=32))
    await stack.take_everyone(booking.starts_at, "headshot")
    await stack.pay_late(session_id)
    await stack.tick()


async def pay_with_a_hold_that_lapses(stack: Stack) -> None:
    stack.hapio.faults.append(Fault("error_before", method="PATCH", times=5))
    await stack.paid(await stack.hold())
    for intent in stack.stripe.state.payment_intents.values():
        if intent["status"] == "requires_capture":
            intent.update(status="canceled", amount_capturable=0)
    await stack.tick(after=timedelta(minutes=1))


STORIES = [
    (walk_away, ""),
    (pay, ""),
    (pay, 'capture = "manual"'),
    (pay_without_webhook, ""),
    (pay_without_webhook, 'capture = "manual"'),
    (book_for_free, ""),
    (walk_away_from_stripe, ""),
    (give_up_while_paying, ""),
    (pay_late, ""),
    (pay_late, 'capture = "manual"'),
    (pay_late_for_a_time_that_is_gone, ""),
    (pay_late_for_a_time_that_is_gone, 'capture = "manual"'),
    (pay_with_a_hold_that_lapses, 'capture = "manual"'),
]


async def cancel(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking)
    await stack.tick(after=timedelta(minutes=11))


async def cancel_by_the_owner(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking, by=Actor.OWNER)


async def cancel_with_a_refund_whose_answer_is_cut(stack: Stack, booking: Booking) -> None:
    stack.stripe.faults.append(StripeFault("drop_after", method="POST", path="refunds", times=9))
    await cancel(stack, booking)
    await stack.tick(after=timedelta(minutes=2))


async def cancel_with_a_refund_that_fails(stack: Stack, booking: Booking) -> None:
    stack.stripe.switches.refund_mode, stack.stripe.switches.refund_settle_seconds = "fail_later", 600
    await cancel(stack, booking)
    await stack.tick(after=timedelta(minutes=11))


async def take_a_cancellation_back(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking)
    await stack.tick(after=timedelta(minutes=3))
    await stack.parts.cancel.undo(booking.id)


async def take_a_cancellation_back_in_vain(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking)
    await stack.book_elsewhere(booking.starts_at)
    await stack.parts.cancel.undo(booking.id)


async def take_a_cancellation_back_without_an_answer(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking)
    stack.hapio.faults.append(Fault("drop_after", method="PATCH", times=3))
    await stack.parts.cancel.undo(booking.id)
    await stack.tick(after=timedelta(minutes=3))


async def move(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4))


async def move_without_an_answer(stack: Stack, booking: Booking) -> None:
    stack.hapio.faults.append(Fault("drop_after", method="PATCH", times=3))
    await move(stack, booking)
    await stack.tick(after=timedelta(minutes=3))


async def move_to_a_time_that_hapio_refuses(stack: Stack, booking: Booking) -> None:
    starts_at = await stack.in_days(4)
    await stack.book_elsewhere(starts_at)
    await stack.move(booking, starts_at)


async def move_to_a_lower_price(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4, "headshot"), service="headshot")


async def move_to_a_higher_price(stack: Stack, booking: Booking) -> None:
    moving = await stack.move(booking, await stack.in_days(4), service="portrait")
    await stack.pay_difference(moving)
    await stack.parts.settle.booking(booking.id)  # as the return page does, should the webhook be off


async def move_to_a_higher_price_and_cancel(stack: Stack, booking: Booking) -> None:
    await move_to_a_higher_price(stack, booking)
    stack.clock.set((await stack.now(booking)).starts_at - timedelta(hours=23))
    await cancel(stack, booking)


async def move_and_never_pay_the_difference(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4), service="portrait")
    await stack.tick(after=timedelta(minutes=32))


async def move_and_pay_the_difference_late(stack: Stack, booking: Booking) -> None:
    moving = await stack.move(booking, await stack.in_days(4), service="portrait")
    await stack.tick(after=timedelta(minutes=32))
    await stack.pay_late(session_of(moving))
    await stack.tick(after=timedelta(minutes=11))


async def move_and_give_up_the_difference(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4), service="portrait")
    await stack.parts.reschedule.give_up(booking.id)


async def move_and_cancel_while_the_difference_is_open(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4), service="portrait")
    await cancel(stack, booking)


async def pay_the_difference_for_a_time_that_hapio_gave_away(stack: Stack, booking: Booking) -> None:
    starts_at = await stack.in_days(4)
    moving = await stack.move(booking, starts_at, service="portrait")
    lock = next(held for held in stack.hapio_bookings() if held.is_temporary)
    async with stack.hapio_api() as api:
        await api.delete(f"/bookings/{lock.id}")
        for resource in {lock.resource_id, booking.resource_id}:
            other = {"service_id": lock.service_id, "location_id": lock.location_id, "resource_id": resource}
            times = {"starts_at": lock.starts_at.isoformat(), "ends_at": lock.ends_at.isoformat()}
            await api.post("/bookings", json=other | times)
    await stack.pay_difference(moving)
    await stack.parts.settle.booking(booking.id)  # as the return page does, should the webhook be off


PORTRAIT, HEADSHOT, FREE = "portrait", "headshot", "planning"
OTHER_SERVICE = "reschedule = { other_service = true }"
#: What is done, to a booking of which service, how many hours before it starts, under which settings of the widget.
CHANGES = [
    (cancel, PORTRAIT, 72, 'capture = "manual"'),
    (cancel, PORTRAIT, 72, "undo_minutes = 0"),
    (cancel, FREE, 72, ""),
    (cancel, PORTRAIT, 3, ""),
    (cancel, PORTRAIT, 1, ""),
    (cancel_by_the_owner, PORTRAIT, 1, ""),
    (cancel_with_a_refund_whose_answer_is_cut, PORTRAIT, 72, ""),
    (cancel_with_a_refund_that_fails, PORTRAIT, 72, ""),
    (take_a_cancellation_back, PORTRAIT, 72, ""),
    (take_a_cancellation_back_in_vain, PORTRAIT, 72, ""),
    (take_a_cancellation_back_without_an_answer, PORTRAIT, 72, ""),
    (move, PORTRAIT, 72, ""),
    (move_without_an_answer, PORTRAIT, 72, ""),
    (move_to_a_time_that_hapio_refuses, PORTRAIT, 72, ""),
    (move_to_a_lower_price, PORTRAIT, 72, OTHER_SERVICE),
    (move_to_a_higher_price, HEADSHOT, 72, OTHER_SERVICE),
    (move_to_a_higher_price_and_cancel, HEADSHOT, 72, OTHER_SERVICE),
    (move_and_never_pay_the_difference, HEADSHOT, 72, OTHER_SERVICE),
    (move_and_pay_the_difference_late, HEADSHOT, 72, OTHER_SERVICE),
    (move_and_give_up_the_difference, HEADSHOT, 72, OTHER_SERVICE),
    (move_and_cancel_while_the_difference_is_open, HEADSHOT, 72, OTHER_SERVICE),
    (pay_the_difference_for_a_time_that_hapio_gave_away, HEADSHOT, 72, OTHER_SERVICE),
]
#: With webhooks, too; the others do without, and see what Stripe says by asking: that is fewer effects to die after.
TOLD_BY_STRIPE = {move_to_a_higher_price}


@pytest.mark.parametrize(("story", "widget"), STORIES, ids=lambda part: getattr(part, "__name__", part or "automatic"))
async def test_a_crash_after_any_effect_ends_well(story: Story, widget: str, tmp_path: Path) -> None:
    webhooks = "without_webhook" not in story.__name__

    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        await stack.free_slot()
        return lambda: story(stack)

    await crash_everywhere(tmp_path, prepare, widget=widget, webhooks=webhooks)


@pytest.mark.parametrize(
    ("change", "service", "hours", "widget"), CHANGES, ids=lambda part: getattr(part, "__name__", str(part))
)
async def test_a_crash_after_any_effect_of_a_change_ends_well(
    change: Change, service: str, hours: int, widget: str, tmp_path: Path
) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        booking = await stack.confirmed(service=service)
        stack.clock.set(max(stack.clock(), booking.starts_at - timedelta(hours=hours)))
        await stack.tick()  # its mails
        return lambda: change(stack, booking)

    await crash_everywhere(tmp_path, prepare, widget=widget, webhooks=change in TOLD_BY_STRIPE)


async def crash_everywhere(
    tmp_path: Path,
    prepare: Callable[[Stack], Awaitable[Callable[[], Awaitable[object]]]],
    *,
    widget: str,
    webhooks: bool = True,
) -> None:
    """Let the process die after the first effect, the second, … until the story has no more of them."""
    died = 0
    while True:
        folder = tmp_path / str(died)
        folder.mkdir()
        doom = Doom()
        async with open_stack(folder, widget=widget, webhooks=webhooks, doom=doom) as stack:
            story = await prepare(stack)
            doom.effects, doom.at = 0, died + 1
            # A visitor may meet an error page, as the dead process leaves it; what counts is how it ends.
            with suppress(Crash, HoldfastError):
                await story()
            fired = doom.fired
            doom.at = 0
            if fired:
                await stack.restart()
                await assert_what_is_due_is_written(stack)
            await let_it_rest(stack)
            await assert_agreement(stack)
        if not fired:
            break
        died += 1
    assert died >= 4, "the story must have effects to die after"


async def let_it_rest(stack: Stack) -> None:
    """As `Stack.until_quiet`, in fewer and longer steps."""
    for _ in range(6):
        await stack.tick(after=timedelta(minutes=15))
        await stack.stripe.deliver_due()


async def assert_agreement(stack: Stack) -> None:
    """Section 2 of the design: every captured payment has its confirmed booking or its refund, by the terms; every lock
    has its end; and who was promised something is told."""
    all_bookings = await rows(stack)
    in_hapio = [held for held in stack.hapio.state.bookings.values() if tag(held)]
    for booking in all_bookings:
        assert booking.status in {Status.CONFIRMED, Status.EXPIRED, Status.CANCELED}
        assert booking.reservation.occupies is (booking.status is Status.CONFIRMED)
        assert not booking.reservation.unsure
        called_off = booking.status is Status.CANCELED and booking.canceled_at is not None
        kept = [held for held in in_hapio if held.id == booking.reservation.reference]
        assert [held.is_canceled for held in kept] == (
            [False] if booking.status is Status.CONFIRMED else [True] if called_off else []
        )
        ended = await moves_ended_by_cancelling(stack, booking)
        for held in kept:
            # A call that moves it may land after it was canceled: then what is canceled there is the new time.
            there = (held.service_id, held.resource_id, held.starts_at, held.ends_at)
            assert there in [booked_as(booking), *(booked_as(one) for one in ended if held.is_canceled)]
        await assert_money_follows_the_terms(stack, booking)
        await assert_told(stack, booking)
    for moved in await all_moves(stack):
        assert moved.state in {"done", "refused", "expired"}
    await assert_nothing_is_due_to_the_scheduler(stack)
    active = [held for held in in_hapio if not held.is_canceled]
    confirmed = [booking.id for booking in all_bookings if booking.status is Status.CONFIRMED]
    assert sorted(tag(held) for held in active) == sorted(confirmed)
    assert not any(held.is_temporary for held in active)
    assert stack.money_held() == 0


async def assert_what_is_due_is_written(stack: Stack) -> None:
    """At whatever effect the process dies, the rows say what is due to the scheduler: no change leaves it for later."""
    before = await all_reservations(stack)
    async with stack.parts.store._write() as connection:
        for reservation in before:
            await settle_due(connection, reservation.booking_id, at=stack.clock())
    assert await all_reservations(stack) == before


async def assert_nothing_is_due_to_the_scheduler(stack: Stack) -> None:
    """And of the times that no booking has, nothing is held."""
    has = {booking.reservation.id for booking in await rows(stack)}
    for reservation in await all_reservations(stack):
        assert reservation.due is None
        if reservation.id not in has:
            assert (reservation.occupies, reservation.reference, reservation.unsure) == (False, None, False)


def booked_as(thing: Booking | Move) -> tuple[str, str, datetime, datetime]:
    """What Hapio is to have."""
    return thing.service_id, thing.resource_id, thing.starts_at, thing.ends_at


async def moves_ended_by_cancelling(stack: Stack, booking: Booking) -> list[Move]:
    """The moves that were under way when the booking was called off."""
    by_people = {EndReason.BY_CUSTOMER, EndReason.BY_OWNER}
    return [one for one in await all_moves(stack) if one.booking_id == booking.id and one.end_reason in by_people]


async def assert_money_follows_the_terms(stack: Stack, booking: Booking) -> None:
    """What Stripe took and gave back for the booking is what its terms say, and our rows know each movement."""
    captured = sum(intent["amount_received"] for intent in intents_of(stack, booking))
    at_stripe = {
        made["id"]: made
        for made in stack.stripe.state.refunds.values()
        if made["payment_intent"] in {intent["id"] for intent in intents_of(stack, booking)}
    }
    ours = await stack.parts.store.refunds(booking.id)
    assert {made.stripe_refund_id: made.status for made in ours if made.stripe_refund_id} == {
        ident: made["status"] for ident, made in at_stripe.items()
    }
    assert {made.status for made in ours} <= {"succeeded", "withdrawn", "failed"}
    assert all(made.next_try_at is None for made in ours)
    failed = sum(made["amount"] for made in at_stripe.values() if made["status"] == "failed")
    returned = sum(made["amount"] for made in at_stripe.values()) - failed
    assert captured - returned == due_to_the_house(booking) + failed


def due_to_the_house(booking: Booking) -> int:
    """What the booking's terms leave with the owner."""
    if booking.status is Status.CONFIRMED:
        return booking.terms.price.amount
    if booking.status is Status.CANCELED and booking.canceled_at and booking.end_reason is EndReason.BY_CUSTOMER:
        back = booking.terms.refund(at=booking.canceled_at, starts_at=booking.starts_at)
        return booking.terms.price.amount - back.amount
    return 0


def intents_of(stack: Stack, booking: Booking) -> list[dict[str, Any]]:
    intents = stack.stripe.state.payment_intents.values()
    return [intent for intent in intents if intent["metadata"].get("booking_id") == booking.id]


async def assert_told(stack: Stack, booking: Booking) -> None:
    """Customer and owner have a mail about how the booking stands; the newest change of it above all."""
    came = {message.header("Message-ID") for message in stack.mailbox.messages}
    history = [entry.what for entry in await stack.parts.store.history(booking.id)]
    refunds = await stack.parts.store.refunds(booking.id)
    told_of = {
        "moved": "moved",
        "by_customer": "canceled",
        "by_owner": "canceled",
        "taken_back": "restored",
        "not_taken_back": "canceled.kept",
    }
    ever = "confirmed" in history or "rescued" in history
    told = [f"{booking.id}.{kind}" for kind in ("confirmed_customer", "confirmed_owner")]
    assert [f"<{name}@book.example>" in came for name in told] == [ever, ever]
    last = [told_of[what] for what in history if what in told_of]
    if last:
        for reader in ("customer", "owner"):
            kind, _, about = last[-1].partition(".")
            name = f"{booking.id}.{kind}_{reader}.{booking.revision}{about and '.'}{about}"
            assert f"<{name}@book.example>" in came
    for made in refunds:
        if made.status == "failed":
            for reader in ("customer", "owner"):
                name = f"{booking.id}.refund_failed_{reader}.{booking.revision}.{made.id}"
                assert f"<{name}@book.example>" in came
    told_not_moved = {message.split(".not_moved_customer.")[1] for message in came if ".not_moved_customer." in message}
    refused = {moved.id for moved in await all_moves(stack) if moved.state == "refused" and moved.payment_id}
    assert {name.partition("@")[0].split(".")[-1] for name in told_not_moved} == refused


def tag(held: Any) -> str:
    """Whose booking in Hapio it is: ours by its id, or somebody else's."""
    return str((held.metadata or {}).get("holdfast_id", ""))


async def rows(stack: Stack) -> list[Booking]:
    async with stack.parts.store.engine.connect() as connection:
        return [to_booking(row) for row in (await connection.execute(select_bookings())).mappings()]


async def all_moves(stack: Stack) -> list[Move]:
    async with stack.parts.store.engine.connect() as connection:
        return [to_move(row) for row in (await connection.execute(select_moves())).mappings()]


async def all_reservations(stack: Stack) -> list[Reservation]:
    async with stack.parts.store.engine.connect() as connection:
        return [to_reservation(row) for row in (await connection.execute(sa.select(reservations))).mappings()]
