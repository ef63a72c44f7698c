"""What a move gives back, as its customer was shown it

Until now the whole drop in price came back when a move was done. Moves that are still open keep that.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("moves", sa.Column("refund_due", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("moves", sa.Column("refund_cap", sa.Integer(), nullable=False, server_default="100"))
    if op.get_context().dialect.name != "sqlite":
        return  # no database elsewhere has rows that are as old as this
    op.execute(
        """
        UPDATE moves SET refund_due = max(0, coalesce(
            (SELECT json_extract(bookings.terms, '$.amount') FROM bookings WHERE bookings.id = moves.booking_id), 0
        ) - moves.amount)
        WHERE moves.state IN ('held', 'moving')
        """
    )
