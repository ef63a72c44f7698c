"""Refunds that Stripe refuses or does not answer"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "refunds",
        sa.Column("due_at", sa.DateTime(), nullable=False, server_default="1970-01-01 00:00:00.000000"),
    )
    op.add_column("refunds", sa.Column("problem", sa.Text(), nullable=False, server_default=""))
    op.add_column("refunds", sa.Column("refusals", sa.Integer(), nullable=False, server_default="0"))
    # A refund that waits for the minutes to undo a cancellation is due at its next try.
    op.execute(
        "UPDATE refunds SET due_at = CASE WHEN tries = 0 THEN coalesce(next_try_at, created_at) ELSE created_at END"
    )
