"""Sums of money in SQL."""

from __future__ import annotations

import sqlalchemy as sa


def total(amounts: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """The sum of amounts in smallest units, 0 without any. PostgreSQL's sum of them is a decimal number otherwise."""
    return sa.cast(sa.func.coalesce(sa.func.sum(amounts), 0), sa.BigInteger)
