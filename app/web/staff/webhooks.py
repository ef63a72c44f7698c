"""How the owner's programs stand that are told of bookings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from app.domain.outgoing_webhooks import Endpoint
from app.text import catalogues, zones
from app.web.shared.time_words import moment_words


def webhook_rows(endpoints: Iterable[Endpoint], zone: str, now: datetime, language: str) -> list[dict[str, str]]:
    """Each program, and whether it takes what it is sent."""
    _ = catalogues.translator(language).gettext
    today = zones.local(now, zone).date()

    def how(endpoint: Endpoint) -> str:
        if endpoint.disabled_at:
            return _("switched off after five days of failures: %(why)s") % {"why": endpoint.last_error}
        if endpoint.failing_since:
            return _("trying again: %(why)s") % {"why": endpoint.last_error}
        if endpoint.delivered_at:
            return _("sent %(when)s") % {"when": moment_words(endpoint.delivered_at, zone, language, today)}
        return _("Nothing yet.")

    return [{"what": endpoint.id, "how": how(endpoint)} for endpoint in endpoints]
