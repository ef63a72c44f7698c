"""Writes what is due after a change (mails, refunds, history), in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.acting import who_acts
from app.domain.booking import Status
from app.domain.history import HistoryWord
from app.domain.outbox import OutboxMail
from app.domain.payment import PaymentSeen
from app.domain.refund import Owed, Refund
from app.domain.set_back import APART
from app.store.amounts import left_of_payment
from app.store.backend import note
from app.store.conflicts import insert_if_new
from app.store.prepared import asked
from app.store.rows import mail_row, refund_row
from app.store.tables import (
    CAPTURED,
    history,
    outbox,
    payments,
    refunds,
)

#: The least time between mails of one kind about one booking, if a newer one makes the older one untrue.
MAIL_PAUSE = timedelta(minutes=15)
#: Values of `app.mail.MailKind`, as the outbox has them.
_COALESCED = frozenset(f"{what}_{whom}" for what in ("canceled", "restored", "moved") for whom in ("customer", "owner"))

_REMEMBER = sa.insert(history)
_MIRROR = sa.update(payments).where(payments.c.id == asked("of"))


async def remember(
    connection: AsyncConnection,
    booking_id: str,
    what: HistoryWord,
    status: Status,
    *,
    at: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add a line to the booking's history, with the member of staff who did it."""
    told = {**({"who": who} if (who := who_acts()) else {}), **(detail or {})}
    row = {"booking_id": booking_id, "at": at, "what": what, "status": status, "detail": told}
    await connection.execute(_REMEMBER, row)
    note(connection, "booking", booking=booking_id, what=what, status=str(status))


def written_lately(now: datetime, within: timedelta) -> sa.ColumnElement[bool]:
    """Whether a line of the history is that young; not one that is from before the clock was set back."""
    return sa.and_(history.c.at > now - within, history.c.at <= now + APART)


async def mirror(connection: AsyncConnection, seen: PaymentSeen, *conditions: sa.ColumnElement[bool]) -> None:
    """Store what Stripe says about an attempt to pay."""
    values = {
        "state": seen.state,
        "session_id": seen.session_id,
        "payment_intent_id": seen.payment_intent_id,
        "captured": seen.captured,
    }
    statement = _MIRROR.where(*conditions) if conditions else _MIRROR
    await connection.execute(statement, {"of": seen.payment_id, **values})


async def add_mails(connection: AsyncConnection, mails: Iterable[OutboxMail]) -> None:
    """Mails to send; one that is there already is left alone. One of a kind that tells how things stand waits until a
    quarter of an hour after the last of its kind about the booking: what has changed again by then is not sent, so
    that a booking which is changed over and over does not fill anyone's mailbox."""
    for mail in mails:
        due_at = mail.due_at
        if mail.kind in _COALESCED:
            last = await connection.scalar(
                sa.select(sa.func.max(outbox.c.sent_at)).where(
                    outbox.c.booking_id == mail.booking_id, outbox.c.kind == mail.kind
                )
            )
            # Where the clock was set back since, the last one seems to be still to come.
            due_at = max(due_at, min(last, mail.created_at) + MAIL_PAUSE) if last else due_at
        row = mail_row(replace(mail, due_at=due_at))
        await insert_if_new(connection, outbox, row)


async def add_refunds(connection: AsyncConnection, owed: Iterable[Refund]) -> int:
    """Refunds to make, once per payment, reason and cause. Returns how many are new."""
    added = 0
    for refund in owed:
        if await insert_if_new(connection, refunds, refund_row(refund)):
            added += 1
            amount = {"amount": refund.amount.amount, "currency": refund.amount.currency}
            note(connection, "refund asked", booking=refund.booking_id, refund=refund.id, **amount)
    return added


async def draw(connection: AsyncConnection, owed: Owed) -> list[Refund]:
    """What a debt comes to, given what was captured and refunded until now. Exact, because the transaction has the
    booking to itself."""
    return owed.draw(await left(connection, owed.booking_id))


async def left(connection: AsyncConnection, booking_id: str) -> list[tuple[str, int]]:
    """How much is left of each payment, newest first."""
    rows = await connection.execute(
        sa.select(payments.c.id, left_of_payment())
        .where(payments.c.booking_id == booking_id, CAPTURED)
        .order_by(payments.c.attempt.desc())
    )
    return [(payment_id, amount) for payment_id, amount in rows]
