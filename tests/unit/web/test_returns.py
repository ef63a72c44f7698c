"""Coming back from Stripe's page: Stripe, and anyone who reads there, holds the address of the way back. It shows how
the booking stands, for some hours, and can do nothing."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import sqlalchemy as sa
from starlette.routing import Route

from app.domain.booking import Booking, Customer, Status
from app.domain.payment import PaymentState
from app.store.tables import metadata
from app.web.shared.refund_words import money_lines
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.browser import Browser
from tests.support.manage import OTHER_SERVICE, plain
from tests.support.stack import PUBLIC_URL, Stack, open_stack, session_of

BO = Customer(name="Bo Lind", email="bo@customer.example", phone="+46701234567", notes="by the back door")
TOKEN = re.compile(r"/(?:b|manage|r)/([\w.-]+)|token=([\w.-]+)")
PERSONAL = ("Bo Lind", "bo@customer.example", "+46701234567", "by the back door")


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio whose customers may also change the service."""
    async with open_stack(tmp_path, widget=OTHER_SERVICE) as stack:
        yield stack


@pytest.fixture
def anna(stack: Stack) -> Browser:
    """A visitor."""
    return Browser(stack)


def ways_back(stack: Stack, session_id: str) -> tuple[str, str]:
    """Where Stripe leads after paying, and where without."""
    session = stack.stripe.state.sessions[session_id]
    return session["success_url"], session["cancel_url"]


def named_in(text: str) -> set[str]:
    """Every token in the addresses of a text."""
    return {found[1] or found[2] for found in TOKEN.finditer(unescape(text))} - {"sent", "resend"}


async def moving_up(stack: Stack) -> tuple[Booking, str]:
    """A booking that is moved to something dearer, and the Session of the difference."""
    booking = await stack.confirmed(await stack.in_days(3, "headshot"), service="headshot", customer=BO)
    return booking, session_of(await stack.move(booking, await stack.in_days(5), service="portrait"))


async def rows_of(stack: Stack) -> dict[str, list[Any]]:
    """The rows that an act would change."""
    async with stack.parts.store.engine.connect() as connection:
        return {
            name: list(await connection.execute(sa.select(metadata.tables[name])))
            for name in ("bookings", "moves", "payments", "refunds", "outbox")
        }


async def tries_everything(stack: Stack, tokens: set[str], booking: Booking) -> None:
    """Someone who found these tokens at Stripe uses each at every door that takes one."""
    assert stack.hooks.app
    doors = [route for route in stack.hooks.app.routes if isinstance(route, Route) and "{token}" in route.path]
    form = {"email": "eve@evil.example", "name": "Eve", "page": "x", "start": "2026-12-01T09:00:00Z"}
    for token in tokens:
        for route in doors:
            path = route.path.format(
                token=token, booking=booking.id, name="nora", person="r", change="hc_1", widget="studio", service="s"
            )
            if "POST" in (route.methods or ()):
                await stack.client.post(path, data=form)
            else:
                await stack.client.get(path)
        for act in ("extend", "cancel", "restore", "resend-link", "reschedule/abandon"):
            answer = await stack.client.post(f"/api/bookings/{act}", json={"token": token})
            assert answer.status_code in {400, 401, 403}, act
        answer = await stack.client.get(f"/api/bookings/{booking.id}", params={"token": token})
        assert answer.status_code == 401
        stack.clock.advance(timedelta(minutes=1))  # no limit shall be what refuses


async def test_who_reads_at_stripe_can_look_at_a_booking_and_do_nothing_with_it(stack: Stack, anna: Browser) -> None:
    booking = await stack.hold(customer=BO)
    session_id = await stack.at_stripe(booking)
    found: set[str] = set()
    for address in ways_back(stack, session_id):
        await anna.open(address)
        assert not any(told in anna.page.text for told in PERSONAL)
        found |= named_in(anna.page.text) | named_in(str(anna.page.url)) | named_in(address)
    before = await rows_of(stack)
    await tries_everything(stack, found, booking)
    assert await rows_of(stack) == before
    assert await stack.status(booking) is Status.AWAITING_PAYMENT


async def test_who_reads_at_stripe_cannot_look_up_who_booked_after_it_is_paid(stack: Stack, anna: Browser) -> None:
    booking = await stack.hold(customer=BO)
    session_id = await stack.paid(booking)
    await stack.until_quiet()
    before = await rows_of(stack)
    found: set[str] = set()
    for address in ways_back(stack, session_id):
        said = await anna.open(address)
        assert "Your time is confirmed" in said
        assert not any(told in anna.page.text for told in PERSONAL)
        found |= named_in(anna.page.text) | named_in(str(anna.page.url)) | named_in(address)
    await tries_everything(stack, found, booking)
    assert await rows_of(stack) == before


