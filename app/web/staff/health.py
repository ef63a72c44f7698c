"""How the whole stands: money without a booking, mails, events, calls, and the addresses of the feeds."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.domain.money import Money
from app.parts import parts_of
from app.text import formats
from app.web.shared.page_cache import pages_in
from app.web.staff.page import base_path, place_zone, render_staff
from app.web.staff.sign_in import signed_in
from app.web.staff.staff_words import event_row, mail_row
from app.web.staff.webhooks import webhook_rows


@signed_in
async def show_health(request: Request) -> Response:
    """GET /staff/{token}/house: money, mails, events, calls, and the feeds' addresses."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    settings, zone, base = parts.settings, await place_zone(request), base_path(request)
    feed = f"{settings.public_url}/staff/feed/{await parts.staff.feed_token(request.state.staff.email)}/bookings"
    context = {
        "stray": [
            {"id": stray.booking_id, "amount": formats.format_money(Money(stray.amount, stray.currency), language)}
            for stray in await parts.health.money_without_booking()
        ],
        "mails": [mail_row(mail, zone, now, language) for mail in await parts.staff.unsent_mails()],
        "mail_on": parts.mailer.enabled,
        "events": [event_row(stored, zone, now, language) for stored in await parts.inbox.events()],
        "webhooks": webhook_rows(await parts.outgoing_webhooks.endpoints(), zone, now, language),
        "calls": parts.staff.calls(settings.availability_ttl),
        "asked_fresh": settings.availability_ttl,
        "kept": round(pages_in(request.scope).bytes_kept / 1024),
        "csv": f"{feed}.csv",
        "ics": f"{feed}.ics",
        "base": base,
        "renewed": request.query_params.get("told") == "renewed",
    }
    return render_staff(request, "staff/health.html", context, screen="house")


@signed_in
async def renew_feed(request: Request) -> Response:
    """POST /staff/{token}/feed: other addresses for one's own feeds; those before stop working."""
    await parts_of(request).staff.renew_feed(request.state.staff.email)
    return RedirectResponse(f"{base_path(request)}/house?told=renewed", status_code=303)
