"""Checks before a page is rendered or a form is read: how often this address asks, and whether the form is ours."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import HoldfastError, NotAForm
from app.parts import parts_of
from app.protection.rate_limits import FORM, PAGE, client_address
from app.web.shared.render import render_error
from app.web.shared.static_files import file_paths

#: Files in memory and the operator's doors: none of them draws a page. Whatever else begins like them is an error page.
_FREE: Final = frozenset({"/embed.js", "/healthz", "/readyz", *file_paths()})
_READS: Final = frozenset({"GET", "HEAD"})
#: Programs are counted at their own doors (`app.api.door`). These two are pages about them.
_API: Final = "/api/"
_API_PAGES: Final = ("/api/openapi.json",)


class PageLimits:
    """ASGI middleware: every page counts for its address, every form once more, before anything is read or drawn."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_page(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            await _admit(request)
        except HoldfastError as error:
            parts_of(request).metrics.count_error(error.code)
            await (await render_error(request, error))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_page(method: str, path: str) -> bool:
    if path in _FREE:
        return method not in _READS
    return not path.startswith(_API) or path in _API_PAGES


async def _admit(request: Request) -> None:
    rate_limits, address = parts_of(request).rate_limits, client_address(request.scope)
    await rate_limits.check(PAGE, address)
    if request.method != "POST":
        return
    await rate_limits.check(FORM, address)
    # No form of ours is sent in parts, and its parser decodes with whatever charset the sender names.
    if request.headers.get("content-type", "").lstrip().lower().startswith("multipart/"):
        raise NotAForm("multipart")
