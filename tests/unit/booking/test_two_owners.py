"""Two owners on one server: each widget books in its own Calendly account, and hears of changes there."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.booking import Actor, Booking, Status
from tests.support.browser import Browser
from tests.support.calendly_owners import Owners, open_owners, open_page

NEXT_MONDAY = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)


@pytest.fixture
async def owners(tmp_path: Path) -> AsyncIterator[Owners]:
    """Nora and Omar, both connected."""
    async with open_owners(tmp_path) as owners:
        eva = Browser(owners.stack)
        await open_page(owners.stack, eva)
        for owner, user in (("nora", owners.nora), ("omar", owners.omar)):
            assert "Calendly is connected" in await owners.connect(eva, owner, user)
        owners.stack.clock.advance(timedelta(seconds=10))  # the page asked in vain, before there was an account
        yield owners


async def book(owners: Owners, widget: str, service: str) -> Booking:
    """A paid and confirmed booking, in three days, of this widget."""
    stack, chosen = owners.stack, owners.stack.parts.widgets[widget]
    offered = await stack.parts.availability.service(chosen, service)
    slot = await stack.parts.availability.next_free(chosen, offered, after=stack.clock().date() + timedelta(days=3))
    assert slot
    booking = await stack.parts.hold.take(
        chosen,
        service_id=service,
        starts_at=slot.starts_at,
        resource_id=None,
        visitor=stack.visitor(),
        customer=stack.customer(),
    )
    await stack.paid(booking)
    await stack.parts.settle.booking(booking.id)
    booking = await stack.now(booking)
    assert booking.status is Status.CONFIRMED
    return booking


def host(owners: Owners, booking: Booking) -> str:
    """Whose calendar the booking is in."""
    event = owners.calendly.state.events[booking.reservation.reference or ""]
    assert event.status == "active"
    [user] = event.hosts
    return user


async def test_each_widget_books_in_its_own_account(owners: Owners) -> None:
    nora = await book(owners, "studio", owners.services["nora"])
    omar = await book(owners, "salon", owners.services["omar"])
    assert (nora.reservation.scheduler, omar.reservation.scheduler) == ("calendly:nora", "calendly:omar")
    assert (host(owners, nora), host(owners, omar)) == (owners.nora, owners.omar)
    tokens = {one.value: one.user for one in owners.calendly.state.tokens.values() if one.app}
    assert sorted(tokens.values()) == sorted([owners.nora, owners.omar])


async def test_each_account_has_a_count_of_its_own(owners: Owners) -> None:
    await book(owners, "studio", owners.services["nora"])
    calls = {one.scheduler: one.spent for one in owners.stack.parts.staff.calls(45)}
    assert calls["calendly:nora"] > calls["calendly:omar"]


async def test_what_an_owner_cancels_in_calendly_is_heard_from_both(owners: Owners) -> None:
    nora = await book(owners, "studio", owners.services["nora"])
    omar = await book(owners, "salon", owners.services["omar"])
    for booking in (omar, nora):
        owners.calendly.cancel_as_host(booking.reservation.reference or "", reason="Ill")
        await owners.calendly.deliver_due()
        assert await owners.stack.status(booking) is Status.CANCELED


async def test_a_booking_is_cancelled_where_it_was_made_hours_later(owners: Owners) -> None:
    omar = await book(owners, "salon", owners.services["omar"])
    owners.stack.clock.advance(timedelta(hours=5))
    await owners.stack.cancel(omar, by=Actor.OWNER)
    await owners.stack.tick(after=timedelta(minutes=15), times=2)
    assert owners.calendly.state.events[omar.reservation.reference or ""].status == "canceled"


async def test_one_owners_broken_connection_leaves_the_other_alone(owners: Owners) -> None:
    state = owners.calendly.state
    for token, grant in list(state.refresh_tokens.items()):
        if grant.user == owners.nora:
            del state.refresh_tokens[token]
    owners.stack.clock.advance(timedelta(hours=3))
    assert "The calendar cannot be reached right now." in await Browser(owners.stack).open("/w/studio")
    assert host(owners, await book(owners, "salon", owners.services["omar"])) == owners.omar


async def test_a_booking_on_calendlys_own_page_makes_what_pages_show_old(owners: Owners) -> None:
    availability = owners.stack.parts.availability
    for service in owners.services.values():
        before = availability.epoch()
        owners.calendly.book(service, NEXT_MONDAY)
        await owners.calendly.deliver_due()
        assert availability.epoch() > before
