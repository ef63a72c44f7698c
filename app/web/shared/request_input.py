"""Reads a browser's request, its address and its form, so that nothing in them can raise an error. Starlette's
`request.url` can raise: it decodes the query as UTF-8."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, quote_from_bytes

from starlette.requests import Request
from starlette.routing import Match

from app.errors import NotAForm

#: What may stand unescaped in a path, and in a query (RFC 3986, sections 3.3 and 3.4).
_PATH: Final = "/!$&'()*+,;=:@"
_QUERY: Final = f"{_PATH}?%"


def asked_path(request: Request) -> str:
    """The path as it stands in an address: ASCII, and never the beginning of another site's address."""
    return quote("/" + request.scope["path"].lstrip("/"), safe=_PATH, errors="replace")


def asked_address(request: Request) -> str:
    """The path and the query as they stand in an address."""
    query = asked_query(request)
    return asked_path(request) + (f"?{query}" if query else "")


def asked_query(request: Request) -> str:
    """The query as it stands in an address, without its question mark."""
    return quote_from_bytes(request.scope["query_string"], safe=_QUERY)


def address_without_slash(request: Request) -> str | None:
    """Where the address leads without the slash at its end; None where no page is there either. Relative to wherever
    the browser is: Starlette's own redirect takes the host from the request, which anyone can fill in."""
    path = request.scope["path"]
    bare = {**request.scope, "path": path.rstrip("/")}
    if path.startswith("//") or not path.endswith("/"):
        return None
    if all(route.matches(bare)[0] is Match.NONE for route in request.app.routes):
        return None
    return asked_address(Request(bare))


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of several with one name the last. Raises NotAForm.

    No form of ours is multipart. Starlette decodes those by whatever codec the client names, some of which raise, and
    some of which take quadratic time.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        raise NotAForm(kind)
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
