"""The owner books for someone: on the phone, or for who stands there."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from app.booking.book_for import DeskOrder
from app.domain.booking import Actor, Booking, Channel, Customer, Status
from app.domain.history import HistoryWord
from app.domain.money import Money
from app.domain.payment import PaymentMethod, Pays
from app.errors import BookingConflict, InvalidDetails, NotOffered, SlotTaken
from sandbox.hapio.state import ALL_ABILITIES
from tests.support.desk import NORA, PHONE, booked, order
from tests.support.stack import Stack, open_stack, session_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WALK_IN = Customer(name="Åsa Lind", email="", phone="+46701234567")


@pytest.mark.parametrize(
    ("changes", "words", "paid", "price"),
    [
        ({"pays": Pays.CASH}, ["taken_in_person"], [(PaymentMethod.CASH, 120000)], 120000),
        (
            {"pays": Pays.CARD_TERMINAL, "paid": Money(50000, "sek")},
            ["taken_in_person"],
            [(PaymentMethod.CARD_TERMINAL, 50000)],
            120000,
        ),
        ({"pays": Pays.AT_VISIT}, ["pays_at_visit"], [], 120000),
        ({"pays": Pays.NO_CHARGE}, ["no_charge"], [], 0),
        ({"pays": Pays.CASH, "service": "planning"}, ["nothing_due"], [], 0),
    ],
    ids=["cash", "a part by card terminal", "at the visit", "no charge", "a free service"],
)
async def test_what_is_paid_at_the_desk_is_confirmed_at_once_without_stripe(
    stack: Stack, changes: dict[str, Any], words: list[str], paid: list[tuple[PaymentMethod, int]], price: int
) -> None:
    booking = await booked(stack, customer=WALK_IN, **changes)
    view = await stack.parts.bookings.view(booking.id)
    assert (booking.status, booking.channel, booking.terms.price.amount) == (Status.CONFIRMED, Channel.DESK, price)
    assert [entry.what for entry in view.history] == ["booked_at_desk", *words, "confirmed"]
    assert view.history[0].detail["who"] == NORA
    assert [(payment.method, payment.captured) for payment in view.payments] == paid
    assert not stack.stripe.state.sessions
    [in_hapio] = stack.hapio_bookings()
    assert not in_hapio.is_temporary
    assert await stack.mail("") == []  # who has no address is not mailed
    assert not await stack.parts.store.bookings_without_money()
    stack.clock.advance(HOUR)
    assert not await stack.parts.store.bookings_without_money()


async def test_a_booking_at_the_desk_is_found_mailed_and_told_as_every_other(stack: Stack) -> None:
    starts_at = await stack.in_days(3)
    booking = await booked(stack, starts_at)
    nameless = await booked(stack, await stack.in_days(4), customer=WALK_IN)
    found = await stack.parts.bookings.find()
    assert [one.id for one in found] == [booking.id, nameless.id]
    assert await stack.mail(PHONE.email) == ["Confirmed: Portrait session, Thu 26 Nov 09:00"]
    assert len(await stack.mail("owner@studio.example")) == 2
    with pytest.raises(SlotTaken):
        await stack.hold(starts_at, resource_id=booking.resource_id)


async def test_two_clicks_at_the_desk_are_one_booking_in_whichever_process(stack: Stack) -> None:
    asked = await order(stack)
    async with anyio.create_task_group() as clicks:
        for _ in range(3):
            clicks.start_soon(stack.parts.book_for.book, asked)
    await stack.restart()  # another process, with locks of its own
    again = await stack.parts.book_for.book(replace(asked, widget=stack.parts.widgets["studio"]))
    assert again.status is Status.CONFIRMED
    assert len(stack.hapio_bookings()) == 1
    assert len((await stack.parts.bookings.view(again.id)).payments) == 1


async def test_a_form_books_once_even_past_the_locks_of_one_process(stack: Stack) -> None:
    """The database's last word: another person would be free, so the slot guard alone would let the second one in."""
    first = await booked(stack)
    taken = replace(
        first,
        id="bk_00000000000000000000",
        reservation=replace(
            first.reservation, id="bk_00000000000000000000", booking_id="bk_00000000000000000000", resource_id="another"
        ),
    )
    assert not await stack.parts.store.insert_hold(taken, capacity=1)
    other_form = replace(taken, visitor=replace(taken.visitor, key="desk another"))
    assert await stack.parts.store.insert_hold(other_form, capacity=1)


