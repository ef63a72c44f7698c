"""How a row becomes one of the domain's objects, and back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Actor, Booking, Channel, Customer, EndReason, Status, Visitor
from app.domain.customer import customer_key, search_text
from app.domain.mail_addresses import mailbox
from app.domain.money import Money
from app.domain.move import Move, MoveState
from app.domain.outbox import OutboxMail
from app.domain.payment import Payment, PaymentMethod, PaymentState, StrayPayment
from app.domain.refund import Refund, refund_status
from app.domain.reservation import Due, Reservation
from app.domain.scheduler_tokens import Broken, SchedulerTokens
from app.domain.terms import Capture, Terms
from app.store.tables import NO_ADDRESS, Row, bookings, history, moves, reservations

#: What no object has: it is for the store's own questions.
_OF_THE_STORE = {"occupancy_at"}
#: What the columns of a reservation are called next to those of the booking or the move that it belongs to.
_RESERVED = {column: f"reserved_{column.name}" for column in reservations.c if column.name not in _OF_THE_STORE}


def select_bookings(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Bookings with the reservation that each points at, as `to_booking` reads them; `where` may speak of both."""
    return _with_reservation(bookings).where(*where)


def last_change() -> sa.ColumnElement[datetime]:
    """When anything last happened to the booking. Not `updated_at`, which every attempt moves on."""
    return sa.select(sa.func.max(history.c.at)).where(history.c.booking_id == bookings.c.id).scalar_subquery()


def select_moves(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Moves with the reservation that each goes to, as `to_move` reads them."""
    return _with_reservation(moves).where(*where)


@cache
def _with_reservation(table: sa.Table) -> sa.Select[Any]:
    reserved = [column.label(name) for column, name in _RESERVED.items()]
    return sa.select(*table.c, *reserved).join_from(table, reservations, reservations.c.id == table.c.reservation_id)


def booking_row(booking: Booking) -> dict[str, Any]:
    """The row of a booking; `reservation_row` makes that of its reservation."""
    apart = {"reservation_id", "terms", *customer_columns(None), "visitor_key", "visitor"}
    names = [column.name for column in bookings.c if column.name not in apart]
    return {
        **{name: getattr(booking, name) for name in names},
        "reservation_id": booking.reservation.id,
        "terms": booking.terms.to_json(),
        **customer_columns(booking.customer),
        "visitor_key": booking.visitor.key,
        "visitor": asdict(booking.visitor),
    }


def customer_columns(customer: Customer | None) -> dict[str, Any]:
    """Who booked; and by themselves, to find bookings by: the mailbox, what tells customers apart, and
    what a search compares."""
    return {
        "customer": asdict(customer) if customer else None,
        "customer_email": (mailbox(customer.email) or NO_ADDRESS) if customer else "",
        "customer_key": customer_key(customer),
        "customer_search": search_text(customer),
    }


def to_booking(row: Row) -> Booking:
    """A booking from its row in `select_bookings`."""
    values, reservation = _apart(row)
    del values["visitor_key"], values["customer_email"], values["customer_key"], values["customer_search"]
    return Booking(
        **{
            **values,
            "status": Status(row["status"]),
            "channel": Channel(row["channel"]),
            "terms": Terms.from_json(row["terms"]),
            "end_reason": EndReason(row["end_reason"]) if row["end_reason"] else None,
            "customer": Customer(**row["customer"]) if row["customer"] else None,
            "visitor": Visitor(**row["visitor"]),
        },
        reservation=reservation,
    )


def _apart(row: Row) -> tuple[dict[str, Any], Reservation]:
    """What is of the thing itself, and the reservation next to it."""
    values = {**row}
    reserved = {column.name: values.pop(name) for column, name in _RESERVED.items()}
    del values["reservation_id"]
    return values, _to_reservation(reserved)


def reservation_row(reservation: Reservation) -> dict[str, Any]:
    """The row of a new reservation."""
    return {**asdict(reservation), "occupancy_at": reservation.created_at}


def to_reservation(row: Row) -> Reservation:
    """A reservation from its row."""
    return _to_reservation({name: value for name, value in row.items() if name not in _OF_THE_STORE})


def _to_reservation(values: dict[str, Any]) -> Reservation:
    return Reservation(**{**values, "due": Due(values["due"]) if values["due"] else None})


def move_row(move: Move) -> dict[str, Any]:
    """The row of a move; `reservation_row` makes that of its reservation."""
    row = asdict(move)
    del row["reservation"], row["price"], row["from_price"]
    return {
        **row,
        "reservation_id": move.reservation.id,
        "amount": move.price.amount,
        "from_amount": move.from_price.amount,
        "currency": move.price.currency,
    }


def to_move(row: Row) -> Move:
    """A move from its row in `select_moves`."""
    values, reservation = _apart(row)
    currency = values.pop("currency")
    values |= {
        "state": MoveState(row["state"]),
        "by": Actor(row["by"]),
        "end_reason": EndReason(row["end_reason"]) if row["end_reason"] else None,
        "price": Money(values.pop("amount"), currency),
        "from_price": Money(values.pop("from_amount"), currency),
    }
    return Move(**values, reservation=reservation)


def payment_row(payment: Payment) -> dict[str, Any]:
    """The row of a payment."""
    row = asdict(payment)
    price = row.pop("price")
    return {**row, **price}


def to_payment(row: Row) -> Payment:
    """A payment from its row."""
    values = {
        **row,
        "state": PaymentState(row["state"]),
        "capture": Capture(row["capture"]),
        "method": PaymentMethod(row["method"]),
    }
    del values["next_look_at"]
    return Payment(price=Money(values.pop("amount"), values.pop("currency")), **values)


def refund_row(refund: Refund) -> dict[str, Any]:
    """The row of a refund."""
    row = asdict(refund)
    amount = row.pop("amount")
    return {**row, **amount}


def to_refund(row: Row) -> Refund:
    """A refund from its row."""
    values = {**row, "status": refund_status(row["status"])}
    return Refund(amount=Money(values.pop("amount"), values.pop("currency")), **values)


def mail_row(mail: OutboxMail) -> dict[str, Any]:
    """The row of a mail we owe."""
    return {**asdict(mail), "next_try_at": mail.due_at}


def to_mail(row: Row) -> OutboxMail:
    """A mail we owe from its row."""
    values = {**row}
    del values["next_try_at"], values["last_error"]
    return OutboxMail(**values)


def stray_row(stray: StrayPayment) -> dict[str, Any]:
    """The row of a payment whose booking is unknown."""
    row = asdict(stray)
    money = row.pop("money")
    return {**row, **money}


def to_stray(row: Row) -> StrayPayment:
    """A payment whose booking is unknown, from its row."""
    values = {**row}
    del values["next_try_at"]
    return StrayPayment(money=Money(values.pop("amount"), values.pop("currency")), **values)


def to_scheduler_tokens(row: Row) -> SchedulerTokens:
    """A connected account from its row."""
    return SchedulerTokens(**{**row, "broken": Broken(row["broken"]) if row["broken"] else None})
