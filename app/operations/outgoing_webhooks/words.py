"""What an owner is mailed about an address that was switched off."""

from __future__ import annotations

from app.domain.outgoing_webhooks import Endpoint
from app.text.catalogues import translator
from app.widgets import Widget


def off_words(widget: Widget, endpoint: Endpoint) -> tuple[str, str]:
    """Subject and text."""
    _ = translator(widget.languages[0]).gettext
    values = {"endpoint": endpoint.id, "title": widget.title, "error": endpoint.last_error}
    lines = (
        _("We can no longer tell your program “%(endpoint)s” about bookings for “%(title)s”."),
        _("It has not accepted any of our messages for five days. The last attempt failed with: %(error)s"),
        _("Bookings, payments and emails are not affected. The messages are kept for 30 days."),
        _("When the program works again, run: python -m app webhooks enable %(endpoint)s"),
        _("If this means nothing to you, please pass this email on to the person who runs your booking server."),
    )
    subject = _("Your program “%(endpoint)s” cannot be reached") % values
    return subject, "\n\n".join(line % values for line in lines) + "\n"
