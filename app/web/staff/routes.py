"""The staff pages and the feeds, as data."""

from __future__ import annotations

from starlette.routing import Route

from app.web.staff import booking, calendly, cancel, customers, days, feeds, move, refund, sign_in, technical
from app.web.staff.booking import of_booking

_SIGNED_IN = "/staff/{token}"
_BOOKING = f"{_SIGNED_IN}/bookings/{{booking}}"
_TECHNICAL = f"{_SIGNED_IN}/technical"
_CUSTOMER = f"{_SIGNED_IN}/customers/{{booking}}"

routes = [
    *feeds.routes,
    Route("/staff", sign_in.show_ask),
    Route("/staff", sign_in.ask, methods=["POST"]),
    Route("/staff/sent", sign_in.show_sent),
    Route("/staff/calendly/callback", calendly.come_back),
    Route("/staff/in/{token}", sign_in.show_in),
    Route("/staff/in/{token}", sign_in.sign_in, methods=["POST"]),
    Route(_SIGNED_IN, days.show_days),
    Route(f"{_SIGNED_IN}/find", days.show_found, methods=["GET", "POST"]),
    Route(f"{_SIGNED_IN}/house", technical.show_old_address),
    Route(_TECHNICAL, technical.show_technical),
    Route(f"{_TECHNICAL}/events", technical.show_events),
    Route(f"{_TECHNICAL}/events", technical.replay_event, methods=["POST"]),
    Route(f"{_TECHNICAL}/emails", technical.show_mails),
    Route(f"{_TECHNICAL}/emails", technical.resend_mail, methods=["POST"]),
    Route(f"{_TECHNICAL}/programs", technical.show_programs),
    Route(f"{_TECHNICAL}/programs", technical.resend_message, methods=["POST"]),
    Route(f"{_SIGNED_IN}/feed", technical.renew_feed, methods=["POST"]),
    Route(f"{_SIGNED_IN}/calendly", calendly.show_connections),
    Route(f"{_SIGNED_IN}/calendly/{{name}}/connect", calendly.connect),
    Route(f"{_SIGNED_IN}/calendly/{{name}}/disconnect", calendly.disconnect, methods=["POST"]),
    Route(f"{_SIGNED_IN}/bookings.csv", feeds.download_table),
    Route(f"{_SIGNED_IN}/customers", customers.show_customers),
    Route(f"{_SIGNED_IN}/customers", customers.find_customers, methods=["POST"]),
    Route(_CUSTOMER, customers.show_customer),
    Route(f"{_CUSTOMER}/details", customers.correct, methods=["POST"]),
    Route(f"{_CUSTOMER}/note", customers.write_note, methods=["POST"]),
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
