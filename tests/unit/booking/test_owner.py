"""What owners do outside the terms, and what is mailed around a visit: no-shows, goodwill, new links, reminders."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import Actor, Booking, Customer, EndReason, Status
from app.domain.money import Money
from app.errors import BookingConflict, InvalidRequest, LinkExpired, LinkRefused, NotBegun, NotFound
from tests.support.stack import Stack, open_stack

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
ANNA, OWNER = "anna@customer.example", "owner@studio.example"


# -- no-show -----------------------------------------------------------------------------------------------


async def test_a_no_show_is_noted_from_the_start_on_and_can_be_undone(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - SECOND)
    with pytest.raises(NotBegun):
        await stack.parts.corrections.mark_no_show(booking.id, no_show=True)
    stack.clock.set(booking.starts_at)
    assert (await stack.parts.corrections.mark_no_show(booking.id, no_show=True)).no_show
    assert (await stack.parts.corrections.mark_no_show(booking.id, no_show=True)).no_show
    assert not (await stack.parts.corrections.mark_no_show(booking.id, no_show=False)).no_show
    assert (await stack.history(booking))[-2:] == ["no_show", "came_after_all"]


async def test_a_canceled_booking_is_no_no_show(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.clock.set(booking.starts_at)
    with pytest.raises(BookingConflict):
        await stack.parts.corrections.mark_no_show(booking.id, no_show=True)


async def test_a_visit_is_over_when_it_has_ended_as_booked(stack: Stack) -> None:
    booking = await stack.confirmed()
    assert not booking.over(booking.ends_at - SECOND)
    assert booking.over(booking.ends_at)
    assert not (await stack.cancel(booking)).over(booking.ends_at)


# -- goodwill ----------------------------------------------------------------------------------------------


async def test_the_owner_refunds_a_part_and_the_booking_stands(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    [refund] = await stack.parts.owner_refunds.give_back(booking.id, Money(20000, "sek"))
    assert (refund.amount, refund.reason) == (Money(20000, "sek"), EndReason.GOODWILL)
    assert stack.money_kept() == 100000
    assert await stack.status(booking) is Status.CONFIRMED
    [told] = await stack.mail(ANNA)
    assert told.startswith("Refunded:")


async def test_the_owner_refunds_all_that_is_left_and_then_nothing_more(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.parts.owner_refunds.give_back(booking.id, Money(20000, "sek"))
    [refund] = await stack.parts.owner_refunds.give_back(booking.id, None)
    assert refund.amount == Money(100000, "sek")
    assert stack.money_kept() == 0
    await stack.mail(ANNA)
    assert await stack.parts.owner_refunds.give_back(booking.id, None) == []
    assert await stack.parts.owner_refunds.give_back(booking.id, Money(1, "sek")) == []
    assert await stack.mail(ANNA) == []
    assert stack.money_kept() == 0


async def test_goodwill_gives_no_more_than_is_left(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.parts.owner_refunds.give_back(booking.id, Money(999999, "sek"))
    assert stack.money_kept() == 0


@pytest.mark.parametrize("amount", [Money(0, "sek"), Money(-1, "sek"), Money(100, "eur")])
async def test_an_amount_that_makes_no_sense_is_refused(stack: Stack, amount: Money) -> None:
    booking = await stack.confirmed()
    with pytest.raises(InvalidRequest):
        await stack.parts.owner_refunds.give_back(booking.id, amount)
    assert stack.money_kept() == 120000


async def test_goodwill_is_given_after_the_visit_too(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.tick(after=10 * DAY)
    await stack.parts.owner_refunds.give_back(booking.id, Money(60000, "sek"))
    assert stack.money_kept() == 60000


async def test_goodwill_is_given_on_top_of_what_a_cancellation_gave(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - 3 * HOUR)
    await stack.cancel(booking)
    await stack.parts.owner_refunds.give_back(booking.id, None)
    await stack.until_quiet()
    assert stack.money_kept() == 0
    assert await stack.status(booking) is Status.CANCELED


async def test_goodwill_given_before_is_not_given_again_by_a_cancellation(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.parts.owner_refunds.give_back(booking.id, Money(100000, "sek"))
    allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
    assert allowed.refund == Money(20000, "sek")
    await stack.cancel(booking)
    await stack.until_quiet()
    assert stack.money_kept() == 0


async def test_the_same_goodwill_twice_is_two_refunds(stack: Stack) -> None:
    booking = await stack.confirmed()
    for _ in range(2):
        await stack.parts.owner_refunds.give_back(booking.id, Money(10000, "sek"))
    assert stack.money_kept() == 100000


async def test_a_free_booking_has_nothing_to_give_back(stack: Stack) -> None:
    booking = await stack.confirmed(service="planning")
    assert await stack.parts.owner_refunds.give_back(booking.id, None) == []


async def test_what_the_owner_refunded_before_is_not_refunded_again_by_a_cancellation(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(5))
    await stack.parts.owner_refunds.give_back(booking.id, Money(50000, "sek"))
    stack.clock.set(booking.starts_at - 23 * HOUR)  # half of 1,200 goes back
    allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
    quoted = await stack.parts.cancel.quote(booking.id, by=Actor.CUSTOMER)
    assert allowed.refund == quoted == Money(10000, "sek")
    await stack.cancel(booking)
    await stack.until_quiet()
    assert stack.money_kept() == 60000


async def test_a_customer_refunded_beyond_the_terms_keeps_it_and_gets_no_more(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(5))
    await stack.parts.owner_refunds.give_back(booking.id, Money(70000, "sek"))
    stack.clock.set(booking.starts_at - 23 * HOUR)
    token = stack.parts.links.manage_token(booking.id, booking.link_version)
    assert "You would get no further refund." in (await stack.client.get(f"/manage/{token}")).text
    await stack.cancel(booking)
    await stack.until_quiet()
    assert stack.money_kept() == 50000


async def test_what_came_back_because_a_move_was_cheaper_is_not_taken_off_the_terms(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { other_service = true }") as stack:
        booking = await stack.confirmed(await stack.in_days(5))
        await stack.move(booking, await stack.in_days(6, "headshot"), service="headshot")
        moved = await stack.now(booking)
        stack.clock.set(moved.starts_at - 23 * HOUR)  # half of 650 goes back
        quoted = await stack.parts.cancel.quote(booking.id, by=Actor.CUSTOMER)
        assert quoted == Money(32500, "sek")


async def test_the_owners_cancellation_refunds_all_that_is_left_whatever_was_refunded_before(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.parts.owner_refunds.give_back(booking.id, Money(50000, "sek"))
    assert await stack.parts.cancel.quote(booking.id, by=Actor.OWNER) == Money(70000, "sek")


# -- links -------------------------------------------------------------------------------------------------


def link(stack: Stack, booking: Booking) -> str:
    """The manage link that would be mailed now."""
    return stack.parts.links.manage_token(booking.id, booking.link_version)


async def mailed_link(stack: Stack) -> str:
    """The manage link in Anna's newest mail."""
    await stack.parts.worker.tick()
    newest = [message for message in stack.mailbox.messages if ANNA in message.recipients][-1]
    found = re.search(r"/manage/([\w.~-]+)", newest.text or "")
    assert found
    return found[1]


