"""The visitor's pages: the widget, a booking's own pages, and how it stands for the host page; as data."""

from __future__ import annotations

from starlette.routing import Route

from app.web.visitor import correct_address, details, hold, host_result, pay, status, widget

routes = [
    Route("/w/{widget}", widget.show_widget),
    Route("/w/{widget}/slots", widget.show_slots),
    Route("/w/{widget}/hold", hold.hold, methods=["POST"]),
    Route("/b/{token}", status.show_booking),
    Route("/b/{token}/details", details.add_details, methods=["POST"]),
    Route("/b/{token}/extend", hold.extend, methods=["POST"]),
    Route("/b/{token}/release", hold.release, methods=["POST"]),
    Route("/b/{token}/hold-again", hold.hold_again, methods=["POST"]),
    Route("/b/{token}/pay", pay.pay, methods=["POST"]),
    Route("/b/{token}/return", pay.show_return),
    Route("/b/{token}/back", pay.show_back),
    Route("/b/{token}/calendar.ics", status.calendar),
    Route("/b/{token}/email", correct_address.correct_email, methods=["POST"]),
    Route("/r/{token}", host_result.show_result),
    Route("/r/{token}/calendar.ics", host_result.show_result_calendar),
    Route("/r/{token}/email", correct_address.correct_result_email, methods=["POST"]),
]