async def test_who_reads_at_stripe_can_neither_cancel_nor_move_what_is_being_moved(stack: Stack, anna: Browser) -> None:
    booking, session_id = await moving_up(stack)
    found: set[str] = set()
    for address in ways_back(stack, session_id):
        await anna.open(address)
        assert not any(told in anna.page.text for told in PERSONAL)
        assert "<form" not in anna.page.text
        found |= named_in(anna.page.text) | named_in(str(anna.page.url)) | named_in(address)
    before = await rows_of(stack)
    await tries_everything(stack, found, booking)
    assert await rows_of(stack) == before
    await stack.stripe.pay(session_id)
    await stack.until_quiet()
    before = await rows_of(stack)
    await tries_everything(stack, found, booking)
    assert await rows_of(stack) == before


async def test_what_is_kept_of_a_payment_opens_nothing(stack: Stack) -> None:
    booking, _session = await moving_up(stack)
    links = stack.parts.links
    acting = {
        links.manage_token(booking.id, booking.link_version),
        links.booking_token(booking.id, ends_at=booking.ends_at),
        links.api_token(booking.id),
    }
    payments = await stack.parts.store.payments(booking.id)
    assert len(payments) == 2
    for payment in payments:
        assert not any(token in str(payment.params) for token in acting)


async def test_who_left_stripe_unpaid_sees_the_time_still_held_and_pays_on_the_same_page(
    stack: Stack, anna: Browser
) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    _, back = ways_back(stack, session_id)
    said = await anna.open(back)
    assert "Nothing was charged. Your time is still held." in said
    assert "See other times" in said
    await anna.send('action="[^"]*/pay"')
    assert anna.page.status_code == 303
    assert urlsplit(anna.page.headers["location"]).path.rpartition("/")[2] == session_id
    assert len(stack.stripe.state.sessions) == 1
    said = await anna.open(await stack.stripe.pay(session_id))
    assert "Your time is confirmed" in said


async def test_who_pays_after_all_is_not_told_that_nothing_was_charged(stack: Stack, anna: Browser) -> None:
    """As with the browser's way back to a page from before paying, while Stripe's word is still on its way."""
    stack.stripe.switches.deliver = "off"
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    _, back = ways_back(stack, session_id)
    await anna.open(back)
    left = str(anna.page.url)
    await stack.stripe.pay(session_id)
    for address in (left, back, left):
        said = await anna.open(address)
        assert "Nothing was charged" not in said
        assert "Your time is confirmed" in said


async def test_after_paying_late_the_page_says_what_happened(stack: Stack, anna: Browser) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    paid, back = ways_back(stack, session_id)
    await stack.tick(after=timedelta(minutes=32))
    said = await anna.open(back)
    assert "This time is no longer held for you" in said
    assert "hold-again" not in anna.page.text
    await stack.take_everyone(booking.starts_at)
    await stack.pay_late(session_id)
    said = plain(await anna.open(paid))
    assert "This booking is cancelled" in said
    assert "to your card" in said


async def test_while_the_calendar_is_slow_the_page_after_paying_looks_again_by_itself(
    stack: Stack, anna: Browser
) -> None:
    booking = await stack.hold()
    stack.hapio.faults.append(Fault("error_before", method="PATCH", times=1000))
    said = await anna.open(await stack.stripe.pay(await stack.at_stripe(booking)))
    assert "Payment received, confirming your time" in said
    (poll,) = re.findall(r'hx-get="([^"]+)" hx-trigger="load', anna.page.text)
    (plain_poll,) = re.findall(r'http-equiv="refresh" content="4; url=([^"]+)"', anna.page.text)
    stack.hapio.faults.clear()
    await stack.tick(after=timedelta(minutes=1))
    for address in (poll, plain_poll):
        assert "Your time is confirmed" in await anna.open(unescape(address))


async def test_the_difference_of_a_move_is_paid_and_seen_without_the_mailed_link(stack: Stack, anna: Browser) -> None:
    booking, session_id = await moving_up(stack)
    _, back = ways_back(stack, session_id)
    said = plain(await anna.open(back))
    assert "Nothing was charged." in said
    assert "Waiting for your payment" in said
    assert "Continue to pay SEK 550.00" in said
    assert "open the link in our email" in said
    said = plain(await anna.open(await stack.stripe.pay(session_id)))
    assert "Your booking has been moved." in said
    assert "Paid for the move SEK 550.00" in said
    assert "open the link in our email" in said
    view = await stack.parts.bookings.view(booking.id)
    assert view.move is None
    assert "Nothing was charged" not in await anna.open(back)


async def test_the_way_back_ends_some_hours_after_stripes_page_closes(stack: Stack, anna: Browser) -> None:
    booking = await stack.hold()
    ways = [*ways_back(stack, await stack.paid(booking))]
    _, moves_session = await moving_up(stack)
    ways += ways_back(stack, moves_session)
    stack.clock.advance(timedelta(hours=3, minutes=25))
    for address in ways:
        await anna.open(address)
        assert anna.page.status_code == 200
    stack.clock.advance(timedelta(minutes=10))
    for address in ways:
        said = await anna.open(address)
        assert anna.page.status_code == 410
        assert "Use the link in our email to see your booking." in said
        assert "charged" not in said