async def test_of_two_desks_at_one_time_one_wins_and_the_other_is_offered_the_nearest(stack: Stack) -> None:
    starts_at = await stack.in_days(3)
    [person] = (await stack.parts.availability.service(stack.parts.widgets["studio"], stack.portrait_id)).resources[:1]
    asked = [await order(stack, starts_at, resource_id=person.id) for _ in range(2)]
    won, lost = [], []

    async def book(one: DeskOrder) -> None:
        try:
            won.append(await stack.parts.book_for.book(one))
        except SlotTaken as error:
            lost.append(error)

    async with anyio.create_task_group() as desks:
        for one in asked:
            desks.start_soon(book, one)
    assert (len(won), len(lost)) == (1, 1)
    assert lost[0].nearest


async def test_a_time_that_is_not_offered_is_booked_where_the_owner_says_so_and_nobody_has_it(stack: Stack) -> None:
    service = await stack.parts.availability.service(stack.parts.widgets["studio"], stack.portrait_id)
    person = service.resources[0]
    night = (await stack.in_days(3)).replace(hour=2, minute=7)
    late = stack.clock() + timedelta(days=300)
    for starts_at in (night, late):
        with pytest.raises(NotOffered):
            await booked(stack, starts_at, resource_id=person.id)
        with pytest.raises(InvalidDetails):
            await booked(stack, starts_at, any_time=True)
        booking = await booked(stack, starts_at, resource_id=person.id, any_time=True)
        assert (booking.status, booking.starts_at) == (Status.CONFIRMED, starts_at)
        with pytest.raises(SlotTaken):
            await booked(stack, starts_at + timedelta(minutes=20), resource_id=person.id, any_time=True)
    stack.hapio.state.tokens[stack.hapio.token] = ALL_ABILITIES - {"booking:ignore_schedule"}
    with pytest.raises(NotOffered):
        await booked(stack, night + 3 * DAY, resource_id=person.id, any_time=True)


async def test_a_booking_beyond_the_hours_is_moved_to_a_time_that_is_offered_as_any_other(stack: Stack) -> None:
    service = await stack.parts.availability.service(stack.parts.widgets["studio"], stack.portrait_id)
    night = (await stack.in_days(3)).replace(hour=2, minute=7)
    booking = await booked(stack, night, resource_id=service.resources[0].id, any_time=True)
    await stack.move(booking, await stack.in_days(5), by=Actor.OWNER)
    moved = await stack.now(booking)
    assert (booking.reservation.any_time, moved.reservation.any_time) == (True, False)


async def test_what_was_paid_on_the_spot_goes_back_by_the_owners_hand_and_never_through_stripe(stack: Stack) -> None:
    booking = await booked(stack)
    await stack.mail("owner@studio.example")
    canceled = await stack.cancel(booking, by=Actor.OWNER)
    assert canceled.status is Status.CANCELED
    [refund] = await stack.refunds(booking)
    assert (refund.amount.amount, refund.status, refund.problem) == (120000, "requested", "in person")
    await stack.until_quiet()
    assert not stack.stripe.state.refunds
    assert "Needs your attention" in " ".join(await stack.mail("owner@studio.example"))
    await stack.parts.owner_refunds.paid_another_way(booking.id)
    [refund] = await stack.refunds(booking)
    assert refund.status == "paid_another_way"
    assert (await stack.history(booking))[-1] == "paid_another_way"


async def test_what_the_customer_cancels_is_due_by_hand_when_it_can_no_longer_be_undone(stack: Stack) -> None:
    booking = await booked(stack)
    await stack.cancel(booking)
    [refund] = await stack.refunds(booking)
    assert refund.problem == ""
    back = await stack.parts.cancel.undo(booking.id)
    assert back.status is Status.CONFIRMED
    await stack.cancel(booking)
    await stack.tick(after=timedelta(minutes=11))
    refund = (await stack.refunds(booking))[-1]
    assert (refund.status, refund.problem) == ("requested", "in person")


