"""Times that are held for a customer who paid too late, until when each"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("reservations", sa.Column("offered_until", sa.DateTime()))
