"""The link in the mail: the booking that it opens, and where its pages lead on; what to do where it opens nothing.

Looking changes nothing, because mail scanners open links. None of these pages is ever framed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.booking.bookings import BookingView
from app.booking.customer_form import read_address
from app.booking.policy import Allowed
from app.errors import LinkExpired, LinkRefused, NotFound, ReturnExpired
from app.parts import parts_of
from app.protection.rate_limits import MANAGE, MANAGE_ACT, RESEND, client_address
from app.text import catalogues
from app.web.shared.render import booking_shell, error_shell, render, wants_block
from app.web.shared.request_input import read_form

View = Callable[[Request, BookingView], Awaitable[Response]]
Door = Callable[[Request], Awaitable[Response]]


def opened(door: View, *, may_return: bool = False) -> Door:
    """The one way in: a door for those whose link opens the booking. All others may ask for a new link. `may_return`
    says whether the way back from Stripe's page opens it too, which can only show."""

    @wraps(door)
    async def open_door(request: Request) -> Response:
        rate_limits = parts_of(request).rate_limits
        await rate_limits.check(MANAGE, client_address(request.scope))
        try:
            view = await _read_return(request) if may_return else None
            view = view or await read_view(request)
        except (LinkRefused, NotFound) as error:
            return _link_page(request, error, genuine=await _named_booking(request))
        if request.method == "POST":
            await rate_limits.check(MANAGE_ACT, view.booking.id)
        return await door(request, view)

    return open_door


# Reading


async def read_view(request: Request) -> BookingView:
    """The booking that the link leads to; from here on, errors speak its language."""
    parts = parts_of(request)
    booking = await parts.manage_links.open(request.path_params["token"])
    request.state.is_return = False
    return await _read_view_of(request, booking.id)


async def _read_return(request: Request) -> BookingView | None:
    """The booking whose difference was to be paid, if the address is the way back from Stripe's page. Raises
    ReturnExpired, NotFound."""
    try:
        booking_id = parts_of(request).links.read_return_token(request.path_params["token"], "move")
    except LinkExpired:
        raise
    except LinkRefused:
        return None
    request.state.is_return = True
    return await _read_view_of(request, booking_id)


async def _read_view_of(request: Request, booking_id: str) -> BookingView:
    view = (await parts_of(request).bookings.view(booking_id)).spoken()
    request.state.shell = booking_shell(request, view.booking, view.widget)
    return view


async def _named_booking(request: Request) -> bool:
    """Whether the link was once ours, although it does not open; then the page looks and speaks as its booking's."""
    parts = parts_of(request)
    try:
        booking_id, _version = parts.links.read_manage_token(request.path_params.get("token", ""))
        booking = await parts.bookings.get(booking_id)
    except (LinkRefused, NotFound):
        return False
    request.state.shell = booking_shell(request, booking, parts.bookings.widget_of(booking))
    return True


# Leading on


def manage_path(request: Request) -> str:
    """Where the booking's pages live."""
    return f"/manage/{request.path_params['token']}"


def to_manage(request: Request, *, reported: str = "") -> Response:
    """On to the booking's page, with GET."""
    return RedirectResponse(manage_path(request) + (f"?told={reported}" if reported else ""), status_code=303)


def to_stripe(request: Request, url: str | None) -> Response:
    """On to Stripe's page. A form that htmx sent cannot follow to another site by itself."""
    if url is None:
        return to_manage(request)
    if wants_block(request):
        return Response(headers={"HX-Redirect": url})
    return RedirectResponse(url, status_code=303)


def allowed_now(request: Request, view: BookingView) -> Allowed:
    """What the customer may do now."""
    return parts_of(request).policy.of(view)


# Links that do not open


async def resend(request: Request) -> Response:
    """POST /manage/{token}/resend: a new link, to the address on the booking."""
    await parts_of(request).rate_limits.check(RESEND, client_address(request.scope))
    try:
        await parts_of(request).manage_links.resend(request.path_params["token"])
    except LinkRefused as error:
        return _link_page(request, error, genuine=False)
    return RedirectResponse(f"{manage_path(request)}/sent", status_code=303)


async def resend_to_address(request: Request) -> Response:
    """POST /manage/resend: new links for whatever is booked under an address. They are made after the answer, so that
    the time it takes does not tell whether there are any."""
    parts = parts_of(request)
    await parts.rate_limits.check(RESEND, client_address(request.scope))
    typed = (await read_form(request)).get("email", "").strip()[:254]
    address = read_address(typed)
    if address is None:
        return _link_page(request, None, genuine=False, typed=typed)
    task = BackgroundTask(parts.manage_links.resend_all, address)
    return RedirectResponse("/manage/sent", status_code=303, background=task)


async def show_sent(request: Request) -> Response:
    """GET /manage/sent, /manage/{token}/sent: what happens now, said alike whether there is a booking or not."""
    await _named_booking(request)
    shell = error_shell(request)
    _ = catalogues.translator(shell.language).gettext
    named = "token" in request.path_params
    lines = [
        _("If we find a booking, a new link is on its way to the address used for it."),
        _("This can take a few minutes. After that, older links no longer work.")
        if named
        else _("This can take a few minutes. Older links keep working until you use the new one."),
    ]
    context = {"heading": _("Check your email"), "mark": "mail", "lines": lines, "form": None}
    return render(request, "manage/link.html", context, shell=shell, framed=False)


def _link_page(
    request: Request, error: LinkRefused | NotFound | None, *, genuine: bool, typed: str | None = None
) -> Response:
    """What is wrong with a link, and how to get a fresh one: with a genuine link at a click, else for an address.
    `typed` is what was given for one and is none."""
    shell, parts = error_shell(request), parts_of(request)
    _ = catalogues.translator(shell.language).gettext
    heading, line = _("This link does not work"), _("Part of it may be missing.")
    if isinstance(error, ReturnExpired):
        heading, line = _("This link has expired"), _(error.sentence)
    elif isinstance(error, LinkExpired):
        heading = _("This link has expired")
        line = _("Links work until a month after the appointment. We can email you one for another booking.")
    elif genuine:
        heading, line = (
            _("This link was replaced"),
            _("We have sent you a newer link since then, and only the newest one works."),
        )
    elif typed is not None:
        heading, line = _("Get a new link"), ""
    form = None
    if parts.mailer.enabled:
        one_click = genuine and not isinstance(error, LinkExpired)  # what is long over has no link any more
        form = {
            "action": f"{manage_path(request)}/resend" if one_click else "/manage/resend",
            "typed": None if one_click else typed or "",
            "wrong": typed is not None,
        }
    context = {"heading": heading, "mark": "problem", "lines": [line] if line else [], "form": form}
    status = error.status if error else 422
    return render(request, "manage/link.html", context, shell=shell, status=status, framed=False)
