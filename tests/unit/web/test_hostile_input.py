"""Whatever strangers write into addresses, forms and headers is answered in words, never with a 500."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import timedelta
from itertools import chain, count
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.domain.booking import Booking
from tests.support.stack import Stack, open_stack
from tests.support.staff import day_off

STAFF = "eva@studio.example"
MINUTE = timedelta(minutes=1)

#: Percent-encoded as they travel: what is no UTF-8 cannot be written otherwise.
NASTY = (
    *map(
        quote,
        (
            "",
            "\x00",
            "a\x00b\x1f\x7f\x85",
            "\r\nSet-Cookie: a=b",
            "世界 ★ é",
            "\u202e\u2028\ufeff",
            "http://[",
            "//[",
            "http://a℀/",
            "https://a／b",
            " https://studio.example/",
            "https://studio.example\n/x",
            "0000-00-00",
            "0001-01-01",
            "0001-01-01T00:00:00+12:00",
            "9999-12-31T23:59:59-12:00",
            "-1",
            "9" * 400,
            "1e999997",
            "٣",
            "x" * 3000,
        ),
    ),
    "%ff%fe%c3%28",
    "%ed%a0%80",
    "%zz%",
    "%",
)

STYLE = ("theme", "accent", "radius", "density", "font", "background", "transparent")
#: What each family of addresses reads from its query, with a value that is good.
QUERIES = {
    "/w/": {
        **dict.fromkeys(
            ("service", "resource", "visitor", "name", "email", "q_use", "utm_source", "gclid", *STYLE), ""
        ),
        "date": "2026-11-24",
        "tz": "Europe/Stockholm",
        "lang": "en",
        "host": "https://studio.example/",
        "place": "i0",
        "zones": "1",
    },
    "/b/": {"told": "back", "step": "details", "from": "stripe", "look": "3", "seen": "x", "name": "", "accent": ""},
    "/r/": {"look": "3", "seen": "x", "accent": ""},
    "/manage/": {
        "told": "moved",
        "look": "3",
        "seen": "x",
        "start": "2026-11-26T09:00:00Z",
        "date": "2026-11-26",
        **dict.fromkeys(("service", "resource", "person", "tz", "lang", "accent"), ""),
    },
    "/staff": {
        "from": "2026-11-23",
        "days": "7",
        "widget": "studio",
        "q": "anna",
        "amount": "10",
        "told": "moved",
        "start": "2026-11-26T09:00:00Z",
        "date": "2026-11-26",
        **dict.fromkeys(("person", "all", "service", "resource", "tz", "lang"), ""),
    },
    "/embed": {
        **dict.fromkeys(("mode", "service", "label", "site", *STYLE), ""),
        "widget": "studio",
        "lang": "en",
    },
    "/api/": {
        "service": "",
        "serviceId": "",
        "startDate": "2026-11-24",
        "endDate": "2026-11-25",
        "timezone": "Europe/Stockholm",
        "widget": "studio",
        "token": "",
    },
    "": {"lang": "en", "host": "https://studio.example/", "accent": "", "v": "1"},
}
#: What forms carry.
FORM = {
    **dict.fromkeys(("service", "resource", "person", "page", "shown", "visitor", "proof_token", "proof_solution"), ""),
    "start": "2026-11-26T09:00:00Z",
    "key": "0123456789abcdef01234567",
    "tz": "Europe/Stockholm",
    "lang": "en",
    "host": "https://studio.example/",
    "name": "Anna Ek",
    "email": "anna@customer.example",
    "phone": "",
    "notes": "",
    "amount": "10",
    "came": "1",
    "utm_source": "",
    "accent": "",
}
HEADERS = (
    "accept",
    "accept-language",
    "accept-encoding",
    "authorization",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "hx-current-url",
    "hx-target",
    "idempotency-key",
    "if-modified-since",
    "if-none-match",
    "origin",
    "range",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-site",
    "stripe-signature",
    "x-forwarded-for",
)
#: As bytes: control characters that no server lets through are left out.
NASTY_HEADERS = (
    b"",
    b"http://[",
    b"http://[x",
    b"//[",
    "http://a℀/世".encode(),
    b"\xff\xfe\x80",
    b"x" * 3000,
    b'W/"x", *',
    b"bytes=9-1,-,999999999999999999999999-",
    b"multipart/form-data; boundary=x; charset=undefined",
    b"multipart/form-data; boundary=x; charset=punycode",
    b"multipart/form-data",
    b"application/x-www-form-urlencoded; charset=idna",
    b"application/json; charset=utf-7",
    b"null",
    b"Bearer \xe4\xf6",
    b"en;q=nan, \xff;q=1e999, *;q=-1",
)


class Stranger:
    """Someone who sends anything, from an address of their own each time, so that no limit stands before a door."""

    def __init__(self, stack: Stack) -> None:
        assert stack.hooks.app
        self._app, self._clock, self._sent = stack.hooks.app, stack.clock, count(1)

    async def send(
        self,
        method: str,
        address: str,
        *,
        form: str = "",
        content: bytes = b"",
        headers: dict[str, bytes] | None = None,
    ) -> httpx.Response:
        """One request; fails on a 500, no matter who answers it."""
        number = next(self._sent)
        if number % 40 == 0:  # a booking's pages are counted by booking
            self._clock.advance(MINUTE)
        transport = httpx.ASGITransport(self._app, client=(f"198.51.{number // 250 % 250}.{number % 250}", 1))
        told: list[tuple[bytes, bytes]] = []
        if form:
            content, told = form.encode(), [(b"content-type", b"application/x-www-form-urlencoded")]
        named = [(name.encode(), value) for name, value in (headers or {}).items()]
        told = [pair for pair in told if pair[0] not in dict(named)] + named
        async with httpx.AsyncClient(transport=transport, base_url="https://book.example") as client:
            answer = await client.request(method, address, content=content, headers=told)
        assert answer.status_code != 500, f"{method} {address} {form} {headers}"
        return answer


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio whose staff page is open, too."""
    async with open_stack(tmp_path, settings={"staff_emails": STAFF}) as stack:
        yield stack


