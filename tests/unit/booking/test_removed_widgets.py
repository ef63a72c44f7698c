"""A widget is taken out of widgets.toml: nothing new is booked in it, and what is booked can be managed through every
door."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.booking.policy import Refusal
from app.domain.booking import Booking, EndReason, Status
from app.domain.money import Money
from app.errors import BookingConflict, NotFound, PolicyRefused
from tests.support.browser import Browser
from tests.support.commands import Owner
from tests.support.manage import link
from tests.support.stack import Stack, open_stack
from tests.support.staff import EVA, sign_in

ANNA, OWNER = "anna@customer.example", "owner@studio.example"
PRICE = 120_000
OTHER = '\n[other]\ntitle = "Other"\nowner_email = "other@elsewhere.example"\n'


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio where Eva works."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA, "api_keys": "a-key-of-24-characters!!"}) as stack:
        yield stack


async def remove_widget(stack: Stack, *, more: str = "") -> None:
    """The owner gives the widget another name in the file, and starts the server again."""
    file = stack.settings.widgets_file
    assert file
    file.write_text(file.read_text().replace("[studio]", "[atelier]") + more)
    await stack.restart()


async def booked(stack: Stack) -> Booking:
    """A confirmed booking of a widget that is then removed."""
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    await remove_widget(stack)
    return booking


# The customer's link


async def test_the_customer_sees_the_booking_and_cancels_it(studio: Stack) -> None:
    booking, anna = await booked(studio), Browser(studio)
    said = await anna.open(link(studio, booking))
    assert anna.page.status_code == 200
    assert "Portrait session" in said
    await anna.open(f"{link(studio, booking)}/cancel")
    await anna.send('action="[^"]+/cancel"')
    assert await studio.status(booking) is Status.CANCELED
    await studio.until_quiet()
    assert studio.money_kept() == 0


async def test_both_are_mailed_when_the_customer_cancels(studio: Stack) -> None:
    booking = await booked(studio)
    await studio.cancel(booking)
    assert len(await studio.mail(ANNA)) == 1
    assert len(await studio.mail(OWNER)) == 1


async def test_the_customer_is_told_that_it_cannot_be_moved(studio: Stack) -> None:
    booking, anna = await booked(studio), Browser(studio)
    said = await anna.open(link(studio, booking))
    assert "can no longer be moved here" in said
    assert f"{link(studio, booking)}/reschedule" not in anna.page.text
    await anna.open(f"{link(studio, booking)}/reschedule")
    assert anna.page.status_code == 200
    with pytest.raises(PolicyRefused) as refused:
        await studio.move(booking, booking.starts_at + timedelta(days=1))
    assert refused.value.refusal == Refusal.NOT_OFFERED


async def test_a_cancellation_made_before_the_removal_cannot_be_undone(studio: Stack) -> None:
    booking = await studio.confirmed()
    await studio.cancel(booking)
    await remove_widget(studio)
    anna = Browser(studio)
    await anna.open(link(studio, await studio.now(booking)))
    assert anna.page.status_code == 200
    assert "/undo" not in anna.page.text
    with pytest.raises(BookingConflict):
        await studio.parts.cancel.undo(booking.id)
    await studio.until_quiet()
    assert studio.money_kept() == 0


async def test_the_customer_gets_a_fresh_link(studio: Stack) -> None:
    booking = await booked(studio)
    await studio.parts.manage_links.resend_all(ANNA)
    assert len(await studio.mail(ANNA)) == 1
    assert (await studio.now(booking)).link_version == 0, "older links end when the new one is used"


async def test_the_calendar_file_and_the_status_page_are_still_there(studio: Stack) -> None:
    booking = await booked(studio)
    token = studio.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    for path in (f"{link(studio, booking)}/calendar.ics", f"/b/{token}", f"/b/{token}/calendar.ics"):
        assert (await studio.client.get(path)).status_code == 200, path


# The staff page


async def test_staff_see_the_booking_and_cancel_it(studio: Stack) -> None:
    booking, eva = await booked(studio), Browser(studio)
    home = await sign_in(studio, eva)
    said = await eva.open(f"{home}/bookings/{booking.id}")
    assert eva.page.status_code == 200
    assert "Anna Ek" in said
    await eva.open(f"{home}/bookings/{booking.id}/cancel")
    await eva.send('action="[^"]+/cancel"')
    assert await studio.status(booking) is Status.CANCELED
    assert studio.money_kept() == 0


async def test_staff_give_money_back_and_are_offered_no_move(studio: Stack) -> None:
    booking, eva = await booked(studio), Browser(studio)
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}")
    assert f"{booking.id}/move" not in eva.page.text
    await eva.open(f"{home}/bookings/{booking.id}/move")
    assert eva.page.status_code == 200
    [refund] = await studio.parts.owner_refunds.give_back(booking.id, Money(20_000, "sek"))
    assert refund.reason == EndReason.GOODWILL
    assert studio.money_kept() == PRICE - 20_000


async def test_staff_note_that_nobody_came(studio: Stack) -> None:
    booking, eva = await booked(studio), Browser(studio)
    studio.clock.set(booking.starts_at + timedelta(minutes=5))
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}")
    await eva.send('action="[^"]+/no-show"')
    assert (await studio.now(booking)).no_show


# The owner's commands


async def test_the_owner_shows_refunds_and_cancels_it_on_the_command_line(studio: Stack) -> None:
    booking, owner = await booked(studio), Owner(studio)
    assert await owner.types("show", booking.id) == 0
    assert await owner.types("refund", booking.id, "--amount", "200", "--yes") == 0
    assert await owner.types("cancel", booking.id, "--yes") == 0
    assert await studio.status(booking) is Status.CANCELED
    assert studio.money_kept() == 0


async def test_the_owner_is_told_why_it_cannot_be_moved_on_the_command_line(studio: Stack) -> None:
    booking, owner = await booked(studio), Owner(studio)
    start = (booking.starts_at + timedelta(days=1)).isoformat()
    assert await owner.types("move", booking.id, "--start", start, "--yes") == 1
    assert "no longer in widgets.toml" in owner.said
    assert await studio.status(booking) is Status.CONFIRMED


# The JSON door


async def test_a_program_reads_and_cancels_it(studio: Stack) -> None:
    booking = await booked(studio)
    headers = {"Authorization": "Bearer a-key-of-24-characters!!"}
    answer = await studio.client.get(f"/api/bookings/{booking.id}", headers=headers)
    assert answer.status_code == 200
    body = {"bookingId": booking.id}
    moved = await studio.client.post(
        "/api/bookings/reschedule",
        json=body | {"newStart": booking.starts_at.isoformat(), "newEnd": booking.ends_at.isoformat()},
        headers=headers,
    )
    assert moved.status_code == 409
    canceled = await studio.client.post("/api/bookings/cancel", json=body, headers=headers)
    assert canceled.status_code == 200
    assert studio.money_kept() == 0


# Nothing new


async def test_nothing_new_is_booked_in_a_removed_widget(studio: Stack) -> None:
    held = await studio.hold()
    await remove_widget(studio)
    assert (await studio.client.get("/w/studio")).status_code == 404
    with pytest.raises(NotFound):
        await studio.parts.hold.extend(held.id)
    with pytest.raises(NotFound):
        await studio.parts.checkout.start(held.id)
    studio.clock.advance(timedelta(minutes=11))
    await studio.tick()
    assert await studio.status(held) is Status.EXPIRED
    with pytest.raises(NotFound):
        await studio.parts.hold.again(held.id, "key")
    assert studio.hapio_bookings() == []


async def test_a_visitor_may_still_give_the_time_back(studio: Stack) -> None:
    held = await studio.hold()
    await remove_widget(studio)
    await studio.parts.hold.give_up(held.id)
    assert studio.hapio_bookings() == []


async def test_with_several_owners_nobody_elses_owner_hears_of_the_customer(studio: Stack) -> None:
    booking = await studio.confirmed()
    await remove_widget(studio, more=OTHER)
    await studio.mail(OWNER)
    await studio.cancel(booking)
    assert len(await studio.mail(ANNA)) == 2
    assert await studio.mail("other@elsewhere.example") == []
    assert await studio.mail(OWNER) == []
