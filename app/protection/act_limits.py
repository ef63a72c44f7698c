"""How often one booking may be acted on, whichever door the act comes through: each act may be a mail to someone, and
calls to the scheduler or Stripe that others need. The owner's own acts are not counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.domain.booking import Actor, EndReason
from app.domain.history import HistoryEntry, HistoryWord
from app.domain.mail_addresses import mailbox
from app.errors import TooManyFreeToday
from app.protection.rate_limits import ACT, CORRECTION, FRESH_LINKS, HOLD_ACT, PAY_ACT, RateLimits, Rule, network_of
from app.widgets import Widget

#: How often one booking's cancellation can be taken back. Each round is two mails to the customer and to the owner.
MOST_UNDOS: Final = 3
_NETWORK_SHARE: Final = 4
#: Why a move ends whose payment page could not be made, or whose difference was paid, although too late.
_NOT_LEFT: Final = frozenset({EndReason.NO_ANSWER, EndReason.REFUSED, EndReason.BEGUN})


class ActLimits:
    """Counts the acts on a booking. Every method counts one act, or raises RateLimited if the limit is reached."""

    def __init__(self, rate_limits: RateLimits) -> None:
        self._rate_limits = rate_limits

    async def change(self, booking_id: str, by: Actor = Actor.CUSTOMER) -> None:
        """Cancel, take back, move, leave a move, mail a link."""
        if by is Actor.CUSTOMER:
            await self._rate_limits.check(ACT, booking_id)

    async def correction(self, booking_id: str, history: Sequence[HistoryEntry]) -> None:
        """Another mail address, from the customer: each is mailed the booking. The first one is free."""
        if any(entry.what == "email_corrected" and entry.detail.get("by") == Actor.CUSTOMER for entry in history):
            await self._rate_limits.check(CORRECTION, booking_id)

    async def hold(self, booking_id: str) -> None:
        """Extend a hold, type details, give it up."""
        await self._rate_limits.check(HOLD_ACT, booking_id)

    async def pay(self, booking_id: str) -> None:
        """Start paying."""
        await self._rate_limits.check(PAY_ACT, booking_id)

    async def free(self, widget: Widget, address: str) -> None:
        """Confirm a free booking. Raises TooManyFreeToday. An IPv6 network may four times what an address may."""
        counted = [
            (Rule.free_bookings(widget.max_free_per_day), address),
            (Rule.free_bookings(_NETWORK_SHARE * widget.max_free_per_day), network_of(address)),
        ]
        for rule, who in counted:
            if who and await self._rate_limits.wait(rule, widget.name, who):
                raise TooManyFreeToday(widget.name)
        for rule, who in counted:
            await self._rate_limits.check(rule, widget.name, who)

    async def links(self, email: str) -> bool:
        """Whether links may be mailed to this address once more; nothing is raised, as nobody is told."""
        wait = await self._rate_limits.wait(FRESH_LINKS, email)
        if not wait:
            await self._rate_limits.check(FRESH_LINKS, email)
        return not wait


def person(email: str) -> str:
    """The one who reads a mail address: letters' case and a tag after "+" lead to the same mailbox."""
    name, _, domain = mailbox(email).rpartition("@")
    return f"{name.partition('+')[0]}@{domain}"


def undos(history: Sequence[HistoryEntry]) -> int:
    """How often a cancellation of this booking was taken back."""
    return sum(entry.what is HistoryWord.TAKEN_BACK for entry in history)


def moves_left_unpaid(history: Sequence[HistoryEntry]) -> int:
    """How often the customer began a move and did not pay its difference. Each took a time for half an hour, and four
    calls. What the owner began does not count, nor what ended before its payment page was given to anyone, nor what
    was paid too late."""
    return sum(
        entry.what is HistoryWord.MOVE_EXPIRED
        and entry.detail.get("begun_by") != Actor.OWNER
        and entry.detail.get("why") not in _NOT_LEFT
        for entry in history
    )