@pytest.fixture
def stranger(stack: Stack) -> Stranger:
    return Stranger(stack)


async def tokens(stack: Stack, booking: Booking) -> dict[str, str]:
    """What opens each family of addresses."""
    await stack.parts.store.add_sign_in("si_1", STAFF, forget_before=stack.clock())
    await stack.parts.store.use_sign_in("si_1")
    links = stack.parts.links
    return {
        "/b/": links.booking_token(booking.id, ends_at=booking.ends_at),
        "/manage/": links.manage_token(booking.id, booking.link_version),
        "/r/": links.result_token(booking.id),
        "/staff/in/": links.sign_in_token("si_1"),
        "/staff/{token}": links.staff_token("si_1"),
    }


async def opened(stack: Stack, booking: Booking, method: str) -> list[tuple[str, str]]:
    """Every route with that method, at an address that opens: (path as the router has it, path)."""
    assert stack.hooks.app
    opening = await tokens(stack, booking)
    hours = {"person": booking.resource_id, "change": (await day_off(stack, booking)).id}
    found = []
    for route in stack.hooks.app.routes:
        assert isinstance(route, Route)
        if method not in (route.methods or {method}) or "sign-out" in route.path:
            continue
        names = {"widget": "studio", "name": "widget.css", "booking": booking.id, "bookingId": booking.id}
        names |= {"secret": stack.parts.links.feed_token("maja@studio.example", 0), "sessionId": "cs_test_1", **hours}
        names |= {"service": stack.portrait_id}
        token = next((token for start, token in opening.items() if route.path.startswith(start)), "x")
        found.append((route.path, route.path.format(**names, token=token)))
    return found


def read_by(path: str) -> dict[str, str]:
    return next(query for start, query in QUERIES.items() if path.startswith(start))


