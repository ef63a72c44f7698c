"""Forms that another site's page sends are refused.

Nothing is kept in browsers, so such a form has no rights of the visitor's to misuse. It could still hold times, and ask
for mails, in the name and from the network of anyone who opens that page.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.urls import origin_of
from app.errors import CrossSite
from app.parts import parts_in


def only_from_our_pages(routes: Sequence[Route]) -> list[Route]:
    """The same routes; those that take forms take none of another site's. The JSON routes have rules of their own."""
    return [
        Route(route.path, route.endpoint, methods=list(route.methods), middleware=[Middleware(_OurPages)])
        if route.methods and "POST" in route.methods and not route.path.startswith("/api/")
        else route
        for route in routes
    ]


class _OurPages:
    """ASGI middleware. Raises CrossSite."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not _is_ours(headers, parts_in(scope).settings.public_url):
            raise CrossSite(headers.get("origin", ""))
        await self._app(scope, receive, send)


def _is_ours(headers: Headers, public_url: str) -> bool:
    """Whether a page of ours sent this, as far as the browser says (W3C, "Fetch Metadata"; RFC 6454).

    A frame of ours on another site sends "same-origin", too: what counts is whose page the form is on. An origin of
    "null" tells nothing. Browsers name it for forms of pages without a referrer, which all of ours are; a foreign page
    and a frame that is sandboxed without an origin name it as well, and are told apart by Sec-Fetch-Site, which
    browsers have sent since 2023 at the latest. One that sends neither header is let through.
    """
    match headers.get("sec-fetch-site"):
        case "same-origin" | "none":
            return True
        case "cross-site" | "same-site":
            return False
    origin, ours = headers.get("origin", "null"), origin_of(public_url)
    if origin == "null":
        return True
    host = headers.get("host", "").lower()
    if ours.endswith(f"://{host}"):
        return origin_of(origin) == ours
    # The visitor reached us under another name. Which scheme that has only the proxy knows.
    return origin_of(origin).partition("://")[2] == host != ""
