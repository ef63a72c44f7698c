"""What outgoing webhooks can report: read from the rows afterwards, so that changes of bookings write nothing extra.

The history says most of it. Money that was sent back is in the refunds, and what needs the owner in the outbox.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from app.domain.booking import EndReason, Status
from app.domain.history import HistoryWord
from app.domain.outgoing_webhooks import TOLD_WORDS, Happening, WebhookEvent, event_of
from app.store.database import Database
from app.store.due import written_lately
from app.store.tables import (
    CAPTURED,
    bookings,
    counters,
    history,
    outbox,
    payments,
    refunds,
)
from app.store.webhook_tables import NEEDS_OWNER, SENT_BACK, webhook_deliveries

#: How far the history was read, and when the outbox and the refunds were.
LINE, LOOKED = "webhooks:line", "webhooks:looked"
#: Rows of the outbox and of refunds carry a time and no number: processes' clocks differ, and a transaction may end
#: later than it began. What was told before is not told twice.
_OVERLAP = timedelta(hours=1)
#: Lines that one look takes; more than a restart after an outage finds come in several.
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found, and where the next one begins."""

    happenings: Sequence[Happening]
    line: int
    upto: int
    looked_at: datetime
    #: Whether it is worth a write to store the time of this look.
    stale: bool


class HappeningRows(Database):
    """Queries over `history`, `refunds` and `outbox`."""

    async def look_for_happenings(self, widgets: Collection[str]) -> Look:
        """What happened to these widgets' bookings and has no delivery yet, in the order of each booking's changes."""
        now = self._now()
        marks = {
            row["name"]: row["value"]
            for row in await self._all(sa.select(counters).where(counters.c.name.in_([LINE, LOOKED])))
        }
        line = marks.get(LINE, 0)
        # Asked before the lines are: whatever is settled now is among them.
        upto = await self._settled_upto(line)
        lines = await self._lines(line, widgets)
        if len(lines) == _AT_ONCE:
            upto = min(upto, int(lines[-1].source.partition(":")[2]))
        looked_at = datetime.fromtimestamp(marks.get(LOOKED, now.timestamp()), UTC)
        since = min(looked_at, now) - _OVERLAP
        others = [*await self._refunds_sent(since, widgets), *await self._needs_owner(since, widgets)]
        return Look(
            [*lines, *sorted(others, key=lambda one: one.at)],
            line,
            max(upto, line),
            now,
            abs(now - looked_at) >= _OVERLAP / 4,
        )

    async def _settled_upto(self, line: int) -> int:
        """Up to which line no other can still come in between; see `HealthRows.happened`."""
        new = history.c.id > line
        newest = sa.select(sa.func.max(history.c.id)).where(new).scalar_subquery()
        fresh = written_lately(self._now(), self.backend.lines_settle)
        first = sa.select(sa.func.min(history.c.id)).where(new, fresh).scalar_subquery()
        wait = bool(self.backend.lines_settle)
        [row] = await self._all(sa.select(newest.label("newest"), (first if wait else sa.null()).label("first")))
        return int(row["first"] - 1 if row["first"] else row["newest"] or line)

    async def _lines(self, line: int, widgets: Collection[str]) -> list[Happening]:
        rows = await self._all(
            sa.select(
                history.c.id, history.c.booking_id, history.c.at, history.c.what, history.c.status, history.c.detail
            )
            .join(bookings, bookings.c.id == history.c.booking_id)
            .where(
                history.c.id > line,
                history.c.what.in_(sorted(TOLD_WORDS)),
                bookings.c.widget.in_(sorted(widgets)),
                ~_told("line:", sa.cast(history.c.id, sa.Text)),
            )
            .order_by(history.c.id)
            .limit(_AT_ONCE)
        )
        found = []
        for row in rows:
            what, status = HistoryWord(row["what"]), Status(row["status"])
            event = event_of(what, status)
            if event:
                facts = {name: row["detail"][name] for name in ("from", "to", "amount") if name in row["detail"]}
                source = f"line:{row['id']}"
                found.append(Happening(source, event, row["booking_id"], row["at"], what, status, facts))
        return found

    async def _refunds_sent(self, since: datetime, widgets: Collection[str]) -> list[Happening]:
        rows = await self._all(
            sa.select(refunds.c.id, refunds.c.booking_id, refunds.c.updated_at, refunds.c.reason, refunds.c.amount)
            .join(bookings, bookings.c.id == refunds.c.booking_id)
            .join(payments, payments.c.id == refunds.c.payment_id)
            .where(
                SENT_BACK,
                refunds.c.updated_at > since,
                # A line of the history tells of those; and money that was only held is let go without a refund.
                refunds.c.reason != EndReason.AT_STRIPE,
                CAPTURED,
                bookings.c.widget.in_(sorted(widgets)),
                ~_told("refund:", refunds.c.id),
            )
            .order_by(refunds.c.updated_at)
        )
        return [
            Happening(
                f"refund:{row['id']}",
                WebhookEvent.REFUNDED,
                row["booking_id"],
                row["updated_at"],
                row["reason"],
                facts={"amount": row["amount"]},
            )
            for row in rows
        ]

    async def _needs_owner(self, since: datetime, widgets: Collection[str]) -> list[Happening]:
        rows = await self._all(
            sa.select(outbox.c.id, outbox.c.booking_id, outbox.c.created_at, outbox.c.kind, outbox.c.detail)
            .join(bookings, bookings.c.id == outbox.c.booking_id)
            .where(
                NEEDS_OWNER,
                outbox.c.created_at > since,
                bookings.c.widget.in_(sorted(widgets)),
                ~_told("mail:", outbox.c.id),
            )
            .order_by(outbox.c.created_at)
        )
        return [
            Happening(
                f"mail:{row['id']}",
                WebhookEvent.NEEDS_ATTENTION,
                row["booking_id"],
                row["created_at"],
                str(row["detail"].get("trouble") or row["kind"].removesuffix("_owner")),
                facts={name: row["detail"][name] for name in ("amount", "code") if row["detail"].get(name)},
            )
            for row in rows
        ]


def _told(kind: str, row_id: sa.ColumnElement[str]) -> sa.Exists:
    return sa.exists().where(webhook_deliveries.c.source == sa.literal(kind, sa.Text) + row_id)
