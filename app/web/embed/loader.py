"""What other sites ask us for: the loader, the result that it shows when a visitor is back from paying, and whether
a receipt is ours."""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.booking.bookings import BookingView
from app.errors import InvalidRequest
from app.parts import parts_of
from app.protection.rate_limits import API, BOOKING, client_address
from app.protection.signed_links import must_not_be_forgotten
from app.text import i18n
from app.text.i18n import N_
from app.web.shared.render import STATIC, booking_shell, trusted_host
from app.web.visitor.booking import (
    BACK,
    UNSETTLED,
    asked_look,
    calendar_response,
    only_showing,
    open_page,
    render_status,
    settles,
    status_context,
    surely_unpaid,
    times_address,
)

#: What the loader itself says, in every language that we speak: on the button, and as the frame's title.
_WORDS = N_("Book a time")
#: Stands in the loader where they belong.
_WORDS_MARK = "HOLDFAST_WORDS"


async def show_loader(request: Request) -> Response:
    """GET /embed.js: the one script that host pages name. A page that names it keeps it for five minutes, and shows
    what it has for a day while it asks behind the visitor's back whether there is a newer one."""
    plain, packed, tag = _loader()
    headers = {
        "Cache-Control": "public, max-age=300, stale-while-revalidate=86400",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "ETag": tag,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(plain, media_type="text/javascript", headers=headers)
    return Response(packed, media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"})


@cache
def _loader() -> tuple[bytes, bytes, str]:
    """(plain, compressed, entity tag) of the loader. The tag is weak, as both have it."""
    words = {language: i18n.translator(language).gettext(_WORDS) for language in i18n.LANGUAGES}
    source = (STATIC / "embed.min.js").read_text(encoding="utf-8")
    plain = source.replace(_WORDS_MARK, json.dumps(words, ensure_ascii=False, separators=(",", ":"))).encode()
    return plain, gzip.compress(plain, 9, mtime=0), f'W/"{hashlib.sha256(plain).hexdigest()[:16]}"'


async def show_result(request: Request) -> Response:
    """GET /r/{token}: how a booking stands, for the host page that the visitor came back to. Shows nothing of who
    booked, and offers no act that needs the booking's own token."""
    view, told = await _view(request)
    if told == BACK:
        view = await surely_unpaid(request, view)
    look = asked_look(request)
    if settles(look) and view.booking.status in UNSETTLED:
        await parts_of(request).settle.booking(view.booking.id)
        view, told = await _view(request)
    context = only_showing(status_context(request, view, look or 0))
    page = open_page(view)
    if told == BACK and page:
        _ = i18n.translator(request.state.shell.language).gettext
        context |= {
            "heading": _("Your time is still held"),
            "mark": "clock",
            "lines": [_("Nothing was charged.")],
            "payment_page": page,
            "times": times_address(request, view.booking),
            "poll": None,
            "slow": "",
        }
    return render_status(request, context)


async def show_result_calendar(request: Request) -> Response:
    """GET /r/{token}/calendar.ics. The entry names the host page: the token is too short-lived to be kept."""
    view, _ = await _view(request)
    page = trusted_host(view.booking.visitor.host, view.widget)
    return calendar_response(request, view.booking, view.widget, url=page)


async def _view(request: Request) -> tuple[BookingView, str]:
    parts = parts_of(request)
    booking_id, told = parts.links.read_result_token(request.path_params["token"])
    parts.rate_limits.check(BOOKING, booking_id)
    view: BookingView = await parts.bookings.view(booking_id)
    must_not_be_forgotten(view.booking)
    request.state.shell = booking_shell(request, view.booking, view.widget)
    return view, told


async def verify_receipt(request: Request) -> Response:
    """POST /api/receipts/verify {"receipt": "…"}: whether we signed it, and what it says. For a host's server, so
    that a conversion need not be believed because a browser reports it."""
    parts = parts_of(request)
    parts.rate_limits.check(API, client_address(request.scope))
    facts = parts.links.read_receipt(await _asked_receipt(request))
    if facts is None:
        return JSONResponse({"success": True, "valid": False})
    return JSONResponse({"success": True, "valid": True, "receipt": dict(facts)})


async def _asked_receipt(request: Request) -> str:
    try:
        body: Any = json.loads(await request.body())
    except (ValueError, RecursionError) as error:  # besides bad JSON: text that is no UTF-8, numbers of 5,000 digits
        raise InvalidRequest("not JSON") from error
    if not isinstance(body, dict) or set(body) != {"receipt"} or not isinstance(body["receipt"], str):
        raise InvalidRequest("a receipt, and nothing else")
    return str(body["receipt"])


routes = [
    Route("/embed.js", show_loader),
    Route("/r/{token}", show_result),
    Route("/r/{token}/calendar.ics", show_result_calendar),
    Route("/api/receipts/verify", verify_receipt, methods=["POST"]),
]
