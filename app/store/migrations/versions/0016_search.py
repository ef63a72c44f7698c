"""What bookings are searched by, with its parts, so that a part of a name leads to them by an index"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_BATCH = 500
#: As `app.store.search` has them.
_LENGTH, _END = 12, b"\x1f"


def upgrade() -> None:
    texts = op.create_table(
        "search_texts",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
    )
    parts = op.create_table(
        "search_parts", sa.Column("part", sa.LargeBinary(), primary_key=True), sqlite_with_rowid=False
    )
    op.drop_index("bookings_customer", "bookings")
    op.create_index("bookings_customer", "bookings", ["customer_key", "created_at", "status", "id"])
    op.create_index("bookings_search", "bookings", ["customer_search", "created_at", "id"])
    _fill(texts, parts)


def _fill(texts: sa.Table, parts: sa.Table) -> None:
    searched = sa.table("bookings", sa.column("customer_search", sa.Text)).c.customer_search
    connection, last = op.get_bind(), ""
    # In the order of the index; each batch begins behind the last one's end.
    named = sa.select(searched).distinct().order_by(searched).limit(_BATCH)
    while rows := connection.execute(named.where(searched > last)).all():
        last = rows[-1].customer_search
        ids = {hashlib.sha256(row.customer_search.encode()).hexdigest()[:16]: row.customer_search for row in rows}
        connection.execute(sa.insert(texts), [{"id": one, "text": text} for one, text in ids.items()])
        found = {
            text[at : at + _LENGTH].encode() + _END + one.encode()
            for one, text in ids.items()
            for at in range(len(text))
        }
        connection.execute(sa.insert(parts), [{"part": part} for part in sorted(found)])
