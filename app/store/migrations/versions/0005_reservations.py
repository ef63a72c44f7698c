"""Reservations as rows of their own

Until now a booking's row held its time, and a move's row held the time that the booking did not have: the new one until
the move was done, then the old one, at the old price. From now on each time is a row, a booking points at the one that
it has, and a move says from which to which, at what price before and after.

What a finished move went to is the time that the next one left, or that the booking has. If its owner moved the booking
in the scheduler's own calendar after it, that time was written over: the history knows when it began, and the rest is
taken to be as it was after the owner's move. Neither can be known where an unfinished move set out from such a time.

PostgreSQL came after this, so no database there has rows to carry over. What the migrations before it make on SQLite
is made good there: an index over some rows only, and integers of 64 bits.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

#: What a time is made of; a move's row has no location of its own.
_WHAT = ("service_id", "service_name", "resource_id", "resource_name")
_WHERE = ("location_id", "location_name", "time_zone")
_WHEN = ("starts_at", "ends_at", "buffer_starts_at", "buffer_ends_at")
_TIME = (*_WHAT, *_WHERE, *_WHEN)
_HELD = ("occupies", "hapio_booking_id", "hapio_unsure")


def upgrade() -> None:
    _make_reservations()
    op.add_column("bookings", sa.Column("reservation_id", sa.Text(), nullable=True))
    op.add_column("moves", sa.Column("reservation_id", sa.Text(), nullable=True))
    op.add_column("moves", sa.Column("from_reservation_id", sa.Text(), nullable=True))
    op.add_column("moves", sa.Column("from_amount", sa.Integer(), nullable=True))
    if op.get_context().dialect.name == "sqlite":
        _carry_over()
    _rebuild_bookings()
    _rebuild_moves()
    _note_what_is_due()
    _name_by_the_scheduler()
    if op.get_context().dialect.name == "postgresql":
        _make_good_on_postgresql()


def _make_reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("booking_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in (*_WHAT, *_WHERE)),
        *(sa.Column(name, sa.DateTime(), nullable=False) for name in _WHEN),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("occupies", sa.Boolean(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("unsure", sa.Boolean(), nullable=False),
        sa.Column("canceled", sa.Boolean(), nullable=False),
        sa.Column("due", sa.Text(), nullable=True),
        sa.Column("next_try_at", sa.DateTime(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reservations_booking_id", "reservations", ["booking_id"])
    op.create_index(
        "reservations_guard",
        "reservations",
        ["resource_id", "buffer_starts_at"],
        sqlite_where=sa.text("occupies = 1"),
        postgresql_where=sa.text("occupies"),
    )
    op.create_index("reservations_due", "reservations", ["due"])
    op.create_index("reservations_reference", "reservations", ["reference"])
    op.create_index("reservations_starts", "reservations", ["starts_at"])


def _rebuild_bookings() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.drop_index("bookings_guard")
        batch.drop_index("bookings_owed")
        batch.drop_index("bookings_starts")
        for name in (*_TIME, *_HELD, "hapio_canceled"):
            batch.drop_column(name)
        batch.alter_column("reservation_id", existing_type=sa.Text(), nullable=False)
        batch.create_foreign_key(
            "bookings_reservation", "reservations", ["reservation_id"], ["id"], deferrable=True, initially="DEFERRED"
        )
        batch.create_index("bookings_reserved", ["reservation_id"], unique=True)


def _rebuild_moves() -> None:
    with op.batch_alter_table("moves") as batch:
        batch.drop_index("moves_guard")
        batch.drop_index("moves_owed")
        for name in (*_WHAT, *_WHEN, *_HELD):
            batch.drop_column(name)
        for name in ("reservation_id", "from_reservation_id"):
            batch.alter_column(name, existing_type=sa.Text(), nullable=False)
            batch.create_foreign_key(f"moves_{name}", "reservations", [name], ["id"])
        batch.alter_column("from_amount", existing_type=sa.Integer(), nullable=False)
        batch.create_index("moves_reserved", ["reservation_id"], unique=True)


def _note_what_is_due() -> None:
    op.execute(
        """
        UPDATE reservations SET due = (
            SELECT CASE
                WHEN status = 'paid' OR state = 'moving' THEN 'firm_up'
                WHEN (status IN ('held', 'awaiting_payment') OR state = 'held') AND unsure THEN 'make'
                WHEN status IN ('held', 'awaiting_payment', 'confirmed') OR state = 'held' THEN NULL
                WHEN unsure THEN 'find_out'
                WHEN reference IS NOT NULL AND NOT canceled THEN 'let_go'
            END
            FROM (SELECT
                (SELECT status FROM bookings WHERE bookings.reservation_id = reservations.id) AS status,
                (SELECT state FROM moves WHERE moves.reservation_id = reservations.id) AS state
            ) AS stands
        )
        """
    )


def _name_by_the_scheduler() -> None:
    """Hints that wait, and how far lists were read, by the word that fits any scheduler."""
    op.execute("UPDATE inbox SET object_type = 'scheduler_booking' WHERE object_type = 'hapio_booking'")
    op.execute("UPDATE counters SET name = 'scheduler:changes_read' WHERE name = 'hapio:changes_read'")
    op.execute("UPDATE counters SET name = 'scheduler:bookings_read' WHERE name = 'hapio:bookings_read'")


def _make_good_on_postgresql() -> None:
    op.drop_index("moves_open", "moves")
    still_open = sa.text("state IN ('held', 'moving')")
    op.create_index("moves_open", "moves", ["booking_id"], unique=True, postgresql_where=still_open)
    for table, name in (
        ("counters", "value"),
        ("payments", "amount"),
        ("payments", "captured"),
        ("refunds", "amount"),
        ("stray_payments", "amount"),
        ("stray_payments", "returned"),
        ("moves", "amount"),
        ("moves", "from_amount"),
        ("moves", "refund_due"),
    ):
        op.alter_column(table, name, existing_type=sa.Integer(), type_=sa.BigInteger())


# -- every booking with its moves ----------------------------------------------------------------------------


def _carry_over() -> None:
    connection = op.get_bind()
    reservations = sa.table("reservations", *map(sa.column, (*_TIME, *_FACTS)))
    moves: dict[str, list[dict[str, Any]]] = {}
    for move in _rows("SELECT * FROM moves ORDER BY created_at, rowid"):
        moves.setdefault(move["booking_id"], []).append(move)
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in _rows("SELECT booking_id, at, detail FROM history WHERE what = 'moved' ORDER BY id"):
        lines.setdefault(line["booking_id"], []).append({"at": line["at"], **json.loads(line["detail"])})
    last = "SELECT bookings.*, (SELECT max(at) FROM history WHERE booking_id = bookings.id) AS last_at FROM bookings"
    for booking in _rows(last):
        told = _Booking(booking, moves.get(booking["id"], []), lines.get(booking["id"], []))
        connection.execute(sa.insert(reservations), list(told.reservations()))
        connection.execute(
            sa.text("UPDATE bookings SET reservation_id = :has WHERE id = :id"),
            {"has": told.has, "id": booking["id"]},
        )
        for change in told.moves():
            connection.execute(
                sa.text(
                    "UPDATE moves SET reservation_id = id, from_reservation_id = :left, amount = :amount,"
                    " from_amount = :from_amount WHERE id = :id"
                ),
                change,
            )


_FACTS = (
    "id",
    "booking_id",
    "places",
    "occupies",
    "reference",
    "unsure",
    "canceled",
    "next_try_at",
    "tries",
    "created_at",
    "updated_at",
)


def _rows(query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in op.get_bind().execute(sa.text(query)).mappings()]


class _Booking:
    """One booking's row, the rows of its moves in their order, and what its history says of each time that it was moved.

    `steps` are the times that it was moved, by one of its finished moves or (None) by its owner in the scheduler's
    calendar, and `ids` the reservations that it had: one more than steps.
    """

    def __init__(self, row: dict[str, Any], moves: list[dict[str, Any]], lines: list[dict[str, Any]]) -> None:
        self._row = row
        self._moves = moves
        done = [move for move in moves if move["state"] == "done"]
        self._steps: list[tuple[dict[str, Any] | None, dict[str, Any]]] = []
        for line in lines:
            if "in" in line:
                self._steps.append((None, line))
            elif done:
                self._steps.append((done.pop(0), line))
        self._steps += [(move, {"at": move["updated_at"]}) for move in done]
        self._ids = [row["id"]]
        for number, (move, _) in enumerate(self._steps, 1):
            self._ids.append(move["id"] if move else f"{row['id']}.{number}")
        self._times = self._worked_out()

    @property
    def has(self) -> str:
        """The reservation that the booking has."""
        return str(self._ids[-1])

    def _worked_out(self) -> list[dict[str, Any]]:
        """The time of each of its reservations, from the last one back."""
        time = {name: self._row[name] for name in _TIME}
        times = [time]
        for move, line in reversed(self._steps):
            if move:  # its row has the time that it left
                time = {**time, **{name: move[name] for name in (*_WHAT, *_WHEN)}}
            elif "from" in line:
                time = {**time, **_begun_at(time, line["from"])}
            times.append(time)
        return times[::-1]

    def reservations(self) -> Iterator[dict[str, Any]]:
        """The rows."""
        for number, (reservation_id, time) in enumerate(zip(self._ids, self._times, strict=True)):
            made = self._steps[number - 1][1]["at"] if number else self._row["created_at"]
            left = self._steps[number][0] if number < len(self._steps) else None
            if reservation_id == self.has:
                facts = _held(self._row, canceled=self._row["hapio_canceled"], since=self._row["last_at"])
            elif left:
                facts = _held(left, canceled=False, since=left["updated_at"])
            else:
                facts = {**_NOTHING_HELD, "updated_at": self._steps[number][1]["at"]}
            yield {**self._of(reservation_id, made), **time, **facts}
        for move in self._moves:
            if move["state"] != "done":
                where = {name: self._row[name] for name in _WHERE}
                time = {name: move[name] for name in (*_WHAT, *_WHEN)}
                facts = _held(move, canceled=False, since=move["updated_at"])
                yield {**self._of(move["id"], move["created_at"]), **where, **time, **facts}

    def _of(self, reservation_id: str, made: str) -> dict[str, Any]:
        return {"id": reservation_id, "booking_id": self._row["id"], "places": 1, "created_at": made}

    def moves(self) -> Iterator[dict[str, Any]]:
        """From where, and at which prices, each of its moves went."""
        ordered = [move["id"] for move in self._moves]
        for move in self._moves:
            number = self._number_of(move, ordered)
            before = self._price(number)
            after = self._price(number + 1) if move["state"] == "done" else move["amount"]
            yield {"id": move["id"], "left": self._ids[number], "amount": after, "from_amount": before}

    def _number_of(self, move: dict[str, Any], ordered: list[str]) -> int:
        """How many times the booking had been moved when the move began."""
        number = 0
        for at, (done, line) in enumerate(self._steps):
            if done is move:
                return at
            if (done and ordered.index(done["id"]) < ordered.index(move["id"])) or (
                not done and line["at"] <= move["created_at"]
            ):
                number = at + 1
        return number

    def _price(self, number: int) -> int:
        """What the booking cost after being moved so many times: a finished move's row has the price before it."""
        for move, _ in self._steps[number:]:
            if move:
                return int(move["amount"])
        return int(json.loads(self._row["terms"])["amount"])


_NOTHING_HELD = {
    "occupies": False,
    "reference": None,
    "unsure": False,
    "canceled": False,
    "next_try_at": None,
    "tries": 0,
}


def _held(row: dict[str, Any], *, canceled: bool, since: str | None) -> dict[str, Any]:
    return {
        "occupies": row["occupies"],
        "reference": row["hapio_booking_id"],
        "unsure": row["hapio_unsure"],
        "canceled": canceled,
        "next_try_at": row["next_try_at"],
        "tries": row["tries"],
        "updated_at": since or row["updated_at"],
    }


def _begun_at(time: dict[str, Any], begun: str) -> dict[str, str]:
    """The same time, shifted to another beginning."""
    shift = datetime.fromisoformat(begun).replace(tzinfo=None) - _moment(time["starts_at"])
    return {name: _text(_moment(time[name]) + shift) for name in _WHEN}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="microseconds")
