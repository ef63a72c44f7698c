"""Who may hold a time: nobody without limit, so that neither a visitor nor a program can block a day.

What counts is what is held and not paid: anyone who pays may hold on. A visitor is known by a signed token in the
page's state, and by the address they come from; neither is written down, it is only remembered here for as long as the
hold lives, and in Redis where there is one. After a restart without it the count begins again, which costs no more than
one hold's time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from zoneinfo import ZoneInfo

import structlog

from app.domain.booking import Booking, Status
from app.errors import ChallengeNeeded, RateLimited, TooManyHolds, WidgetFull
from app.protection.proof_of_work import FULL_BITS, Challenges, Proof
from app.protection.rate_limits import HOLD, HOLD_NETWORK, RateLimits, Rule, SharedCounts, network_of
from app.store import Store
from app.widgets import Widget

log = structlog.get_logger()

#: Beyond these, a proof comes first: what one address, and one widget, see on a busy day without any program.
CALM_CLIENT = Rule.of("calm_client", "8/10minutes")
CALM_WIDGET = Rule.of("calm_widget", "60/minute")
#: The same for one IPv6 /48, which is up to 65,536 households to us, and one program's to fill.
CALM_NETWORK = Rule.of("calm_network", "32/10minutes")
#: The share of `max_holds` from which on a proof comes first.
_PRESSED = 4
#: One IPv6 /48 that holds this many times what one address may counts as a full widget does.
_NETWORK_SHARE = 4
#: So many people behind one address may hold a time of the same day each, however few times it has: where there are two
#: a day, half of what is left is one, and the first visitor of a household would keep out the second.
_NEIGHBOURS = 2
#: Under which names, and for how many seconds, other processes learn whose a hold is: no hold lasts longer, but for
#: one whose payment page is open, which nobody's next hold has to make room for.
_HOLDER, _HOLDER_SECONDS = "holder/", 45 * 60
#: Tries at the question for people: programs can do sums, so fewer than there are holds an hour.
ANSWER = Rule.of("answer", "6/10minutes; 12/hour")


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks to hold a time: the visitor's name from the page's state, the network address, and a proof of work if
    one came. `answers`: a person may be there to answer a question instead of the work. `instead` is the booking that
    the new one replaces; the caller has checked that it is theirs."""

    name: str
    address: str
    proof: Proof = field(default_factory=Proof)
    answers: bool = True
    instead: str = ""


@dataclass(slots=True)
class Admission:
    """One hold that was let in. `spare` is an earlier hold of the same visitor that has to go for it. `booking_id` is
    empty until there is a row."""

    widget: str
    client: Client
    starts_at: datetime
    spare: str | None
    booking_id: str = ""


