"""A move is no way around the terms: what comes back, and what a later cancellation gives."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.booking import Actor
from app.domain.money import Money
from app.domain.terms import Terms, Tier
from tests.support.stack import Stack, open_stack

HOUR = timedelta(hours=1)
_START = datetime(2026, 12, 1, 12, tzinfo=UTC)
FREE_THEN_HALF = (Tier(24, 100), Tier(2, 50))


async def booked(stack: Stack, *, hours_before: int) -> tuple[str, str]:
    """A portrait for SEK 1,200 that begins in so many hours; its id, and the page that quotes its moves."""
    booking = await stack.confirmed()
    stack.clock.advance(booking.starts_at - stack.clock() - hours_before * HOUR)
    return booking.id, booking.service_id


@pytest.mark.parametrize(
    ("hours_before", "back"),
    [(30, 55000), (5, 27500)],
    ids=["while cancelling is free, all of the difference", "when half comes back, half of the difference"],
)
async def test_a_cheaper_move_refunds_what_a_cancellation_would(tmp_path: Path, hours_before: int, back: int) -> None:
    async with open_stack(tmp_path, widget="reschedule = { other_service = true, until_hours = 0 }") as stack:
        booking_id, _ = await booked(stack, hours_before=hours_before)
        later = await stack.in_days(6, "headshot")
        quote = await stack.parts.reschedule.quote(booking_id, starts_at=later, service_id=stack.headshot_id)
        moved = await stack.move(await stack.parts.bookings.get(booking_id), later, service="headshot")
        assert quote.difference == moved.difference == -back
        assert stack.money_kept() == 120000 - back


async def test_moving_to_something_free_gives_nothing_back_where_cancelling_gives_nothing(tmp_path: Path) -> None:
    async with open_stack(
        tmp_path, cancellation="[]", widget="reschedule = { other_service = true, until_hours = 0 }"
    ) as stack:
        booking_id, _ = await booked(stack, hours_before=30)
        booking = await stack.parts.bookings.get(booking_id)
        await stack.move(booking, await stack.in_days(6, "planning"), service="planning")
        await stack.until_quiet()
        assert stack.money_kept() == 120000


async def test_a_booking_moved_a_month_ahead_refunds_no_more_than_it_did_before(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { until_hours = 0 }") as stack:
        booking_id, _ = await booked(stack, hours_before=5)
        booking = await stack.parts.bookings.get(booking_id)
        await stack.move(booking, await stack.in_days(30))
        assert (await stack.parts.cancel.quote(booking_id, by=Actor.CUSTOMER)).amount == 60000
        assert (await stack.parts.cancel.quote(booking_id, by=Actor.OWNER)).amount == 120000


async def test_an_owners_move_takes_nothing_from_the_customer(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { until_hours = 0 }") as stack:
        booking_id, _ = await booked(stack, hours_before=5)
        booking = await stack.parts.bookings.get(booking_id)
        await stack.move(booking, await stack.in_days(30), by=Actor.OWNER)
        assert (await stack.parts.cancel.quote(booking_id, by=Actor.CUSTOMER)).amount == 120000


async def test_an_owner_may_let_the_whole_difference_come_back(tmp_path: Path) -> None:
    widget = 'reschedule = { other_service = true, until_hours = 0, refund_difference = "full" }'
    async with open_stack(tmp_path, widget=widget) as stack:
        booking_id, _ = await booked(stack, hours_before=5)
        booking = await stack.parts.bookings.get(booking_id)
        moved = await stack.move(booking, await stack.in_days(6, "headshot"), service="headshot")
        assert moved.difference == -55000
        assert (await stack.parts.cancel.quote(booking_id, by=Actor.CUSTOMER)).amount == 65000


async def test_what_the_dry_run_said_is_what_the_move_says_after_a_refund(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { other_service = true, until_hours = 0 }") as stack:
        booking_id, _ = await booked(stack, hours_before=30)
        await stack.parts.owner_refunds.give_back(booking_id, Money(100000, "sek"))
        later = await stack.in_days(6, "headshot")
        quote = await stack.parts.reschedule.quote(booking_id, starts_at=later, service_id=stack.headshot_id)
        moved = await stack.move(await stack.parts.bookings.get(booking_id), later, service="headshot")
        assert quote.difference == moved.difference == -20000
        assert stack.money_kept() == 0


async def test_a_difference_below_what_stripe_charges_is_not_asked_for(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { other_service = true, until_hours = 0 }") as stack:
        async with stack.hapio_api() as api:
            (await api.patch(f"/services/{stack.headshot_id}", json={"price": "1199.000"})).raise_for_status()
        booking = await stack.confirmed(service="headshot")
        later = await stack.in_days(6, "portrait")
        quote = await stack.parts.reschedule.quote(booking.id, starts_at=later, service_id=stack.portrait_id)
        moved = await stack.move(booking, later, service="portrait")
        assert (quote.difference, moved.checkout_url) == (0, None)
        assert moved.booking.terms.price.amount == 119900
        assert stack.money_kept() == 119900


# Pure: the parts of a price


def _terms(amount: int) -> Terms:
    return Terms(Money(amount, "sek"), FREE_THEN_HALF, by_terms=True)


async def test_what_is_paid_for_a_move_comes_back_by_the_terms_and_what_was_paid_before_by_its_cap() -> None:
    moved = _terms(65000).moved(Money(120000, "sek"), percent=50)
    assert moved.caps[0].amount == 65000
    half_of_old_and_all_of_new = 32500 + 55000
    tiers = [(99, half_of_old_and_all_of_new), (5, 60000), (1, 0)]
    for hours, back in tiers:
        at = _START - hours * HOUR
        assert moved.refund(at=at, starts_at=_START).amount == back


async def test_moving_and_then_cancelling_gives_no_more_than_cancelling() -> None:
    terms = _terms(120000)
    for hours in (30, 5, 1):
        at = _START - hours * HOUR
        direct = terms.refund(at=at, starts_at=_START).amount
        cheaper = Money(65000, "sek")
        back = terms.move_refund(cheaper, at=at, starts_at=_START).amount
        after = terms.moved(cheaper, percent=terms.cap_of_move(at=at, starts_at=_START))
        later = after.refund(at=at, starts_at=_START + 1000 * HOUR).amount
        assert back + later == direct


async def test_terms_survive_the_store_with_their_caps_and_older_rows_keep_what_they_had() -> None:
    moved = _terms(65000).moved(Money(120000, "sek"), percent=50)
    assert Terms.from_json(moved.to_json()) == moved
    old = {"amount": 65000, "currency": "sek", "tiers": [[24, 100]], "move_hours": 24, "most_moves": 3}
    assert not Terms.from_json(old).by_terms