async def test_of_money_from_both_ways_each_goes_back_its_own(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { other_service = true }") as stack:
        booking = await booked(stack, service="headshot")
        moving = await stack.move(booking, await stack.in_days(5), service="portrait", by=Actor.OWNER)
        await stack.pay_difference(moving)
        assert session_of(moving)
        await stack.cancel(booking, by=Actor.OWNER)
        await stack.until_quiet()
        refunds = {refund.amount.amount: refund.status for refund in await stack.refunds(booking)}
        assert refunds == {55000: "succeeded", 65000: "requested"}
        assert stack.money_kept() == 0


async def test_the_rest_is_noted_at_the_visit_once_and_never_more_than_it(stack: Stack) -> None:
    booking = await booked(stack, pays=Pays.CASH, paid=Money(20000, "sek"))
    record = stack.parts.desk_payments.record
    with pytest.raises(InvalidDetails):
        await record(booking.id, Money(100001, "sek"), PaymentMethod.CASH, who=NORA)
    await record(booking.id, Money(100000, "sek"), PaymentMethod.CARD_TERMINAL, who=NORA, unpaid=100000)
    with pytest.raises(BookingConflict):  # the form once more
        await record(booking.id, Money(100000, "sek"), PaymentMethod.CARD_TERMINAL, who=NORA, unpaid=100000)
    view = await stack.parts.bookings.view(booking.id)
    assert (view.left, view.funds.open_amount(booking)) == (120000, 0)
    stack.clock.advance(HOUR)
    health = await stack.parts.store.census()
    assert not await stack.parts.store.bookings_without_money()
    assert health.bookings == {"confirmed": 1}


# Payment links


async def linked(stack: Stack, lasts: timedelta = 2 * DAY, **changes: Any) -> Booking:
    return await booked(stack, pays=Pays.LINK, pay_until=stack.clock() + lasts, **changes)


@pytest.fixture
async def link(stack: Stack) -> Booking:
    """A booking whose customer has two days to pay by a link."""
    return await linked(stack, starts_at=await stack.in_days(9))


async def test_a_payment_link_opens_a_new_page_each_time_until_the_owners_deadline(stack: Stack, link: Booking) -> None:
    assert (link.status, link.pay_link, link.deadline) == (Status.HELD, True, stack.clock() + 2 * DAY)
    assert await stack.mail(PHONE.email) == ["Please pay: Portrait session, Wed 2 Dec 09:00"]
    first = await stack.at_stripe(link)
    assert await stack.at_stripe(link) == first
    await stack.tick(after=37 * HOUR)
    assert (await stack.now(link)).status is Status.AWAITING_PAYMENT
    assert await stack.mail(PHONE.email) == ["Still to pay: Portrait session, Wed 2 Dec 09:00"]
    second = await stack.at_stripe(link)
    assert second != first
    assert (await stack.now(link)).deadline == link.deadline
    await stack.stripe.pay(second)
    assert (await stack.now(link)).status is Status.CONFIRMED
    assert stack.money_kept() == 120000
    assert len(stack.hapio_bookings()) == 1


async def test_a_link_that_nobody_uses_ends_at_the_owners_deadline_and_both_are_told(
    stack: Stack, link: Booking
) -> None:
    session = await stack.at_stripe(link)
    await stack.mail("owner@studio.example")
    await stack.tick(after=2 * DAY, times=3)
    assert (await stack.now(link)).status is Status.EXPIRED
    assert not stack.hapio_bookings()
    assert "Not booked: Portrait session, Wed 2 Dec 09:00" in await stack.mail(PHONE.email)
    assert await stack.mail("owner@studio.example") == ["Not paid: Portrait session, Wed 2 Dec 09:00, Anna Ek"]
    await stack.pay_late(session)
    await stack.until_quiet()
    assert (await stack.now(link)).status is Status.CONFIRMED


async def test_a_link_can_be_sent_again_as_soon_as_ever_although_the_clock_was_set_back(
    stack: Stack, link: Booking
) -> None:
    stack.clock.advance(-HOUR)
    assert await stack.parts.desk_payments.resend_link(link.id, who=NORA)
    assert not await stack.parts.desk_payments.resend_link(link.id, who=NORA)


async def test_the_owner_gives_a_link_more_time_sends_it_again_or_gives_it_up(stack: Stack, link: Booking) -> None:
    desk = stack.parts.desk_payments
    assert not await desk.resend_link(link.id, who=NORA)  # it was mailed in this moment
    stack.clock.advance(HOUR)
    assert await desk.resend_link(link.id, who=NORA)
    with pytest.raises(InvalidDetails):
        await desk.extend_link(link.id, link.deadline, who=NORA)
    longer = await desk.extend_link(link.id, link.starts_at + DAY, who=NORA)
    assert longer.deadline == link.starts_at
    await stack.mail(PHONE.email)
    session = await stack.at_stripe(link)
    ended = await desk.give_up(link.id, who=NORA)
    assert ended.status is Status.EXPIRED
    assert stack.stripe.state.sessions[session]["status"] == "expired"
    assert not stack.hapio_bookings()
    assert (await stack.history(link))[-1] == HistoryWord.BY_OWNER
    with pytest.raises(BookingConflict):
        await desk.extend_link(link.id, link.starts_at, who=NORA)


async def test_who_had_a_link_and_pays_in_cash_is_confirmed_and_cannot_pay_by_the_link_as_well(
    stack: Stack, link: Booking
) -> None:
    session = await stack.at_stripe(link)
    paid = await stack.parts.desk_payments.record(link.id, Money(120000, "sek"), PaymentMethod.CASH, who=NORA)
    assert (paid.status, paid.pay_link) == (Status.CONFIRMED, False)
    assert stack.stripe.state.sessions[session]["status"] == "expired"
    await stack.pay_late(session)
    await stack.until_quiet()
    assert stack.money_kept() == 0


async def test_what_visitors_hold_is_not_counted_against_links_nor_prolonged_by_them(
    stack: Stack, link: Booking
) -> None:
    assert not await stack.parts.store.open_holds("studio")
    with pytest.raises(BookingConflict):
        await stack.parts.hold.extend(link.id)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"customer": WALK_IN}, "email"),
        ({"lasts": timedelta(minutes=9)}, "pays"),
        ({"lasts": timedelta(days=15), "days": 20}, "pays"),
        ({"pays": Pays.CASH, "paid": Money(120001, "sek")}, "paid"),
    ],
)
async def test_what_cannot_work_is_said_before_anything_is_held(
    stack: Stack, changes: dict[str, Any], field: str
) -> None:
    lasts, days = changes.pop("lasts", DAY), changes.pop("days", 3)
    told = {"pays": Pays.LINK, "pay_until": stack.clock() + lasts, **changes}
    with pytest.raises(InvalidDetails) as refused:
        await booked(stack, await stack.in_days(days), **told)
    assert set(refused.value.fields) == {field}
    assert not stack.hapio_bookings()


