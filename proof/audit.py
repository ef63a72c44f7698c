"""Everybody's books compared at the end: Stripe's, the scheduler's, our rows, and the mailbox.

Each sentence that comes back is a broken promise. Nothing here asks the product what it thinks: it reads the tables,
and what the sandboxes have. What the terms leave is worked out in `proof/kept.py`, and who must have been told what is
in `proof/told.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from app.domain.booking import Booking, Channel, EndReason, Status
from app.domain.payment import Pays
from proof.books import Books, moment
from proof.kept import kept as kept_by_terms
from proof.told import untold, untrue
from proof.world import World
from tests.support.sides import Booked

#: What a run must come out without, in the words of its table.
NO_BOOKING, NO_MONEY = "money without a booking", "bookings without money"
DOUBLE, ORPHANS = "times taken twice", "orphans at the scheduler"
UNTOLD, WAITS = "people who were not told", "things that still wait"
PROMISES = (NO_BOOKING, NO_MONEY, DOUBLE, ORPHANS, UNTOLD, WAITS)

_FINAL = {Status.CONFIRMED, Status.EXPIRED, Status.CANCELED}
#: What was looked at before the scheduler was asked may have changed while that took its time.
_IN_BETWEEN = timedelta(minutes=5)
#: A booking that was paid in time may be confirmed so long after its visit has begun, and no later.
_BEGUN = timedelta(minutes=15)


def by_promise(books: Books) -> dict[str, list[str]]:
    """The same sentences under the promise that each of them breaks; each of `PROMISES` is there."""
    found: dict[str, list[str]] = {promise: [] for promise in PROMISES}
    for booking in books.bookings:
        for promise, sentence in about(books, booking):
            found[promise].append(sentence)
    found[ORPHANS] += _orphans(books)
    found[NO_BOOKING] += _strays(books, {booking.id for booking in books.bookings})
    found[WAITS] += _waits(books)
    found[DOUBLE] += double(books)
    return found


def about(books: Books, booking: Booking) -> Iterator[tuple[str, str]]:
    """(the promise, a sentence) for what is broken about a booking."""
    whose = f"{booking.visitor.key or booking.channel} ({booking.status}, {booking.end_reason})"
    confirmed = booking.status is Status.CONFIRMED
    about_it = (
        (WAITS, _ended(booking)),
        (NO_MONEY if confirmed else NO_BOOKING, _money(books, booking)),
        (NO_BOOKING if confirmed else ORPHANS, _at_scheduler(books, booking)),
        (NO_BOOKING, _in_order(books, booking)),
        (UNTOLD, untold(books, booking)),
        (NO_BOOKING, untrue(books, booking)),
    )
    for promise, sentences in about_it:
        for sentence in sentences:
            yield promise, f"{whose}: {sentence}"


def came_of(books: Books) -> Counter[str]:
    """What the bookings went through: words of the history, and changes of status."""
    met: Counter[str] = Counter()
    by_booking: dict[str, list[Any]] = defaultdict(list)
    for row in books.rows["history"]:
        met[f"history: {row['what']}"] += 1
        by_booking[row["booking_id"]].append(row)
    for lines in by_booking.values():
        before = None
        for row in sorted(lines, key=lambda one: one["id"]):
            if row["status"] != before:
                met[f"status: {before} -> {row['status']}"] += 1
            before = row["status"]
    for row in books.rows["moves"]:
        met[f"move: {row['state']}"] += 1
    return met + _struck(books.world, by_booking, books.rows["moves"])


def _struck(world: World, by_booking: Mapping[str, list[Any]], moves: list[Any]) -> Counter[str]:
    """In which state a booking was when something went wrong. Counted where it is the only one, and its times are
    right."""
    met: Counter[str] = Counter()
    clock = any(spell.what.startswith("clock") for spell in world.story.spells)
    if len(by_booking) != 1 or clock or world.restored:
        return met
    [lines] = by_booking.values()
    lines = sorted(lines, key=lambda one: one["id"])
    now, begun = world.clock(), world.loop.time()
    for at, what in world.network.struck:
        struck_at = now - timedelta(seconds=begun - at)
        before = [row for row in lines if row["at"] <= struck_at]
        if before:
            moving = any(one["created_at"] <= struck_at <= one["updated_at"] for one in moves)
            met[f"struck: {'moving' if moving else before[-1]['status']}, {what}"] += 1
    return met


def _ended(booking: Booking) -> Iterator[str]:
    if booking.status not in _FINAL:
        yield "has not come to an end"
    if booking.reservation.occupies is not (booking.status is Status.CONFIRMED):
        yield "the slot guard is wrong about it"


def _money(books: Books, booking: Booking) -> Iterator[str]:
    """What was taken and not given back is what the terms say."""
    intents = books.intents(booking.id)
    rows = books.of("payments", booking.id)
    in_person = sum(row["captured"] or 0 for row in rows if row["method"] != "stripe")
    online = sum(one["amount_received"] for one in intents)
    captured = online + in_person
    if any(one["amount_capturable"] for one in intents):
        yield "money is still held on a card"
    made = [one for intent in intents for one in books.refunds(intent["id"])]
    ours = books.of("refunds", booking.id)
    by_hand = sum(row["amount"] for row in ours if row["problem"] == "in person" or row["status"] == "paid_another_way")
    failed = sum(one["amount"] for one in made if one["status"] in {"failed", "canceled"})
    returned = sum(one["amount"] for one in made) - failed + by_hand
    disputed = [one for intent in intents for one in books.disputes(intent["id"])]
    manual = all(row["capture"] == "manual" for row in rows) or not books.world.binds
    # What was paid at the desk cannot be held: it is given back by hand.
    if booking.end_reason is EndReason.TAKEN and online and manual:
        yield "the customer was charged for a time that somebody else has"
    if returned > captured:
        yield f"{returned} was given back of {captured}"
    beside = sum(one["amount"] for one in made if not one["metadata"] and one["status"] not in {"failed", "canceled"})
    beside += sum(row["amount"] for row in ours if row["reason"] == "goodwill" and row["status"] != "withdrawn")
    # Of a refund that we made and an old copy does not know, nobody can tell what it was for.
    unknown = {row["id"] for row in ours if row["reason"] == "at_stripe"} if books.world.restored else set()
    beside += sum(one["amount"] for one in made if one["metadata"] and one["id"] in unknown)
    due, beside_it, loose = _due_to_the_house(books, booking)
    if _may_be_paid_later(books, booking):
        due, beside_it = min(due, captured), min(beside_it, max(0, captured - due))
    kept = captured - returned
    known = 0 if failed or disputed else _given_back_before(books, booking)
    owed = min(due + beside_it, captured - known) if known else due + beside_it
    low = 0 if loose else max(0, owed - (beside - known))
    high = due + beside_it + failed
    waits = sum(row["amount"] for row in ours if row["status"] in {"requested", "pending"} and row["problem"])
    undecided = [one for one in disputed if one["status"] not in {"won", "lost"}]
    taken = sum(one["amount"] for one in disputed if one["status"] == "lost")
    if undecided:
        high += waits + sum(one["amount"] for one in undecided)
    if undecided or taken:  # whatever had gone back before the bank took it
        low, kept = -captured, kept - taken
    if not low <= kept <= high:
        yield f"{kept} is kept of {captured}, {low} to {high} by the terms ({beside} given back beside them)"
    pending = [row for row in ours if row["next_try_at"] is not None and row["status"] == "requested"]
    if pending and not undecided:
        yield f"{len(pending)} refunds still wait"


def _may_be_paid_later(books: Books, booking: Booking) -> bool:
    """Whether the desk has agreed to take what is not paid yet at the visit. The key says how it was booked."""
    if booking.channel is not Channel.DESK or booking.pay_link:
        return False
    how = booking.visitor.key.rpartition("-")[2]
    if how == Pays.LINK:  # then the desk took a part of it instead
        return "taken_in_person" in books.words(booking.id)
    # Only a copy that was put back may have lost what was taken at once.
    return how != Pays.CASH or books.world.restored


def _given_back_before(books: Books, booking: Booking) -> int:
    """What the owner had given back when the customer canceled: the terms count it, and it is not given twice."""
    if booking.end_reason is not EndReason.BY_CUSTOMER or booking.canceled_at is None:
        return 0
    ours = books.of("refunds", booking.id)
    return sum(
        row["amount"]
        for row in ours
        if row["reason"] == "goodwill" and row["status"] == "succeeded" and row["updated_at"] < booking.canceled_at
    )


def _due_to_the_house(books: Books, booking: Booking) -> tuple[int, int, bool]:
    """What the booking's terms leave with the owner, what its moves have left beside that, and whether less is right as
    well."""
    terms = kept_by_terms(books, booking)
    if booking.status is Status.CONFIRMED:
        return terms.price, terms.by_moves, False
    if booking.status is Status.CANCELED and booking.end_reason is EndReason.BY_CUSTOMER:
        # What was only held on the card is let go, whatever the terms say.
        return terms.when_canceled, terms.by_moves, booking.canceled_at is None
    return 0, 0, False


def _in_order(books: Books, booking: Booking) -> Iterator[str]:
    """What happened happened in the order that the rules demand."""
    if not books.clock_was_right:
        return
    before = None
    for row in sorted(books.of("history", booking.id), key=lambda one: one["id"]):
        if row["status"] == Status.EXPIRED and before != Status.EXPIRED:
            yield from _page_open_at(books, booking, row["at"])
        before = row["status"]
    if booking.status is not Status.CONFIRMED or booking.confirmed_at is None:
        return
    rows = {row["payment_intent_id"]: row for row in books.of("payments", booking.id)}
    intents = [one for one in books.intents(booking.id) if one["amount_received"] and one["id"] in rows]
    times = {row["id"]: row["starts_at"] for row in books.of("reservations", booking.id)}
    if intents and all(_back_by(books, one, booking.confirmed_at - _IN_BETWEEN) for one in intents):
        yield "it was confirmed when all of its money had gone back"
    if intents and _undone_too_late(books, booking, intents):
        yield "its cancellation was taken back when all of its money had gone back"
    for move in books.of("moves", booking.id):
        if move["state"] == "expired":
            yield from _page_open_at(books, booking, move["updated_at"], move=move["id"])
        if move["state"] == "done" and move["updated_at"] > times[move["reservation_id"]] + _BEGUN:
            yield "it was moved to a time that had begun"
        paid = [one for one in intents if rows[one["id"]]["id"] == move["payment_id"]]
        if move["state"] == "done" and any(_back_by(books, one, move["updated_at"] - _IN_BETWEEN) for one in paid):
            yield "it was moved when the difference had gone back"
        before = [times[one] for one in (move["reservation_id"], move["from_reservation_id"])]
        start = min(one for one in before if one > move["created_at"])
        if move["state"] == "done" and any(books.paid_at(one) >= start for one in paid):
            yield "it was moved by a difference that was paid when its visit had begun"
    if "moved" in books.words(booking.id):
        return
    if any(books.paid_at(one) >= booking.starts_at for one in intents):
        yield "it was paid when its visit had begun"
    # What its customer has booked on the scheduler's own page stood there all the time.
    if booking.confirmed_at > booking.starts_at + _BEGUN and "booked_there" not in books.words(booking.id):
        yield "it was confirmed when its visit had begun"


def _page_open_at(books: Books, booking: Booking, released_at: datetime, *, move: str | None = None) -> Iterator[str]:
    """Nobody may be on a page for the booking, or for its `move`, when its time is given back."""
    for row in books.of("payments", booking.id):
        if row["session_url"] is None or row["move_id"] != move or row["created_at"] >= released_at:
            continue  # nobody was given that page
        ended = books.page_ended(row["session_id"])
        if ended is None or ended > released_at:
            yield "its time was given back while its payment page was open"


def _undone_too_late(books: Books, booking: Booking, intents: Sequence[Any]) -> bool:
    """Whether the last undo brought back a booking whose money had all gone back since it was cancelled. What had gone
    back before that, the owner had given to a customer who was to come all the same; and what Stripe refuses to say
    keeps nobody waiting at the door."""
    history = books.of("history", booking.id)
    undone = max((row["at"] for row in history if row["what"] == "taken_back"), default=None)
    if undone is None or any(one.what == "stripe refuses" for one in books.world.story.never_ends):
        return False
    canceled = max(row["at"] for row in history if row["status"] == Status.CANCELED and row["at"] <= undone)
    before = all(_back_by(books, one, canceled) for one in intents)
    return not before and all(_back_by(books, one, undone - _IN_BETWEEN) for one in intents)


def _back_by(books: Books, intent: Any, by: datetime) -> bool:
    """Whether all of a payment had gone back by then."""
    made = [one for one in books.refunds(intent["id"]) if one["status"] not in {"failed", "canceled"}]
    return int(sum(one["amount"] for one in made if moment(one["created"]) < by)) >= int(intent["amount_received"])


def _at_scheduler(books: Books, booking: Booking) -> Iterator[str]:
    there = books.booked(booking)
    if booking.status is Status.CONFIRMED:
        if booking.ends_at <= books.world.now() and books.world.story.changed_there:
            return  # a visit that is over is left alone, whatever its owner has done there since it was booked
        there = [one for one in there if not _was_past(books, booking, one)]
        if len(there) != 1:
            yield f"the scheduler has it {len(there)} times"
        elif there[0].starts_at != booking.starts_at:
            yield f"the scheduler has it at {there[0].starts_at}, we at {booking.starts_at}"
        elif there[0].reference != booking.reservation.reference:
            yield "the scheduler knows it by another id"
    # What is past can be taken back at Hapio alone, and takes nothing from anybody.
    elif any(books.world.binds or one.starts_at > books.world.now() for one in there):
        yield "it still takes up time at the scheduler"


def _was_past(books: Books, booking: Booking, one: Booked) -> bool:
    """Whether it is the time that the booking was moved from, when that time had begun already, or began while the
    scheduler never answered."""
    moved = [row["at"] for row in books.of("history", booking.id) if row["what"] == "moved"]
    if not moved or one.reference == booking.reservation.reference or books.world.binds:
        return False
    over: datetime = books.world.now() if books.world.never_answers("scheduler") else max(moved)
    return one.starts_at <= over


def _orphans(books: Books) -> Iterator[str]:
    world = books.world
    known = {booking.id for booking in books.bookings}
    for one in world.side.booked():
        if one.tag.startswith("bk_") and one.tag not in known and not world.restored:
            yield "the scheduler has a booking of ours that we do not know"
    if world.side.locks() and not world.restored:
        yield f"the scheduler still holds {world.side.locks()} locks"


def _waits(books: Books) -> Iterator[str]:
    for row in books.rows["reservations"]:
        if row["due"] is not None:
            yield f"a reservation still waits for the scheduler ({row['due']})"
    for row in books.rows["moves"]:
        if row["state"] not in {"done", "refused", "expired"}:
            yield f"a move is still {row['state']}"
    for row in books.rows["inbox"]:
        if row["processed_at"] is None:
            yield f"an event still waits ({row['type']}, {row['last_error']})"
    now = books.world.now()
    for row in books.rows["outbox"]:
        if row["sent_at"] is None and row["next_try_at"] is not None and row["due_at"] < now:
            yield f"a mail still waits ({row['kind']}, {row['last_error']})"


def _strays(books: Books, known: set[str]) -> Iterator[str]:
    """Money for bookings that the database has forgotten is told to the owner."""
    state = books.world.stripe.state
    told = {row["payment_intent_id"] for row in books.rows["stray_payments"] if row["told_at"] or row["settled_at"]}
    for intent in state.payment_intents.values():
        if intent["metadata"].get("booking_id") in known or not intent["amount_received"]:
            continue
        back = sum(one["amount"] for one in books.refunds(intent["id"]))
        if back < intent["amount_received"] and intent["id"] not in told:
            yield "money of a booking that nobody knows was told to nobody"


def double(books: Books) -> Iterator[str]:
    """No person has two confirmed bookings at once."""
    by_person: dict[str, list[Booking]] = defaultdict(list)
    for booking in books.bookings:
        if booking.status is Status.CONFIRMED:
            by_person[booking.resource_id].append(booking)
    for booked in by_person.values():
        booked.sort(key=lambda one: one.starts_at)
        for first, second in pairwise(booked):
            if second.starts_at < first.ends_at:
                yield f"one person has two bookings at {second.starts_at}"
