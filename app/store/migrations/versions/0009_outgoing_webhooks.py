"""Outgoing webhooks: the addresses that are told of bookings, and what is delivered to each"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_WAITING = sa.text("next_try_at IS NOT NULL")
#: Mails that the owner has to act on; `app.store.outgoing_webhooks` asks for them by the same condition.
_ATTENTION = sa.text("kind IN ('trouble_owner', 'refund_failed_owner', 'disputed_owner')")
_SENT = sa.text("status IN ('succeeded', 'paid_another_way')")


def upgrade() -> None:
    whole = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("widget", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("personal_data", sa.Boolean(), nullable=False),
        sa.Column("number", whole, nullable=False),
        sa.Column("added_at", sa.DateTime(), nullable=False),
        sa.Column("free_at", sa.DateTime(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.DateTime()),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("delivered_at", sa.DateTime()),
        sa.Column("disabled_at", sa.DateTime()),
        sa.Column("removed_at", sa.DateTime()),
        sa.Column("tell_at", sa.DateTime()),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("endpoint_id", sa.Text(), sa.ForeignKey("webhook_endpoints.id"), nullable=False),
        sa.Column("number", whole, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("booking_id", sa.Text(), sa.ForeignKey("bookings.id"), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime()),
        sa.Column("delivered_at", sa.DateTime()),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.UniqueConstraint("source", "endpoint_id"),
    )
    op.create_index("webhook_deliveries_number", "webhook_deliveries", ["endpoint_id", "number"])
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["endpoint_id", "number"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index("webhook_deliveries_created", "webhook_deliveries", ["created_at"])
    op.create_index("webhook_deliveries_booking", "webhook_deliveries", ["booking_id"])
    # Partial, so that an ordinary mail and an open refund pay nothing for them.
    op.create_index("outbox_attention", "outbox", ["created_at"], sqlite_where=_ATTENTION, postgresql_where=_ATTENTION)
    op.create_index("refunds_sent", "refunds", ["updated_at"], sqlite_where=_SENT, postgresql_where=_SENT)
