"""Stored events: tried again, listed, replayed, and fetched where they never arrived."""

import argparse
import json
from datetime import timedelta
from typing import Any

import pytest

from app.cli.events import serve_events
from app.cli.options import add_events
from app.domain.booking import Booking, Status
from app.payments.events import EVENT_TYPES
from sandbox.hapio import Fault
from tests.support.stack import Stack

pytestmark = pytest.mark.both_databases


async def at_the_desk(stack: Stack, *words: str) -> tuple[int, Any]:
    """`python -m app events` with these words: its exit code and its JSON."""
    parser = argparse.ArgumentParser()
    add_events(parser)
    said: list[str] = []
    code = await serve_events(stack.parts, parser.parse_args([*words, "--json"]), said.append)
    return code, json.loads(said[0])["events"] if said else None


async def paid_while_hapio_is_down(stack: Stack) -> Booking:
    booking = await stack.hold()
    stack.hapio.faults.append(Fault("error_before", times=1000))
    await stack.paid(booking)
    assert await stack.status(booking) is Status.PAID
    return booking


async def test_a_short_failure_is_over_before_the_door_has_answered(stack: Stack) -> None:
    booking = await stack.hold()
    stack.hapio.faults.append(Fault("error_before", times=4, method="PATCH"))
    await stack.paid(booking)
    assert await stack.status(booking) is Status.CONFIRMED
    _code, events = await at_the_desk(stack, "list", "--booking", booking.id)
    assert all(event["processedAt"] and not event["error"] for event in events)
    assert max(event["tries"] for event in events) == 2


async def test_a_longer_one_is_tried_with_growing_pauses(stack: Stack) -> None:
    booking = await paid_while_hapio_is_down(stack)
    pauses = []
    for _ in range(12):
        stored = (await stack.parts.inbox.events(waiting=True, booking_id=booking.id))[-1]
        assert stored.next_try_at
        pauses.append((stored.next_try_at - stack.clock()).total_seconds())
        stack.clock.set(stored.next_try_at)
        await stack.parts.inbox.attempt(stored)
    assert pauses[-1] > 2 * pauses[0]
    assert max(pauses) <= 1.5 * 3600


async def test_what_waits_can_be_listed_and_replayed(stack: Stack) -> None:
    booking = await paid_while_hapio_is_down(stack)
    code, [event, *_others] = await at_the_desk(stack, "list", "--waiting")
    assert (code, event["bookingId"]) == (0, booking.id)
    assert event["error"]
    code, [event] = await at_the_desk(stack, "replay", event["id"])
    assert (code, event["processedAt"]) == (1, None)
    stack.hapio.faults.clear()
    stack.clock.advance(timedelta(minutes=1))
    code, events = await at_the_desk(stack, "replay", "--waiting")
    assert code == 0
    assert all(event["processedAt"] for event in events)
    assert await stack.status(booking) is Status.CONFIRMED
    assert (await at_the_desk(stack, "list", "--waiting"))[1] == []


async def test_replaying_what_is_done_changes_nothing(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.tick()
    before, mails = await stack.parts.bookings.view(booking.id), len(stack.mailbox.messages)
    for event in (await at_the_desk(stack, "list"))[1]:
        assert (await at_the_desk(stack, "replay", event["id"]))[0] == 0
    await stack.tick()
    assert await stack.parts.bookings.view(booking.id) == before
    assert len(stack.mailbox.messages) == mails


async def test_an_unknown_event_and_no_event_at_all_are_wrong_use(stack: Stack) -> None:
    assert (await at_the_desk(stack, "replay", "evt_unknown"))[0] == 2
    assert (await at_the_desk(stack, "replay"))[0] == 2


async def test_people_read_a_line_for_each_event(stack: Stack) -> None:
    booking = await paid_while_hapio_is_down(stack)
    parser = argparse.ArgumentParser()
    add_events(parser)
    said: list[str] = []
    await serve_events(stack.parts, parser.parse_args(["list"]), said.append)
    assert booking.id in said[0]
    assert "waiting (SchedulerDown" in said[0]
    assert "anna" not in said[0]


async def test_events_that_were_lost_in_an_outage_are_fetched_from_stripe(stack: Stack) -> None:
    booking = await stack.hold()
    stack.stripe.switches.lose = 10
    await stack.paid(booking)
    assert await stack.status(booking) is Status.AWAITING_PAYMENT
    assert await stack.parts.inbox.events() == []
    await stack.parts.inbox.fetch_missed()
    waiting = await stack.parts.inbox.events(waiting=True)
    assert {stored.event.type for stored in waiting} >= {"checkout.session.completed"}
    code, _events = await at_the_desk(stack, "replay", "--waiting")
    assert code == 0
    assert await stack.status(booking) is Status.CONFIRMED
    assert await stack.parts.inbox.fetch_missed() == 0


async def test_the_worker_fetches_after_a_restart_all_that_was_missed(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.tick()
    await stack.stop()
    await stack.stripe.pay(session_id)
    stack.clock.advance(timedelta(minutes=20))
    await stack.start()
    await stack.tick()
    assert await stack.status(booking) is Status.CONFIRMED
    assert "checkout.session.completed" in {stored.event.type for stored in await stack.parts.inbox.events()}


async def test_what_arrived_is_not_fetched_again(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    assert await stack.parts.inbox.events()
    assert await stack.parts.inbox.fetch_missed() == 0


def test_stripe_lists_so_many_kinds_of_events_at_once() -> None:
    assert len(EVENT_TYPES) <= 20
