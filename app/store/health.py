"""What the rows say about the house's health: read when somebody asks, never kept beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from app.database import Database
from app.domain import REFUND_VOID, EndReason, MoveState, PaymentState, Status
from app.tables import bookings, counters, history, inbox, moves, outbox, payments, refunds

#: Between two writes that belong together lies at most a crash and the worker's next look; what is found earlier is
#: on its way, not lost.
GRACE = timedelta(minutes=10)
_BEAT = "worker_beat"
_TRIAL = "trial_write"
#: Bytes of one of SQLite's pages, as it makes them.
_PAGE = 4096
_PAID = ("paid", "paid_late", "nothing_due")
_STANDING = (Status.PAID, Status.CONFIRMED)


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
    oldest_event: float
    oldest_unreleased: float


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
        row = sqlite.insert(counters).values(name=_BEAT, value=int(self._now().timestamp()))
        async with self._write() as connection:
            await connection.execute(
                row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value})
            )

    async def try_write(self) -> None:
        """Write one small row, after one that needs a page of its own, as everything else would be written. Raises
        StorageError."""
        row = sqlite.insert(counters).values(name=_TRIAL, value=int(self._now().timestamp()))
        wide = f"{_TRIAL} {'.' * _PAGE}"
        async with self._write() as connection:
            await connection.execute(sa.insert(counters).values(name=wide, value=0))
            await connection.execute(sa.delete(counters).where(counters.c.name == wide))
            await connection.execute(
                row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value})
            )

    async def schema(self) -> str:
        """The newest migration that the database has been through."""
        rows = await self._all(sa.select(sa.column("version_num")).select_from(sa.table("alembic_version")))
        return str(rows[0]["version_num"]) if rows else ""

    async def last_beat(self) -> datetime | None:
        """When a worker was last alive; None if there never was one."""
        found = await self._all(sa.select(counters.c.value).where(counters.c.name == _BEAT))
        return datetime.fromtimestamp(found[0]["value"], UTC) if found else None

    async def money_without_booking(self) -> list[Discrepancy]:
        """Money that is kept, or held on a card, although nothing stands for it. Refunds that are owed or on their
        way count as given back. Empty in health."""
        left = _left(payments.c.id)
        held = payments.c.state == PaymentState.AUTHORIZED
        amount = sa.case((held, payments.c.amount), else_=left)
        failed = sa.exists().where(refunds.c.payment_id == payments.c.id, refunds.c.status.in_(["failed", "canceled"]))
        why = sa.case(
            (bookings.c.status == Status.CANCELED, "canceled"),
            (bookings.c.status == Status.PAID, "not_confirmed"),
            (bookings.c.status.not_in(_STANDING), "never_booked"),
            (moves.c.id.is_not(None), "not_moved"),
            else_="paid_twice",
        )
        # What a customer who cancels may keep of the payment is in the terms, and was drawn with the claim; only a
        # refund that Stripe has refused leaves something behind.
        kept_by_terms = sa.and_(
            bookings.c.status == Status.CANCELED, bookings.c.end_reason == EndReason.BY_CUSTOMER, sa.not_(failed)
        )
        for_booking = sa.and_(bookings.c.status == Status.CONFIRMED, payments.c.id == bookings.c.payment_id)
        for_move = sa.and_(bookings.c.status == Status.CONFIRMED, moves.c.state.in_([MoveState.DONE, MoveState.MOVING]))
        # A canceled booking's own payments for moves are kept or given back with it.
        stands = sa.or_(for_booking, sa.func.coalesce(for_move, False), kept_by_terms)
        rows = await self._all(
            sa.select(
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
        return [Discrepancy(**row) for row in rows]

    async def bookings_without_money(self) -> list[Discrepancy]:
        """Confirmed bookings for which less was taken than they cost. What the owner gave back out of goodwill was
        taken all the same. Empty in health."""
        price = sa.func.json_extract(bookings.c.terms, "$.amount")
        currency = sa.func.json_extract(bookings.c.terms, "$.currency")
        taken = (
            sa.select(sa.func.coalesce(sa.func.sum(payments.c.captured), 0))
            .where(payments.c.booking_id == bookings.c.id, payments.c.state == PaymentState.CAPTURED)
            .scalar_subquery()
        )
        cheaper = (
            sa.select(sa.func.coalesce(sa.func.sum(refunds.c.amount), 0))
            .where(
                refunds.c.booking_id == bookings.c.id,
                refunds.c.reason == EndReason.CHEAPER,
                refunds.c.status.not_in(REFUND_VOID),
            )
            .scalar_subquery()
        )
        missing = price - (taken - cheaper)
        rows = await self._all(
            sa.select(
                bookings.c.id.label("booking_id"),
                missing.label("amount"),
                currency.label("currency"),
                sa.literal("not_paid").label("why"),
            )
            .where(bookings.c.status == Status.CONFIRMED, missing > 0, _settled_since() <= self._now() - GRACE)
            .order_by(bookings.c.created_at)
        )
        return [Discrepancy(**row) for row in rows]

    async def census(self) -> Census:
        """Everything that is counted by how it stands."""
        now = self._now()
        source = sa.case((inbox.c.event_id.startswith("evt_"), "stripe"), else_="hapio")
        standing = sa.case(
            (inbox.c.processed_at.is_not(None), "processed"), (inbox.c.tries > 0, "failing"), else_="waiting"
        )
        owed = sa.and_(outbox.c.sent_at.is_(None), outbox.c.next_try_at.is_not(None), outbox.c.due_at <= now)
        given_up = sa.and_(
            outbox.c.sent_at.is_(None), outbox.c.next_try_at.is_(None), outbox.c.last_error != "no longer true"
        )
        unreleased = sa.and_(
            bookings.c.status.in_([Status.EXPIRED, Status.CANCELED]),
            bookings.c.hapio_booking_id.is_not(None),
            sa.not_(bookings.c.hapio_canceled),
        )
        return Census(
            bookings=dict(await self._counted(bookings.c.status)),
            payments=await self._sums(payments.c.state, payments.c.currency, payments.c.captured),
            refunds=await self._sums(refunds.c.status, refunds.c.currency, refunds.c.amount),
            disputes=dict(await self._counted(payments.c.dispute, payments.c.dispute != "")),
            moves=dict(await self._counted(moves.c.state)),
            events={
                (row["source"], row["standing"]): row["many"]
                for row in await self._all(
                    sa.select(
                        source.label("source"), standing.label("standing"), sa.func.count().label("many")
                    ).group_by(source, standing)
                )
            },
            mails_owed=await self._count(outbox, owed),
            mails_given_up=await self._count(outbox, given_up),
            oldest_mail=await self._age(outbox.c.due_at, owed),
            oldest_event=await self._age(inbox.c.received_at, inbox.c.processed_at.is_(None)),
            oldest_unreleased=await self._age(bookings.c.updated_at, unreleased),
        )

    async def happened(self, after: int | None) -> Happened:
        """What the history has gained since its line `after`; None for all of it, without the confirmations' times:
        those of an earlier life were told by that one."""
        new = history.c.id > (after or 0)
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
                    new, history.c.what.in_(["confirmed", "rescued"])
                )
            )
            seconds = [max(0.0, (row["at"] - row["paid_at"]).total_seconds()) for row in confirmed if row["paid_at"]]
        upto = max((row["upto"] for row in rows), default=after or 0)
        return Happened(upto, {row["what"]: row["many"] for row in rows}, seconds)

    async def _counted(self, column: sa.Column[str], *where: sa.ColumnElement[bool]) -> list[tuple[str, int]]:
        wanted: list[Any] = [column.label("word"), sa.func.count().label("many")]
        rows = await self._all(sa.select(*wanted).where(*where).group_by(column))
        return [(row["word"], row["many"]) for row in rows]

    async def _sums(
        self, word: sa.Column[str], currency: sa.Column[str], amount: sa.Column[int]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        many, total = sa.func.count().label("many"), sa.func.sum(amount).label("total")
        wanted: list[Any] = [word.label("word"), currency.label("currency"), many, total]
        rows = await self._all(sa.select(*wanted).group_by(word, currency))
        return {(row["word"], row["currency"]): (row["many"], row["total"]) for row in rows}

    async def _count(self, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
        rows = await self._all(sa.select(sa.func.count().label("many")).select_from(table).where(where))
        return int(rows[0]["many"])

    async def _age(self, column: sa.Column[datetime], where: sa.ColumnElement[bool]) -> float:
        rows = await self._all(sa.select(sa.func.min(column).label("at")).where(where))
        at: datetime | None = rows[0]["at"]
        return max(0.0, (self._now() - at).total_seconds()) if at else 0.0


def _settled_since() -> sa.ColumnElement[datetime]:
    """When anything last happened to a booking. Not `updated_at`, which every attempt to confirm moves on."""
    return sa.select(sa.func.max(history.c.at)).where(history.c.booking_id == bookings.c.id).scalar_subquery()


def _left(payment_id: sa.Column[str]) -> sa.ColumnElement[int]:
    back = (
        sa.select(sa.func.coalesce(sa.func.sum(refunds.c.amount), 0))
        .where(refunds.c.payment_id == payment_id, refunds.c.status.not_in(REFUND_VOID))
        .scalar_subquery()
    )
    return payments.c.captured - back
