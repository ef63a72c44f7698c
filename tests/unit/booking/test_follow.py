"""The owner works in Hapio's own pages: what is cancelled or moved there happens here, with its money and its mails."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from app.domain.booking import Actor, EndReason, Status
from app.errors import SchedulerError, StripeError
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.owner_calendar import booked, in_hapio, moved_in_hapio
from tests.support.stack import Crash, Doom, Stack, open_stack

PRICE = 120_000


def subjects(stack: Stack) -> list[tuple[str, str]]:
    return sorted((message.recipients[0], message.header("Subject")) for message in stack.mailbox.messages)


def writes(stack: Stack) -> list[str]:
    return [f"{call.method} {call.path}" for call in stack.hapio.calls if call.method != "GET"]


async def test_a_booking_canceled_in_hapio_is_canceled_here_and_all_its_money_goes_back(stack: Stack) -> None:
    booking = await booked(stack)
    await in_hapio(stack, booking, is_canceled=True)
    followed = await stack.parts.follow.booking(booking.id)
    assert (followed.status, followed.end_reason, followed.reservation.occupies) == (
        Status.CANCELED,
        EndReason.BY_OWNER,
        False,
    )
    assert stack.money_kept() == 0
    await stack.tick()
    assert [to for to, _subject in subjects(stack)] == ["anna@customer.example", "owner@studio.example"]
    assert writes(stack) == []


async def test_a_booking_deleted_in_hapio_counts_as_canceled(stack: Stack) -> None:
    booking = await booked(stack)
    await in_hapio(stack, booking)
    followed = await stack.parts.follow.booking(booking.id)
    assert (followed.status, followed.reservation.reference) == (Status.CANCELED, None)
    assert stack.money_kept() == 0
    await stack.until_quiet()
    assert writes(stack) == []


async def test_a_cancellation_in_hapio_does_not_wait_for_what_stripe_refuses_to_say(stack: Stack) -> None:
    booking = await booked(stack)
    await in_hapio(stack, booking, is_canceled=True)
    stack.stripe.faults.append(StripeFault("refuse", method="GET", path="/v1/refunds", status=403, times=None))
    assert (await stack.parts.follow.booking(booking.id)).status is Status.CANCELED


async def test_a_cancellation_in_hapio_waits_for_a_silent_stripe_only_shortly_after_the_start(stack: Stack) -> None:
    """Right after a restore Stripe may know that the customer had cancelled, and what was kept."""
    booking = await booked(stack)
    await in_hapio(stack, booking, is_canceled=True)
    stack.stripe.faults.append(StripeFault("error_before", times=None))
    with pytest.raises(StripeError):
        await stack.parts.follow.booking(booking.id)
    stack.clock.advance(timedelta(hours=7))
    assert (await stack.parts.follow.booking(booking.id)).status is Status.CANCELED
    await stack.tick()
    assert ("anna@customer.example", "Cancelled") in [
        (to, subject.partition(":")[0]) for to, subject in subjects(stack)
    ]


async def test_a_free_booking_canceled_in_hapio_is_canceled_without_money(stack: Stack) -> None:
    booking = await booked(stack, service="planning")
    await in_hapio(stack, booking, is_canceled=True)
    assert (await stack.parts.follow.booking(booking.id)).status is Status.CANCELED
    assert await stack.parts.store.refunds(booking.id) == []


async def test_the_customer_cannot_take_back_what_the_owner_has_canceled(stack: Stack) -> None:
    booking = await booked(stack)
    await in_hapio(stack, booking, is_canceled=True)
    await stack.parts.follow.booking(booking.id)
    view = await stack.parts.bookings.view(booking.id)
    assert stack.parts.policy.of(view).undo_until is None


async def test_a_booking_moved_in_hapio_has_its_new_time_and_both_are_told(stack: Stack) -> None:
    booking = await booked(stack)
    to = await stack.free_slot(nth=60)
    await moved_in_hapio(stack, booking, to)
    moved = await stack.parts.follow.booking(booking.id)
    assert (moved.starts_at, moved.status, moved.revision) == (to, Status.CONFIRMED, booking.revision + 1)
    assert moved.terms == booking.terms
    assert stack.money_kept() == PRICE
    await stack.tick()
    assert [to for to, _subject in subjects(stack)] == ["anna@customer.example", "owner@studio.example"]
    assert writes(stack) == []
    history = (await stack.parts.bookings.view(booking.id)).history
    assert (history[-1].what, history[-1].detail["by"]) == ("moved", "by_owner")


async def test_a_booking_given_to_another_person_in_hapio_names_that_person(stack: Stack) -> None:
    booking = await booked(stack)
    widget = stack.parts.widgets["studio"]
    service = await stack.parts.availability.service(widget, booking.service_id)
    other = next(resource for resource in service.resources if resource.id != booking.resource_id)
    await in_hapio(stack, booking, resource_id=other.id)
    moved = await stack.parts.follow.booking(booking.id)
    assert (moved.resource_id, moved.resource_name) == (other.id, other.name)
    assert moved.starts_at == booking.starts_at


async def test_the_old_time_is_offered_again_and_the_new_one_is_not(stack: Stack) -> None:
    booking = await booked(stack)
    widget = stack.parts.widgets["studio"]
    service = await stack.parts.availability.service(widget, booking.service_id)
    to = await stack.free_slot(nth=60)
    await moved_in_hapio(stack, booking, to)
    await stack.parts.follow.booking(booking.id)
    left = await stack.parts.availability.find_slot(widget, service, booking.starts_at)
    assert left
    assert booking.resource_id in left.resource_ids
    taken = await stack.parts.availability.find_slot(widget, service, to)
    assert taken is None or booking.resource_id not in taken.resource_ids


async def test_what_was_followed_once_is_not_followed_again(stack: Stack) -> None:
    booking = await booked(stack)
    await moved_in_hapio(stack, booking, await stack.free_slot(nth=60))
    first = await stack.parts.follow.booking(booking.id)
    assert await stack.parts.follow.booking(booking.id) == first
    await stack.tick()
    assert len(stack.mailbox.messages) == 2


async def test_five_hints_at_once_are_one_change(stack: Stack) -> None:
    booking = await booked(stack)
    await in_hapio(stack, booking, is_canceled=True)
    async with anyio.create_task_group() as hints:
        for _ in range(5):
            hints.start_soon(stack.parts.follow.booking, booking.id)
    await stack.tick()
    assert len(stack.mailbox.messages) == 2
    assert stack.money_kept() == 0


async def test_moved_by_its_owner_after_its_customer_had_moved_it_both_moves_are_told_as_they_were(
    stack: Stack,
) -> None:
    booking = await booked(stack)
    moving = await stack.move(booking, await stack.free_slot(nth=60))
    first = moving.booking.starts_at
    later = first + timedelta(days=7)
    await moved_in_hapio(stack, moving.booking, later)
    followed = await stack.parts.follow.booking(booking.id)
    assert followed.starts_at == later
    done = await stack.parts.store.move(moving.move.id)
    assert done
    left = await stack.parts.store.reservation(done.from_reservation_id)
    assert left
    assert (left.starts_at, done.starts_at) == (booking.starts_at, first)
    assert (done.reservation.occupies, done.reservation.reference, done.reservation.due) == (False, None, None)


async def test_a_change_of_the_customers_own_in_between_is_not_overwritten(stack: Stack) -> None:
    booking = await booked(stack)
    elsewhere = booking.elsewhere(starts_at=booking.starts_at + timedelta(days=7))
    old = replace(elsewhere, revision=booking.revision + 1)
    await stack.parts.reschedule.booking(booking.id, starts_at=await stack.free_slot(nth=60), by=Actor.CUSTOMER)
    moved = await stack.parts.bookings.get(booking.id)
    assert await stack.parts.store.take_time(booking, old, mails=()) is None
    assert await stack.parts.bookings.get(booking.id) == moved


async def test_nothing_changed_means_one_read_and_nothing_else(stack: Stack) -> None:
    booking = await booked(stack)
    assert await stack.parts.follow.booking(booking.id) == booking
    assert len(stack.hapio.calls) == 1


async def test_a_visit_that_is_over_gives_nothing_back_when_its_entry_is_tidied_away(stack: Stack) -> None:
    booking = await booked(stack)
    stack.clock.set(booking.ends_at + timedelta(days=1))
    await in_hapio(stack, booking)
    assert (await stack.parts.follow.booking(booking.id)).status is Status.CONFIRMED
    assert stack.money_kept() == PRICE


async def test_with_another_projects_token_nobodys_money_goes_back(stack: Stack) -> None:
    booking = await booked(stack)
    for table in (stack.hapio.state.bookings, stack.hapio.state.locations):
        table.clear()
    with pytest.raises(SchedulerError):
        await stack.parts.follow.booking(booking.id)
    assert await stack.status(booking) is Status.CONFIRMED


async def test_without_an_answer_from_hapio_nothing_is_believed(stack: Stack) -> None:
    booking = await booked(stack)
    await in_hapio(stack, booking)
    stack.hapio.faults.append(Fault("drop_before", times=9))
    with pytest.raises(SchedulerError):
        await stack.parts.follow.booking(booking.id)
    assert await stack.status(booking) is Status.CONFIRMED


@pytest.fixture
async def movable(tmp_path: Path) -> AsyncIterator[Stack]:
    """Customers may move to a service that costs more."""
    async with open_stack(tmp_path, widget="[studio.reschedule]\nother_service = true\n") as stack:
        yield stack


async def test_an_unpaid_move_ends_when_the_owner_cancels_in_hapio(movable: Stack) -> None:
    stack = movable
    booking = await booked(stack, service="headshot")
    waiting = await stack.parts.reschedule.booking(
        booking.id,
        starts_at=await stack.free_slot("portrait", 60),
        service_id=stack.portrait_id,
        by=Actor.CUSTOMER,
    )
    assert waiting.checkout_url
    await in_hapio(stack, booking, is_canceled=True)
    assert (await stack.parts.follow.booking(booking.id)).status is Status.CANCELED
    await stack.until_quiet()
    assert stack.money_kept() == 0
    assert stack.hapio_bookings() == []


# Without webhooks


async def test_without_webhooks_a_cancellation_in_hapio_is_found_within_hours(stack: Stack) -> None:
    booking = await booked(stack)
    await in_hapio(stack, booking, is_canceled=True)
    await stack.tick(after=timedelta(hours=6))
    assert await stack.status(booking) is Status.CANCELED
    assert stack.money_kept() == 0


async def test_without_webhooks_a_deletion_in_hapio_is_missed_within_a_day(stack: Stack) -> None:
    booking = await booked(stack)
    await in_hapio(stack, booking)
    for _ in range(5):
        await stack.tick(after=timedelta(hours=6))
    assert await stack.status(booking) is Status.CANCELED
    assert stack.money_kept() == 0


async def test_bookings_of_other_programs_are_left_alone(stack: Stack) -> None:
    booking = await booked(stack)
    made = await stack.book_elsewhere(await stack.free_slot(nth=60))
    async with stack.hapio_api() as api:
        (await api.patch(f"/bookings/{made[0]}", json={"is_canceled": True})).raise_for_status()
    for _ in range(5):
        await stack.tick(after=timedelta(hours=6))
    assert await stack.status(booking) is Status.CONFIRMED
    assert len(stack.mailbox.messages) <= 1  # the reminder


async def test_looking_costs_a_small_share_of_the_months_calls_and_a_restart_none(stack: Stack) -> None:
    await booked(stack, 90)
    for _ in range(4):
        for _ in range(24):
            await stack.tick(after=timedelta(hours=1))
        await stack.restart()
        await stack.tick()
    lists = [call for call in stack.hapio.calls if call.method == "GET" and call.path.endswith("/bookings")]
    looks = [call for call in lists if "temporary=exclude" in call.query]
    assert 4 <= len(looks) <= 4 * 5
    assert len(looks) * 30 / 4 < 0.07 * 2500


async def test_a_crash_after_any_effect_of_following_ends_well(tmp_path: Path) -> None:
    for at in range(1, 40):
        folder = tmp_path / str(at)
        folder.mkdir()
        doom = Doom()
        async with open_stack(folder, doom=doom) as stack:
            booking = await booked(stack)
            await in_hapio(stack, booking, is_canceled=True)
            doom.at = doom.effects + at
            try:
                await stack.tick(after=timedelta(hours=6), times=2)
            except Crash:
                await stack.restart()
            doom.at = 0
            await stack.tick(after=timedelta(hours=1), times=3)
            assert await stack.status(booking) is Status.CANCELED
            assert stack.money_kept() == 0
            kinds = [subject for to, subject in subjects(stack) if to.startswith("anna")]
            assert len(set(kinds)) == 1
            if doom.effects < at:
                return
