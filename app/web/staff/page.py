"""The frame around staff's screens: who is signed in, the page's address, and the place's time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.errors import NotFound, SchedulerError
from app.operations.staff_access import SignIn
from app.parts import parts_of
from app.text import formats
from app.web.shared.render import make_page, render_text
from app.web.shared.request_input import asked_path, asked_query
from app.web.shared.theme import style_hash, theme_css
from app.web.staff.well_words import MOST, Well, well

#: How long before the end the page warns: time to finish what one is writing.
_WARNING = timedelta(minutes=5)


def render_staff(
    request: Request,
    name: str,
    context: Mapping[str, Any],
    *,
    screen: str = "",
    status: int = 200,
    sheet: str = "",
    images: str = "",
) -> Response:
    """A page for staff: no script at all, never stored, framed by nobody. `sheet` is a style sheet of this page's
    own, for what its contents alone decide; `images` are further sources of pictures, as a policy writes them."""
    parts, shell = parts_of(request), request.state.shell
    staff: SignIn | None = getattr(request.state, "staff", None)
    page = make_page(request, shell, fragment=False, framed=False)
    own: dict[str, Any] = {
        "page": page,
        "screen": screen,
        "base": f"/staff/{staff.token}" if staff else "",
        "who": staff and staff.email,
        "has_calendly": parts.calendly.enabled,
        "sheet": sheet,
        "well": getattr(request.state, "well", None),
    }
    if staff:
        own |= _ending(request, staff)
        sheet = own["sheet"] = sheet + own["ends_sheet"]
    text = render_text(parts.templates, name, {"text": "", **context, **own})
    rules = (
        "default-src 'none'",
        " ".join(["style-src 'self'", style_hash(theme_css(shell.theme)), *([style_hash(sheet)] if sheet else [])]),
        " ".join(filter(None, ("img-src 'self' data:", images))),
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": "; ".join(rules)}
    return HTMLResponse(text, status_code=status, headers=headers)


def _ending(request: Request, staff: SignIn) -> dict[str, Any]:
    """When the sign-in ends, and the rule by which the page itself says so some minutes before, without a script."""
    shell, now = request.state.shell, parts_of(request).now()
    left = max(0, int((staff.ends_at - now - _WARNING).total_seconds()))
    there = ""
    if request.method == "GET":
        query = asked_query(request)
        there = asked_path(request).partition("/staff/")[2].partition("/")[2]
        there = (f"/{there}" if there else "") + (f"?{query}" if query else "")
    return {
        "sign_in_ends": formats.format_time(staff.ends_at, request.state.staff_zone, shell.language),
        "ends_sheet": f".ends-soon{{animation-delay:{left}s!important}}",
        "may_stay": staff.more,
        "stay_there": there,
    }


async def read_well(request: Request, *, most: int = MOST) -> Well:
    """Whether all is well, for `staff/well.html`."""
    parts = parts_of(request)
    alerts = await parts.alerts.all()
    zone = await place_zone(request) if alerts else "UTC"
    return well(alerts, base_path(request), zone, parts.now(), request.state.shell.language, most=most)


def base_path(request: Request) -> str:
    """Where the pages of this sign-in live from here on."""
    staff: SignIn = request.state.staff
    return f"/staff/{staff.token}"


async def place_zone(request: Request) -> str:
    """The zone in which it is today: the place's, if the scheduler has told us of one."""
    parts = parts_of(request)
    try:
        catalogue = await parts.availability.catalogue(next(iter(parts.widgets.values())))
    except (SchedulerError, NotFound):
        return "UTC"
    return catalogue.location.time_zone
