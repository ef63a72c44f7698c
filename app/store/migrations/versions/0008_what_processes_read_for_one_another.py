"""Months that one process has read from a scheduler, for all of them"""

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
