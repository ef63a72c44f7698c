"""The page around staff's screens: whose it is, where it lives, and the place's time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.errors import NotFound, SchedulerError
from app.operations.staff_access import SignIn
from app.parts import parts_of
from app.web.shared.render import make_page, render_text
from app.web.shared.theme import style_hash, theme_css


def render_staff(
    request: Request,
    name: str,
    context: Mapping[str, Any],
    *,
    screen: str = "",
    status: int = 200,
    images: str = "",
) -> Response:
    """A page for staff: no script at all, never stored, framed by nobody. `images` are further sources of pictures, as
    a policy writes them."""
    parts, shell = parts_of(request), request.state.shell
    staff: SignIn | None = getattr(request.state, "staff", None)
    page = make_page(request, shell, fragment=False, framed=False)
    own = {
        "page": page,
        "screen": screen,
        "base": f"/staff/{staff.token}" if staff else "",
        "who": staff and staff.email,
        "has_calendly": parts.calendly.enabled,
    }
    text = render_text(parts.templates, name, {"text": "", **context, **own})
    rules = (
        "default-src 'none'",
        f"style-src 'self' {style_hash(theme_css(shell.theme))}",
        " ".join(filter(None, ("img-src 'self' data:", images))),
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": "; ".join(rules)}
    return HTMLResponse(text, status_code=status, headers=headers)


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
