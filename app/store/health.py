"""What the rows say about the house's health: read when somebody asks, never kept beside the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Channel, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.move import MoveState
from app.domain.payment import PaymentMethod, PaymentState
from app.domain.refund import (
    IN_PERSON,
    IN_PERSON_PATIENCE,
    PENDING_UNREAD_PATIENCE,
    REFUND_FAILED,
    REFUND_PATIENCE,
    REFUND_VOID,
    Refund,
    failures,
)
from app.domain.reservation import GIVE_BACK
from app.store.amounts import total
from app.store.conflicts import set_counter
from app.store.database import Database
from app.store.tables import (
    Instant,
    bookings,
    counters,
    history,
    inbox,
    moves,
    outbox,
    payments,
    refunds,
    reservations,
    stray_payments,
    to_payment,
    to_refund,
)

#: Between two writes that belong together lies at most a crash and the worker's next look; what is found earlier is
#: on its way, not lost.
GRACE = timedelta(minutes=10)
_BEAT = "worker_beat"
_TRIAL = "trial_write"
_SERVING = "serving:"
_PAID = (HistoryWord.PAID, HistoryWord.PAID_LATE, HistoryWord.NOTHING_DUE)
_STANDING = (Status.PAID, Status.CONFIRMED)
#: Refunds that the worker makes, or follows at Stripe.
_AT_WORK = sa.and_(
    refunds.c.status.in_(["requested", "pending", "requires_action"]), refunds.c.next_try_at.is_not(None)
)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Money and bookings that do not belong together: `amount` in smallest units, `why` one word."""

    booking_id: str
    amount: int
    currency: str
    why: str


@dataclass(frozen=True, slots=True)
class Census:
    """How many rows stand how, at one moment. Amounts in smallest units, ages in seconds."""

    bookings: Mapping[str, int]
    payments: Mapping[tuple[str, str], tuple[int, int]]
    refunds: Mapping[tuple[str, str], tuple[int, int]]
    disputes: Mapping[str, int]
    moves: Mapping[str, int]
    events: Mapping[tuple[str, str], int]
    mails_owed: int
    mails_given_up: int
    oldest_mail: float
    oldest_refund: float
    oldest_pending_refund: float
    oldest_event: float
    oldest_unreleased: float
    oldest_unconfirmed: float
    oldest_unmoved: float
    oldest_unended: float


@dataclass(frozen=True, slots=True)
class Happened:
    """What the history has gained: up to which line, how often each word, and the seconds of each confirmation."""

    upto: int
    words: Mapping[str, int]
    confirm_seconds: Sequence[float]


