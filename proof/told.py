"""What customers and owners must have been told of a booking in the end, and must not have been told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from app.domain.booking import Booking, Channel, EndReason, Status
from proof.books import Books

#: What each of these lines of a history must have been told as, where it is the last of them.
_NEWS = {
    "confirmed": "confirmed",
    "rescued": "confirmed",
    "moved": "moved",
    "by_customer": "canceled",
    "by_owner": "canceled",
    "taken_back": "restored",
}
#: Why a mail was never sent that had waited for too long.
_UNTRUE = "no longer true"
#: Refunds that no mail about the booking itself tells of.
_OF_THEIR_OWN = {
    EndReason.PAID_TWICE,
    EndReason.PAYMENT_MISMATCH,
    EndReason.SLOT_GONE,
    EndReason.TAKEN,
    EndReason.BEGUN,
    EndReason.NO_ANSWER,
    EndReason.NOT_CHOSEN,
    EndReason.CAPTURE_FAILED,
    EndReason.GOODWILL,
}
#: Of these the owner knows, who has made them.
_BY_THE_OWNER = {EndReason.GOODWILL}
#: The stories' widget reminds so long before a visit; a worker may be as late as its pauses are.
_REMINDS, _LATE = timedelta(hours=24), timedelta(hours=1)


def untold(books: Books, booking: Booking) -> Iterator[str]:
    """A sentence for each thing that its customer or its owner was not told, as far as their mail server takes any."""
    if booking.customer is None:
        return
    yield from _news(books, booking)
    yield from _how_it_ended(books, booking)
    yield from _given_up(books, booking)
    if books.world.restored:  # what was told before, the copy does not know
        return
    yield from _of_refunds(books, booking)
    if books.clock_was_right:
        yield from _reminded(books, booking)


def untrue(books: Books, booking: Booking) -> Iterator[str]:
    """No mail says that something is so which never was. What came before an old copy was put back, that copy does not
    know."""
    if books.world.restored:
        return
    came, words = books.mailed(booking.id), set(books.words(booking.id))
    if any(name.startswith("confirmed_") for name in came) and not words & {"confirmed", "rescued"}:
        yield "was told of a confirmation that never was"
    if any(name.startswith("moved_") for name in came) and not words & {"moved", "other_person"}:
        yield "was told of a move that never was"
    if any(name.startswith("restored_") for name in came) and "taken_back" not in words:
        yield "was told that a cancellation was undone"


def _has(books: Books, booking: Booking, kind: str) -> bool:
    """Whether a mail of this kind came, whenever that was."""
    return any(name == kind or name.startswith(f"{kind}.") for name in books.mailed(booking.id))


def _lost(books: Books, booking: Booking) -> list[Any]:
    """The mails that nobody sends any more."""
    return [row for row in books.of("outbox", booking.id) if row["sent_at"] is None and row["next_try_at"] is None]


def _news(books: Books, booking: Booking) -> Iterator[str]:
    """The newest thing that happened to it, in a mail about that and not about an earlier one of its kind."""
    last = [word for word in books.words(booking.id) if word in _NEWS]
    if not last or booking.status is Status.EXPIRED:  # nobody waits for the payment by a link any more
        return
    news, over = _NEWS[last[-1]], booking.ends_at <= books.world.now()
    off = booking.status is not Status.CONFIRMED
    for reader in ("customer", "owner"):
        kind = f"{news}_{reader}"
        exact = kind if news == "confirmed" or books.world.restored else f"{kind}.{booking.revision}"
        # A visit that is over, or off in another way, is not told of any more; that it is off, always.
        late = news != "canceled" and (over or off)
        excused = any(row["kind"] == kind and (late or row["last_error"] != _UNTRUE) for row in _lost(books, booking))
        if not _has(books, booking, exact) and not excused:
            yield f"nobody was sent {kind}"


def _how_it_ended(books: Books, booking: Booking) -> Iterator[str]:
    confirmed = _has(books, booking, "confirmed_customer")
    called_off = _has(books, booking, "canceled_customer")
    if booking.status is Status.EXPIRED and confirmed and books.world.binds and not called_off:
        # Where nothing is locked, an old copy cannot know of it.
        yield "it was confirmed to its customer, and then treated as never booked"
    if booking.end_reason is EndReason.NOT_CHOSEN and confirmed and not books.world.never_answers("scheduler"):
        yield "it was confirmed to its customer at another time, and then treated as never chosen"
    kinds = {row["kind"] for row in _lost(books, booking)}
    ends = {"refunded_customer", "released_customer"}  # the latter where nothing was to be paid
    unasked = booking.status is Status.CANCELED and not any(word in _NEWS for word in books.words(booking.id))
    if unasked and not any(_has(books, booking, kind) for kind in ends) and not ends & kinds:
        yield "the customer was not told how it ended"
    by_itself = booking.end_reason in {EndReason.DEADLINE, EndReason.PAYMENT_FAILED, EndReason.BY_OWNER}
    asked_to_pay = booking.channel is not Channel.DESK or booking.pay_link
    if booking.status is Status.EXPIRED and by_itself and asked_to_pay and not books.world.restored:
        written = {row["kind"] for row in books.of("outbox", booking.id)}
        if "released_customer" not in written:
            yield "the customer was not told that the time is free again"


def _given_up(books: Books, booking: Booking) -> Iterator[str]:
    lost = {row["kind"] for row in _lost(books, booking) if row["last_error"] != _UNTRUE}
    for kind in sorted(lost - {"reminder_customer"}):
        if kind.endswith("_customer") and not _has(books, booking, "trouble_owner"):
            yield f"{kind} was given up, and the owner was not told"


def _of_refunds(books: Books, booking: Booking) -> Iterator[str]:
    """Each refund that was not what a cancellation or a move gives is in a mail of its own, and so is each that
    failed."""
    rows = books.of("outbox", booking.id)
    lost = {row["id"] for row in books.of("payments", booking.id) if row["dispute"] == "lost"}
    for refund in books.of("refunds", booking.id):
        reason, ident = EndReason(refund["reason"]), refund["id"]
        about = [row["kind"] for row in rows if _is_about(row, refund)]
        readers = ("customer",) if reason in _BY_THE_OWNER | {EndReason.NOT_MOVED} else ("customer", "owner")
        if reason in _OF_THEIR_OWN | {EndReason.NOT_MOVED} and refund["status"] != "withdrawn":
            for reader in readers:
                if not any(kind.endswith(reader) for kind in about):
                    yield f"the {reader} was not told of a refund ({reason})"
        # What the bank has taken back for the customer is owed by nobody.
        if refund["status"] in {"failed", "canceled"} and refund["payment_id"] not in lost:
            for reader in ("customer", "owner"):
                if not any(f"refund_failed_{reader}" in row["id"] and ident in row["id"] for row in rows):
                    yield f"a refund failed, and the {reader} was not told"


def _is_about(row: Any, refund: Any) -> bool:
    """Whether a mail tells of a refund: it names it, or the debt that it was drawn for, or the move that failed."""
    named = str(row["detail"].get("refund") or "")
    debt = bool(named) and (refund["id"] == named or refund["id"].startswith(f"{named}_"))
    move = row["kind"] == "not_moved_customer" and bool(refund["cause"]) and refund["cause"] in row["id"]
    return debt or move


def _reminded(books: Books, booking: Booking) -> Iterator[str]:
    """Who has a visit tomorrow was reminded of it."""
    now, due = books.world.now(), booking.starts_at - _REMINDS
    if booking.status is not Status.CONFIRMED or not due + _LATE <= now:
        return
    if _changed_at(books, booking) + _LATE >= due:
        return  # the mail about that came when the reminder was due
    written = [row for row in books.of("outbox", booking.id) if row["kind"] == "reminder_customer"]
    if not any(row["revision"] == booking.revision for row in written):
        yield "the customer was not reminded"


def _changed_at(books: Books, booking: Booking) -> datetime:
    changes: list[datetime] = [row["at"] for row in books.of("history", booking.id) if row["what"] in _NEWS]
    return max(changes)