@pytest.mark.parametrize("scheduler", ["calcom", "calendly"])
async def test_where_the_lock_does_not_bind_the_desk_books_at_once_and_a_link_holds_the_money(
    tmp_path: Path, scheduler: str
) -> None:
    async with open_stack(tmp_path, scheduler=scheduler) as stack:
        with pytest.raises(InvalidDetails):
            await booked(stack, customer=WALK_IN)
        cash = await booked(stack)
        assert cash.status is Status.CONFIRMED
        with pytest.raises(NotOffered):
            await booked(
                stack, cash.starts_at.replace(hour=2, minute=7) + DAY, any_time=True, resource_id=cash.resource_id
            )
        waiting = await linked(stack, starts_at=await stack.in_days(6))
        await stack.tick(after=30 * HOUR)
        await stack.paid(waiting)
        await stack.until_quiet()
        assert (await stack.now(waiting)).status is Status.CONFIRMED
        assert stack.money_kept() == 120000


async def test_who_gives_an_address_later_is_mailed_the_confirmation(stack: Stack) -> None:
    booking = await booked(stack, customer=WALK_IN, pays=Pays.AT_VISIT)
    await stack.parts.corrections.correct_email(booking.id, "asa@customer.example")
    await stack.mail("owner@studio.example")
    [confirmation] = [one for one in stack.mailbox.messages if "asa@customer.example" in one.recipients]
    assert confirmation.header("Subject") == "Confirmed: Portrait session, Thu 26 Nov 09:00"
    assert "SEK 1,200.00, to be paid at the visit" in (confirmation.text or "").replace("\N{NO-BREAK SPACE}", " ")
    assert "booked and paid" not in (confirmation.text or "")