class HealthRows(Database):
    """Questions over all tables, and the worker's heartbeat."""

    async def beat(self) -> None:
        """The worker is alive now."""
        async with self._write() as connection:
            await set_counter(connection, _BEAT, int(self._now().timestamp()))

    async def try_write(self) -> None:
        """Write one small row, after one that needs room on the disk, as everything else would be written. Raises
        StorageError."""
        wide = f"{_TRIAL} {'.' * self.backend.trial_width}"
        async with self._write() as connection:
            await connection.execute(sa.insert(counters).values(name=wide, value=0))
            await connection.execute(sa.delete(counters).where(counters.c.name == wide))
            await set_counter(connection, _TRIAL, int(self._now().timestamp()))

    async def schema(self) -> str:
        """The newest migration that the database has been through."""
        rows = await self._all(sa.select(sa.column("version_num")).select_from(sa.table("alembic_version")))
        return str(rows[0]["version_num"]) if rows else ""

    async def serve_beat(self, process: str) -> None:
        """This server process is alive now. What has not been for ten minutes is forgotten."""
        now = int(self._now().timestamp())
        gone = sa.and_(counters.c.name.startswith(_SERVING), counters.c.value < now - 600)
        async with self._write() as connection:
            await set_counter(connection, _SERVING + process, now)
            await connection.execute(sa.delete(counters).where(gone))

    async def serving(self, since: datetime) -> int:
        """How many server processes were alive after that."""
        alive = sa.and_(counters.c.name.startswith(_SERVING), counters.c.value >= int(since.timestamp()))
        return await self._count(counters, alive)

    async def last_beat(self) -> datetime | None:
        """When a worker was last alive; None if there never was one."""
        found = await self._all(sa.select(counters.c.value).where(counters.c.name == _BEAT))
        return datetime.fromtimestamp(found[0]["value"], UTC) if found else None

    async def money_without_booking(self) -> list[Discrepancy]:
        """Money that is kept, or held on a card, although nothing stands for it; refunds that failed, and those that
        Stripe refuses or does not answer. Other refunds that are owed or on their way count as given back. Empty in
        health."""
        unbooked = await self._unbooked_money()
        known = {payment_id for payment_id, _ in unbooked}
        found = [found for _, found in unbooked]
        strays = [Discrepancy(**row) for row in await self._all(_STRAYS)]
        return [*found, *await self._failed_refunds(besides=known), *await self._refunds_held_up(), *strays]

    async def _unbooked_money(self) -> list[tuple[str, Discrepancy]]:
        """(payment id, what is left of it) of every payment that nothing stands for."""
        left = _left(payments.c.id)
        held = payments.c.state == PaymentState.AUTHORIZED
        amount = sa.case((held, payments.c.amount), else_=left)
        why = sa.case(
            (bookings.c.status == Status.CANCELED, "canceled"),
            (bookings.c.status == Status.PAID, "not_confirmed"),
            (bookings.c.status.not_in(_STANDING), "never_booked"),
            (moves.c.id.is_not(None), "not_moved"),
            else_="paid_twice",
        )
        # What may be kept of a payment when its customer cancels is in the terms, and was drawn with the claim.
        kept_by_terms = sa.and_(bookings.c.status == Status.CANCELED, bookings.c.end_reason == EndReason.BY_CUSTOMER)
        # What the owner takes in person may come in parts.
        for_booking = sa.and_(
            bookings.c.status == Status.CONFIRMED,
            sa.or_(payments.c.id == bookings.c.payment_id, payments.c.method != PaymentMethod.STRIPE),
        )
        for_move = sa.and_(bookings.c.status == Status.CONFIRMED, moves.c.state == MoveState.DONE)
        # A canceled booking's own payments for moves are kept or given back with it.
        stands = sa.or_(for_booking, sa.func.coalesce(for_move, False), kept_by_terms)
        rows = await self._all(
            sa.select(
                payments.c.id,
                payments.c.booking_id,
                amount.label("amount"),
                payments.c.currency,
                why.label("why"),
            )
            .join(bookings, bookings.c.id == payments.c.booking_id)
            .outerjoin(moves, moves.c.id == payments.c.move_id)
            .where(
                payments.c.state.in_([PaymentState.CAPTURED, PaymentState.AUTHORIZED]),
                sa.not_(sa.func.coalesce(stands, False)),
                amount > 0,
                _settled_since() <= self._now() - GRACE,
            )
            .order_by(payments.c.created_at)
        )
        return [(row["id"], Discrepancy(row["booking_id"], row["amount"], row["currency"], row["why"])) for row in rows]

    async def _failed_refunds(self, *, besides: Collection[str]) -> list[Discrepancy]:
        """Refunds that failed and were not made good, but for the payments in `besides`."""
        canceled = {
            row["id"]
            for row in await self._all(
                sa.select(bookings.c.id)
                .join(refunds, refunds.c.booking_id == bookings.c.id)
                .where(refunds.c.status.in_(REFUND_FAILED), bookings.c.status == Status.CANCELED)
            )
        }
        return [
            Discrepancy(
                refund.booking_id,
                amount,
                refund.amount.currency,
                "canceled" if refund.booking_id in canceled else "not_refunded",
            )
            for refund, amount in await self._failures()
            if amount and refund.payment_id not in besides and refund.updated_at <= self._now() - GRACE
        ]

    async def _failures(self) -> list[tuple[Refund, int]]:
        """Every failed refund, with what is still to be paid back of it."""
        touched = sa.select(refunds.c.booking_id).where(refunds.c.status.in_(REFUND_FAILED))
        made = [
            to_refund(row)
            for row in await self._all(
                sa.select(refunds).where(refunds.c.booking_id.in_(touched)).order_by(refunds.c.created_at)
            )
        ]
        paid = [
            to_payment(row) for row in await self._all(sa.select(payments).where(payments.c.booking_id.in_(touched)))
        ]
        found = []
        for booking_id in dict.fromkeys(refund.booking_id for refund in made):
            own = [refund for refund in made if refund.booking_id == booking_id]
            amounts = failures([payment for payment in paid if payment.booking_id == booking_id], own)
            found += [(refund, amounts[refund.id]) for refund in own if refund.id in amounts]
        return found

    async def _refunds_held_up(self) -> list[Discrepancy]:
        """Refunds that Stripe refuses, or has not answered for longer than is usual. Money that is only held counts as
        unbooked. What was taken in person is the owner's to give back, within days."""
        now = self._now()
        requested = refunds.c.status == "requested"
        late = sa.or_(
            refunds.c.problem != "",
            sa.and_(requested, refunds.c.due_at <= now - REFUND_PATIENCE),
            sa.and_(sa.not_(requested), refunds.c.updated_at <= now - PENDING_UNREAD_PATIENCE),
        )
        rows = await self._all(
            sa.select(refunds.c.booking_id, refunds.c.amount, refunds.c.currency)
            .join(payments, payments.c.id == refunds.c.payment_id)
            .where(
                sa.or_(
                    sa.and_(_AT_WORK, late, payments.c.state != PaymentState.AUTHORIZED),
                    sa.and_(requested, refunds.c.problem == IN_PERSON, refunds.c.due_at <= now - IN_PERSON_PATIENCE),
                )
            )
            .order_by(refunds.c.due_at)
        )
        return [Discrepancy(**row, why="not_refunded") for row in rows]

    async def bookings_without_money(self) -> list[Discrepancy]:
        """Confirmed bookings for which less was taken than they cost, or for which everything had gone back before they
        were confirmed. What the owner gives back afterwards was taken all the same; what they book for somebody, other
        than by a payment link, is paid when they say. Empty in health."""
        price = sa.cast(bookings.c.terms["amount"].as_string(), sa.BigInteger)
        currency = bookings.c.terms["currency"].as_string()
        taken = (
            sa.select(total(payments.c.captured))
            .where(payments.c.booking_id == bookings.c.id, payments.c.state == PaymentState.CAPTURED)
            .scalar_subquery()
        )
        cheaper = (
            sa.select(total(refunds.c.amount))
            .where(
                refunds.c.booking_id == bookings.c.id,
                refunds.c.reason == EndReason.CHEAPER,
                refunds.c.status.not_in(REFUND_VOID),
            )
            .scalar_subquery()
        )
        missing = price - (taken - cheaper)
        gone_before = (
            sa.select(total(refunds.c.amount))
            .where(
                refunds.c.booking_id == bookings.c.id,
                refunds.c.created_at <= bookings.c.confirmed_at,
                refunds.c.status.not_in(REFUND_VOID),
            )
            .scalar_subquery()
        )
        never_had = sa.and_(price > 0, taken - gone_before <= 0)
        missing = sa.case((never_had, price), else_=missing)
        rows = await self._all(
            sa.select(
                bookings.c.id.label("booking_id"),
                missing.label("amount"),
                currency.label("currency"),
                sa.literal("not_paid").label("why"),
            )
            .where(
                bookings.c.status == Status.CONFIRMED,
                sa.or_(bookings.c.channel == Channel.ONLINE, bookings.c.pay_link),
                missing > 0,
                _settled_since() <= self._now() - GRACE,
            )
            .order_by(bookings.c.created_at)
        )
        return [Discrepancy(**row) for row in rows]

    async def census(self) -> Census:
        """Everything that is counted by how it stands."""
        now = self._now()
        owed = sa.and_(outbox.c.sent_at.is_(None), outbox.c.next_try_at.is_not(None), outbox.c.due_at <= now)
        given_up = sa.and_(
            outbox.c.sent_at.is_(None), outbox.c.next_try_at.is_(None), outbox.c.last_error != "no longer true"
        )
        return Census(
            bookings=dict(await self._counted(bookings.c.status)),
            payments=await self._sums(payments.c.state, payments.c.currency, payments.c.captured),
            refunds=await self._refund_sums(),
            disputes=dict(await self._counted(payments.c.dispute, payments.c.dispute != "")),
            moves=dict(await self._counted(moves.c.state)),
            events=await self._counted_events(),
            mails_owed=await self._count(outbox, owed),
            mails_given_up=await self._count(outbox, given_up),
            oldest_mail=await self._age(outbox.c.due_at, owed),
            oldest_refund=await self._age(
                refunds.c.due_at, sa.and_(_AT_WORK, refunds.c.status == "requested", refunds.c.due_at <= now)
            ),
            oldest_pending_refund=await self._age(refunds.c.due_at, sa.and_(_AT_WORK, refunds.c.status != "requested")),
            oldest_event=await self._age(inbox.c.received_at, inbox.c.processed_at.is_(None)),
            oldest_unreleased=await self._age(reservations.c.updated_at, reservations.c.due.in_(sorted(GIVE_BACK))),
            oldest_unconfirmed=await self._age(_settled_since(), bookings.c.status == Status.PAID),
            oldest_unended=max(
                await self._age(
                    bookings.c.deadline,
                    bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]) & (bookings.c.deadline <= now),
                ),
                await self._age(moves.c.deadline, (moves.c.state == MoveState.HELD) & (moves.c.deadline <= now)),
            ),
            oldest_unmoved=await self._age(moves.c.updated_at, moves.c.state == MoveState.MOVING),
        )

    async def _counted_events(self) -> dict[tuple[str, str], int]:
        """How many events of whom stand how. A scheduler's begin with its name; Stripe's type does not."""
        source = sa.case((inbox.c.event_id.startswith("evt_"), "stripe"), else_=inbox.c.type)
        standing = sa.case(
            (inbox.c.processed_at.is_not(None), "processed"), (inbox.c.tries > 0, "failing"), else_="waiting"
        )
        counted = sa.select(source.label("source"), standing.label("standing"), sa.func.count().label("many"))
        found: Counter[tuple[str, str]] = Counter()
        for row in await self._all(counted.group_by(source, standing)):
            found[row["source"].partition(".")[0], row["standing"]] += row["many"]
        return dict(found)

    async def happened(self, after: int | None) -> Happened:
        """What the history has gained since its line `after`; None for all of it, without the confirmations' times:
        those of an earlier life were told by that one. Where several write at once, the newest lines are left for the
        next time: one with a lower number may still be on its way."""
        new = history.c.id > (after or 0)
        if self.backend.lines_settle:
            fresh = history.c.at > self._now() - self.backend.lines_settle
            first = sa.select(sa.func.min(history.c.id)).where(new, fresh).scalar_subquery()
            new = sa.and_(new, sa.or_(first.is_(None), history.c.id < first))
        counted = sa.select(history.c.what, sa.func.count().label("many"), sa.func.max(history.c.id).label("upto"))
        rows = await self._all(counted.where(new).group_by(history.c.what))
        seconds: list[float] = []
        if after is not None:
            paid = history.alias()
            paid_at = (
                sa.select(sa.func.max(paid.c.at))
                .where(paid.c.booking_id == history.c.booking_id, paid.c.what.in_(_PAID), paid.c.id < history.c.id)
                .scalar_subquery()
            )
            confirmed = await self._all(
                sa.select(history.c.at, paid_at.label("paid_at")).where(
                    new, history.c.what.in_([HistoryWord.CONFIRMED, HistoryWord.RESCUED])
                )
            )
            seconds = [max(0.0, (row["at"] - row["paid_at"]).total_seconds()) for row in confirmed if row["paid_at"]]
        upto = max((row["upto"] for row in rows), default=after or 0)
        return Happened(upto, {row["what"]: row["many"] for row in rows}, seconds)

    async def _counted(self, column: sa.Column[str], *where: sa.ColumnElement[bool]) -> list[tuple[str, int]]:
        wanted: list[Any] = [column.label("word"), sa.func.count().label("many")]
        rows = await self._all(sa.select(*wanted).where(*where).group_by(column))
        return [(row["word"], row["many"]) for row in rows]

    async def _refund_sums(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Refunds by status; what failed and was made good since is `failed_covered`, so that its alarm ends."""
        sums = await self._sums(refunds.c.status, refunds.c.currency, refunds.c.amount)
        for refund, amount in await self._failures():
            if not amount:
                currency = refund.amount.currency
                for word, sign in ((refund.status, -1), ("failed_covered", 1)):
                    many, money = sums.get((word, currency), (0, 0))
                    sums[word, currency] = (many + sign, money + sign * refund.amount.amount)
        return sums

    async def _sums(
        self, word: sa.Column[str], currency: sa.Column[str], amount: sa.Column[int]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        many, money = sa.func.count().label("many"), total(amount).label("money")
        wanted: list[Any] = [word.label("word"), currency.label("currency"), many, money]
        rows = await self._all(sa.select(*wanted).group_by(word, currency))
        return {(row["word"], row["currency"]): (row["many"], row["money"]) for row in rows}

    async def _count(self, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
        rows = await self._all(sa.select(sa.func.count().label("many")).select_from(table).where(where))
        return int(rows[0]["many"])

    async def _age(self, column: sa.ColumnElement[datetime], where: sa.ColumnElement[bool]) -> float:
        rows = await self._all(sa.select(sa.func.min(column, type_=Instant).label("at")).where(where))
        at: datetime | None = rows[0]["at"]
        return max(0.0, (self._now() - at).total_seconds()) if at else 0.0


#: Nothing of these is on its way, so nothing is waited for.
_STRAYS = (
    sa.select(
        stray_payments.c.booking_id,
        (stray_payments.c.amount - stray_payments.c.returned).label("amount"),
        stray_payments.c.currency,
        sa.literal("unknown_booking").label("why"),
    )
    .where(stray_payments.c.settled_at.is_(None), stray_payments.c.amount > stray_payments.c.returned)
    .order_by(stray_payments.c.paid_at)
)


def _settled_since() -> sa.ColumnElement[datetime]:
    """When anything last happened to a booking. Not `updated_at`, which every attempt to confirm moves on."""
    return sa.select(sa.func.max(history.c.at)).where(history.c.booking_id == bookings.c.id).scalar_subquery()


def _left(payment_id: sa.Column[str]) -> sa.ColumnElement[int]:
    back = (
        sa.select(total(refunds.c.amount))
        .where(refunds.c.payment_id == payment_id, refunds.c.status.not_in(REFUND_VOID))
        .scalar_subquery()
    )
    return payments.c.captured - back