def spoiled(good: dict[str, str], names: Iterable[str]) -> Iterator[str]:
    """The fields with one of these nasty, and with one of these twice; percent-encoded."""
    for name in names:
        kept = urlencode({other: value for other, value in good.items() if other != name and value})
        for nasty in NASTY:
            yield f"{kept}&{name}={nasty}"
        yield f"{kept}&{name}=1&{name}=2"


def every_field_spoiled(good: dict[str, str]) -> Iterator[str]:
    """All fields at once, with the same nasty value."""
    for nasty in NASTY:
        yield "&".join(f"{name}={nasty}" for name in good)


#: Where what a field says goes deepest: these meet each value in each field alone, the others in all fields at once.
READ_CLOSELY = {
    "/w/{widget}": ("service", "resource", "date", "tz", "lang", "host", "place", "visitor", "email", "accent"),
    "/b/{token}": ("look", "seen", "accent"),
    "/manage/{token}/reschedule": ("date", "tz", "service", "resource"),
    "/manage/{token}/reschedule/preview": ("start", "tz", "service", "person"),
    "/staff/{token}": ("from", "days", "person"),
    "/staff/{token}/bookings/{booking}/refund": ("amount",),
    "/staff/{token}/bookings/{booking}/move/preview": ("start", "tz"),
    "/embed/preview": ("mode", "site", "label", "lang", "radius"),
    "/api/availability": ("serviceId", "startDate", "endDate", "timezone"),
}
FORMS_READ_CLOSELY = {
    "/w/{widget}/hold": ("service", "resource", "start", "key", "tz", "lang", "host", "visitor", "email", "accent"),
    "/manage/{token}/reschedule": ("service", "person", "start", "page"),
    "/staff/{token}/bookings/{booking}/refund": ("amount", "page"),
    "/staff/{token}/bookings/{booking}/move": ("service", "person", "start", "tz"),
    "/staff/{token}/services/{widget}/{service}": ("name_en", "description_en", "price", "duration", "notice", "image"),
    "/manage/resend": ("email",),
}
FAMILIES = tuple(QUERIES)


@pytest.mark.parametrize("family", FAMILIES)
async def test_no_address_however_wrong_is_answered_with_a_500(family: str, stack: Stack, stranger: Stranger) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    for pattern, path in await opened(stack, booking, "GET"):
        query = read_by(pattern)
        if query is QUERIES[family]:
            for asked in chain(every_field_spoiled(query), spoiled(query, READ_CLOSELY.get(pattern, ()))):
                await stranger.send("GET", f"{path}?{asked}")


async def test_no_form_however_wrong_is_answered_with_a_500(stack: Stack, stranger: Stranger) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    good = {**FORM, "service": booking.service_id, "start": booking.starts_at.isoformat()}
    for pattern, path in await opened(stack, booking, "POST"):
        for form in chain(every_field_spoiled(good), spoiled(good, FORMS_READ_CLOSELY.get(pattern, ()))):
            await stranger.send("POST", path, form=form)


async def test_a_hold_with_nasty_details_is_answered_in_words(stack: Stack, stranger: Stranger) -> None:
    booking = await stack.hold()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    good = {"name": "Anna", "email": "anna@customer.example", "phone": "", "notes": ""}
    for form in spoiled(good, good):
        await stranger.send("POST", f"/b/{token}/details", form=form)


async def test_no_path_however_wrong_is_answered_with_a_500(stack: Stack, stranger: Stranger) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    opening = await tokens(stack, booking)
    for method in ("GET", "POST", "DELETE"):
        for start in ("/", "/w/", "/w/studio/", "/static/", "/api/", "/api/bookings/", *opening):
            token = opening.get(start, "")
            for nasty in NASTY:
                for htmx in ({}, {"hx-request": b"true"}):
                    path = start.replace("{token}", token) + (token if start in {"/b/", "/manage/", "/r/"} else "")
                    await stranger.send(method, path + nasty.replace("..", "%2e%2e"), headers=htmx)


