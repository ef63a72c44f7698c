"""Months that one process has read from a scheduler, for all of them; and indexes for years of bookings"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "readings",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("scheduler", sa.Text(), nullable=False),
        sa.Column("starts_from", sa.DateTime(), nullable=False),
        sa.Column("ends_to", sa.DateTime(), nullable=False),
        sa.Column("asked_at", sa.DateTime()),
        sa.Column("cost", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("lease_until", sa.DateTime()),
        sa.Column("doubted_at", sa.DateTime()),
    )
    sqlite, postgresql = sa.text("occupies = 1"), sa.text("occupies")
    op.drop_index("reservations_guard", "reservations")
    op.create_index(
        "reservations_guard",
        "reservations",
        ["resource_id", "buffer_ends_at", "buffer_starts_at"],
        sqlite_where=sqlite,
        postgresql_where=postgresql,
    )
    op.create_index(
        "reservations_ahead", "reservations", ["buffer_ends_at"], sqlite_where=sqlite, postgresql_where=postgresql
    )
    op.create_index("refunds_booking", "refunds", ["booking_id"])
    op.create_index("outbox_booking", "outbox", ["booking_id"])
    op.create_index("outbox_sent", "outbox", ["sent_at"])
    op.create_index("inbox_processed", "inbox", ["processed_at"])
    op.create_index("moves_from", "moves", ["from_reservation_id"])
