"""Indexes for the figures: what is recent, and what somebody may have to look at"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_RECENT = ("bookings", "moves", "payments", "refunds")
_TO_LOOK_AT = (
    ("payments_disputed", "payments", "booking_id", "dispute <> ''"),
    ("refunds_failed", "refunds", "created_at", "status IN ('canceled', 'failed')"),
    (
        "outbox_given_up",
        "outbox",
        "created_at",
        "sent_at IS NULL AND next_try_at IS NULL AND last_error <> 'no longer true'",
    ),
    (
        "webhook_deliveries_given_up",
        "webhook_deliveries",
        "endpoint_id",
        "next_try_at IS NULL AND delivered_at IS NULL",
    ),
)


def upgrade() -> None:
    for table in _RECENT:
        op.create_index(f"{table}_created", table, ["created_at"])
    for name, table, column, condition in _TO_LOOK_AT:
        words = sa.text(condition)
        op.create_index(name, table, [column], sqlite_where=words, postgresql_where=words)
