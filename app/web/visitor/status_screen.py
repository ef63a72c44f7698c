"""A booking's status once paying has begun: being paid, being confirmed, confirmed, ended. The page and its polls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.domain.booking import Booking, Status, short_reference
from app.domain.history import HistoryWord
from app.domain.payment import PaymentState
from app.mail import map_link
from app.parts import parts_of
from app.text import catalogues, formats, zones
from app.web.shared import host_events
from app.web.shared.addresses import kept_style, times_address
from app.web.shared.booking_summary import visitor_zone
from app.web.shared.calendar_file import named_calendar_links
from app.web.shared.offered_words import choices, only_shown, why_offered
from app.web.shared.refund_words import money_lines
from app.web.shared.render import render, wants_block
from app.web.shared.request_input import asked_path
from app.web.shared.status_words import mail_problem, paid_and_waiting, waits_long, why_ended
from app.web.shared.waiting import POLL_SECONDS, SLOW_FROM, asked_poll
from app.web.visitor.booking_access import common_context

UNSETTLED = (Status.AWAITING_PAYMENT, Status.PAID)


def status_context(request: Request, view: BookingView, polls: int) -> dict[str, Any]:
    """What the page says; `polls` is how often it has asked already."""
    booking, language, parts = view.booking, request.state.shell.language, parts_of(request)
    _ = catalogues.translator(language).gettext
    late = waits_long(view, parts.now())
    heading, mark, lines = _heading_and_lines(view, language, late=late)
    processing = view.payment is not None and view.payment.state is PaymentState.PROCESSING
    seen = f"{booking.status}{'-processing' if processing else ''}"
    poll, slow = None, ""
    if booking.status in UNSETTLED and not processing:
        if polls < len(POLL_SECONDS):
            query = urlencode({"from": "stripe", "look": polls + 1, "seen": seen, **kept_style(request)})
            poll = {"path": f"{asked_path(request)}?{query}", "seconds": POLL_SECONDS[polls]}
        if polls >= SLOW_FROM:
            slow = _("This is taking longer than usual. You can close this page and check again later.")
            if parts.mailer.enabled:
                slow = _("This is taking longer than usual. You can close this page; we will email you.")
    again = None
    if booking.status in {Status.EXPIRED, Status.CANCELED}:
        ahead = booking.starts_at > parts.now()
        again = {"hold": booking.status is Status.EXPIRED and ahead, "times": times_address(request, booking)}
    confirmed = booking.status is Status.CONFIRMED
    manage = f"/manage/{parts.links.manage_token(booking.id, booking.link_version)}"
    return {
        **common_context(request, view),
        "heading": heading,
        "mark": mark,
        "lines": lines,
        "seen": seen,
        "poll": poll,
        "slow": slow,
        "again": again,
        "event": host_events.outcome(booking, parts.links),
        "confirmed": confirmed,
        "page_path": asked_path(request),
        "mailed": parts.mailer.enabled and (booking.customer is None or bool(booking.customer.email)),
        "lasts": True,
        "payment_page": "",
        "mailed_to": booking.customer.email if booking.customer and parts.mailer.enabled else "",
        "mail_problem": mail_problem(view, language),
        "email_typed": "",
        "email_wrong": "",
        "reported": "",
        "reference": short_reference(booking.id),
        "paid": confirmed and not booking.terms.free and not view.funds.open_amount(booking),
        "map": map_link(view.widget.address) if confirmed else "",
        "bring": view.widget.said(view.widget.bring, language) if confirmed else "",
        "greeting": _greeting(booking, language, parts.now()) if confirmed else "",
        "manage": manage if confirmed else "",
        "calendar_links": named_calendar_links(booking, view.widget) if confirmed else [],
        "ask": booking.status in {Status.EXPIRED, Status.CANCELED, Status.OFFERED} or bool(slow),
        "choices": choices(view, parts.policy.of(view), manage, language),
        "off": booking.status is Status.OFFERED or mark == "cross",
    }


def _heading_and_lines(view: BookingView, language: str, *, late: bool) -> tuple[str, str, list[str]]:
    """(heading, mark, lines): what happened, and whether money moved. `late`: it has been paid for a while."""
    _ = catalogues.translator(language).gettext
    booking = view.booking
    match booking.status:
        case Status.AWAITING_PAYMENT if view.payment and view.payment.state is PaymentState.PROCESSING:
            later = _("Your bank needs a while for this payment. We are keeping your time, and will email you.")
            return _("Your payment is on its way"), "clock", [later]
        case Status.AWAITING_PAYMENT | Status.HELD:
            return (
                _("Waiting for Stripe"),
                "waiting",
                [_("We will confirm your booking as soon as Stripe tells us that you have paid.")],
            )
        case Status.PAID if booking.terms.free or booking.payment_id is None:
            return _("Confirming your time"), "waiting", []
        case Status.PAID if late:
            return _("Your time is not confirmed yet"), "waiting", paid_and_waiting(language)
        case Status.PAID:
            return _("Payment received, confirming your time"), "waiting", []
        case Status.CONFIRMED:
            lines = [_("Your appointment is now with %(person)s.") % {"person": booking.resource_name}]
            moved = not booking.any_resource and _other_person(view)
            return _("Your time is confirmed"), "check", lines if moved else []
        case Status.OFFERED:
            return _("Your time was no longer free"), "clock", why_offered(view, language)
        case Status.CANCELED:
            return _("This booking is cancelled"), "cross", _how_it_ended(view, language)
        case Status.EXPIRED:
            return _("This time is no longer held for you"), "clock", _how_it_ended(view, language)


def _how_it_ended(view: BookingView, language: str) -> list[str]:
    """Why, and what becomes of the money."""
    return [*filter(None, [why_ended(view.booking.end_reason, language)]), *money_lines(view, language)]


def _other_person(view: BookingView) -> bool:
    """Whether late money was rescued with someone else at the same time."""
    return any(entry.what is HistoryWord.OTHER_PERSON for entry in view.history)


def _greeting(booking: Booking, language: str, now: datetime) -> str:
    zone = visitor_zone(booking)
    day = formats.format_day(booking.starts_at, zone, language, today=zones.local(now, zone).date())
    return catalogues.translator(language).gettext("We look forward to seeing you on %(day)s.") % {"day": day}


def only_showing(context: dict[str, Any]) -> dict[str, Any]:
    """The same page for an address that may only show: of who booked only as much of the mail address as its owner
    needs to see a slip, and no act but to correct that, and to look elsewhere."""
    again = context["again"] and context["again"] | {"hold": False}
    shown = context["choices"] and only_shown(context["choices"])
    hidden = {"mailed_to": masked(context["mailed_to"]), "manage": ""}
    return context | hidden | {"again": again, "lasts": False, "choices": shown}


def masked(address: str) -> str:
    """A mail address by its first letter and its domain, where most slips are."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}•••{at}{domain}" if at else ""


def render_status(request: Request, context: Mapping[str, Any], *, status: int = 200) -> Response:
    """The page, or for a poll that finds nothing new only the wait, so that focus and animation stay where they
    are."""
    seen = request.query_params.get("seen")
    if asked_poll(request) is not None and wants_block(request) and context["poll"] and seen == context["seen"]:
        response = render(request, "visitor/status.html", context, shell=request.state.shell, block="wait")
        response.headers["HX-Retarget"] = "#hf-wait"
        return response
    return render(request, "visitor/status.html", context, shell=request.state.shell, status=status)