async def test_a_fresh_link_opens_the_booking_and_retires_the_old_one(stack: Stack) -> None:
    booking = await stack.confirmed()
    old = await mailed_link(stack)
    assert (await stack.parts.manage_links.open(old)).id == booking.id
    await stack.parts.manage_links.resend(old)
    fresh = await mailed_link(stack)
    assert fresh != old
    assert (await stack.parts.manage_links.open(fresh)).id == booking.id
    with pytest.raises(LinkRefused):
        await stack.parts.manage_links.open(old)


async def test_an_old_link_may_ask_for_the_newest_again_after_a_pause(stack: Stack) -> None:
    booking = await stack.confirmed()
    old = await mailed_link(stack)
    for _ in range(5):
        await stack.parts.manage_links.resend(old)
    assert (await stack.now(booking)).link_version == 1
    stack.clock.advance(6 * MINUTE)
    await stack.parts.manage_links.resend(old)
    assert (await stack.now(booking)).link_version == 2
    assert (await stack.parts.manage_links.open(await mailed_link(stack))).id == booking.id


async def test_a_fresh_link_is_mailed_as_soon_as_ever_although_the_clock_was_set_back(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(OWNER)
    await stack.parts.manage_links.resend(link(stack, booking))
    await stack.mail(ANNA)
    stack.clock.advance(-HOUR)
    for _ in range(2):
        await stack.parts.manage_links.resend(link(stack, booking))
    [subject] = await stack.mail(ANNA)
    assert subject.startswith("New link:")


async def test_the_fresh_link_goes_to_the_address_on_the_booking_alone(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    await stack.parts.manage_links.resend(link(stack, booking))
    [subject] = await stack.mail(ANNA)
    assert subject.startswith("New link:")
    assert stack.mailbox.messages == []


async def test_who_asks_by_address_gets_one_mail_with_links_to_her_bookings_and_nobody_elses(
    stack: Stack,
) -> None:
    first, second = await stack.confirmed(), await stack.confirmed(service="planning")
    other = await stack.confirmed(customer=Customer(name="Bo Ek", email="bo@customer.example"))
    for address in (ANNA, OWNER, "bo@customer.example"):
        await stack.mail(address)
    await stack.parts.manage_links.resend_all("ANNA@customer.example")
    await stack.parts.worker.tick()
    [message] = stack.mailbox.messages
    assert message.recipients == (ANNA,)
    for booking in (first, second):
        await stack.parts.manage_links.open(stack.parts.links.manage_token(booking.id, 1))
    assert stack.parts.links.manage_token(other.id, 1) not in (message.text or "")
    assert [(await stack.now(booking)).link_version for booking in (first, second, other)] == [1, 1, 0]


async def test_that_mail_has_links_to_what_she_booked_with_her_address_in_capitals_too(stack: Stack) -> None:
    await stack.confirmed()
    await stack.confirmed(service="planning")
    shouted = await stack.confirmed(customer=Customer(name="Anna Ek", email="Anna@Customer.EXAMPLE"))
    for address in (ANNA, OWNER, "Anna@Customer.EXAMPLE"):
        await stack.mail(address)
    await stack.parts.manage_links.resend_all(ANNA)
    await stack.parts.worker.tick()
    [message] = stack.mailbox.messages
    assert stack.parts.links.manage_token(shouted.id, 1) in (message.text or "")


async def test_who_asks_by_an_unknown_address_is_answered_alike(stack: Stack) -> None:
    await stack.parts.manage_links.resend_all("nobody@customer.example")
    await stack.parts.worker.tick()
    assert stack.mailbox.messages == []


async def test_a_link_that_was_never_ours_is_not_answered_by_mail(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    with pytest.raises(LinkRefused):
        await stack.parts.manage_links.resend("made.up")
    with pytest.raises(LinkRefused):
        await stack.parts.manage_links.resend(stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at))
    assert await stack.mail(ANNA) == []


async def test_a_link_to_nothing_is_answered_like_any_other(stack: Stack) -> None:
    nothing = stack.parts.links.manage_token("bk_nothing", 0)
    await stack.parts.manage_links.resend(nothing)
    with pytest.raises(NotFound):
        await stack.parts.manage_links.open(nothing)


async def test_a_link_lives_for_a_month_after_the_visit_wherever_that_moves(stack: Stack) -> None:
    booking = await stack.confirmed()
    token = link(stack, booking)
    moved = (await stack.move(booking, await stack.in_days(20))).booking
    stack.clock.set(booking.ends_at + 31 * DAY)
    assert (await stack.parts.manage_links.open(token)).starts_at == moved.starts_at
    stack.clock.set(moved.ends_at + 30 * DAY)
    with pytest.raises(LinkExpired):
        await stack.parts.manage_links.open(token)
    await stack.parts.manage_links.resend(token)
    assert (await stack.now(booking)).link_version == 0


# -- reminders ---------------------------------------------------------------------------------------------


async def reminders(stack: Stack) -> list[str]:
    """The reminders that Anna has got since the last look."""
    return [subject for subject in await stack.mail(ANNA) if subject.startswith("Reminder:")]


async def test_a_day_before_the_visit_the_customer_is_reminded_once(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at - 24 * HOUR - SECOND)
    assert await reminders(stack) == []
    stack.clock.set(booking.starts_at - 24 * HOUR)
    assert len(await reminders(stack)) == 1
    stack.clock.set(booking.ends_at + DAY)
    assert await reminders(stack) == []


async def test_the_widget_says_how_long_before(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reminder_hours = 2") as stack:
        booking = await stack.confirmed()
        stack.clock.set(booking.starts_at - 3 * HOUR)
        assert await reminders(stack) == []
        stack.clock.set(booking.starts_at - 2 * HOUR)
        assert len(await reminders(stack)) == 1


async def test_with_no_hours_there_is_no_reminder(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reminder_hours = 0") as stack:
        booking = await stack.confirmed()
        stack.clock.set(booking.starts_at - MINUTE)
        assert await reminders(stack) == []


async def test_who_books_at_short_notice_is_not_reminded(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.free_slot())
    assert booking.starts_at - stack.clock() < 24 * HOUR
    stack.clock.set(booking.starts_at - MINUTE)
    assert await reminders(stack) == []


async def test_a_canceled_visit_is_not_reminded_of(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.clock.set(booking.starts_at - 24 * HOUR)
    assert await reminders(stack) == []


async def test_a_past_visit_is_not_reminded_of_by_a_worker_that_was_away(stack: Stack) -> None:
    booking = await stack.confirmed()
    stack.clock.set(booking.starts_at + MINUTE)
    assert await reminders(stack) == []


async def test_a_reminder_moves_with_the_booking(stack: Stack) -> None:
    booking = await stack.confirmed()
    moved = (await stack.move(booking, await stack.in_days(6))).booking
    stack.clock.set(booking.starts_at - 24 * HOUR)
    assert await reminders(stack) == []
    stack.clock.set(moved.starts_at - 24 * HOUR)
    assert len(await reminders(stack)) == 1


async def test_a_visit_that_was_cancelled_and_restored_is_reminded_of_once(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    await stack.parts.cancel.undo(booking.id)
    stack.clock.set(booking.starts_at - 24 * HOUR)
    assert len(await reminders(stack)) == 1


# -- finding -----------------------------------------------------------------------------------------------


async def test_the_owner_finds_bookings_by_address_status_and_day(stack: Stack) -> None:
    early, late = await stack.confirmed(), await stack.confirmed(await stack.in_days(8))
    bo = await stack.confirmed(service="planning", customer=Customer(name="Bo Ek", email="Bo@Customer.example"))
    await stack.cancel(late)
    find = stack.parts.bookings.find
    assert [found.id for found in await find(email="bo@customer.EXAMPLE")] == [bo.id]
    assert [found.id for found in await find(statuses=[Status.CANCELED])] == [late.id]
    assert [found.id for found in await find(starts_from=early.starts_at + DAY)] == [late.id]
    assert {found.id for found in await find(starts_to=early.starts_at + DAY)} == {early.id, bo.id}
    assert len(await find(most=2)) == 2
