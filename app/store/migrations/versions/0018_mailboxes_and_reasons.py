"""Whose booking it is, by the mailbox: until now "ß" was found as "ss", another domain's customer. And without the words
in which customers who were forgotten once said why they cancel"""

import unicodedata
from contextlib import suppress

import idna
import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_BATCH = 500
_bookings = sa.table(
    "bookings",
    sa.column("id", sa.Text),
    sa.column("customer", sa.JSON),
    sa.column("customer_email", sa.Text),
    sa.column("customer_key", sa.Text),
)
_notes = sa.table(
    "customer_notes",
    sa.column("customer_key", sa.Text),
    sa.column("text", sa.Text),
    sa.column("version", sa.Integer),
    sa.column("written_by", sa.Text),
    sa.column("written_at", sa.DateTime),
)


_history = sa.table(
    "history",
    sa.column("id", sa.Integer),
    sa.column("booking_id", sa.Text),
    sa.column("what", sa.Text),
    sa.column("detail", sa.JSON),
)


def upgrade() -> None:
    _take_words_of_forgotten()
    connection, last, moved = op.get_bind(), "", set()
    named = sa.select(_bookings.c.id, _bookings.c.customer, _bookings.c.customer_email).where(
        _bookings.c.customer_email.like("%@%")
    )
    follow = (
        sa.update(_bookings)
        .where(_bookings.c.id == sa.bindparam("of"))
        .values(customer_email=sa.bindparam("key"), customer_key=sa.bindparam("key"))
    )
    while rows := connection.execute(named.where(_bookings.c.id > last).order_by(_bookings.c.id).limit(_BATCH)).all():
        last = rows[-1].id
        keys = {row.id: (row.customer_email, _mailbox(str((row.customer or {}).get("email") or ""))) for row in rows}
        changed = {of: (before, after) for of, (before, after) in keys.items() if after and after != before}
        if changed:
            connection.execute(follow, [{"of": of, "key": after} for of, (_, after) in changed.items()])
        moved |= set(changed.values())
    for before, after in sorted(moved):
        _copy_note(connection, before, after)
    for before in sorted({before for before, _ in moved}):
        left = sa.exists().where(_bookings.c.customer_key == before)
        connection.execute(sa.delete(_notes).where(_notes.c.customer_key == before, sa.not_(left)))


def _take_words_of_forgotten() -> None:
    connection = op.get_bind()
    forgotten = sa.select(_history.c.booking_id).where(_history.c.what == "forgotten")
    lines = sa.select(_history.c.id, _history.c.detail).where(
        _history.c.booking_id.in_(forgotten), sa.cast(_history.c.detail, sa.Text).contains('"note"')
    )
    for line in connection.execute(lines).all():
        if "note" in line.detail:
            kept = {name: value for name, value in line.detail.items() if name != "note"}
            connection.execute(sa.update(_history).where(_history.c.id == line.id).values(detail=kept))


def _copy_note(connection: sa.Connection, before: str, after: str) -> None:
    """What was written down about two customers as if they were one: nobody can say about which."""
    of = {
        row.customer_key: row
        for row in connection.execute(sa.select(_notes).where(_notes.c.customer_key.in_([before, after])))
    }
    if before not in of:
        return
    if after not in of:
        connection.execute(sa.insert(_notes).values({**of[before]._mapping, "customer_key": after}))
        return
    joined = "\n\n".join(filter(None, (of[after].text, of[before].text)))
    values = {"text": joined, "version": of[after].version + 1}
    connection.execute(sa.update(_notes).where(_notes.c.customer_key == after).values(values))


def _mailbox(address: str) -> str:
    """As `app.domain.mail_addresses` has it."""
    name, at, domain = unicodedata.normalize("NFC", address).rpartition("@")
    small = domain.lower()
    if len(domain) <= 253 and not (small.isascii() and "xn--" not in small):
        with suppress(ValueError):
            small = idna.decode(idna.encode(domain, uts46=True))
    return f"{name.lower()}{at}{small}"
