"""The times that are held for a customer who paid too late, on the customer's pages and on staff's; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.booking.bookings import BookingView
from app.booking.policy import Allowed
from app.domain.booking import Status
from app.text import catalogues
from app.web.shared.booking_summary import at_place
from app.web.shared.time_words import long_when, when


@dataclass(frozen=True, slots=True)
class Choice:
    """A time to choose. `path` is the page that asks whether to book it, empty where this page may only show."""

    when: str
    person: str
    until: str
    path: str


@dataclass(frozen=True, slots=True)
class Choices:
    """All of them. `refund_path` is the page that says what comes back instead, empty where this page may only show."""

    times: Sequence[Choice]
    refund_path: str


def choices(view: BookingView, allowed: Allowed, manage: str, language: str) -> Choices | None:
    """What the customer may choose; None where nothing is offered. `manage` is the path of the booking's pages, empty
    where this page may only show."""
    if view.booking.status is not Status.OFFERED:
        return None
    return Choices(
        times=[
            Choice(
                # Word joiners: no line break inside a span.
                when=long_when(one.starts_at, one.ends_at, view.booking, allowed.at, language).replace(
                    "–", "\u2060–\u2060"
                ),
                person=one.resource_name,
                until=when(one.offered_until or allowed.at, view.booking, allowed.at, language),
                path=f"{manage}/choose?time={one.id}" if manage else "",
            )
            for one in view.offered
        ],
        refund_path=f"{manage}/cancel" if manage else "",
    )


def only_shown(found: Choices) -> Choices:
    """The same for a page that may only show."""
    return replace(found, times=[replace(one, path="") for one in found.times], refund_path="")


def why_offered(view: BookingView, language: str) -> list[str]:
    """Why the customer has to choose, and that nothing is lost; empty where nothing is offered."""
    if view.booking.status is not Status.OFFERED:
        return []
    _ = catalogues.translator(language).gettext
    lines = [_("Your payment arrived after we had released the time, and it was no longer free.")]
    if not view.booking.lost_time:
        lines = [_("The time you chose was taken before we could book it.")]
    lines.append(_("We are holding other times for you. Choose one at no extra cost, or get all your money back."))
    if not view.lock_binds:
        lines.append(_("Until you choose, the calendar may still give these times to others."))
    return lines


def held_lines(view: BookingView, now: datetime, language: str) -> list[str]:
    """The same times for staff, on the place's clock; empty where nothing is offered."""
    booking = at_place(view.booking)
    said = catalogues.translator(language).gettext("%(when)s with %(person)s (held until %(until)s)")
    return [
        said
        % {
            "when": when(one.starts_at, booking, now, language),
            "person": one.resource_name,
            "until": when(one.offered_until or now, booking, now, language),
        }
        for one in view.offered
    ]
