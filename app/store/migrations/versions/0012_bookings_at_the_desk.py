"""Bookings that the owner makes for a customer: through which door, a link to pay by, a time that is not offered, and
money that is taken in person, with what of it is to be refunded by hand"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_BY_HAND = sa.text("problem = 'in person' AND status = 'requested'")


def upgrade() -> None:
    op.add_column("bookings", sa.Column("channel", sa.Text(), nullable=False, server_default="online"))
    op.add_column("bookings", sa.Column("pay_link", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("reservations", sa.Column("any_time", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("payments", sa.Column("method", sa.Text(), nullable=False, server_default="stripe"))
    op.create_index("refunds_by_hand", "refunds", ["due_at"], sqlite_where=_BY_HAND, postgresql_where=_BY_HAND)
