"""What other sites get from us: the loader, the way back to their page, and receipts that their servers can check."""

import gzip
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from html import unescape
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.domain.booking import Booking, Status, Visitor
from app.protection.signed_links import Links
from sandbox.hapio import Fault
from scripts.static import SOURCES, minified, written
from tests.support.browser import Browser
from tests.support.rows import rows
from tests.support.stack import Stack, text_of

HOST_PAGE = "https://studio.example/book?room=2"
MOST_LOADER = 3 * 1024
#: htmx.min.js of the pinned version as its CDN sends it, compressed.
HTMX_WEIGHT = 13_390
#: What every loader since the first with a second half hands over to that.
HANDED_OVER = {
    *("base", "root", "page", "kinds", "shown", "safe", "on", "style", "make", "all", "label", "option", "named"),
    *("emit", "open", "inline", "later"),
}
SESSION = "/c/pay/"


@pytest.fixture
def anna(stack: Stack) -> Browser:
    """A visitor."""
    return Browser(stack)


def event_in(page: str) -> Mapping[str, Any] | None:
    """What this screen tells the host page."""
    told = re.search(r'<main[^>]* data-event="([^"]*)"', page)
    return json.loads(unescape(told[1])) if told else None


async def held_from(stack: Stack, host: str = HOST_PAGE, place: str = "i0", service: str = "portrait") -> Booking:
    """A hold that was made in a frame which our loader put into this page."""
    visitor = Visitor(key="anna", time_zone="Europe/Stockholm", language="en", host=host, place=place)
    return await stack.hold(visitor=visitor, service=service)


async def back_from_stripe(stack: Stack, booking: Booking) -> str:
    """Where the visitor's browser is sent after paying."""
    back = await stack.stripe.pay(await stack.at_stripe(booking))
    return (await stack.client.get(back)).headers["location"]


async def left_stripe(stack: Stack, booking: Booking) -> str:
    """Where the visitor's browser is sent when they leave Stripe's page without paying."""
    session = stack.stripe.state.sessions[await stack.at_stripe(booking)]
    return (await stack.client.get(session["cancel_url"])).headers["location"]


async def verify(stack: Stack, body: Any) -> httpx.Response:
    """As a host's server asks."""
    return await stack.client.post("/api/receipts/verify", json=body)


# The loader


