"""The staff pages and the feeds, as data."""

from __future__ import annotations

from starlette.routing import Route

from app.web.staff import (
    booking,
    calendar,
    calendly,
    cancel,
    days,
    feeds,
    health,
    hours,
    move,
    refund,
    services,
    sign_in,
)
from app.web.staff.booking import of_booking

_SIGNED_IN = "/staff/{token}"
_SERVICE = f"{_SIGNED_IN}/services/{{widget}}/{{service}}"
_BOOKING = f"{_SIGNED_IN}/bookings/{{booking}}"

routes = [
    *feeds.routes,
    Route("/staff", sign_in.show_ask),
    Route("/staff", sign_in.ask, methods=["POST"]),
    Route("/staff/sent", sign_in.show_sent),
    Route("/staff/calendly/callback", calendly.come_back),
    Route("/staff/in/{token}", sign_in.show_in),
    Route("/staff/in/{token}", sign_in.sign_in, methods=["POST"]),
    Route(_SIGNED_IN, calendar.show_calendar),
    Route(f"{_SIGNED_IN}/calendar", calendar.show_calendar),
    Route(f"{_SIGNED_IN}/bookings", days.show_days),
    Route(f"{_SIGNED_IN}/hours", hours.show_hours),
    Route(f"{_SIGNED_IN}/hours/read-again", hours.read_again, methods=["POST"]),
    Route(f"{_SIGNED_IN}/hours/person/{{person}}", hours.show_person),
    Route(f"{_SIGNED_IN}/hours/person/{{person}}", hours.set_week, methods=["POST"]),
    Route(f"{_SIGNED_IN}/hours/off", hours.show_off),
    Route(f"{_SIGNED_IN}/hours/off", hours.take_off, methods=["POST"]),
    Route(f"{_SIGNED_IN}/hours/extra", hours.show_extra),
    Route(f"{_SIGNED_IN}/hours/extra", hours.open_extra, methods=["POST"]),
    Route(f"{_SIGNED_IN}/hours/change/{{change}}", hours.show_change),
    Route(f"{_SIGNED_IN}/hours/change/{{change}}/take-back", hours.take_back, methods=["POST"]),
    Route(f"{_SIGNED_IN}/hours/change/{{change}}/again", hours.try_again, methods=["POST"]),
    Route(f"{_SIGNED_IN}/find", days.show_found),
    Route(f"{_SIGNED_IN}/house", health.show_health),
    Route(f"{_SIGNED_IN}/feed", health.renew_feed, methods=["POST"]),
    Route(f"{_SIGNED_IN}/services", services.show_services),
    Route(f"{_SIGNED_IN}/services/{{widget}}/order", services.order_of_file, methods=["POST"]),
    Route(_SERVICE, services.show_service),
    Route(_SERVICE, services.save, methods=["POST"]),
    Route(f"{_SERVICE}/switch", services.switch, methods=["POST"]),
    Route(f"{_SERVICE}/place", services.put_in_order, methods=["POST"]),
    Route(f"{_SIGNED_IN}/calendly", calendly.show_connections),
    Route(f"{_SIGNED_IN}/calendly/{{name}}/connect", calendly.connect),
    Route(f"{_SIGNED_IN}/calendly/{{name}}/disconnect", calendly.disconnect, methods=["POST"]),
    Route(f"{_SIGNED_IN}/stay", sign_in.stay, methods=["POST"]),
    Route(f"{_SIGNED_IN}/sign-out", sign_in.sign_out, methods=["POST"]),
    Route(_BOOKING, of_booking(booking.show_booking)),
    Route(f"{_BOOKING}/cancel", of_booking(cancel.show_cancel)),
    Route(f"{_BOOKING}/cancel", of_booking(cancel.cancel), methods=["POST"]),
    Route(f"{_BOOKING}/refund", of_booking(refund.show_refund)),
    Route(f"{_BOOKING}/refund", of_booking(refund.refund), methods=["POST"]),
    Route(f"{_BOOKING}/move", of_booking(move.show_times)),
    Route(f"{_BOOKING}/move", of_booking(move.move), methods=["POST"]),
    Route(f"{_BOOKING}/move/preview", of_booking(move.show_move)),
    Route(f"{_BOOKING}/move/give-up", of_booking(move.give_up_move), methods=["POST"]),
    Route(f"{_BOOKING}/no-show", of_booking(booking.mark_missed), methods=["POST"]),
    Route(f"{_BOOKING}/resend", of_booking(booking.resend), methods=["POST"]),
    Route(f"{_BOOKING}/mails", of_booking(booking.resend_mails), methods=["POST"]),
    Route(f"{_BOOKING}/email", of_booking(booking.correct_email), methods=["POST"]),
    Route(f"{_BOOKING}/paid-another-way", of_booking(refund.show_paid_another_way)),
    Route(f"{_BOOKING}/paid-another-way", of_booking(refund.paid_another_way), methods=["POST"]),
]
