"""Bookings that the owner makes for somebody: through which door, a link to pay by, a time that is not offered, and
money that is taken in person"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("bookings", sa.Column("channel", sa.Text(), nullable=False, server_default="online"))
    op.add_column("bookings", sa.Column("pay_link", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("reservations", sa.Column("any_time", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("payments", sa.Column("method", sa.Text(), nullable=False, server_default="stripe"))
