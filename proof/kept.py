"""What a booking's terms leave with the owner, worked out a second time from what the stories' studio charges.

The product has rules of its own for this. Here they are written down again, so that both have to be wrong at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.domain.booking import Actor, Booking
from proof.books import Books

#: In smallest units, by the stories' names of the services.
_PRICES = {"portrait": 120_000, "headshot": 65_000, "planning": 0}
#: So many hours before the visit, so many per cent come back; later, nothing does.
_TIERS = ((24, 100), (2, 50))


@dataclass(frozen=True)
class _Part:
    """So much of the price, of which at most `percent` comes back."""

    amount: int
    percent: int


@dataclass(frozen=True)
class Kept:
    """In smallest units: the price as the booking stands, what stays of it when its customer cancels, and what the
    customer's moves to a lower price have left beside it."""

    price: int
    when_canceled: int
    by_moves: int


def kept(books: Books, booking: Booking) -> Kept:
    """By the booking's moves in the order in which they were made."""
    reserved = {row["id"]: row for row in books.of("reservations", booking.id)}
    free = "no_charge" in books.words(booking.id)
    done = _in_order([row for row in books.of("moves", booking.id) if row["state"] == "done"])
    first = done[0]["from_reservation_id"] if done else booking.reservation.id
    at_first = 0 if free else _price(books, booking, reserved[first], done[0] if done else None)
    parts: Sequence[_Part] = [_Part(at_first, 100)]
    by_moves = 0
    for move in done:
        share = 100
        if move["by"] == Actor.CUSTOMER:
            share = _comes_back(move["created_at"], reserved[move["from_reservation_id"]]["starts_at"])
        now = sum(part.amount for part in parts)
        to = move["amount"] if books.world.restored else _price(books, booking, reserved[move["reservation_id"]], None)
        if _service(reserved, move, "reservation_id") == _service(reserved, move, "from_reservation_id"):
            to = now
        given, parts = _without_first(parts, max(0, now - to))
        by_moves += sum(part.amount * (100 - min(part.percent, share)) // 100 for part in given)
        parts = [_Part(part.amount, min(part.percent, share)) for part in parts]
        if to > now:
            parts = [_Part(to - now, 100), *parts]
    price = sum(part.amount for part in parts)
    called_off = [row["at"] for row in books.of("history", booking.id) if row["what"] == "by_customer"]
    # A booking that was called off before it was confirmed has no such moment of its own.
    at = booking.canceled_at or max(called_off, default=None)
    back = _comes_back(at, booking.starts_at) if at else 100
    return Kept(price, sum(part.amount * (100 - min(part.percent, back)) // 100 for part in parts), by_moves)


def _in_order(done: Sequence[Any]) -> list[Any]:
    """As each begins at the time to which the one before went, since a clock may have been set between them; after a
    change that was no move, the next one begins at another time."""
    following = {move["from_reservation_id"]: move for move in done}
    arrived = {move["reservation_id"] for move in done}
    ordered = []
    for first in sorted(done, key=_made_at):
        at = None if first["from_reservation_id"] in arrived else first["from_reservation_id"]
        while at in following:
            ordered.append(following[at])
            at = following[at]["reservation_id"]
    return ordered


def _made_at(move: Any) -> datetime:
    made: datetime = move["updated_at"]
    return made


def _price(books: Books, booking: Booking, reservation: Any, move: Any) -> int:
    """What the service of a reservation costs. An old copy that was put back may know another service than the
    scheduler has: there it is what the rows say."""
    if books.world.restored:
        return int(move["from_amount"]) if move else booking.terms.price.amount
    names = {ident: name for name, ident in books.world.side.services.items()}
    return _PRICES[names[reservation["service_id"]]]


def _service(reserved: Mapping[str, Any], move: Any, which: str) -> Any:
    return reserved[move[which]]["service_id"]


def _comes_back(at: datetime, starts_at: datetime) -> int:
    return next((percent for hours, percent in _TIERS if starts_at - at >= timedelta(hours=hours)), 0)


def _without_first(parts: Sequence[_Part], amount: int) -> tuple[list[_Part], list[_Part]]:
    """The first `amount` of the parts, and the rest."""
    given, rest = [], []
    for part in parts:
        some = min(part.amount, amount)
        amount -= some
        given += [_Part(some, part.percent)] if some else []
        rest += [_Part(part.amount - some, part.percent)] if part.amount > some else []
    return given, rest