async def test_payment_pages_from_before_the_upgrade_lead_back_as_they_did(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed()
    links = stack.parts.links
    own = f"{PUBLIC_URL}/b/{links.booking_token(booking.id, ends_at=booking.ends_at)}"
    manage = f"{PUBLIC_URL}/manage/{links.manage_token(booking.id, booking.link_version)}"
    assert "Your time is confirmed" in await anna.open(f"{own}/return")
    assert "Your time is confirmed" in await anna.open(f"{own}/back")
    assert "Cancel the booking" in await anna.open(f"{manage}/return")
    assert "Cancel the booking" in await anna.open(f"{manage}/back")


@pytest.mark.parametrize("kind", ["booking", "move"])
async def test_a_way_back_leads_back_from_its_own_payment_only(stack: Stack, kind: str) -> None:
    links = stack.parts.links
    booking = await stack.confirmed()
    token = links.return_token(booking.id, "booking" if kind == "booking" else "move", closes_at=stack.clock())
    other = "manage" if kind == "booking" else "b"
    assert (await stack.client.get(f"/{other}/{token}/return")).status_code == 403
    assert (await stack.client.get(f"/{other}/{token}")).status_code == 403
    assert (await stack.client.get(f"/r/{token}")).status_code == 403


async def test_a_host_with_addresses_of_its_own_is_led_back_to_those(stack: Stack) -> None:
    booking = await stack.hold()
    site = "https://stack.example"
    url = await stack.parts.checkout.start(booking.id, return_url=f"{site}/done", cancel_url=f"{site}/left")
    assert url
    assert ways_back(stack, url.rpartition("/")[2]) == (f"{site}/done", f"{site}/left")


async def test_without_mail_the_page_after_paying_does_not_ask_to_keep_an_address_that_ends(
    stack: Stack, anna: Browser
) -> None:
    await stack.stop()
    stack.settings = stack.settings.model_copy(update={"smtp_url": None})
    await stack.start()
    booking = await stack.hold()
    said = await anna.open(await stack.stripe.pay(await stack.at_stripe(booking)))
    assert "Your time is confirmed" in said
    assert "Bookmark this page" not in said
    assert "This page only works for a few hours." in said


# Words for people who have paid


def offline_words(page: str) -> list[str]:
    """What the pages say by script where the server cannot be reached: the screen's own words come first."""
    return [unescape(words) for words in re.findall(r'<(?:main|p)[^>]* data-offline="([^"]+)"', page)]


async def test_a_lost_connection_on_a_page_after_paying_says_nothing_of_money(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed()
    links = stack.parts.links
    manage = f"/manage/{links.manage_token(booking.id, booking.link_version)}"
    new = {"start": (await stack.in_days(5)).isoformat()}
    for path in (
        f"/b/{links.booking_token(booking.id, ends_at=booking.ends_at)}",
        f"/r/{links.result_token(booking.id)}",
        manage,
        f"{manage}/cancel",
        f"{manage}/reschedule/preview?{httpx.QueryParams(new)}",
    ):
        await anna.open(path)
        assert anna.page.status_code == 200
        words = offline_words(anna.page.text)[0]
        assert "could not reach our server" in words, path
        assert "charged" not in words, path
        # htmx swaps the screen alone into a page that came before paying.
        block = await stack.client.get(path, headers={"HX-Request": "true"})
        assert offline_words(block.text)[0] == words, path


async def test_with_stripe_down_who_leaves_a_difference_is_not_told_of_charges(stack: Stack, anna: Browser) -> None:
    booking, session_id = await moving_up(stack)
    await anna.open(f"/manage/{stack.parts.links.manage_token(booking.id, booking.link_version)}")
    stack.stripe.switches.deliver = "off"
    await stack.stripe.pay(session_id)
    stack.stripe.faults.append(StripeFault("error_before", times=100))
    said = await anna.send('action="[^"]*/give-up"')
    assert anna.page.status_code == 503
    assert "Our payment service cannot be reached right now." in said
    assert "charged" not in said


async def test_a_bank_that_still_works_on_a_payment_is_not_taken_for_one_that_said_no(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    await stack.tick(after=timedelta(minutes=32))
    view = await stack.parts.bookings.view(booking.id)
    assert view.payment
    assert money_lines(view, "en") == ["You have not been charged."]
    for state in (PaymentState.PROCESSING, PaymentState.AUTHORIZED, PaymentState.CAPTURED):
        unsettled = replace(view.payment, state=state)
        assert money_lines(replace(view, payment=unsettled, payments=[unsettled]), "en") == []
    # Of two pages the newer one expired unpaid; the older one took the money.
    older = replace(view.payment, state=PaymentState.CAPTURED, captured=120000)
    assert money_lines(replace(view, payments=[older, view.payment]), "en") == []
