"""A page view that comes again is answered from what was kept, and never with what was true only before, or only for
someone else."""

from __future__ import annotations

import asyncio
import gc
import gzip
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import httpx
import pytest
from anyio.lowlevel import checkpoint
from starlette.types import Receive, Scope, Send

from app.web.shared.page_cache import MOST_BYTES, Answer, Pages, WarmPages, pages_in
from sandbox.hapio import Fault
from tests.support.stack import PUBLIC_URL, Stack, open_stack, text_of

SECOND = timedelta(seconds=1)


class NotKept(Exception):
    """The request would have gone on to its door."""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio, which speaks three languages."""
    async with open_stack(tmp_path, widget='languages = ["en", "sv", "de"]') as stack:
        yield stack


@pytest.fixture
async def kept(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is answered only from what was kept."""

    async def no_door(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotKept

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await WarmPages(no_door)({**scope, "app": stack.hooks.app}, receive, send)

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield client


@pytest.fixture
async def portrait(stack: Stack) -> str:
    """The address of the portrait's times, which someone has looked at: what is being read meanwhile is not kept."""
    address = f"/w/studio?service={stack.portrait_id}"
    await stack.client.get(address)
    return address


def starts(page: httpx.Response) -> list[str]:
    """The times that can be clicked."""
    assert page.status_code == 200
    return re.findall(r'name="start" value="([^"]+)"', page.text)


async def meanwhile(page: Callable[[], Awaitable[httpx.Response]], done: Callable[[httpx.Response], bool]) -> None:
    """Look again and again while a read behind the scenes comes in, until the page shows it."""
    async with asyncio.timeout(10):
        while not done(await page()):
            await checkpoint()


def key_of(page: httpx.Response) -> str:
    """The page view's own key."""
    [key] = re.findall(r'name="key" value="([^"]+)"', page.text)
    return str(key)


async def test_a_page_that_is_opened_again_is_the_same_but_for_its_key_and_asks_hapio_nothing(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    first = await stack.client.get(portrait)
    calls = len(stack.hapio.calls)
    again = [await kept.get(portrait) for _ in range(20)]
    assert len({key_of(page) for page in (first, *again)}) == 21
    assert {page.text.replace(key_of(page), "") for page in again} == {first.text.replace(key_of(first), "")}
    assert len(stack.hapio.calls) == calls


async def test_a_kept_page_says_everything_in_its_headers_that_the_first_one_said(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    """It passes the guard by, so it has to carry what the guard adds."""
    for target in (portrait, "/w/studio"):
        first, again = await stack.client.get(target), await kept.get(target)
        assert first.headers.pop("x-request-id") != again.headers.pop("x-request-id")
        assert sorted(again.headers.multi_items()) == sorted(first.headers.multi_items())
        assert {"content-security-policy", "referrer-policy", "x-content-type-options", "permissions-policy"} <= set(
            again.headers
        )


async def test_a_time_that_is_taken_through_us_is_gone_from_the_next_view_and_back_when_it_is_given_up(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    before = starts(await stack.client.get(portrait))
    assert starts(await kept.get(portrait)) == before
    taken = await stack.take_everyone(await stack.free_slot())
    calls = len(stack.hapio.calls)
    with pytest.raises(NotKept):
        await kept.get(portrait)
    assert before[0] not in starts(await stack.client.get(portrait))
    assert before[0] not in starts(await kept.get(portrait))
    assert len(stack.hapio.calls) == calls
    for booking in taken:
        await stack.parts.hold.give_up(booking.id)
    calls = len(stack.hapio.calls)
    with pytest.raises(NotKept):
        await kept.get(portrait)
    assert starts(await stack.client.get(portrait)) == before
    assert starts(await kept.get(portrait)) == before
    assert len(stack.hapio.calls) == calls


async def test_the_part_of_a_page_that_htmx_asks_for_follows_a_hold_too(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    slots, htmx = portrait.replace("?", "/slots?"), {"HX-Request": "true"}
    before = starts(await stack.client.get(slots, headers=htmx))
    assert starts(await kept.get(slots, headers=htmx)) == before
    await stack.take_everyone(await stack.free_slot())
    with pytest.raises(NotKept):
        await kept.get(slots, headers=htmx)
    assert before[0] not in starts(await stack.client.get(slots, headers=htmx))


async def test_a_page_without_times_follows_when_one_comes_back(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    """Its "next free" comes from other days than the one it shows."""
    first = await stack.free_slot()
    sunday = f"{portrait}&date=2026-11-29"
    shown = text_of((await stack.client.get(sunday)).text)
    [following] = re.findall(r"Next free: \w+ (\d+ \w+, [\d:]+)", shown)
    await kept.get(sunday)
    free = next(slot for slot in starts(await stack.client.get(f"{portrait}&date=2026-11-30")) if slot > "2026-11-29")
    await stack.take_everyone(datetime.fromisoformat(free))
    with pytest.raises(NotKept):
        await kept.get(sunday)
    assert following not in text_of((await stack.client.get(sunday)).text)
    assert first < datetime.fromisoformat(free)


async def test_a_time_that_hapio_refused_is_not_shown_again(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    wanted = starts(await stack.client.get(portrait))[0]
    await stack.book_elsewhere(datetime.fromisoformat(wanted))
    assert wanted in starts(await kept.get(portrait))
    availability = stack.parts.availability
    service = await availability.service(stack.parts.widgets["studio"], stack.portrait_id)
    availability.distrust(service, datetime.fromisoformat(wanted))
    with pytest.raises(NotKept):
        await kept.get(portrait)
    assert wanted not in starts(await stack.client.get(portrait))


async def test_a_time_that_has_passed_is_not_shown(stack: Stack, kept: httpx.AsyncClient) -> None:
    calls = f"/w/studio?service={stack.planning_id}"
    stack.clock.set(datetime.fromisoformat("2026-11-23T09:59:30+01:00"))
    first = min(starts(await stack.client.get(calls)))
    stack.clock.set(datetime.fromisoformat(first) - SECOND)
    assert first in starts(await stack.client.get(calls))
    assert first in starts(await kept.get(calls))
    stack.clock.advance(SECOND)
    with pytest.raises(NotKept):
        await kept.get(calls)
    assert first not in starts(await stack.client.get(calls))


async def test_at_midnight_another_day_is_today(stack: Stack, kept: httpx.AsyncClient, portrait: str) -> None:
    def today(page: httpx.Response) -> str:
        return str(re.findall(r'class="(?:day[^"]* )?today"[^>]*>(\d+)<', page.text)[0])

    stack.clock.set(datetime.fromisoformat("2026-11-23T23:59:58+01:00"))
    await stack.client.get(portrait)
    stack.clock.advance(SECOND)
    assert today(await stack.client.get(portrait)) == "23"
    assert today(await kept.get(portrait)) == "23"
    stack.clock.advance(SECOND)
    with pytest.raises(NotKept):
        await kept.get(portrait)
    assert today(await stack.client.get(portrait)) == "24"


async def test_kept_pages_do_not_keep_hapio_from_being_asked_when_it_is_time(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    before = starts(await stack.client.get(portrait))
    await stack.book_elsewhere(datetime.fromisoformat(before[0]))
    calls = len(stack.hapio.calls)
    for _ in range(44):
        stack.clock.advance(SECOND)
        assert starts(await stack.client.get(portrait)) == before
    assert len(stack.hapio.calls) == calls
    stack.clock.advance(SECOND)
    assert starts(await stack.client.get(portrait)) == before
    await meanwhile(lambda: stack.client.get(portrait), lambda page: before[0] not in starts(page))
    assert before[0] not in starts(await kept.get(portrait))
    read = {call.path for call in stack.hapio.calls[calls:]}
    assert len(read) == 1
    assert "bookable-slots" in read.pop()


async def test_a_page_tells_the_age_of_its_times_while_hapio_is_down_and_stops_when_it_is_back(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    await stack.client.get(portrait)
    stack.hapio.faults.append(Fault("drop_before", times=1000))
    for _ in range(30):
        stack.clock.advance(10 * SECOND)
        await stack.client.get(portrait)
        await checkpoint()
    assert "Times as of" in (await stack.client.get(portrait)).text
    assert "Times as of" in (await kept.get(portrait)).text
    stack.hapio.faults.clear()
    stack.clock.advance(60 * SECOND)
    await meanwhile(lambda: stack.client.get(portrait), lambda page: "Times as of" not in page.text)
    await stack.client.get(portrait)  # a page during whose drawing new times came in is not kept
    assert "Times as of" not in (await kept.get(portrait)).text


async def test_what_one_visitor_brings_along_never_reaches_another(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    everyone: dict[str, dict[str, str]] = {
        "anna": {"name": "Anna Ek", "email": "anna@customer.example", "utm_source": "post7"},
        "bo": {"name": "Bo <b>Ek</b>", "host": "https://studio.example/bo"},
        "nobody": {},
    }
    said = {"Anna Ek", "anna@customer.example", "post7", "Bo &lt;b&gt;Ek&lt;/b&gt;", "https://studio.example/bo"}
    own = {
        "anna": {"Anna Ek", "anna@customer.example", "post7"},
        "bo": {"Bo &lt;b&gt;Ek&lt;/b&gt;", "https://studio.example/bo"},
        "nobody": set[str](),
    }
    for client in (stack.client, kept):
        for who, brought in everyone.items():
            page = await client.get(portrait, params={"service": stack.portrait_id, **brought})
            assert {words for words in said if words in page.text} == own[who]
    tags = {
        (await kept.get(portrait, params={"service": stack.portrait_id, **brought})).headers["etag"]
        for brought in everyone.values()
    }
    assert len(tags) == 3


async def test_languages_and_zones_do_not_mix(stack: Stack, kept: httpx.AsyncClient, portrait: str) -> None:
    asked = [(language, zone) for language in ("sv", "de", "en-US") for zone in ("", "&tz=Asia/Tokyo")]
    pages: list[dict[tuple[str, str], str]] = []
    for client in (stack.client, kept):
        pages.append({})
        for language, zone in asked:
            page = await client.get(portrait + zone, headers={"Accept-Language": language})
            assert f'<html lang="{language}"' in page.text
            assert ('data-zone="Europe/Stockholm"' in page.text) is not bool(zone)
            pages[-1][language, zone] = page.text.replace(key_of(page), "")
    assert pages[0] == pages[1]
    assert len(set(pages[1].values())) == len(asked)


async def test_a_header_that_comes_twice_cannot_put_one_language_into_the_place_of_another(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    twice = await stack.client.get(portrait, headers=[("Accept-Language", "de"), ("Accept-Language", "sv")])
    assert '<html lang="de"' in twice.text
    with pytest.raises(NotKept):
        await kept.get(portrait, headers={"Accept-Language": "sv"})
    assert '<html lang="de"' in (await kept.get(portrait, headers={"Accept-Language": "de"})).text


async def test_a_whole_page_and_its_part_are_not_given_for_each_other(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": f"{PUBLIC_URL}{portrait}&tz=UTC"}
    for client in (stack.client, kept):
        whole = await client.get(portrait)
        assert "<!doctype html>" not in (await client.get(portrait, headers={"HX-Request": "true"})).text
        part = await client.get(portrait, headers=htmx)
        from_elsewhere = await client.get(portrait, headers={**htmx, "HX-Current-URL": f"{PUBLIC_URL}/b/token"})
        assert "<!doctype html>" in whole.text
        assert "<!doctype html>" not in part.text
        assert part.headers["hx-replace-url"] == from_elsewhere.headers["hx-push-url"] == portrait
        assert "hx-push-url" not in part.headers
        odd = await client.get(portrait, headers={**htmx, "Host": "book.example/odd?"})
        assert odd.headers["hx-replace-url"] == portrait


async def test_a_page_of_its_own_leads_back_to_the_site_and_a_framed_one_does_not(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    target = f"{portrait}&host=https://studio.example/book"
    for client in (stack.client, kept):
        for place, leads_back in (("document", True), ("iframe", False)):
            page = await client.get(target, headers={"Sec-Fetch-Dest": place})
            assert ("Back to Studio Nord" in page.text) is leads_back


async def test_who_does_not_read_gzip_is_not_sent_it(stack: Stack, kept: httpx.AsyncClient, portrait: str) -> None:
    await stack.client.get(portrait)
    plain = await kept.get(portrait, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    async with kept.stream("GET", portrait, headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        raw = b"".join([piece async for piece in packed.aiter_raw()])
    assert len(raw) == int(packed.headers["content-length"]) < len(plain.content) / 2
    unpacked = gzip.decompress(raw).decode()
    assert re.sub(r'(?<=name="key" value=")\w+', "", unpacked) == plain.text.replace(key_of(plain), "")


async def test_a_browser_that_has_the_page_is_told_so_until_something_changes(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    has = {"If-None-Match": (await stack.client.get(portrait)).headers["etag"]}
    for client in (stack.client, kept):
        again = await client.get(portrait, headers=has)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == has["If-None-Match"]
    assert (await kept.get(portrait, headers={"If-None-Match": 'W/"other"'})).status_code == 200
    await stack.take_everyone(await stack.free_slot())
    assert (await stack.client.get(portrait, headers=has)).status_code == 200


async def test_wrong_addresses_and_other_methods_are_not_kept(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    for method, target, status in (("GET", "/w/studio?service=no", 404), ("HEAD", portrait, 200)):
        assert (await stack.client.request(method, target)).status_code == status
        for again in (method, "GET"):
            with pytest.raises(NotKept):
                await kept.request(again, target)


async def test_a_page_that_is_answered_again_takes_the_place_of_the_old_answer(
    stack: Stack, kept: httpx.AsyncClient
) -> None:
    await stack.client.get("/w/studio")
    assert stack.hooks.app
    pages: Pages = stack.hooks.app.state.pages
    room = pages.bytes_kept
    for _ in range(20):
        stack.clock.advance(60 * SECOND)
        with pytest.raises(NotKept):
            await kept.get("/w/studio")
        await stack.client.get("/w/studio")
    assert pages.bytes_kept == room > 0


async def test_ten_thousand_made_up_addresses_fill_no_memory_and_ask_hapio_nothing(
    stack: Stack, kept: httpx.AsyncClient, portrait: str
) -> None:
    await stack.client.get(portrait)
    calls, number = len(stack.hapio.calls), count()
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "server": ("book.example", 443),
        "root_path": "",
        "path": "/w/studio",
        "headers": [(b"host", b"book.example"), (b"accept-encoding", b"gzip")],
    }

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        pass

    assert stack.hooks.app
    for made_up in ("utm_source", "name", "resource", "lang", "theme", "nonsense", "service=&utm_campaign", "notes"):
        for _ in range(1250):
            query = f"service={stack.portrait_id}&{made_up}={next(number)}{'x' * 300}".encode()
            await stack.hooks.app({**scope, "query_string": query, "state": {}}, receive, send)
    assert next(number) == 10_000
    assert MOST_BYTES < pages_in({"app": stack.hooks.app}).bytes_kept <= 2 * MOST_BYTES
    answers = [thing for thing in gc.get_objects() if isinstance(thing, Answer)]
    assert 0 < sum(answer.page.size for answer in answers) < MOST_BYTES
    assert len(stack.hapio.calls) == calls
    assert len(starts(await stack.client.get(portrait))) > 0
    assert len(starts(await kept.get(portrait))) > 0
