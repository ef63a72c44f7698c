"""Sums of money in SQL, and what is left of a payment."""

from __future__ import annotations

import sqlalchemy as sa

from app.domain.payment import DISPUTE_LOST
from app.domain.refund import REFUND_VOID
from app.store.tables import payments, refunds


def total(amounts: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """The sum of amounts in smallest units, 0 without any. PostgreSQL's sum of them is a decimal number otherwise."""
    return sa.cast(sa.func.coalesce(sa.func.sum(amounts), 0), sa.BigInteger)


def left_of_payment() -> sa.ColumnElement[int]:
    """What is left of a captured payment of the statement around it, in smallest units: nothing after a lost dispute.
    Below 0 if more was refunded outside Holdfast."""
    back = (
        sa.select(total(refunds.c.amount))
        .where(refunds.c.payment_id == payments.c.id, refunds.c.status.not_in(REFUND_VOID))
        .scalar_subquery()
    )
    return sa.case((payments.c.dispute == DISPUTE_LOST, 0), else_=payments.c.captured - back)
