"""The Calendly accounts of owners: which are connected, and connecting one.

Calendly's page opens in a new tab, and the return from it ends there with a sentence: Calendly knows that address, so
it must not open a staff page. The first tab is still signed in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.errors import LinkExpired, LinkRefused, NotFound
from app.operations.calendly_connections import Connection, Told
from app.parts import parts_of
from app.protection.rate_limits import STAFF, client_address
from app.text import catalogues, formats
from app.web.shared.render import NOBODY, widget_shell
from app.web.staff.page import base_path, place_zone, render_staff
from app.web.staff.sign_in import door_page, signed_in


@signed_in
async def show_connections(request: Request) -> Response:
    """GET /staff/{token}/calendly: every owner's name, with the account that is connected under it."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    if not parts.calendly.enabled:
        raise NotFound("no OAuth app is set")
    zone = await place_zone(request)
    rows = [_row(one, zone, now, language) for one in await parts.calendly.all()]
    return render_staff(request, "staff/calendly.html", {"rows": rows}, screen="calendly")


@signed_in
async def connect(request: Request) -> Response:
    """GET /staff/{token}/calendly/{name}/connect: on to Calendly's page. Nothing is kept before the owner is back."""
    url = parts_of(request).calendly.consent_url(request.path_params["name"], request.state.staff)
    return RedirectResponse(url, status_code=303, headers={"Cache-Control": "no-store"})


@signed_in
async def disconnect(request: Request) -> Response:
    """POST /staff/{token}/calendly/{name}/disconnect: forget the account."""
    await parts_of(request).calendly.disconnect(request.path_params["name"])
    return RedirectResponse(f"{base_path(request)}/calendly", status_code=303)


async def come_back(request: Request) -> Response:
    """GET /staff/calendly/callback: back from Calendly's page."""
    parts, query = parts_of(request), request.query_params
    await parts.rate_limits.check(STAFF, client_address(request.scope))
    shell = request.state.shell = widget_shell(request, NOBODY)
    if not parts.calendly.enabled:
        raise NotFound("no OAuth app is set")
    _ = catalogues.translator(shell.language).gettext
    failed = _("Calendly is not connected")
    try:
        visit = await parts.calendly.come_back(
            state=query.get("state", ""), code=query.get("code", ""), refusal=query.get("error", "")
        )
    except LinkExpired as error:
        lines = [_("You have signed out in the meantime. Nothing was changed."), _("Sign in, and try again.")]
        return door_page(request, heading=failed, lines=lines, status=error.status)
    except LinkRefused as error:
        lines = [_("This link was not made by this server, or part of it is missing. Nothing was changed.")]
        return door_page(request, heading=failed, lines=lines, status=error.status)
    words = {"owner": visit.owner, "account": visit.account}
    line = _sentences(shell.language)[visit.told] % words
    done = visit.told in {"connected", "unheard"}
    leave = _("You can close this tab. Reload the previous page to see the connection.")
    return door_page(
        request,
        heading=_("Calendly is connected") if done else failed,
        lines=[line, leave if done else _("You can close this tab and try again from the previous page.")],
        status=200 if done else 409,
    )


def _sentences(language: str) -> Mapping[Told, str]:
    _ = catalogues.translator(language).gettext
    return {
        "connected": _("The account of %(account)s is connected as “%(owner)s”."),
        "unheard": _(
            "The account of %(account)s is connected as “%(owner)s”. Calendly could not be asked to tell us of "
            "changes, so they are noticed a quarter of an hour later. Connect again to try once more."
        ),
        "denied": _("Access was not allowed on Calendly's page. Nothing was changed."),
        "expired": _(
            "This took longer than ten minutes, or Calendly no longer accepts the answer. Nothing was changed."
        ),
        "used": _("This link has been used before. The connection that it made is unchanged."),
        "other_name": _(
            "The Calendly account of %(account)s is already connected under another name. Each account can be "
            "connected once: sign in to Calendly with another account, or disconnect it under the other name first."
        ),
        "other_account": _(
            "Another Calendly account is connected as “%(owner)s”, not that of %(account)s. Sign in to Calendly with "
            "that one, or disconnect it first: bookings that were made there can then no longer be moved or cancelled."
        ),
        "no_scope": _(
            "Calendly does not let us read whose account it is: the app that is registered there lacks the scope "
            "“users:read”."
        ),
        "unreachable": _("Calendly did not answer as it should. Please try again in a moment."),
    }


def _row(one: Connection, zone: str, now: datetime, language: str) -> Mapping[str, Any]:
    _ = catalogues.translator(language).gettext
    names = {"account": one.account, "day": ""}
    if one.since is None:
        word, mark = _("Not connected yet"), "info"
    else:
        names["day"] = formats.format_day(one.since, zone, language, "medium", today=now.date())
        word, mark = _("Connected with the account of %(account)s since %(day)s"), "check"
    if one.broken or one.unreadable:
        word, mark = _("The account of %(account)s has to be connected again"), "problem"
    return {
        "owner": one.owner,
        "widgets": formats.format_list(one.widgets, language),
        "word": word % names,
        "mark": mark,
        "connected": one.since is not None,
        "unused": not one.widgets,
    }
