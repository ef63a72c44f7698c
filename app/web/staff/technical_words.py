"""The words of the pages under *Technical*; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from app.domain.outgoing_webhooks import Delivery, Endpoint
from app.msgid import N_
from app.operations.health import ServerFacts
from app.text import catalogues, zones
from app.web.shared.time_words import moment_words

_REPORTS: Final[Mapping[str, str]] = {
    "acted": N_("The message was acted on."),
    "acted_in_vain": N_("The message was acted on, but that did not succeed. The reason is below; we keep trying."),
    "sent": N_("The email is being sent again."),
    "all_sent": N_("The emails that could not be delivered are being sent again."),
    "none_sent": N_("There was no email that could not be delivered."),
    "message": N_("The message is being sent again."),
    "all_messages": N_("What the program has not taken is being sent again."),
    "enabled": N_("The program is switched on again. What waited is being sent."),
}


def reported_words(word: str, language: str) -> str:
    """What an act that led to the page has to say."""
    return catalogues.translator(language).gettext(_REPORTS[word]) if word in _REPORTS else ""


def overtaken(language: str) -> str:
    """Why an act was not done: someone, or the server itself, was quicker."""
    _ = catalogues.translator(language).gettext
    return _("This was done in the meantime, in another window or by the server. Please look at it again.")


def program_rows(endpoints: Iterable[Endpoint], zone: str, now: datetime, language: str) -> list[dict[str, Any]]:
    """Each of the owner's programs, and whether it takes what it is sent."""
    _ = catalogues.translator(language).gettext
    today = zones.local(now, zone).date()

    def how(endpoint: Endpoint) -> tuple[str, str]:
        if endpoint.disabled_at:
            return _("switched off after five days of failures: %(why)s") % {"why": endpoint.last_error}, "cross"
        if endpoint.failing_since:
            return _("trying again: %(why)s") % {"why": endpoint.last_error}, "problem"
        if endpoint.delivered_at:
            return _("sent %(when)s") % {"when": moment_words(endpoint.delivered_at, zone, language, today)}, "check"
        return _("Nothing yet."), "clock"

    rows = []
    for endpoint in endpoints:
        words, mark = how(endpoint)
        rows.append({"id": endpoint.id, "how": words, "mark": mark, "off": endpoint.disabled_at is not None})
    return rows


def delivery_row(delivery: Delivery, zone: str, now: datetime, language: str) -> dict[str, Any]:
    """A message to one of the programs, and whether it was taken."""
    _ = catalogues.translator(language).gettext
    today = zones.local(now, zone).date()
    if delivery.delivered_at:
        when = moment_words(delivery.delivered_at, zone, language, today)
        how, mark = _("sent %(when)s") % {"when": when}, "check"
    elif delivery.next_try_at is None:
        how, mark = _("stopped trying: %(why)s") % {"why": delivery.last_error}, "cross"
    elif delivery.last_error:
        how, mark = _("trying again: %(why)s") % {"why": delivery.last_error}, "problem"
    else:
        how, mark = _("is being sent"), "clock"
    return {
        "what": f"{delivery.event} · {delivery.endpoint_id}",
        "id": delivery.id,
        "how": how,
        "mark": mark,
        "at": moment_words(delivery.created_at, zone, language, today),
        "booking": delivery.booking_id,
        "tries": delivery.tries,
        "delivered": delivery.delivered_at is not None,
        "act": delivery.tries > 0,
    }


def figure_rows(facts: ServerFacts, *, zone: str, now: datetime, language: str) -> list[tuple[str, str]]:
    """(what, how it is) of the program itself."""
    _ = catalogues.translator(language).gettext
    beat, today = facts.worker_seen, zones.local(now, zone).date()
    return [
        (_("Version"), facts.version),
        (_("Database"), f"{facts.database} · {facts.schema}"),
        (_("Worker last seen"), moment_words(beat, zone, language, today) if beat else _("never")),
    ]
