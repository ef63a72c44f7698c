"""Everybody's books as they are read at the end: Stripe's, the scheduler's, our rows, and the mailbox."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Booking
from app.store.rows import select_bookings, to_booking
from app.store.tables import history, inbox, moves, outbox, payments, refunds, reservations, stray_payments
from proof.world import World
from tests.support.sides import Booked

#: A page of Stripe's on which nobody can pay any more.
_ENDED_PAGE = {"checkout.session.expired", "checkout.session.completed"}


class Books:
    """All that is read, once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bookings: list[Booking] = []
        self.rows: dict[str, list[Any]] = {}
        self._of: dict[tuple[str, str], list[Any]] = defaultdict(list)
        self._mailed: dict[str, list[str]] = defaultdict(list)
        self._intents: dict[str, list[Any]] = defaultdict(list)
        self._refunds: dict[str, list[Any]] = defaultdict(list)
        self._disputes: dict[str, list[Any]] = defaultdict(list)
        self._page_ended: dict[str, datetime] = {}
        self._tagged: dict[str, list[Booked]] = defaultdict(list)
        self._named: dict[str, list[Booked]] = defaultdict(list)

    async def read(self) -> None:
        """Our tables."""
        async with self.world.processes[0].parts.store.engine.connect() as connection:
            self.bookings = [to_booking(row) for row in (await connection.execute(select_bookings())).mappings()]
            for table in (history, inbox, moves, outbox, payments, refunds, reservations, stray_payments):
                # PostgreSQL begins to read a large table wherever it likes.
                in_order = sa.select(table).order_by(*table.primary_key)
                self.rows[table.name] = list((await connection.execute(in_order)).mappings())
        self._sort()

    def _sort(self) -> None:
        """By booking: a day has thousands of them."""
        for name, rows in self.rows.items():
            for row in rows:
                if row.get("booking_id"):
                    self._of[name, row["booking_id"]].append(row)
        for mail in self.world.mails:
            ident, _, name = mail.header("Message-ID").removeprefix("<").partition(".")
            self._mailed[ident].append(name.partition("@")[0])
        state = self.world.stripe.state
        for event in state.events.values():
            if event["type"] in _ENDED_PAGE:
                self._page_ended.setdefault(event["data"]["object"]["id"], moment(event["created"]))
        for intent in state.payment_intents.values():
            self._intents[intent["metadata"].get("booking_id") or ""].append(intent)
        for refund in state.refunds.values():
            self._refunds[refund["payment_intent"]].append(refund)
        for dispute in state.disputes.values():
            self._disputes[dispute["payment_intent"]].append(dispute)
        for there in self.world.side.booked():
            self._tagged[there.tag].append(there)
            self._named[there.reference].append(there)

    def of(self, table: str, booking_id: str) -> list[Any]:
        """A table's rows about a booking."""
        return self._of.get((table, booking_id), [])

    def intents(self, booking_id: str) -> list[Any]:
        """Stripe's payments for a booking."""
        return self._intents.get(booking_id, [])

    def refunds(self, intent_id: str) -> list[Any]:
        """What Stripe has given back of a payment, or means to."""
        return self._refunds.get(intent_id, [])

    def page_ended(self, session_id: str) -> datetime | None:
        """When nobody could pay on a page of Stripe's any more; None where somebody still can."""
        return self._page_ended.get(session_id)

    def paid_at(self, intent: Any) -> datetime:
        """When the customer paid."""
        return moment(self.world.stripe.state.charges[intent["latest_charge"]]["created"])

    @property
    def clock_was_right(self) -> bool:
        """Whether our moments can be compared with the providers'."""
        return not self.world.restored and not any(spell.what.startswith("clock") for spell in self.world.story.spells)

    def disputes(self, intent_id: str) -> list[Any]:
        """The disputes about a payment."""
        return self._disputes.get(intent_id, [])

    def booked(self, booking: Booking) -> list[Booked]:
        """What the scheduler has of a booking. A move there may lose the tag, though never the id that we were told."""
        tagged = self._tagged.get(booking.id, [])
        named = self._named.get(booking.reservation.reference or "", [])
        return [*tagged, *(one for one in named if one not in tagged)]

    def words(self, booking_id: str) -> list[str]:
        """Its history."""
        return [row["what"] for row in self.of("history", booking_id)]

    def mailed(self, booking_id: str) -> list[str]:
        """The names of the mails about a booking that came, such as "confirmed_customer" and what follows."""
        return self._mailed.get(booking_id, [])


def moment(seconds: int) -> datetime:
    """What Stripe's numbers of seconds say."""
    return datetime.fromtimestamp(seconds, UTC)
