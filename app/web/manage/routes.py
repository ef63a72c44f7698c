"""The pages behind the link in the mail, as data."""

from __future__ import annotations

from starlette.routing import Route

from app.web.manage import cancel, choose, link, manage, move
from app.web.manage.link import opened

_LINK = "/manage/{token}"

routes = [
    Route("/manage/resend", link.resend_to_address, methods=["POST"]),
    Route("/manage/sent", link.show_sent),
    Route(_LINK, opened(manage.show_managed, may_return=True)),
    Route(f"{_LINK}/cancel", opened(cancel.show_cancel)),
    Route(f"{_LINK}/cancel", opened(cancel.cancel), methods=["POST"]),
    Route(f"{_LINK}/choose", opened(choose.show_choice)),
    Route(f"{_LINK}/choose", opened(choose.choose), methods=["POST"]),
    Route(f"{_LINK}/undo", opened(cancel.undo), methods=["POST"]),
    Route(f"{_LINK}/reschedule", opened(move.show_reschedule)),
    Route(f"{_LINK}/reschedule", opened(move.reschedule), methods=["POST"]),
    Route(f"{_LINK}/reschedule/slots", opened(move.show_slots)),
    Route(f"{_LINK}/reschedule/preview", opened(move.show_preview)),
    Route(f"{_LINK}/reschedule/give-up", opened(move.give_up_move), methods=["POST"]),
    Route(f"{_LINK}/return", opened(manage.show_return, may_return=True)),
    Route(f"{_LINK}/back", opened(manage.show_back, may_return=True)),
    Route(f"{_LINK}/resend", link.resend, methods=["POST"]),
    Route(f"{_LINK}/sent", link.show_sent),
    Route(f"{_LINK}/calendar.ics", opened(manage.calendar)),
    Route(f"{_LINK}/receipt", opened(manage.show_receipt)),
]
