"""Who may hold a time: nobody without limit, so that neither a visitor nor a program can block a day.

What counts is what is held and not paid: whoever pays may hold on. A visitor is known by a signed token in the page's
state, and by the address they come from; neither is written down, it is only remembered here for as long as the hold
lives. After a restart the count begins anew, which costs no more than one hold's time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from zoneinfo import ZoneInfo

import structlog

from app.challenge import Challenges, Proof
from app.domain import Booking, Status
from app.errors import ChallengeNeeded, RateLimited, TooManyHolds, WidgetFull
from app.limiter import HOLD, Limiter, Rule
from app.store import Store
from app.widgets import Widget

log = structlog.get_logger()

#: Beyond these, a proof comes first: what one address, and one widget, see on a busy day without any program.
CALM_CLIENT = Rule.of("calm_client", "8/10minutes")
CALM_WIDGET = Rule.of("calm_widget", "60/minute")
#: The share of `max_holds` from which on a proof comes first.
_PRESSED = 4
#: Tries at the question for people: programs can do sums, so not many.
ANSWER = Rule.of("answer", "6/10minutes")


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks to hold a time: the visitor's name from the page's state, the address, and a proof if one came."""

    name: str
    address: str
    proof: Proof = field(default_factory=Proof)


class Gate:
    """Decides on one hold at a time per client; see `Bookings.hold`."""

    def __init__(self, *, store: Store, limiter: Limiter, challenges: Challenges, now: Callable[[], datetime]) -> None:
        self._store = store
        self._limiter = limiter
        self._challenges = challenges
        self._now = now
        self._holders: dict[str, tuple[str, Client]] = {}

    async def admit(self, widget: Widget, client: Client, starts_at: datetime, free: Sequence[datetime]) -> str | None:
        """Let one hold in, or raise RateLimited, TooManyHolds, WidgetFull or ChallengeNeeded.

        `free` are the day's free starts. Where there is only room if the same visitor's earlier hold goes, one that
        nobody has typed anything into yet, its booking id is the answer: people go back and choose another time.
        """
        self._limiter.check(HOLD, client.address)
        holds = await self._store.open_holds(widget.name)
        self._forget(widget, holds)
        if len(holds) >= widget.max_holds:
            log.warning("widget full", widget=widget.name, holds=len(holds))
            raise WidgetFull(self._wait(holds))
        spare = self._spare(widget, client, starts_at, free, holds)
        self._prove(widget, client, len(holds))
        return spare

    def entered(self, widget: Widget, booking_id: str, client: Client) -> None:
        """Remember whose hold it is."""
        self._holders[booking_id] = (widget.name, Client(client.name, client.address))

    def holder(self, booking_id: str) -> str:
        """The visitor's name behind an open hold; empty if it is not known any more."""
        known = self._holders.get(booking_id)
        return known[1].name if known else ""

    def _forget(self, widget: Widget, holds: Sequence[Booking]) -> None:
        live = {booking.id for booking in holds}
        gone = [known for known, (name, _) in self._holders.items() if name == widget.name and known not in live]
        for booking_id in gone:
            del self._holders[booking_id]

    def _spare(
        self,
        widget: Widget,
        client: Client,
        starts_at: datetime,
        free: Sequence[datetime],
        holds: Sequence[Booking],
    ) -> str | None:
        """The hold that has to go to make room; None where there is room as it is. Raises TooManyHolds."""
        near = [booking for booking in holds if self._is_near(booking, client)]
        if self._has_room(widget, near, starts_at, free):
            return None
        for booking in near:
            untouched = booking.status is Status.HELD and booking.customer is None
            if untouched and self.holder(booking.id) == client.name:
                left = [other for other in near if other is not booking]
                if self._has_room(widget, left, starts_at, [*free, booking.starts_at]):
                    return booking.id
        raise TooManyHolds(self._wait(near))

    def _is_near(self, booking: Booking, client: Client) -> bool:
        known = self._holders.get(booking.id)
        if known is None:
            return False
        return known[1].name == client.name or (bool(client.address) and known[1].address == client.address)

    def _has_room(self, widget: Widget, near: Sequence[Booking], starts_at: datetime, free: Sequence[datetime]) -> bool:
        """Whether one more is within bounds: so many at once, and of one day no more than are left to others."""
        if len(near) >= widget.max_holds_per_visitor:
            return False
        that_day = sum(
            _day(booking.starts_at, booking.time_zone) == _day(starts_at, booking.time_zone) for booking in near
        )
        return not that_day or len({*free} - {starts_at}) > that_day

    def _prove(self, widget: Widget, client: Client, holds: int) -> None:
        """Ask for a proof where many holds come at once, from one address or of one widget."""
        filled = holds * _PRESSED // widget.max_holds
        calm = self._calm(CALM_WIDGET, widget.name) and self._calm(CALM_CLIENT, client.address)
        if calm and not filled:
            return
        purpose = f"{widget.name}:{client.address}"
        if client.proof and not client.proof.solution:
            self._limiter.check(ANSWER, client.address)
        if client.proof and self._challenges.accept(purpose, client.proof):
            return
        raise ChallengeNeeded(self._challenges.make(purpose, effort=filled), wrong=bool(client.proof))

    def _calm(self, rule: Rule, key: str) -> bool:
        try:
            self._limiter.check(rule, key)
        except RateLimited:
            return False
        return True

    def _wait(self, holds: Sequence[Booking]) -> int:
        """Seconds until the first of them ends."""
        return max(1, ceil(min((booking.deadline - self._now()).total_seconds() for booking in holds)))


def _day(moment: datetime, zone: str) -> object:
    return moment.astimezone(ZoneInfo(zone)).date()