class HoldLimits:
    """Decides about one hold at a time for each client; see `Hold.take`."""

    def __init__(
        self,
        *,
        store: Store,
        rate_limits: RateLimits,
        challenges: Challenges,
        now: Callable[[], datetime],
        shared: SharedCounts | None = None,
    ) -> None:
        self._shared = shared
        self._store = store
        self._rate_limits = rate_limits
        self._challenges = challenges
        self._now = now
        self._holders: dict[str, tuple[str, Client]] = {}
        self._under_way: list[Admission] = []

    async def knock(self, client: Client) -> None:
        """Count one attempt to hold a time, before anything is read for it. Raises RateLimited."""
        await self._rate_limits.check(HOLD, client.address)
        await self._rate_limits.check(HOLD_NETWORK, network_of(client.address))

    async def admit(
        self, widget: Widget, client: Client, starts_at: datetime, free: Sequence[datetime], zone: ZoneInfo
    ) -> Admission:
        """Let one hold in, or raise RateLimited, TooManyHolds, WidgetFull or ChallengeNeeded.

        `free` are the free starts of the day, as the place's `zone` has it. Where there is only room if the same
        visitor's earlier hold goes, one that nobody has typed anything into yet, it is the answer's `spare`: people go
        back and choose another time. What is let in counts at once; `finished` ends that, so that the caller can ask
        the scheduler without keeping others waiting.
        """
        holds = await self._store.open_holds(widget.name)
        self._forget(widget, holds)
        if self._shared:
            await self._learn(widget, holds)
        spare = self._spare(widget, client, starts_at, free, zone, holds)
        await self._prove(widget, client, holds)
        admission = Admission(widget.name, client, starts_at, spare)
        self._under_way.append(admission)
        return admission

    async def entered(self, admission: Admission, booking_id: str) -> None:
        """There is a row for it now: remember whose it is."""
        admission.booking_id = booking_id
        client = admission.client
        self._holders[booking_id] = (admission.widget, Client(client.name, client.address))
        if self._shared:
            await self._shared.keep(_HOLDER + booking_id, [client.name, client.address], seconds=_HOLDER_SECONDS)

    async def finished(self, admission: Admission, *, held: bool) -> None:
        """The attempt is over. Only holds that came about count towards a widget's pressure: a program that asks for
        taken times presses nobody."""
        self._under_way.remove(admission)
        if held:
            await self._calm(CALM_WIDGET, admission.widget)

    def holder(self, booking_id: str) -> str:
        """The visitor's name behind an open hold; empty if it is not known any more."""
        known = self._holders.get(booking_id)
        return known[1].name if known else ""

    async def _learn(self, widget: Widget, holds: Sequence[Booking]) -> None:
        """Whose the holds are that other processes let in."""
        unknown = [booking.id for booking in holds if booking.id not in self._holders]
        if not self._shared or not unknown:
            return
        for booking_id, kept in zip(unknown, await self._shared.kept([_HOLDER + one for one in unknown]), strict=True):
            if kept:
                self._holders[booking_id] = (widget.name, Client(kept[0], kept[1]))

    def _forget(self, widget: Widget, holds: Sequence[Booking]) -> None:
        live = {booking.id for booking in holds} | {admission.booking_id for admission in self._under_way}
        gone = [known for known, (name, _) in self._holders.items() if name == widget.name and known not in live]
        for booking_id in gone:
            del self._holders[booking_id]

    def _spare(
        self,
        widget: Widget,
        client: Client,
        starts_at: datetime,
        free: Sequence[datetime],
        zone: ZoneInfo,
        holds: Sequence[Booking],
    ) -> str | None:
        """The hold that has to go to make room; None where there is room as it is. Raises TooManyHolds."""
        holds = [booking for booking in holds if booking.id != client.instead]
        near = [booking for booking in holds if self._is_near(booking, client)]
        coming = [one.starts_at for one in self._coming(widget, holds) if _same(one.client, client)]
        taken = [booking.starts_at for booking in near] + coming
        if self._has_room(widget, taken, zone, starts_at, free):
            return client.instead or None
        if len(taken) < min(_NEIGHBOURS, widget.max_holds_per_visitor) and not self._of_visitor(near, widget, client):
            return client.instead or None
        if client.instead:
            raise TooManyHolds(self._wait(near) if near else 1)
        for booking in near:
            untouched = booking.status is Status.HELD and booking.customer is None
            promised = any(one.spare == booking.id for one in self._under_way)
            if untouched and not promised and self.holder(booking.id) == client.name:
                left = [other.starts_at for other in near if other is not booking] + coming
                if self._has_room(widget, left, zone, starts_at, [*free, booking.starts_at]):
                    return booking.id
        raise TooManyHolds(self._wait(near) if near else 1)

    def _coming(self, widget: Widget, holds: Sequence[Booking]) -> list[Admission]:
        """What was let in and is not among the holds yet."""
        rows = {booking.id for booking in holds}
        return [one for one in self._under_way if one.widget == widget.name and one.booking_id not in rows]

    def _is_near(self, booking: Booking, client: Client) -> bool:
        known = self._holders.get(booking.id)
        return known is not None and _same(known[1], client)

    def _of_visitor(self, near: Sequence[Booking], widget: Widget, client: Client) -> bool:
        """Whether the visitor holds any of these, or is about to, under the same name."""
        coming = any(one.client.name == client.name for one in self._coming(widget, near))
        return coming or any(self.holder(booking.id) == client.name for booking in near)

    def _has_room(
        self, widget: Widget, taken: Sequence[datetime], zone: ZoneInfo, starts_at: datetime, free: Sequence[datetime]
    ) -> bool:
        """Whether one more is within bounds: so many at once, and of one day no more than are left to others."""
        if len(taken) >= widget.max_holds_per_visitor:
            return False
        day = starts_at.astimezone(zone).date()
        that_day = sum(start.astimezone(zone).date() == day for start in taken)
        return not that_day or len({*free} - {starts_at, *taken}) > that_day

    async def _prove(self, widget: Widget, client: Client, holds: Sequence[Booking]) -> None:
        """Ask for a proof where many holds come at once, from one address or network, or of one widget. A full widget,
        or network, asks for far more of it, and of a machine alone: nobody is shut out by what others hold, and who
        fills it pays for each hold more than for the last. Raises ChallengeNeeded, and WidgetFull where there is no
        script to do the work."""
        count = len(holds) + len(self._coming(widget, holds))
        filled = count * _PRESSED // widget.max_holds
        network = network_of(client.address)
        crowd = self._crowd(widget, network, holds)
        full = filled >= _PRESSED or crowd >= _NETWORK_SHARE * widget.max_holds_per_visitor
        calm = not await self._rate_limits.wait(CALM_WIDGET, widget.name)
        calm = calm and await self._calm(CALM_CLIENT, client.address)
        if network:
            calm = await self._calm(CALM_NETWORK, network) and calm
        if calm and not filled and not full:
            return
        if full:
            log.warning("widget full", widget=widget.name, holds=count, of_one_network=crowd)
        purpose = f"{widget.name}:{client.address}"
        asks = client.answers and not full
        if client.proof and not client.proof.solution:
            await self._rate_limits.check(ANSWER, client.address)
            if full:
                raise WidgetFull(self._wait(holds) if holds else 1)
        least = FULL_BITS if full else 0
        if client.proof and self._challenges.accept(purpose, client.proof, least=least):
            return
        effort = max(0, filled - _PRESSED) if full else filled
        challenge = self._challenges.make(purpose, effort=effort, full=full, asks=asks)
        raise ChallengeNeeded(challenge, wrong=bool(client.proof))

    def _crowd(self, widget: Widget, network: str, holds: Sequence[Booking]) -> int:
        """How many are held from one IPv6 network, whichever of its many addresses they came from."""
        if not network:
            return 0
        owners = [self._holders[booking.id][1] for booking in holds if booking.id in self._holders]
        owners += [one.client for one in self._coming(widget, holds)]
        return sum(network_of(owner.address) == network for owner in owners)

    async def _calm(self, rule: Rule, key: str) -> bool:
        try:
            await self._rate_limits.check(rule, key)
        except RateLimited:
            return False
        return True

    def _wait(self, holds: Sequence[Booking]) -> int:
        """Seconds until the first of them ends."""
        return max(1, ceil(min((booking.deadline - self._now()).total_seconds() for booking in holds)))


def _same(one: Client, other: Client) -> bool:
    return one.name == other.name or (bool(other.address) and one.address == other.address)
