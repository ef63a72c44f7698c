"""Which scheduler a reservation is at: until now there was one"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("reservations", sa.Column("scheduler", sa.Text(), nullable=False, server_default="hapio"))
    for what in ("changes_read", "bookings_read"):
        op.execute(f"UPDATE counters SET name = 'hapio:{what}' WHERE name = 'scheduler:{what}'")  # noqa: S608 - constants
