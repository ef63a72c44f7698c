"""What is told while a fault never stops.

Days pass, and whatever is broken stays so. Then the question is no longer whether everything ended well, but whether
anything waits in silence: whatever a provider or a person owes has an age, a bound, and an owner who was told what it
is and what can be done about it. What does not need the broken part is done as ever.

Nothing here asks the product how old something is: that is counted from when it was first seen waiting. The bounds
are those that the documents promise, written down once more.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from app.domain.booking import Booking, Channel, Status
from app.domain.event import SAYS_PAID
from app.domain.payment import DISPUTE_OVER
from app.errors import StorageError
from app.operations.alerts import Alert, AlertKind
from app.parts import Parts
from app.web.staff.well_words import well
from proof.audit import NO_BOOKING, NO_MONEY, ORPHANS, PROMISES, UNTOLD, about, double
from proof.books import Books
from proof.process import Process
from proof.story import NEVER_ENDING, Broken
from proof.world import World
from sandbox.faults import Fault as SchedulerFault
from sandbox.stripe import Fault as StripeFault

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: Minutes of the worker's time while it stays broken: past each bound, past the visits, four days in all. Where mail
#: is broken there are more of them, since each try of a mail may be one more that comes.
_PAUSES: Final = (1, 13, 6, 55, 300, 720, 720, 1440, 1440, 1440, 61)
_PAUSES_OF_MAIL: Final = (1, 13, 6, 55, *(240,) * 24)
#: Steps of the worker in a row, which sends five mails in each.
_MOST_STEPS: Final = 3
#: The worker looks once a minute for what has waited too long.
_SLACK: Final = 2 * _MINUTE
#: What needs nothing that is broken is done within this time, whatever pauses its tries have come to.
_DONE_WITHIN: Final = _DAY
#: No mail comes more often, and nobody has more mails about one booking.
_MOST_COPIES: Final = 20
_MOST_ABOUT_ONE: Final = 25


@dataclass(frozen=True)
class Alarm:
    """What is told of a kind of waiting `within` that time: by a mail to the owner about this `trouble` (empty: it is
    shown, not mailed), and on the staff page by one of these alerts. The mail names one of the `ways` out."""

    within: timedelta
    trouble: str
    alerts: frozenset[AlertKind]
    ways: tuple[str, ...] = ()


def _shown(*kinds: AlertKind) -> frozenset[AlertKind]:
    return frozenset(kinds)


#: The kinds of waiting.
CONFIRM, MOVE, END, CLOSE, RELEASE = "a confirmation", "a move", "an end", "an end without a page", "a release"
PAID = "a late payment"
#: And what is not done for good.
FAILED, GIVEN_UP, WRITE = "a failed refund", "a mail given up", "a write"
REFUND, UNDER_WAY, MAIL, EVENT, STRAY = "a refund", "a refund under way", "a mail", "an event", "a stray payment"
ALARMS: Final[Mapping[str, Alarm]] = {
    CONFIRM: Alarm(10 * _MINUTE, "not_confirmed", _shown(AlertKind.NOT_CONFIRMED), ("You can cancel the booking",)),
    MOVE: Alarm(10 * _MINUTE, "not_moved", _shown(AlertKind.NOT_MOVED), ("You can cancel the booking",)),
    END: Alarm(_HOUR, "not_ended", _shown(AlertKind.NOT_ENDED), ("check your Stripe account",)),
    PAID: Alarm(_HOUR, "not_ended", _shown(AlertKind.EVENTS_FAILING), ("check your Stripe account",)),
    CLOSE: Alarm(6 * _HOUR, "not_released", _shown(AlertKind.NOT_RELEASED), ("delete the entry in your calendar",)),
    RELEASE: Alarm(
        6 * _HOUR,
        "not_released",
        _shown(AlertKind.NOT_RELEASED, AlertKind.SECOND_ENTRY),
        ("delete the entry in your calendar", "keep one entry"),
    ),
    # Money that is only held on the card is shown as money that pays for nothing.
    REFUND: Alarm(
        _HOUR,
        "refund_refused",
        _shown(AlertKind.REFUND_STUCK, AlertKind.MONEY_WITHOUT_BOOKING),
        ("paid another way",),
    ),
    # What Stripe has accepted may take its bank two weeks; that the balance is too low is known at once.
    UNDER_WAY: Alarm(15 * _DAY, "refund_refused", _shown(AlertKind.REFUND_STUCK), ("cancel the refund",)),
    MAIL: Alarm(15 * _MINUTE, "", _shown(AlertKind.MAILS_LATE)),
    EVENT: Alarm(10 * _MINUTE, "", _shown(AlertKind.EVENTS_FAILING)),
    STRAY: Alarm(10 * _MINUTE, "", _shown(AlertKind.MONEY_UNKNOWN)),
}
#: States of a payment whose page somebody may be on.
_OPEN = frozenset({"open", "processing"})
#: Which promise of the usual audit cannot be kept while something of this kind waits.
_BREAKS: Final[Mapping[str, frozenset[str]]] = {
    CONFIRM: frozenset(PROMISES),
    END: frozenset(PROMISES),
    CLOSE: frozenset(PROMISES),
    PAID: frozenset({NO_BOOKING, NO_MONEY, ORPHANS, UNTOLD}),
    MOVE: frozenset({NO_BOOKING, NO_MONEY, ORPHANS}),
    RELEASE: frozenset({NO_BOOKING, ORPHANS}),
    REFUND: frozenset({NO_BOOKING, NO_MONEY}),
    UNDER_WAY: frozenset(),
    MAIL: frozenset({UNTOLD}),
    EVENT: frozenset({NO_BOOKING, NO_MONEY, ORPHANS, UNTOLD}),
    STRAY: frozenset(),
}


@dataclass(frozen=True)
class Waiting:
    """Something that is due and not done: `row` is its id, `needs` the parts of the world without which it cannot be
    done, `why` what is known of the cause."""

    kind: str
    row: str
    booking_id: str
    needs: frozenset[str]
    why: str = ""


@dataclass
class Watch:
    """Looks again and again at what waits, and remembers since when."""

    world: World
    broken: frozenset[str]
    since: dict[tuple[str, str], datetime] = field(default_factory=dict)
    wrong: dict[str, None] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)

    @property
    def parts_broken(self) -> frozenset[str]:
        """The parts of the world that are out of order."""
        broken = {NEVER_ENDING[what] for what in self.broken}
        if self.world.story.stripe.get("refund_mode") == "insufficient_funds":  # as long as the story lasts
            broken.add("refunds")
        return frozenset(broken)

    async def look(self, parts: Parts, began: datetime) -> None:
        """After a step of the worker that began at that moment: whatever has waited beyond its bound is told."""
        books = Books(self.world)
        await books.read()
        waiting = list(waits(books))
        seen = {(one.kind, one.row) for one in waiting}
        self.since = {key: at for key, at in self.since.items() if key in seen}
        for key in sorted(seen - self.since.keys()):
            self.since[key] = began
        for kind in {*(one.kind for one in waiting), *over(books)}:
            for what in self.broken:
                self.met[f"never ends: {what}, {kind}"] += 1
        late = [one for one in waiting if began - self.since[one.kind, one.row] >= ALARMS[one.kind].within + _SLACK]
        if late:
            alerts = await parts.alerts.all()
            for one in late:
                for sentence in told(books, one, alerts):
                    self.say(books, one, sentence)
        for one in waiting:
            if not one.needs & self.parts_broken and began - self.since[one.kind, one.row] >= _DONE_WITHIN:
                self.say(books, one, f"needs {_list(one.needs)}, which work, and is not done")

    def say(self, books: Books, one: Waiting, sentence: str) -> None:
        """Note what is wrong, once."""
        days = (self.world.now() - self.since[one.kind, one.row]) / _DAY
        booking = next((booking for booking in books.bookings if booking.id == one.booking_id), None)
        who = f"{booking.visitor.key or booking.channel} ({booking.status}, {booking.end_reason})" if booking else ""
        self.wrong.setdefault(f"{_list(self.broken)}, {who}: {one.kind} {sentence}")
        self.world.note(f"{one.kind} of {who} {sentence}, after {days:.2f} days {one.why}")


async def stay_broken(world: World) -> tuple[list[str], Counter[str]]:
    """Everybody is done; all other faults stop, and days pass. What was not told, and what was met."""
    watch = Watch(world, frozenset(one.what for one in world.story.never_ends))
    for one in world.story.never_ends:
        _begin(world, one.what)
    world.over = True
    world.spells = set(world.lasting)
    world.network.calm = True
    world.apply_spells()
    await world.network.settle()
    world.note(f"for days: {_list(watch.broken)}")
    many = len(world.mails)
    if "disk" in watch.parts_broken:
        await asyncio.sleep(_DAY.total_seconds())
        for process in world.processes:
            if process.alive and process.app is not None:
                await _disk_is_told(watch, process.parts)
        _few_mails(watch, many)
        return list(watch.wrong), watch.met
    for process in world.processes:
        await process.kill()
    process = world.processes[0]
    process.dies_at = 0
    parts = await process.start()
    for minutes in _PAUSES_OF_MAIL if "mail" in watch.parts_broken else _PAUSES:
        world.loop.skip(minutes * 60)
        await world.deliver()
        began = world.now()
        await _step(process)
        for _ in range(_MOST_STEPS):
            if not await parts.store.anything_due():
                break
            await _step(process)
        await watch.look(parts, began)
    await _the_rest_is_right(watch)
    _few_mails(watch, many)
    await process.kill()
    return list(watch.wrong), watch.met


async def cast(world: World, broken: Broken) -> None:
    """Something goes out of order for good."""
    await asyncio.sleep(broken.since)
    if not world.over:
        _begin(world, broken.what)


def _begin(world: World, what: str) -> None:
    if what in world.lasting:
        return
    world.note(f"{what} for good")
    world.struck(what)
    world.lasting.add(what)
    world.spells.add(what)
    world.apply_spells()
    if what in _AT_PROVIDER:
        _AT_PROVIDER[what](world)


def _scheduler_refuses(world: World) -> None:
    world.side.faults.append(SchedulerFault("refuse", times=None, status=401))


def _stripe_refuses(world: World) -> None:
    world.stripe.faults.append(StripeFault("refuse", times=None, status=403, code="account_invalid"))


def _refunds(mode: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.stripe.switches.refund_mode = mode

    return change


#: What the sandboxes do themselves; the rest is the network's, the mail server's and the disk's.
_AT_PROVIDER: Final[Mapping[str, Callable[[World], None]]] = {
    "scheduler refuses": _scheduler_refuses,
    "stripe refuses": _stripe_refuses,
    "refunds refused": _refunds("refused"),
    "refunds fail": _refunds("fail_later"),
    "balance too low": _refunds("insufficient_funds"),
}


def mend(world: World) -> None:
    """What `_AT_PROVIDER` has changed is as it was. The faults are cleared with all others."""
    world.lasting.clear()
    world.stripe.switches.refund_mode = world.story.stripe.get("refund_mode", "succeed")


async def _step(process: Process) -> None:
    """A step of the worker, as its own loop takes it: what it raises is logged, and it goes on."""
    with suppress(StorageError, SQLAlchemyError):
        await process.run(lambda parts: parts.worker.tick())


# -- what waits --------------------------------------------------------------------------------------------------


def waits(books: Books) -> Iterator[Waiting]:
    """Everything that is due by now and not done."""
    now = books.world.now()
    both = frozenset({"scheduler", "stripe"})
    by_id = {booking.id: booking for booking in books.bookings}
    for booking in books.bookings:
        paid = frozenset({"stripe"}) if booking.payment_id else frozenset()
        if booking.status is Status.PAID:
            yield Waiting(CONFIRM, booking.id, booking.id, paid | {"scheduler"})
        elif booking.status is Status.OFFERED and booking.deadline <= now:
            # A process that was started since asks whether one of the times was chosen before the copy was put back.
            yield Waiting(CONFIRM, booking.id, booking.id, both)
        elif booking.status in {Status.HELD, Status.AWAITING_PAYMENT} and booking.deadline <= now:
            # A process that was started since asks both first: the database may be a copy from before the payment.
            pays = any(row["session_id"] and row["state"] in _OPEN for row in books.of("payments", booking.id))
            yield Waiting(END if pays else CLOSE, booking.id, booking.id, both)
    for row in books.rows["reservations"]:
        if row["due"] in {"let_go", "find_out"}:
            yield Waiting(RELEASE, row["id"], row["booking_id"], frozenset({"scheduler"}), row["due"])
    for row in books.rows["moves"]:
        if row["state"] == "moving":
            yield Waiting(MOVE, row["id"], row["booking_id"], both if row["payment_id"] else frozenset({"scheduler"}))
        elif row["state"] == "held" and row["deadline"] <= now:
            yield Waiting(END, row["id"], row["booking_id"], frozenset({"stripe"}))
    disputed = {row["id"] for row in books.rows["payments"] if row["dispute"] and row["dispute"] not in DISPUTE_OVER}
    for row in books.rows["refunds"]:
        if row["payment_id"] in disputed or row["next_try_at"] is None or row["due_at"] > now:
            continue
        money = frozenset({"stripe", "refunds"})
        if row["status"] == "requested":
            yield Waiting(REFUND, row["id"], row["booking_id"], money, row["problem"])
        elif row["status"] in {"pending", "requires_action"}:
            yield Waiting(UNDER_WAY, row["id"], row["booking_id"], money, row["problem"])
    for row in books.rows["outbox"]:
        if row["sent_at"] is None and row["next_try_at"] is not None and row["due_at"] <= now:
            yield Waiting(MAIL, row["id"], row["booking_id"], frozenset({"mail"}), row["kind"])
    for row in books.rows["inbox"]:
        if row["processed_at"] is None:
            whose = by_id.get(row["booking_id"])
            late = whose and whose.status is Status.EXPIRED and row["type"] in SAYS_PAID
            known = whose.id if whose else ""
            yield Waiting(PAID if late else EVENT, row["event_id"], known, both, row["type"])
    for row in books.rows["stray_payments"]:
        if row["told_at"] is None and row["settled_at"] is None:
            yield Waiting(STRAY, row["session_id"], "", frozenset({"mail"}))


def over(books: Books) -> Iterator[str]:
    """What waits no more, since it came to nothing."""
    if any(row["status"] in {"failed", "canceled"} for row in books.rows["refunds"]):
        yield FAILED
    if any(row["sent_at"] is None and row["next_try_at"] is None for row in books.rows["outbox"]):
        yield GIVEN_UP


def told(books: Books, one: Waiting, alerts: Collection[Alert]) -> Iterator[str]:
    """What is missing of what should be known about something that has waited for too long."""
    alarm = ALARMS[one.kind]
    shown = [alert for alert in alerts if alert.kind in alarm.alerts]
    if one.booking_id and any(alert.bookings for alert in shown):
        shown = [alert for alert in shown if one.booking_id in alert.bookings]
    if not shown:
        yield "is not on the staff page"
    elif not all(said["do"] for said in well(shown, "/staff", "UTC", books.world.now(), "en")["alerts"]):
        yield "is on the staff page without a way out"
    if not alarm.trouble:
        return
    booking = next(booking for booking in books.bookings if booking.id == one.booking_id)
    name = f"trouble_owner.{alarm.trouble}"
    about_it = [row for row in books.of("outbox", booking.id) if f".{name}" in row["id"]]
    if booking.customer and not about_it:
        yield "was not mailed to the owner"
    for mail in books.world.mails:
        if mail.header("Message-ID").startswith(f"<{booking.id}.{name}"):
            text = " ".join(_text(mail.message).split())
            if not any(way in text for way in alarm.ways):
                yield "was mailed to the owner without a way out"
    unconfirmed = booking.status is Status.PAID and booking.payment_id and not booking.canceled_at
    if one.kind == CONFIRM and unconfirmed and booking.customer:
        mails = {row["kind"] for row in books.of("outbox", booking.id)}
        if "delayed_customer" not in mails and not (booking.channel is Channel.DESK and not booking.pay_link):
            yield "was not mailed to the customer"
    if one.kind == REFUND and not one.why:
        yield "is not called delayed on the customer's page"


def _text(message: Any) -> str:
    body = message.get_body(("plain",))
    return str(body.get_content()) if body else ""


# -- everything else ---------------------------------------------------------------------------------------------


async def _the_rest_is_right(watch: Watch) -> None:
    """The usual audit of everything that does not wait."""
    world = watch.world
    books = Books(world)
    await books.read()
    waiting: dict[str, set[str]] = {}
    for one in waits(books):
        waiting.setdefault(one.booking_id, set()).update(_BREAKS[one.kind])
    for booking in books.bookings:
        excused = waiting.get(booking.id, set()) | _unknowable(watch, books, booking)
        for promise, sentence in about(books, booking):
            if promise not in excused:
                watch.wrong.setdefault(sentence)
    for sentence in double(books):
        watch.wrong.setdefault(sentence)


def _unknowable(watch: Watch, books: Books, booking: Booking) -> set[str]:
    """Which promises about a booking were broken by somebody of whom only the broken part could tell."""
    acts = {act.what for actor in watch.world.story.actors for act in actor.acts}
    excused: set[str] = set()
    if watch.parts_broken & {"stripe"}:
        known = {row["payment_intent_id"]: row for row in books.of("payments", booking.id)}
        for intent in books.intents(booking.id):
            row = known.get(intent["id"])
            here = row is not None and row["state"] in {"captured", "voided"}
            if not here:
                excused |= {NO_BOOKING, NO_MONEY}
        if any("dashboard" in act or act == "dispute" for act in acts):
            excused |= {NO_BOOKING, NO_MONEY}
    if "scheduler" in watch.parts_broken and watch.world.story.changed_there:
        excused |= {NO_BOOKING, NO_MONEY, ORPHANS}
    return excused


async def _disk_is_told(watch: Watch, parts: Parts) -> None:
    """Nothing can be written, so nothing is mailed: whoever asks is told."""
    for what in watch.broken:
        watch.met[f"never ends: {what}, {WRITE}"] += 1
    if (await parts.health.readiness()).ready:
        watch.wrong.setdefault("the disk is full, and /readyz says that all is well")
    if AlertKind.WORKER_LATE not in {alert.kind for alert in await parts.alerts.all()}:
        watch.wrong.setdefault("the disk is full, and the staff page does not say that nothing is carried out")


def _few_mails(watch: Watch, before: int) -> None:
    """Nobody is told the same thing again and again."""
    copies: Counter[str] = Counter()
    about_one: Counter[tuple[str, str]] = Counter()
    for mail in watch.world.mails[before:]:
        to, ident = mail.header("To"), mail.header("Message-ID")
        copies[f"{ident} to {to}"] += 1
        about_one[to, ident.partition(".")[0]] += 1
    for what, many in copies.items():
        if many > _MOST_COPIES:
            watch.wrong.setdefault(f"{many} copies of one mail: {what}")
    for (to, _), many in about_one.items():
        if many > _MOST_ABOUT_ONE and "mail cut" not in watch.broken:
            watch.wrong.setdefault(f"{many} mails about one booking to {to}")


def _list(words: Collection[str]) -> str:
    return " and ".join(sorted(words)) or "nothing"
