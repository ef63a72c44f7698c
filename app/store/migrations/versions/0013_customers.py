"""Customers: what finds them among their bookings, and what staff write down about them; an index for mails that were given up"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

#: `app.store.outbox` asks for mails that were given up by the same condition.
_GIVEN_UP = sa.text("sent_at IS NULL AND next_try_at IS NULL AND last_error <> 'no longer true'")
_BATCH = 500


def upgrade() -> None:
    for name in ("customer_key", "customer_search"):
        op.add_column("bookings", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "customer_notes",
        sa.Column("customer_key", sa.Text(), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(), nullable=False),
    )
    _fill()
    op.create_index("bookings_customer", "bookings", ["customer_key", "created_at", "status", "customer_search", "id"])
    op.create_index(
        "outbox_given_up_due", "outbox", ["sent_at", "due_at"], sqlite_where=_GIVEN_UP, postgresql_where=_GIVEN_UP
    )


def _fill() -> None:
    """In Python: SQLite knows the small letters of ASCII alone."""
    bookings = sa.table(
        "bookings",
        sa.column("id", sa.Text),
        sa.column("customer", sa.JSON),
        sa.column("customer_email", sa.Text),
        sa.column("customer_key", sa.Text),
        sa.column("customer_search", sa.Text),
    )
    connection, last = op.get_bind(), ""
    named = sa.select(bookings.c.id, bookings.c.customer).where(bookings.c.customer_email != "")
    filled = (
        sa.update(bookings)
        .where(bookings.c.id == sa.bindparam("of"))
        .values(customer_key=sa.bindparam("key"), customer_search=sa.bindparam("search"))
    )
    while rows := connection.execute(named.where(bookings.c.id > last).order_by(bookings.c.id).limit(_BATCH)).all():
        last = rows[-1].id
        values = []
        for row in rows:
            name, email, phone = (str((row.customer or {}).get(of) or "") for of in ("name", "email", "phone"))
            search = f"{name}\n{email}\n{phone}".casefold()[:300]
            values.append({"of": row.id, "key": email.casefold(), "search": search})
        connection.execute(filled, values)
