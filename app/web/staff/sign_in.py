"""Signing in with a link in a mail, without a password: the only way into the staff pages.

Their addresses carry who is signed in, so nothing of them is stored, framed, logged or sent on as a referrer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.booking.customer_form import read_address
from app.domain.acting import acting
from app.errors import LinkExpired, LinkRefused, NotFound
from app.parts import parts_of
from app.protection.rate_limits import SIGN_IN, STAFF, client_address
from app.protection.signed_links import SIGN_IN_LIFE
from app.text import catalogues
from app.web.shared.render import NOBODY, widget_shell
from app.web.shared.request_input import asked_path, read_form
from app.web.staff.page import place_zone, read_well, render_staff

#: What of a page's address may come behind the token: never the beginning of another site's.
_THERE = re.compile(r"(/[A-Za-z0-9_.~%-]+)*(\?[A-Za-z0-9_.~%&=+:-]*)?")

Door = Callable[[Request], Awaitable[Response]]


#: The pages that a sign-in may lead on to; anything else in an address is someone else's idea.
_NEXT = re.compile(r"(bookings|customers)/[A-Za-z0-9_]{1,40}|customers|technical(/(events|emails|programs))?")
#: Slashes in the path of the first page, which says whether all is well: "/staff/{token}".
_FIRST_PAGE = 2


def signed_in(door: Door) -> Door:
    """The one way in. Whose address does not open (any more) may ask for a link."""

    @wraps(door)
    async def open_door(request: Request) -> Response:
        parts = parts_of(request)
        await parts.rate_limits.check(STAFF, client_address(request.scope))
        request.state.shell = widget_shell(request, NOBODY)
        try:
            request.state.staff = await parts.staff.signed_in(request.path_params["token"])
        except LinkRefused as error:
            meant = request.scope["path"].split("/", 3)[3:] if request.method == "GET" else []
            return _ask_page(request, error=error, leads_to=read_next("".join(meant)))
        request.state.staff_zone = await place_zone(request)
        if set(request.path_params) == {"token"} and request.scope["path"].count("/") == _FIRST_PAGE:
            request.state.well = await read_well(request)
        with acting(request.state.staff.email):
            return await door(request)

    return open_door


def read_next(text: str) -> str:
    """The page that a sign-in leads on to, below "/staff/{token}/"; empty for the bookings, and for what is none of
    ours."""
    return text if _NEXT.fullmatch(text) else ""


# Asking for a link


async def show_ask(request: Request) -> Response:
    """GET /staff: ask for a link, which leads on to the page `next`."""
    return _ask_page(request, leads_to=read_next(request.query_params.get("next", "")))


async def ask(request: Request) -> Response:
    """POST /staff: the same answer for every address; a link goes to those that may sign in."""
    parts = parts_of(request)
    await parts.rate_limits.check(SIGN_IN, client_address(request.scope))
    shell = request.state.shell = widget_shell(request, NOBODY)
    form = await read_form(request)
    typed, leads_to = form.get("email", "").strip()[:254], read_next(form.get("next", ""))
    address = read_address(typed)
    if address is None:
        return _ask_page(request, typed=typed, leads_to=leads_to)
    task = BackgroundTask(parts.staff.ask, address, shell.language, leads_to) if parts.staff.enabled else None
    return RedirectResponse("/staff/sent", status_code=303, background=task)


async def show_sent(request: Request) -> Response:
    """GET /staff/sent"""
    shell = request.state.shell = widget_shell(request, NOBODY)
    _ = catalogues.translator(shell.language).gettext
    lines = [
        _("If this address is allowed to sign in, a link is on its way to it."),
        _("It works once, within %(num)s minutes.") % {"num": _minutes(SIGN_IN_LIFE)},
    ]
    return door_page(request, heading=_("Check your email"), lines=lines)


# The link


async def show_in(request: Request) -> Response:
    """GET /staff/in/{token}: a button, since mail scanners open links and the link works once."""
    parts = parts_of(request)
    await parts.rate_limits.check(STAFF, client_address(request.scope))
    shell = request.state.shell = widget_shell(request, NOBODY)
    _ = catalogues.translator(shell.language).gettext
    try:
        parts.links.read_sign_in_token(request.path_params["token"])
    except LinkRefused as error:
        return _ask_page(request, error=error, leads_to=read_next(request.query_params.get("next", "")))
    leads_to = read_next(request.query_params.get("next", ""))
    form = {"action": asked_path(request), "label": _("Sign in"), "field": None, "stays": True, "next": leads_to}
    return door_page(request, heading=_("Sign in to the bookings"), form=form)


async def sign_in(request: Request) -> Response:
    """POST /staff/in/{token}"""
    parts = parts_of(request)
    await parts.rate_limits.check(STAFF, client_address(request.scope))
    request.state.shell = widget_shell(request, NOBODY)
    leads_to = read_next((await read_form(request)).get("next", ""))
    try:
        stays = (await read_form(request)).get("stays") == "1"
        token = await parts.staff.sign_in(request.path_params["token"], stays=stays)
    except LinkRefused as error:
        return _ask_page(request, error=error, leads_to=leads_to)
    return RedirectResponse(f"/staff/{token}" + (f"/{leads_to}" if leads_to else ""), status_code=303)


@signed_in
async def sign_out(request: Request) -> Response:
    """POST /staff/{token}/sign-out"""
    await parts_of(request).staff.sign_out(request.state.staff)
    return RedirectResponse("/staff", status_code=303)


@signed_in
async def stay(request: Request) -> Response:
    """POST /staff/{token}/stay: signed in for longer, on the same page."""
    token = await parts_of(request).staff.stay(request.state.staff)
    there = (await read_form(request)).get("there", "")
    return RedirectResponse(f"/staff/{token}{there if _THERE.fullmatch(there) else ''}", status_code=303)


# The pages


def _ask_page(
    request: Request, *, error: LinkRefused | None = None, typed: str | None = None, leads_to: str = ""
) -> Response:
    """The form that asks for a link; `error` is why the address at hand does not open, `typed` what is no address, and
    `leads_to` the page that was meant."""
    if not parts_of(request).staff.enabled:
        raise NotFound("no staff")
    shell = request.state.shell = widget_shell(request, NOBODY)
    _ = catalogues.translator(shell.language).gettext
    lines = [
        _(
            "We email a sign-in link to people who work here. You need no password, and nothing is stored in your "
            "browser."
        )
    ]
    heading = _("Sign in to the bookings")
    if isinstance(error, LinkExpired):
        heading = _("Please sign in again")
        lines.insert(0, _("This link has expired, or was used before. Nothing was changed."))
    elif error:
        heading = _("This link does not work")
        lines.insert(0, _("Part of it may be missing."))
    field = {"typed": typed or "", "wrong": typed is not None}
    form = {"action": "/staff", "label": _("Email me a link"), "field": field, "next": leads_to}
    status = error.status if error else 422 if typed is not None else 200
    return door_page(request, heading=heading, lines=lines, form=form, status=status)


def door_page(
    request: Request,
    *,
    heading: str,
    lines: Sequence[str] = (),
    form: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response:
    """A page for anyone who is not signed in: a heading, some lines, perhaps a form."""
    context = {"heading": heading, "lines": lines, "form": form}
    return render_staff(request, "staff/sign_in.html", context, status=status)


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)