async def test_the_loader_weighs_at_most_three_kilobytes(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    answer = await stack.client.get("/embed.js", headers={"Accept-Encoding": "gzip"})
    weight = int(answer.headers["content-length"])
    with capsys.disabled():
        print(f"\n  the loader: {weight} bytes gzipped, {len(answer.content)} plain, of {MOST_LOADER}")
    assert answer.headers["content-encoding"] == "gzip"
    assert weight == len(gzip.compress(answer.content, 9, mtime=0)) <= MOST_LOADER


async def test_the_first_view_weighs_at_most_26_kilobytes_in_four_requests(stack: Stack) -> None:
    """`make first-view` weighs it in a browser, with pictures and a host page."""
    page = await stack.client.get("/w/studio", headers={"Sec-Fetch-Dest": "iframe"})
    asked = re.findall(r'<(?:script|link)[^>]* (?:src|href)="(/[^"]+|https:[^"]+)"', page.text)
    ours = [address for address in asked if address.startswith("/")]
    assert len(ours) == len(asked) - 1, "htmx comes from its CDN"
    weight, requests = HTMX_WEIGHT, 2 + len(asked)
    for address in ("/embed.js", "/w/studio", *ours):
        answer = await stack.client.get(address, headers={"Accept-Encoding": "gzip", "Sec-Fetch-Dest": "iframe"})
        weight += int(answer.headers["content-length"])
    assert requests <= 4
    assert weight <= 26_000


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_served_is_made_from_the_file_to_read(name: str) -> None:
    assert written(name).read_text(encoding="utf-8") == minified(name), "run `make static`"


async def test_browsers_keep_the_loader_and_ask_whether_it_is_still_the_same(stack: Stack) -> None:
    first = await stack.client.get("/embed.js")
    assert first.headers["content-type"].startswith("text/javascript")
    assert first.headers["cache-control"] == "public, max-age=300, stale-while-revalidate=86400"
    assert first.headers["cross-origin-resource-policy"] == "cross-origin"
    again = await stack.client.get("/embed.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await stack.client.get("/embed.js", headers={"If-None-Match": 'W/"older"'})
    assert other.status_code == 200


@pytest.mark.parametrize("path", ["/embed.js", "/w/studio"])
@pytest.mark.parametrize("named", ["{}", 'W/"older", {}', '"older",{}', "W/{}", "*"])
async def test_what_a_browser_names_in_any_form_is_not_sent_again(stack: Stack, path: str, named: str) -> None:
    strong = (await stack.client.get(path)).headers["etag"].removeprefix("W/")
    again = await stack.client.get(path, headers={"If-None-Match": named.format(strong)})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/embed.js", "/w/studio", "/static/widget.min.js"])
@pytest.mark.parametrize(
    ("said", "coding"),
    [
        ("gzip;q=0", None),
        ("br, gzip; q=0.000", None),
        ("identity", None),
        ("notgzip", None),
        ("gzip;q=0.1", "gzip"),
        ("br;q=1, GZIP", "gzip"),
    ],
)
async def test_only_those_who_take_gzip_are_sent_it(stack: Stack, path: str, said: str, coding: str | None) -> None:
    answer = await stack.client.get(path, headers={"Accept-Encoding": said})
    assert answer.headers.get("content-encoding") == coding


async def test_the_loader_speaks_every_language_and_touches_neither_cookies_nor_storage(stack: Stack) -> None:
    text = (await stack.client.get("/embed.js")).text
    assert "HOLDFAST_WORDS" not in text
    assert '"en":"Book a time"' in text
    for language in stack.parts.widgets["studio"].languages:
        assert f'"{language}":"' in text
    assert not re.search(r"cookie|localStorage|sessionStorage|indexedDB|innerHTML|eval\(", text)


def test_a_newer_second_half_of_the_loader_asks_an_older_first_half_for_nothing_that_it_has_not() -> None:
    """Copies of the first half live for months in sites' own bundles; the second is always today's."""
    first, second = (
        written(name).with_name(name).read_text(encoding="utf-8") for name in ("embed.js", "embed-more.js")
    )
    [given] = re.findall(r"const kit = \{ ([^}]+) \};", first)
    [taken] = re.findall(r"const \{ ([^}]+) \} = kit;", second)
    assert set(taken.split(", ")) <= HANDED_OVER <= set(given.split(", "))


async def test_programs_that_set_a_site_up_are_told_by_a_code_why_a_frame_would_stay_silent(stack: Stack) -> None:
    site = "https://studio.example"
    for widget, origin, code in (
        ("studio", site, "OK"),
        ("studio", "https://elsewhere.example", "ORIGIN_NOT_ALLOWED"),
        ("nobody", site, "UNKNOWN_WIDGET"),
    ):
        answer = await stack.client.get(
            "/embed/why", params={"widget": widget, "origin": origin}, headers={"Accept": "application/json"}
        )
        assert answer.json() == {"success": code == "OK", "code": code}


# What the frame passes on


async def test_each_screen_tells_the_host_page_what_happened_and_nothing_of_who(stack: Stack, anna: Browser) -> None:
    said: list[Mapping[str, Any] | None] = []
    await anna.open(f"/w/studio?service={stack.portrait_id}&host={HOST_PAGE}&place=i0&name=Anna+Ek")
    said.append(event_in(anna.page.text))
    await anna.send('id="hf-hold"', start=anna.starts[0])
    said.append(event_in(anna.page.text))
    await anna.send('action="[^"]*/details"', name="Anna Ek", email="anna@customer.example")
    assert '"type": "payment"' in unescape(anna.page.text)
    (booking,) = await rows(stack)
    assert said == [
        None,
        {
            "type": "held",
            "booking": booking.id,
            "service": {"id": stack.portrait_id, "name": "Portrait session"},
            "start": booking.starts_at.isoformat(),
            "price": {"amount": 120000, "currency": "sek"},
        },
    ]


async def test_what_goes_wrong_is_told_by_its_code(stack: Stack, anna: Browser) -> None:
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    stack.hapio.faults.append(Fault("drop_before", times=20))
    await anna.send('id="hf-hold"', start=anna.starts[0])
    assert event_in(anna.page.text) == {"type": "error", "code": "HAPIO_API_ERROR"}
    await anna.open("/w/nobody")
    assert event_in(anna.page.text) == {"type": "error", "code": "BOOKING_NOT_FOUND"}


async def test_the_page_names_whom_its_frame_may_talk_to(stack: Stack, anna: Browser) -> None:
    await anna.open("/w/studio")
    assert '<body data-hosts="https://studio.example">' in anna.page.text


# Coming back


async def test_after_paying_the_visitor_is_on_the_host_page_with_a_link_that_only_shows(stack: Stack) -> None:
    booking = await held_from(stack, place="p3")
    address, _, fragment = (await back_from_stripe(stack, booking)).partition("#")
    assert address == HOST_PAGE
    place, token = re.fullmatch(r"holdfast=(p3)\.([\w.-]+)", fragment).groups()  # type: ignore[union-attr]  # fails here
    assert place == "p3"

    page = await stack.client.get(f"/r/{token}")
    said = text_of(page.text)
    assert page.status_code == 200
    assert "Your time is confirmed" in said
    assert "Portrait session" in said
    assert "Anna" not in page.text
    assert "anna@" not in page.text
    assert "/b/" not in page.text
    assert "frame-ancestors 'self' https://studio.example" in page.headers["content-security-policy"]
    for act in ("pay", "release", "extend", "details", "hold-again"):
        assert (await stack.client.post(f"/b/{token}/{act}")).status_code == 403
    assert (await stack.client.get(f"/b/{token}")).status_code == 403
    assert (await stack.client.get(f"/manage/{token}")).status_code == 403


async def test_a_bookings_own_token_does_not_open_the_result_page(stack: Stack) -> None:
    booking = await held_from(stack)
    links = stack.parts.links
    for token in (
        links.booking_token(booking.id, ends_at=booking.ends_at),
        links.manage_token(booking.id, booking.link_version),
        links.receipt({"booking": booking.id}),
    ):
        assert (await stack.client.get(f"/r/{token}")).status_code == 403


async def test_the_result_link_lives_for_hours(stack: Stack) -> None:
    booking = await held_from(stack)
    token = (await back_from_stripe(stack, booking)).rpartition("i0.")[2]
    stack.clock.advance(timedelta(hours=2))
    assert (await stack.client.get(f"/r/{token}")).status_code == 200
    stack.clock.advance(timedelta(hours=2))
    assert (await stack.client.get(f"/r/{token}")).status_code == 410


@pytest.mark.parametrize(
    "foreign",
    [
        "https://evil.example/book",
        "https://studio.example.evil.example/",
        "https://studio.example@evil.example/",
        "https://evil.example\\@studio.example/",
        "//studio.example/",
        "javascript:alert(1)//studio.example",
        "http://studio.example/",
        "https://studio.example:8443/",
    ],
)
async def test_a_foreign_return_address_is_not_used(stack: Stack, anna: Browser, foreign: str) -> None:
    await anna.open(f"/w/studio?{httpx.QueryParams(service=stack.portrait_id, host=foreign, place='i0')}")
    assert "evil" not in anna.page.text
    await anna.send('id="hf-hold"', start=anna.starts[0])
    (booking,) = await rows(stack)
    assert (booking.visitor.host, booking.visitor.place) == ("", "")
    booking = await stack.parts.checkout.add_details(booking.id, {"name": "Anna", "email": "anna@customer.example"})
    assert (await back_from_stripe(stack, booking)).startswith("/b/")


async def test_a_site_that_was_taken_off_the_list_gets_nobody_back(stack: Stack) -> None:
    booking = await held_from(stack, host="https://formerly.example/")
    assert (await back_from_stripe(stack, booking)).startswith("/b/")


async def test_without_our_loader_the_visitor_comes_to_our_own_page(stack: Stack) -> None:
    booking = await held_from(stack, place="")
    assert (await back_from_stripe(stack, booking)).startswith("/b/")


@pytest.mark.parametrize("place", ["x0", "i", "i1000", "i0.evil", "i0#", "i٣"])
async def test_a_place_that_is_none_is_not_kept(stack: Stack, anna: Browser, place: str) -> None:
    await anna.open(f"/w/studio?{httpx.QueryParams(service=stack.portrait_id, host=HOST_PAGE, place=place)}")
    assert 'name="host"' in anna.page.text
    assert 'name="place"' not in anna.page.text


async def test_who_leaves_stripes_page_unpaid_finds_the_time_held_and_the_way_to_pay(stack: Stack) -> None:
    booking = await held_from(stack)
    address, _, token = (await left_stripe(stack, booking)).partition("#holdfast=i0.")
    assert address == HOST_PAGE
    page = (await stack.client.get(f"/r/{token}")).text
    said = text_of(page)
    assert "Your time is still held" in said
    assert "Nothing was charged." in said
    (link,) = re.findall(r'href="([^"]+)" target="_top">Continue to payment', page)
    assert urlsplit(link).path.startswith(SESSION)
    assert event_in(page) is None
    assert "hx-trigger" not in page

    await stack.stripe.pay(urlsplit(link).path.removeprefix(SESSION))
    said = text_of((await stack.client.get(f"/r/{token}")).text)
    assert "Your time is confirmed" in said


async def test_the_result_of_a_hold_that_ended_says_so_and_offers_other_times_only(stack: Stack) -> None:
    booking = await held_from(stack)
    token = (await left_stripe(stack, booking)).rpartition("i0.")[2]
    await stack.tick(after=timedelta(minutes=40))
    page = (await stack.client.get(f"/r/{token}")).text
    assert "This time is no longer held for you" in page
    assert "hold-again" not in page
    assert 'href="/w/studio?' in page
    told = event_in(page)
    assert told
    assert (told["type"], told["reason"], told["booking"]) == ("canceled", "deadline", booking.id)


async def test_a_slow_confirmation_is_looked_for_on_the_result_page(stack: Stack) -> None:
    booking = await held_from(stack)
    stack.hapio.faults.append(Fault("error_before", method="PATCH", times=1000))
    token = (await back_from_stripe(stack, booking)).rpartition("i0.")[2]
    page = (await stack.client.get(f"/r/{token}")).text
    assert "confirming your time" in page
    assert event_in(page) is None
    (poll,) = re.findall(r'hx-get="(/r/[^"]+)" hx-trigger="load', page)
    stack.hapio.faults.clear()
    await stack.tick(after=timedelta(minutes=1))
    block = await stack.client.get(unescape(poll), headers={"HX-Request": "true"})
    told = event_in(block.text)
    assert told
    assert told["type"] == "confirmed"


async def test_the_calendar_entry_from_the_result_page_names_the_host_page(stack: Stack) -> None:
    booking = await held_from(stack)
    token = (await back_from_stripe(stack, booking)).rpartition("i0.")[2]
    entry = await stack.client.get(f"/r/{token}/calendar.ics")
    assert entry.headers["content-type"].startswith("text/calendar")
    assert HOST_PAGE in entry.text.replace("\r\n ", "")
    assert token not in entry.text


# Receipts


async def confirmed(stack: Stack) -> tuple[Booking, str]:
    """A confirmed booking, and the receipt that the host page was given."""
    booking = await held_from(stack)
    token = (await back_from_stripe(stack, booking)).rpartition("i0.")[2]
    told = event_in((await stack.client.get(f"/r/{token}")).text)
    assert told
    return await stack.parts.bookings.get(booking.id), told["receipt"]


async def test_a_receipt_tells_a_hosts_server_what_was_booked(stack: Stack) -> None:
    booking, receipt = await confirmed(stack)
    assert booking.status is Status.CONFIRMED
    assert booking.confirmed_at
    answer = await verify(stack, {"receipt": receipt})
    assert answer.json() == {
        "success": True,
        "valid": True,
        "receipt": {
            "version": 1,
            "widget": "studio",
            "booking": booking.id,
            "service": {"id": stack.portrait_id, "name": "Portrait session"},
            "start": booking.starts_at.isoformat(),
            "price": {"amount": 120000, "currency": "sek"},
            "confirmedAt": booking.confirmed_at.isoformat(),
        },
    }
    assert "anna" not in answer.text.lower()


async def test_a_forged_receipt_is_told_from_a_genuine_one(stack: Stack) -> None:
    booking, receipt = await confirmed(stack)
    stranger = Links(["a-stranger's-key-of-32-characters!!!!!"], now=stack.clock, random=Random(1))
    middle = len(receipt) // 2
    for forged in (
        "",
        "receipt",
        receipt[:-1],
        receipt + "A",
        receipt[:middle] + ("A" if receipt[middle] != "A" else "B") + receipt[middle + 1 :],
        stranger.receipt({"booking": booking.id}),
        stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at),
        stack.parts.links.result_token(booking.id),
        "A" * 10_000,
    ):
        assert (await verify(stack, {"receipt": forged})).json() == {"success": True, "valid": False}, forged


@pytest.mark.parametrize("body", [{}, [], "receipt", {"receipt": 7}, {"receipt": None}, {"receipt": "x", "more": 1}])
async def test_a_question_that_names_no_receipt_is_refused(stack: Stack, body: Any) -> None:
    answer = await verify(stack, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "INVALID_REQUEST"


async def test_what_is_not_json_is_refused(stack: Stack) -> None:
    for content in (b"receipt=x", b"\xff", b"[" * 50_000):
        answer = await stack.client.post("/api/receipts/verify", content=content)
        assert answer.status_code == 400, content[:20]


async def test_a_receipt_survives_a_change_of_keys(stack: Stack) -> None:
    _, receipt = await confirmed(stack)
    old = stack.settings.keys
    rotated = Links(["a-new-secret-key-of-32-characters!!!!", *old], now=stack.clock, random=Random(1))
    assert rotated.read_receipt(receipt)


async def test_guessing_receipts_is_slowed_down(stack: Stack) -> None:
    answers = [(await verify(stack, {"receipt": f"guess-{n}"})).status_code for n in range(70)]
    assert answers[:60] == [200] * 60
    assert answers[-1] == 429
