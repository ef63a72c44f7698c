"""System status from the rows: read when it is asked for, and stored nowhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Status
from app.domain.history import HistoryWord
from app.domain.move import MoveState
from app.domain.payment import UNDER_WAY, PaymentState
from app.domain.refund import RefundStatus
from app.domain.reservation import GIVE_BACK
from app.store.amounts import total
from app.store.audit import AT_WORK, LONG_AGO, AuditRows
from app.store.conflicts import raise_counter, set_counter
from app.store.due import written_lately
from app.store.prepared import Prepared
from app.store.rows import last_change
from app.store.tables import (
    DISPUTED,
    FAILED,
    GIVEN_UP,
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
)

_Condition = sa.ColumnElement[bool] | sa.TextClause
_BEAT = "worker_beat"
_TRIAL = "trial_write"
_SERVING = "serving:"
#: The history's lines that were counted, by their words; under no word, up to which line.
_TALLY = "history:"
#: Lines that are tallied in one transaction, so that no booking waits for it.
_BATCH = 5000
#: Figures name what is open, whatever its age, and what is over for so long: they cost the same after years.
RECENT = timedelta(days=1)
_PAID = (HistoryWord.PAID, HistoryWord.PAID_LATE, HistoryWord.NOTHING_DUE)
_SCHEMA = Prepared(sa.select(sa.column("version_num")).select_from(sa.table("alembic_version")))
_TALLIED = sa.select(counters).where(counters.c.name.startswith(_TALLY))
_TALLIED_UPTO = Prepared(sa.select(counters.c.value).where(counters.c.name == _TALLY))
_NEWEST_LINE = Prepared(sa.select(sa.func.max(history.c.id).label("id")))
_FORGET_GONE = sa.delete(counters).where(
    counters.c.name.startswith(_SERVING), counters.c.value < sa.bindparam("before", type_=sa.BigInteger)
)
_UNDECIDED = (Status.HELD, Status.AWAITING_PAYMENT, Status.PAID, Status.OFFERED)
_UNPAID = sorted(UNDER_WAY | {PaymentState.AUTHORIZED})
_MOVING = (MoveState.HELD, MoveState.MOVING)


@dataclass(frozen=True, slots=True)
class Census:
    """How many rows stand how, at one moment: those that are open, and those that were made within `RECENT`. Amounts in
    smallest units, ages in seconds."""

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
    """How often each word stands in the history up to a line, and the seconds of each confirmation that is new."""

    upto: int
    words: Mapping[str, int]
    confirm_seconds: Sequence[float]


class HealthRows(AuditRows):
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
        rows = await self._fetch(_SCHEMA)
        return str(rows[0]["version_num"]) if rows else ""

    async def serve_beat(self, process: str) -> None:
        """This server process is alive now. What has not been for ten minutes is forgotten."""
        now = int(self._now().timestamp())
        async with self._write() as connection:
            await set_counter(connection, _SERVING + process, now)
            await connection.execute(_FORGET_GONE, {"before": now - 600})

    async def serving(self, since: datetime) -> int:
        """How many server processes were alive after that."""
        alive = sa.and_(counters.c.name.startswith(_SERVING), counters.c.value >= int(since.timestamp()))
        return await self._count(counters, alive)

    async def last_beat(self) -> datetime | None:
        """When a worker was last alive; None if there never was one."""
        found = await self._all(sa.select(counters.c.value).where(counters.c.name == _BEAT))
        return datetime.fromtimestamp(found[0]["value"], UTC) if found else None

    async def census(self) -> Census:
        """Everything that is counted by how it stands."""
        now = self._now()
        recent = now - RECENT
        owed = sa.and_(outbox.c.sent_at.is_(None), outbox.c.next_try_at.is_not(None), outbox.c.due_at <= now)
        return Census(
            bookings=await self._counted(
                bookings.c.status, *_apart(bookings.c.status.in_(_UNDECIDED), bookings.c.created_at > recent)
            ),
            payments=await self._sums(
                payments.c.state,
                payments.c.currency,
                payments.c.captured,
                *_apart(payments.c.state.in_(_UNPAID), payments.c.created_at > recent),
            ),
            refunds=await self._refund_sums(recent),
            disputes=await self._counted(payments.c.dispute, DISPUTED),
            moves=await self._counted(moves.c.state, *_apart(moves.c.state.in_(_MOVING), moves.c.created_at > recent)),
            events=await self._counted_events(recent),
            mails_owed=await self._count(outbox, owed),
            mails_given_up=await self._count(outbox, GIVEN_UP),
            oldest_mail=await self._age(outbox.c.due_at, owed),
            oldest_refund=await self._age(
                refunds.c.due_at, sa.and_(AT_WORK, refunds.c.status == RefundStatus.REQUESTED, refunds.c.due_at <= now)
            ),
            oldest_pending_refund=await self._age(
                refunds.c.due_at, sa.and_(AT_WORK, refunds.c.status != RefundStatus.REQUESTED)
            ),
            oldest_event=await self._age(inbox.c.received_at, inbox.c.processed_at.is_(None)),
            oldest_unreleased=await self._age(reservations.c.updated_at, reservations.c.due.in_(sorted(GIVE_BACK))),
            oldest_unconfirmed=await self._age(last_change(), bookings.c.status == Status.PAID),
            oldest_unended=max(
                await self._age(
                    bookings.c.deadline,
                    bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT, Status.OFFERED])
                    & (bookings.c.deadline <= now),
                ),
                await self._age(moves.c.deadline, (moves.c.state == MoveState.HELD) & (moves.c.deadline <= now)),
            ),
            oldest_unmoved=await self._age(moves.c.updated_at, moves.c.state == MoveState.MOVING),
        )

    async def _counted_events(self, recent: datetime) -> dict[tuple[str, str], int]:
        """How many events of whom stand how. A scheduler's begin with its name; Stripe's type does not."""
        source = sa.case((inbox.c.event_id.startswith("evt_"), "stripe"), else_=inbox.c.type)
        standing = sa.case(
            (inbox.c.processed_at.is_not(None), "processed"), (inbox.c.tries > 0, "failing"), else_="waiting"
        )
        counted = sa.select(source.label("source"), standing.label("standing"), sa.func.count().label("many"))
        found: Counter[tuple[str, str]] = Counter()
        for part in (inbox.c.processed_at.is_(None), inbox.c.processed_at > recent):
            for row in await self._all(counted.where(part).group_by(source, standing)):
                found[row["source"].partition(".")[0], row["standing"]] += row["many"]
        return dict(found)

    async def tally_history(self) -> int:
        """Add a batch of the history's newer lines to the stored counts, so that `happened` need not read them again;
        how many. 0 says that there are no more."""
        tallied, [newest] = await self._fetch(_TALLIED_UPTO), await self._fetch(_NEWEST_LINE)
        before = tallied[0]["value"] if tallied else 0
        if (newest["id"] or 0) <= before:
            return 0
        if self.backend.lines_settle and not await self._all(
            sa.select(history.c.id).where(self._after(before)).limit(1)
        ):
            return 0
        async with self._write() as connection:
            await self.backend.lock_name(connection, _TALLY)
            told = (await connection.execute(_TALLIED)).mappings()
            upto = {row["name"]: row["value"] for row in told}.get(_TALLY, 0)
            lines = sa.select(history.c.id, history.c.what).where(self._after(upto)).order_by(history.c.id)
            new = (await connection.execute(lines.limit(_BATCH))).mappings().all()
            for word, many in Counter(row["what"] for row in new).items():
                await raise_counter(connection, _TALLY + word, many)
            if new:
                await set_counter(connection, _TALLY, new[-1]["id"])
            return len(new)

    async def happened(self, after: int | None) -> Happened:
        """What the history holds, and how long the confirmations after its line `after` took; None leaves those out,
        since those before were reported by the process that ran then."""
        tally = {row["name"].removeprefix(_TALLY): row["value"] for row in await self._all(_TALLIED)}
        tallied = upto = tally.pop("", 0)
        counted = sa.select(history.c.what, sa.func.count().label("many"), sa.func.max(history.c.id).label("upto"))
        for row in await self._all(counted.where(self._after(tallied)).group_by(history.c.what)):
            tally[row["what"]] = tally.get(row["what"], 0) + row["many"]
            upto = max(upto, row["upto"])
        seconds = [] if after is None else await self._confirm_seconds(after, upto)
        return Happened(upto, tally, seconds)

    def _after(self, line: int) -> sa.ColumnElement[bool]:
        """The history's lines after this one. Where several write at once, the newest are left for the next time: one
        with a lower number may still be on its way."""
        new = history.c.id > line
        if not self.backend.lines_settle:
            return new
        fresh = written_lately(self._now(), self.backend.lines_settle)
        first = sa.select(sa.func.min(history.c.id)).where(new, fresh).scalar_subquery()
        return sa.and_(new, sa.or_(first.is_(None), history.c.id < first))

    async def _confirm_seconds(self, after: int, upto: int) -> list[float]:
        paid = history.alias()
        paid_at = (
            sa.select(sa.func.max(paid.c.at))
            .where(paid.c.booking_id == history.c.booking_id, paid.c.what.in_(_PAID), paid.c.id < history.c.id)
            .scalar_subquery()
        )
        confirmed = await self._all(
            sa.select(history.c.at, paid_at.label("paid_at")).where(
                history.c.id > after,
                history.c.id <= upto,
                history.c.what.in_([HistoryWord.CONFIRMED, HistoryWord.RESCUED]),
            )
        )
        return [max(0.0, (row["at"] - row["paid_at"]).total_seconds()) for row in confirmed if row["paid_at"]]

    async def _counted(self, word: sa.Column[str], *parts: _Condition) -> dict[str, int]:
        """How many rows have which word, over parts that have none in common: each is found by its own index, which a
        database does not do for the one or the other."""
        wanted: list[Any] = [_unsorted(word).label("word"), sa.func.count().label("many")]
        found: Counter[str] = Counter()
        for part in parts:
            for row in await self._all(sa.select(*wanted).where(part).group_by(_unsorted(word))):
                found[row["word"]] += row["many"]
        return found

    async def _refund_sums(self, recent: datetime) -> dict[tuple[str, str], tuple[int, int]]:
        """Refunds by status; what failed and was made good since is `failed_covered`, so that its alarm ends."""
        parts = _apart(refunds.c.next_try_at > LONG_AGO, FAILED, refunds.c.created_at > recent)
        sums = await self._sums(refunds.c.status, refunds.c.currency, refunds.c.amount, *parts)
        for refund, amount in await self.refund_failures():
            if not amount:
                currency = refund.amount.currency
                for word, sign in ((refund.status, -1), ("failed_covered", 1)):
                    many, money = sums.get((word, currency), (0, 0))
                    sums[word, currency] = (many + sign, money + sign * refund.amount.amount)
        return sums

    async def _sums(
        self, word: sa.Column[str], currency: sa.Column[str], amount: sa.Column[int], *parts: _Condition
    ) -> dict[tuple[str, str], tuple[int, int]]:
        many, money = sa.func.count().label("many"), total(amount).label("money")
        wanted: list[Any] = [_unsorted(word).label("word"), currency.label("currency"), many, money]
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for part in parts:
            for row in await self._all(sa.select(*wanted).where(part).group_by(_unsorted(word), currency)):
                key = row["word"], row["currency"]
                before = found.get(key, (0, 0))
                found[key] = (before[0] + row["many"], before[1] + row["money"])
        return found

    async def _count(self, table: sa.Table, where: _Condition) -> int:
        rows = await self._all(sa.select(sa.func.count().label("many")).select_from(table).where(where))
        return int(rows[0]["many"])

    async def _age(self, column: sa.ColumnElement[datetime], where: sa.ColumnElement[bool]) -> float:
        rows = await self._all(sa.select(sa.func.min(column, type_=Instant).label("at")).where(where))
        at: datetime | None = rows[0]["at"]
        return max(0.0, (self._now() - at).total_seconds()) if at else 0.0


def _apart(*conditions: _Condition) -> list[_Condition]:
    """The conditions, each without what an earlier one has."""
    return [
        sa.and_(one, *(sa.not_(_sure(before)) for before in conditions[:index])) for index, one in enumerate(conditions)
    ]


def _unsorted(word: sa.Column[str]) -> sa.ColumnElement[str]:
    """The word, no longer as its index has it: to group by that, SQLite would read the whole index."""
    return word.concat(sa.literal_column("''"))


def _sure(condition: _Condition) -> sa.ColumnElement[bool]:
    """False where SQL does not know, as of a time that is not set."""
    return sa.func.coalesce(condition, sa.false())
