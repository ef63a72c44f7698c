"""When each reservation last came to take up time or ceased to, so that other processes read what is new and no more"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    # Rows from before keep none: every process reads all that takes up time when it starts.
    op.add_column("reservations", sa.Column("occupancy_at", sa.DateTime()))
    op.create_index("reservations_occupancy", "reservations", ["occupancy_at"])
