"""Error answers at every door: JSON for programs, a page for people."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.api.door import Door
from app.api.envelope import envelope
from app.errors import HoldfastError, InvalidRequest, NotFound
from app.parts import parts_of
from app.web.shared.render import render_error
from app.web.shared.request_input import address_without_slash
from app.web.shared.security_headers import new_request_id, request_header, with_security_headers


async def show_error(request: Request, error: Exception) -> Response:
    """Every error, once: JSON for programs, a page for people."""
    told = error if isinstance(error, HoldfastError) else HoldfastError()
    parts_of(request).metrics.count_error(told.code)
    if request.scope["path"].startswith("/api/"):
        door = request.scope.get("endpoint")
        return envelope(told, may_have_paid=isinstance(door, Door) and door.may_have_paid(request))
    return await render_error(request, told)


async def show_outermost(request: Request, error: Exception) -> Response:
    """What fails before the guard, and so is answered without it: its headers are put on here. The server closes the
    connection after such an answer, and says so."""
    response = await show_error(request, error)
    headers = with_security_headers((name.lower(), value) for name, value in response.raw_headers)
    response.raw_headers = [*headers, request_header(new_request_id()), (b"connection", b"close")]
    return response


async def show_http_error(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such page, wrong method."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == 404 and (address := address_without_slash(request)):
        return RedirectResponse(address)
    response = await show_error(request, NotFound() if status == 404 else InvalidRequest())
    response.status_code = status
    response.headers.update(getattr(error, "headers", None) or {})  # which methods there are
    return response