async def test_no_header_however_wrong_is_answered_with_a_500(stack: Stack, stranger: Stranger) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    for method in ("GET", "POST"):
        paths = [path for _, path in await opened(stack, booking, method)]
        assert paths
        for number, (name, value) in enumerate((name, value) for name in HEADERS for value in NASTY_HEADERS):
            # A share of the routes for each pair: together every route meets every header, if not every value.
            for path in paths[number % 29 :: 29]:
                body = b"" if method == "GET" else b"email=anna%40customer.example&start=x"
                await stranger.send(method, path, content=body, headers={"hx-request": b"true", name: value})


async def test_a_form_in_an_encoding_that_no_browser_uses_is_refused_in_words(stack: Stack, stranger: Stranger) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n\\ud800\r\n--x--\r\n'
    for charset in ("undefined", "punycode", "unicode_escape", "utf-7", "idna"):
        kind = f"multipart/form-data; boundary=x; charset={charset}".encode()
        for path in ("/manage/resend", "/staff", "/w/studio/hold"):
            answer = await stranger.send("POST", path, content=body, headers={"content-type": kind})
            assert answer.status_code == 415
            assert "could not read that form" in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b'{"receipt": "\\ud800"}',
        b'{"receipt": ' + b"9" * 5000 + b"}",
        b"[" * 50_000,
        b"\xff",
        b"",
        b'{"receipt": null}',
    ],
    ids=["half a character", "a long number", "deep", "no text", "nothing", "null"],
)
async def test_a_receipt_that_is_none_is_answered_in_words(stack: Stack, stranger: Stranger, body: bytes) -> None:
    answer = await stranger.send("POST", "/api/receipts/verify", content=body)
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert answer.json() == {"success": True, "valid": False}


async def test_the_address_bar_follows_a_step_whatever_letters_the_path_has(stack: Stack) -> None:
    answer = await stack.client.get("/manage/%E4%B8%96?x=%E4%B8%96", headers={"HX-Request": "true"})
    assert answer.headers["hx-push-url"] == "/manage/%E4%B8%96?x=%E4%B8%96"
    again = {"HX-Request": "true", "HX-Current-URL": "https://book.example/manage/%E4%B8%96"}
    answer = await stack.client.get("/manage/%E4%B8%96?x=1", headers=again)
    assert answer.headers["hx-replace-url"] == "/manage/%E4%B8%96?x=1"


@pytest.mark.parametrize("start", ["", " ", "\x01", "\n", "\x00"])
@pytest.mark.parametrize("end", [" ", "\n/x", "\r\n", "\x00", "/\x7f"])
async def test_a_host_page_with_blanks_or_control_characters_is_no_host_page(
    stack: Stack, start: str, end: str
) -> None:
    host = quote(f"{start}https://studio.example{end}")
    page = await stack.client.get(f"/w/studio?service={stack.portrait_id}&host={host}&place=i0")
    assert page.status_code == 200
    assert 'name="host"' not in page.text
    assert 'name="place"' not in page.text


@pytest.mark.parametrize("query", [b"\xff\xfe=\x80", b"host=\xe4\xb8", b"accent=\x00", b"lang=sv&lang=\xff"])
async def test_bytes_that_are_no_text_in_a_query_are_answered_in_words(stack: Stack, query: bytes) -> None:
    """Servers hand them on as they come."""
    assert stack.hooks.app
    app, booking = stack.hooks.app, await stack.confirmed(await stack.in_days(3))

    async def as_sent(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "query_string": query}, receive, send)

    transport = httpx.ASGITransport(as_sent, client=("198.51.100.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="https://book.example") as client:
        for method in ("GET", "POST"):
            for _, path in [*await opened(stack, booking, method), ("", "/nowhere"), ("", "/w/studio/")]:
                for headers in ({}, {"HX-Request": "true"}):
                    answer = await client.request(method, path, headers=headers)
                    assert answer.status_code != 500, path
                stack.clock.advance(timedelta(seconds=5))
