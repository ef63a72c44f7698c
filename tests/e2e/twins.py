"""A state that is on the screen in one language, once more in another.

Tours find their way by English words. Whatever they have come to is asked for again in the other language, as the
server sends it to a browser without scripts, and opened in a window of its own. What was refused (a form with mistakes
in it) is sent again, which changes nothing; all else is its address.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import sqlalchemy as sa
from playwright.async_api import Page, Request, Response, Route

from app.store.tables import bookings
from tests.e2e.stack import Shop

#: What the browser must not be told of an answer that it is given unpacked.
_ABOUT_THE_WIRE: Final = {"content-encoding", "content-length", "transfer-encoding"}
#: As a browser says of a page that fills its window.
_ALONE: Final = {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate"}
_FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Sent:
    """What the server sends for a state: its page, and the part of it that htmx fetched, if a part made it."""

    url: str
    status: int
    headers: Mapping[str, str]
    page: str
    part: str


class Twins:
    """Notes how a page came to where it is, and asks for that in other languages."""

    def __init__(self, shop: Shop, page: Page) -> None:
        self._shop = shop
        self._page = page
        self._last: Response | None = None
        page.on("response", self._note)

    def _note(self, response: Response) -> None:
        request = response.request
        ours = request.url.startswith(self._shop.public) and not 300 <= response.status < 400
        html = "text/html" in response.headers.get("content-type", "")
        shown = _is_part(request) or request.is_navigation_request()
        if ours and html and shown and request.frame == self._page.main_frame:
            self._last = response

    @property
    def status(self) -> int:
        """How the server answered when the page came to where it is."""
        return self._last.status if self._last else 0

    async def sent(self, language: str) -> Sent:
        """The state as the server sends it to a reader of this language."""
        assert self._last, self._page.url
        request = self._last.request
        url, body = in_language(self._page.url, language), None
        if request.method == "POST":
            url = in_language(request.url, language)
            pairs = parse_qsl(request.post_data or "", keep_blank_values=True)
            body = urlencode([(name, language if name == "lang" else text) for name, text in pairs])
        cookies = await self._page.context.cookies(url)
        headers = {"accept-language": language, "sec-fetch-site": "same-origin", "origin": self._shop.public}
        headers["cookie"] = "; ".join(f"{one['name']}={one['value']}" for one in cookies)
        async with httpx.AsyncClient(headers=headers, timeout=30) as client, spoken_to(self._shop, language):
            page = await _ask(client, url, body, _ALONE)
            part = ""
            if _is_part(request):
                htmx = {name: text for name, text in request.headers.items() if name.startswith("hx-")}
                part = (await _ask(client, in_language(request.url, language), body, htmx)).text
        self._shop.forget_visits()
        return Sent(str(page.url), page.status_code, dict(page.headers), page.text, part)

    async def open(self, sent: Sent) -> Page:
        """A window with what was sent in it. Close it."""
        window = await self._page.context.new_page()
        if size := self._page.viewport_size:
            await window.set_viewport_size(size)
        headers = {name: text for name, text in sent.headers.items() if name not in _ABOUT_THE_WIRE}

        async def answer(route: Route) -> None:
            await route.fulfill(status=sent.status, headers=headers, body=sent.page)

        await window.route(sent.url, answer, times=1)
        await window.goto(sent.url)
        return window


async def _ask(client: httpx.AsyncClient, url: str, body: str | None, headers: Mapping[str, str]) -> httpx.Response:
    if body is None:
        return await client.get(url, headers=headers, follow_redirects=True)
    return await client.post(url, content=body, headers={**_FORM, **headers})


def _is_part(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def in_language(url: str, language: str) -> str:
    """The address, asking for this language."""
    parts = urlsplit(url)
    pairs = [(name, text) for name, text in parse_qsl(parts.query, keep_blank_values=True) if name != "lang"]
    return urlunsplit(parts._replace(query=urlencode([*pairs, ("lang", language)]), fragment=""))


@asynccontextmanager
async def spoken_to(shop: Shop, language: str) -> AsyncIterator[None]:
    """Every customer is spoken to in this language meanwhile: a booking's pages speak its customer's."""
    engine = shop.parts.store.engine
    async with engine.begin() as connection:
        before = {row.id: row.visitor for row in await connection.execute(sa.select(bookings.c.id, bookings.c.visitor))}
        for one, visitor in before.items():
            told = sa.update(bookings).where(bookings.c.id == one)
            await connection.execute(told.values(visitor={**visitor, "language": language}))
    yield
    async with engine.begin() as connection:
        for one, visitor in before.items():
            await connection.execute(sa.update(bookings).where(bookings.c.id == one).values(visitor=visitor))
