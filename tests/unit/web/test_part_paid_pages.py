"""What the pages and mails say where a part of the price, or all of it, is to be paid at the visit."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import Actor
from app.domain.money import Money
from app.domain.payment import PaymentMethod
from tests.support.browser import Browser
from tests.support.desk import NORA, paid_so_far
from tests.support.manage import link, plain, to_preview
from tests.support.stack import Stack, open_stack
from tests.support.staff import EVA, sign_in

HOUR = timedelta(hours=1)


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio where Eva works, and whose bookings can be moved to another service."""
    widget = "reschedule = { other_service = true, until_hours = 0 }"
    async with open_stack(tmp_path, widget=widget, settings={"staff_emails": EVA}) as stack:
        yield stack


@pytest.mark.parametrize(
    ("paid", "words"),
    [
        (0, "SEK 650.00, to be paid at the visit The new price is lower."),
        (60000, "SEK 650.00, SEK 50.00 of it to be paid at the visit The new price is lower."),
        (65000, "Nothing to pay or refund The new price is lower."),
        (
            110000,
            "You get a refund of SEK 450.00 We will refund SEK 450.00. What you paid on the spot, you get back from us",
        ),
    ],
)
async def test_the_customer_reads_what_a_lower_price_leaves_to_be_paid(studio: Stack, paid: int, words: str) -> None:
    booking, anna = await paid_so_far(studio, paid), Browser(studio)
    new = await studio.in_days(6, "headshot")
    said = plain(await to_preview(anna, link(studio, booking), new, service=studio.headshot_id))
    assert words in said
    said = plain(await anna.send('action="[^"]*/reschedule"'))
    assert "Headshot express" in said


async def test_a_move_to_another_hour_leaves_what_is_to_be_paid_at_the_visit(studio: Stack) -> None:
    booking, anna = await paid_so_far(studio, 20000), Browser(studio)
    said = plain(await to_preview(anna, link(studio, booking), await studio.in_days(6)))
    assert "SEK 1,200.00, SEK 1,000.00 of it to be paid at the visit" in said


async def test_the_mails_of_a_move_say_what_is_to_be_paid_and_not_that_nothing_is(studio: Stack) -> None:
    booking = await paid_so_far(studio, 60000)
    await studio.move(booking, await studio.in_days(6, "headshot"), service="headshot")
    await studio.until_quiet()
    for address in ("anna@customer.example", "owner@studio.example"):
        [said] = [
            plain(message.text or "")
            for message in studio.mailbox.messages
            if address in message.recipients and "moved" in message.header("Subject").lower()
        ]
        assert "SEK 650.00, SEK 50.00 of it to be paid at the visit" in said
        assert "nothing to pay" not in said


@pytest.mark.parametrize(
    ("paid", "hours_before", "words"),
    [
        (0, 5, "Cancelling is free."),
        (20000, 30, "You would get a refund of SEK 200.00."),
        (20000, 5, "You would get no refund."),
        (100000, 5, "You would get a refund of SEK 400.00."),
    ],
)
async def test_the_page_says_what_a_cancellation_gives_of_a_part_payment(
    studio: Stack, paid: int, hours_before: int, words: str
) -> None:
    booking, anna = await paid_so_far(studio, paid), Browser(studio)
    studio.clock.advance(booking.starts_at - studio.clock() - hours_before * HOUR)
    assert words in plain(await anna.open(link(studio, booking)))


async def test_the_steps_of_the_terms_are_those_of_what_was_paid(studio: Stack) -> None:
    booking, anna = await paid_so_far(studio, 100000), Browser(studio)
    said = plain(await anna.open(f"{link(studio, booking)}/cancel"))
    assert "100%, SEK 1,000.00" in said
    assert "50%, SEK 400.00" in said
    assert "What you paid on the spot, you get back from us directly." in said
    assert "original payment method" not in said


async def test_who_has_paid_nothing_yet_is_told_so_and_shown_no_steps(studio: Stack) -> None:
    booking, anna = await paid_so_far(studio, 0), Browser(studio)
    said = plain(await anna.open(f"{link(studio, booking)}/cancel"))
    assert "Nothing was paid, so there is nothing to refund." in said
    assert "Cancel the booking" in said
    assert "%" not in said


async def test_eva_reads_what_a_lower_price_leaves_to_be_paid(studio: Stack) -> None:
    booking, eva = await paid_so_far(studio, 60000), Browser(studio)
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}/move?service={studio.headshot_id}")
    said = plain(await eva.send('id="hf-hold"', start=eva.starts[-1]))
    assert "SEK 650.00, SEK 50.00 of it to be paid at the visit" in said
    await studio.parts.desk_payments.record(booking.id, Money(60000, "sek"), PaymentMethod.CASH, who=NORA)
    await eva.open(f"{home}/bookings/{booking.id}/move?service={studio.headshot_id}")
    said = plain(await eva.send('id="hf-hold"', start=eva.starts[-1]))
    assert "SEK 550.00 back" in said
    assert "You refund what was paid on the spot yourself" in said
    quote = await studio.parts.reschedule.quote(
        booking.id, starts_at=await studio.in_days(6, "headshot"), service_id=studio.headshot_id, by=Actor.OWNER
    )
    assert quote.difference == -55000
