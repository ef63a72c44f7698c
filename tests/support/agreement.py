"""What must be true at the end of every story: payments, times, rows and mails agree."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Booking, EndReason, Status
from app.domain.move import Move
from app.domain.reservation import Reservation
from app.store.rows import to_reservation
from app.store.tables import reservations
from tests.support.rows import all_moves, rows
from tests.support.stack import Stack


async def let_it_rest(stack: Stack) -> None:
    """As `Stack.until_quiet`, in fewer and longer steps; and until nothing is to be chosen any more."""
    for _ in range(4):
        await stack.tick(after=timedelta(minutes=25))
        await stack.stripe.deliver_due()
    if any(booking.status is Status.OFFERED for booking in await rows(stack)):
        await stack.tick(after=timedelta(days=1), times=2)
    if stack.side.name == "calcom":  # a reservation whose answer was lost ends by itself, within two and a half hours
        await stack.tick(after=timedelta(hours=1))


async def assert_agreement(stack: Stack) -> None:
    """Section 2 of the design: every captured payment has its confirmed booking or its refund, by the terms; every lock
    has its end; and who was promised something is told."""
    all_bookings = await rows(stack)
    for booking in all_bookings:
        assert booking.status in {Status.CONFIRMED, Status.EXPIRED, Status.CANCELED}
        assert booking.reservation.occupies is (booking.status is Status.CONFIRMED)
        assert not booking.reservation.unsure
        await assert_money_follows_the_terms(stack, booking)
        await assert_told(stack, booking)
    for moved in await all_moves(stack):
        assert moved.state in {"done", "refused", "expired"}
    await assert_nothing_is_due_to_the_scheduler(stack)
    confirmed = [one for one in all_bookings if one.status is Status.CONFIRMED]
    there = [(one.tag, one.reference, one.starts_at) for one in stack.side.booked() if one.tag]
    assert sorted(there) == sorted((one.id, one.reservation.reference or "", one.starts_at) for one in confirmed)
    assert stack.side.locks() == 0
    assert stack.money_held() == 0
    if stack.side.name == "hapio":
        await assert_hapio_keeps_what_was_called_off(stack)


async def assert_hapio_keeps_what_was_called_off(stack: Stack) -> None:
    """Of each booking Hapio has what it has confirmed, or what was cancelled after that, for its history."""
    in_hapio = [held for held in stack.hapio.state.bookings.values() if tag(held)]
    for booking in await rows(stack):
        called_off = booking.status is Status.CANCELED and booking.canceled_at is not None
        kept = [held for held in in_hapio if held.id == booking.reservation.reference]
        assert [held.is_canceled for held in kept] == (
            [False] if booking.status is Status.CONFIRMED else [True] if called_off else []
        )
        ended = await moves_ended_by_cancelling(stack, booking)
        for held in kept:
            # A call that moves it may land after it was cancelled: then what is cancelled there is the new time.
            there = (held.service_id, held.resource_id, held.starts_at, held.ends_at)
            assert there in [booked_as(booking), *(booked_as(one) for one in ended if held.is_canceled)]


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
    """What was taken for the booking, by Stripe or in person, and given back is what its terms say, and our rows know
    each movement. What the owner has yet to give back by hand counts as refunded."""
    captured = sum(intent["amount_received"] for intent in intents_of(stack, booking))
    in_person = {one.id: one for one in await stack.parts.store.payments(booking.id) if one.in_person}
    captured += sum(payment.captured for payment in in_person.values())
    at_stripe = {
        made["id"]: made
        for made in stack.stripe.state.refunds.values()
        if made["payment_intent"] in {intent["id"] for intent in intents_of(stack, booking)}
    }
    ours = await stack.parts.store.refunds(booking.id)
    assert {made.stripe_refund_id: made.status for made in ours if made.stripe_refund_id} == {
        ident: made["status"] for ident, made in at_stripe.items()
    }
    by_hand = [made for made in ours if made.payment_id in in_person]
    assert {(made.status, made.problem) for made in by_hand} <= {("requested", "in person")}
    assert {made.status for made in ours if made not in by_hand} <= {"succeeded", "withdrawn", "failed"}
    assert all(made.next_try_at is None for made in ours)
    failed = sum(made["amount"] for made in at_stripe.values() if made["status"] == "failed")
    returned = sum(made["amount"] for made in at_stripe.values()) - failed
    returned += sum(made.amount.amount for made in by_hand)
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
    kinds = {tuple(name.strip("<>").partition("@")[0].split(".")[:2]) for name in came}
    told = [(booking.id, kind) for kind in ("confirmed_customer", "confirmed_owner")]
    assert [name in kinds for name in told] == [ever, ever]
    if booking.end_reason is EndReason.NOT_CHOSEN:
        assert {(booking.id, kind) for kind in ("offered_customer", "offered_owner")} <= kinds
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
    """Whose booking in Hapio it is: ours by its id, or someone else's."""
    return str((held.metadata or {}).get("holdfast_id", ""))


async def all_reservations(stack: Stack) -> list[Reservation]:
    async with stack.parts.store.engine.connect() as connection:
        return [to_reservation(row) for row in (await connection.execute(sa.select(reservations))).mappings()]
