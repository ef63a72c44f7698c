"""Whether someone may still be paying for a booking."""

from __future__ import annotations

import sqlalchemy as sa

from app.domain.payment import UNDER_WAY
from app.store.tables import payments


def has_open_session(of: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether a Checkout Session of these payments is open, or its payment under way."""
    return sa.exists().where(
        of,
        payments.c.session_id.is_not(None),
        payments.c.state.in_(sorted(UNDER_WAY)),
    )
