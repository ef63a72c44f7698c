"""The booking's life until it is confirmed, as a model: every step one atomic effect, every interleaving visited,
crashes included. What it may become then is in `changes_model`.

The steps are those of the acts in app/booking (hold, checkout, take_payment, confirm, release) in their order; statuses
and allowed changes are the product's own. Between any two steps a process may crash, any number of times, and a
browser, a webhook and two workers may run. `broken` must never hold; `unsettled` must not hold wherever nothing is left
to do. The mutants leave one rule out each, to show that the search can fail.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, NamedTuple

from app.domain.booking import LIVE, TRANSITIONS, Status

WORLDS = {
    "prompt": "Stripe never takes money on an expired Checkout Session",
    "late": "a payment may land after the Session was expired",
    "lossy": "as prompt, but a webhook may be lost for good",
    "worst": "late payments and lost webhooks together",
    "free": "a free service: Stripe is never asked",
    "weak": "the lock does not bind and may lapse: a stranger may take the time until it is final; money is held first",
    "never": "from some moment on Hapio, Stripe, or Stripe for refunds alone, refuses for good or never answers",
}
#: What each leaves out, and the world in which that breaks a promise.
MUTANTS = {
    "blind-update": ("write the new status without checking the old one", "prompt"),
    "release-before-claim": ("free the time in Hapio first, claim the row second", "prompt"),
    "skip-session-expire": ("expire the row without expiring the Checkout Session", "prompt"),
    "ignore-open-session": ("claim the end although another attempt's Session is open", "prompt"),
    "url-before-record": ("give the payment page out without checking that the booking still awaits it", "prompt"),
    "no-sweep": ("never look for orphaned temporary bookings in Hapio", "prompt"),
    "no-money-sweep": ("never look for completed Checkout Sessions in Stripe", "worst"),
    "revive-expired-hold": ("finalize the old temporary booking after a late payment", "late"),
    "no-own-retry": ("finalize only inside the webhook, never from the worker", "prompt"),
    "tell-nobody": ("do not tell the owner what has waited for too long", "never"),
    "wait-past-start": ("go on waiting for Hapio when the visit has begun", "never"),
    "capture-at-once": ("take money that is only held before the calendar has agreed", "weak"),
    "create-without-looking": ("book again after a lost answer, without looking for what it may have made", "weak"),
}


class State(NamedTuple):
    """Our row, Hapio, Stripe and the world at one moment."""

    status: Status | None = None
    reference: str = ""  # of its reservation: "a" the lock, "b" a booking made again; "" nothing is due
    was_expired: bool = False
    by_customer: bool = False
    refund_due: bool = False
    recorded: bool = False  # our payment row knows the Session: its page may be given out
    open_row: bool = False  # our payment row says that the Session is open
    a: str = "none"  # none / temporary / final / gone
    b: str = "none"
    other: bool = False  # someone else has the time
    session: str = "none"  # none / open / expired / complete
    url_given: bool = False
    event: bool = False  # a webhook that is not acknowledged yet
    refunded: bool = False
    captured: bool = False  # money that was held first is taken
    late: bool = False  # the deadline has passed
    begun: bool = False  # so has the start of the visit
    dead: str = ""  # who never answers again: hapio, stripe, refunds
    told: bool = False  # the owner knows, and an alarm is on


def paid(s: State) -> bool:
    """Whether Stripe has taken money."""
    return s.session == "complete"


def slot_free(s: State, world: str) -> bool:
    """Whether the scheduler would accept a booking of this time from anyone."""
    locked = s.a == "temporary" and world != "weak"
    return not locked and "final" not in (s.a, s.b) and not s.other


def claim(s: State, from_: Collection[Status], to: Status, mutant: str, **also: Any) -> State | None:
    """The one writer of status. None means that someone else won."""
    for status in from_:
        assert to in TRANSITIONS[status], f"{status} → {to}"
    if s.status in from_ or mutant == "blind-update":
        return s._replace(status=to, **also)
    return None


UNPAID = (Status.HELD, Status.AWAITING_PAYMENT)


#: Which steps ask whom. Anyone who never answers leaves nothing but the last outcome of the step: nothing happened.
ASKS = {
    "hold.post": "hapio",
    "release.delete": "hapio",
    "sweep.delete": "hapio",
    "pay.create": "stripe",
    "pay.undo": "stripe",
    "payment.record": "stripe",
    "expire.session": "stripe",
    "refund": "refunds",
}


def silent(s: State, pc: str) -> bool:
    """Whether the one that the step asks never answers again."""
    asked = ASKS.get(pc)
    return bool(s.dead) and (asked == s.dead or (asked == "refunds" and s.dead == "stripe"))


def step(s: State, pc: str, mutant: str, world: str) -> Iterator[tuple[State, str]]:
    """(state, next step) for every outcome of one step."""
    if silent(s, pc.partition(":")[0]):
        yield s, "hold.give_up" if pc == "hold.post" else ""
    else:
        yield from _step(s, pc, mutant, world)


def _step(s: State, pc: str, mutant: str, world: str) -> Iterator[tuple[State, str]]:
    pc, _, arg = pc.partition(":")
    # -- hold: insert the row under the guard, ask Hapio, store its answer
    if pc == "hold.insert":
        yield s._replace(status=Status.HELD), "hold.post"
    elif pc == "hold.post":
        if slot_free(s, world):
            yield s._replace(a="temporary"), "hold.store_id"
            yield s._replace(a="temporary"), "hold.give_up"  # the answer was lost
        else:
            yield s, "hold.give_up"
        yield s, "hold.give_up"  # the request was lost
    elif pc == "hold.store_id":
        yield s._replace(reference="a"), ""
    elif pc == "hold.give_up":
        yield claim(s, UNPAID, Status.EXPIRED, mutant, was_expired=True) or s, ""
    # -- pay: claim with the attempt, create the Session, give its page out only if the row still awaits it
    elif pc == "pay.claim":
        won = claim(s, (Status.HELD,), Status.AWAITING_PAYMENT, mutant)
        if won or s.status is Status.AWAITING_PAYMENT:
            yield won or s, "pay.create"
        else:
            yield s, ""
    elif pc == "pay.create":
        yield s._replace(session="open" if s.session == "none" else s.session), "pay.record"
        yield s, ""  # Stripe is unreachable, or its answer was lost
        yield s._replace(session="open" if s.session == "none" else s.session), ""
    elif pc == "pay.record":
        if s.status is Status.AWAITING_PAYMENT or mutant == "url-before-record":
            yield s._replace(recorded=True, open_row=s.session == "open"), "pay.give_url"
        else:
            yield s, "pay.undo"
    elif pc == "pay.give_url":
        yield s._replace(url_given=True), ""
    elif pc == "pay.undo":
        yield s._replace(session="expired" if s.session == "open" else s.session), ""
    elif pc == "free.claim":
        won = claim(s, (Status.HELD,), Status.PAID, mutant)
        yield (won, "finalize.hapio") if won else (s, "")
    # -- cancel, in a few words: changes_model has what may follow in full
    elif pc == "cancel.claim":
        won = claim(s, (Status.CONFIRMED,), Status.CANCELED, mutant, refund_due=paid(s), by_customer=True)
        yield (won, f"release.delete:{won.reference}") if won else (s, "")
    # -- the owner's way out of a booking that is paid and not confirmed
    elif pc == "calloff.claim":
        won = claim(s, (Status.PAID,), Status.CANCELED, mutant, refund_due=paid(s), by_customer=True)
        yield (won, f"release.delete:{won.reference}") if won else (s, "")
    elif pc == "tell":
        yield s._replace(told=True), ""
    # -- a payment is seen
    elif pc == "payment.record":
        s = s._replace(open_row=False, recorded=True)
        if s.status is Status.CANCELED:
            yield s._replace(refund_due=not s.refunded), "payment.ack"
        else:
            won = claim(s, UNPAID, Status.PAID, mutant) or claim(
                s, (Status.EXPIRED,), Status.PAID, mutant, was_expired=True
            )
            yield won or s, "payment.ack"
    elif pc == "payment.ack":
        yield s._replace(event=False, captured=s.captured or mutant == "capture-at-once"), "finalize.hapio"
    # -- paid → confirmed, or rescue, or refund
    elif pc == "finalize.hapio":
        yield from _finalize(s, mutant, world)
    elif pc == "finalize.capture":
        if s.status is Status.PAID:
            yield s._replace(captured=True), f"finalize.claim:{arg}"
        yield s, ""  # called off meanwhile, or Stripe is unreachable: the worker comes back
    elif pc == "finalize.claim":
        yield claim(s, (Status.PAID,), Status.CONFIRMED, mutant, reference=arg) or s, ""
    elif pc == "finalize.lost":
        yield claim(s, (Status.PAID,), Status.CANCELED, mutant, refund_due=paid(s)) or s, ""
    # -- the deadline: Stripe's word first
    elif pc == "expire.session":
        if paid(s):
            yield s, "payment.record"
        elif mutant == "skip-session-expire" or not s.recorded:
            yield s, "expire.claim"
        else:
            yield s._replace(session="expired"), "expire.note"
        yield s, ""  # Stripe is unreachable: the next tick
    elif pc == "expire.note":
        yield s._replace(open_row=False), "expire.claim"
    elif pc == "expire.delete_first":
        yield s._replace(a="gone" if s.a == "temporary" else s.a), "expire.claim"
    elif pc == "expire.claim":
        blocked = s.open_row and mutant not in ("skip-session-expire", "ignore-open-session")
        won = None if blocked else claim(s, UNPAID, Status.EXPIRED, mutant, was_expired=True)
        yield (won, f"release.delete:{won.reference}") if won else (s, "")
    # -- give the time back
    elif pc == "release.delete":
        deleted = s._replace(
            a="gone" if arg == "a" and s.a != "none" else s.a, b="gone" if arg == "b" and s.b != "none" else s.b
        )
        yield deleted, f"release.mark:{arg}"
        yield s, ""  # Hapio is unreachable
    elif pc == "release.mark":
        yield s._replace(reference="" if s.reference == arg else s.reference), ""
    elif pc == "refund":
        yield s._replace(refunded=True, refund_due=False), ""
    elif pc == "sweep.delete":
        yield s._replace(a="gone" if s.a == "temporary" else s.a), ""
    else:
        raise AssertionError(pc)


def _finalize(s: State, mutant: str, world: str) -> Iterator[tuple[State, str]]:
    if s.status is not Status.PAID:
        yield s, ""
    elif s.begun and mutant != "wait-past-start":
        yield s, "finalize.lost"
    elif s.dead in ("hapio", "stripe"):  # Stripe is asked whether the money is still there
        yield s, ""
    elif world == "weak":
        yield from _finalize_weak(s, mutant)
    elif s.was_expired and mutant != "revive-expired-hold":
        if s.b == "final":  # made by an earlier try that crashed
            yield s, "finalize.claim:b"
        elif s.a == "temporary":  # our own old lock is in the way
            yield s._replace(a="gone"), "finalize.hapio"
        elif slot_free(s, world):
            yield s._replace(b="final"), "finalize.claim:b"
        else:
            yield s, "finalize.lost"
    elif s.a in ("temporary", "final"):
        yield s._replace(a="final"), "finalize.claim:a"
    else:
        yield s, "finalize.lost"
    yield s, ""  # Hapio is unreachable: the worker comes back


def _finalize_weak(s: State, mutant: str) -> Iterator[tuple[State, str]]:
    """A confirmation that may be refused, whatever has become of the lock."""
    if s.a == "final" and mutant != "create-without-looking":  # its answer was lost, or its process died
        yield s, "finalize.capture:a"
    elif s.other or s.a == "final":
        yield s, "finalize.lost"
    else:
        yield s._replace(a="final", reference="a"), "finalize.capture:a"
        yield s._replace(a="final"), ""  # the answer was lost


def waits(s: State) -> bool:
    """Whether something is due that cannot be done because a provider never answers."""
    unpaid = s.late and s.status in UNPAID
    unreleased = s.status in (Status.EXPIRED, Status.CANCELED) and (bool(s.reference) or s.a == "temporary")
    return bool(s.dead) and (unpaid or s.status is Status.PAID or unreleased or (s.refund_due and not s.refunded))


def worker_jobs(s: State, mutant: str, world: str) -> Iterator[str]:
    """What a worker would find due."""
    if s.late and s.status in UNPAID:
        if s.status is Status.HELD and mutant == "release-before-claim":
            yield "expire.delete_first"
        else:
            yield "expire.session"
    if s.status is Status.PAID and mutant != "no-own-retry":
        yield "finalize.hapio"
    if waits(s) and not s.told and mutant != "tell-nobody":
        yield "tell"
    if s.status in (Status.EXPIRED, Status.CANCELED) and s.reference:
        yield f"release.delete:{s.reference}"
    if s.refund_due and not s.refunded:
        yield "refund"
    if mutant != "no-sweep" and s.late and s.a == "temporary" and s.status not in LIVE:
        yield "sweep.delete"
    if mutant != "no-money-sweep" and s.late and paid(s) and not s.event and not s.refunded:
        if s.status in (*UNPAID, Status.EXPIRED):
            yield "payment.record"
        if s.status is Status.CANCELED and not s.refund_due:
            yield "payment.record"


def around(s: State, world: str, *, hooked: bool) -> Iterator[State]:
    """What others do, and what time does; `hooked` while a webhook is being taken in."""
    if not s.late and s.status:
        yield s._replace(late=True)
    if slot_free(s, world) and s.status:
        yield s._replace(other=True)
    if world == "weak" and s.a == "temporary" and s.late:
        yield s._replace(a="gone")  # it ends by itself
    if world == "never" and s.status:
        if s.late and not s.begun:
            yield s._replace(begun=True)
        if not s.dead:
            for provider in ("hapio", "stripe", "refunds"):
                yield s._replace(dead=provider)
    payable = ("open", "expired") if world in ("late", "worst") else ("open",)
    if s.session in payable and s.url_given:
        yield s._replace(session="complete", event=True)
    if world in ("lossy", "worst") and s.event and not hooked:
        yield s._replace(event=False)


def visits(s: State, world: str) -> Iterator[str]:
    """What a browser may ask for."""
    if s.status is None:
        yield "hold.insert"
    if s.status in UNPAID and s.reference and not s.late:
        yield "free.claim" if world == "free" else "pay.claim"
    if s.status in UNPAID and s.reference:
        yield "expire.session"  # the visitor gives the time back
    if s.status is Status.CONFIRMED:
        yield "cancel.claim"
    if s.status is Status.PAID and world == "never":
        yield "calloff.claim"


#: What a browser, a webhook and two workers do next.
Work = tuple[str, str, tuple[str, str]]
IDLE: Work = ("", "", ("", ""))


class Rows:
    """What follows from our rows, Hapio, Stripe and the world at one moment, no matter who is at work then. As in
    `changes_model`, each such moment has a number, and what follows from it is found out once."""

    def __init__(self, mutant: str, world: str) -> None:
        self._mutant = mutant
        self._world = world
        self._numbers: dict[State, int] = {}
        self.states: list[State] = []
        self._around: dict[tuple[int, bool], list[int]] = {}
        self._visits: dict[int, list[str]] = {}
        self._jobs: dict[int, list[str]] = {}
        self._steps: dict[tuple[int, str], list[tuple[int, str]]] = {}

    def number(self, s: State) -> int:
        """Of a state."""
        number = self._numbers.setdefault(s, len(self.states))
        if number == len(self.states):
            self.states.append(s)
        return number

    def follows(self, rows: int, doing: Work) -> Iterator[tuple[int, Work]]:
        """Every (rows, what each does next) that may follow."""
        web, hook, work = doing
        for after in self._others(rows, hooked=bool(hook)):
            yield after, doing
        if not web:
            for pc in self._visited(rows):
                yield rows, (pc, hook, work)
        if self.states[rows].event and not hook:
            yield rows, (web, "payment.record", work)
        for i in (0, 1):
            if not work[i]:
                for pc in self.jobs(rows):
                    yield rows, (web, hook, _put(work, i, pc))
        if web:
            for after, next_pc in self._step(rows, web):
                yield after, (next_pc, hook, work)
            yield rows, ("", hook, work)  # it crashes
        if hook:
            for after, next_pc in self._step(rows, hook):
                yield after, (web, next_pc, work)
            yield rows, (web, "", work)
        for i in (0, 1):
            if pc := work[i]:
                for after, next_pc in self._step(rows, pc):
                    yield after, (web, hook, _put(work, i, next_pc))
                yield rows, (web, hook, _put(work, i, ""))

    def jobs(self, rows: int) -> list[str]:
        """What a worker would find due."""
        if rows not in self._jobs:
            self._jobs[rows] = list(worker_jobs(self.states[rows], self._mutant, self._world))
        return self._jobs[rows]

    def _others(self, rows: int, *, hooked: bool) -> list[int]:
        key = (rows, hooked)
        if key not in self._around:
            self._around[key] = [self.number(s) for s in around(self.states[rows], self._world, hooked=hooked)]
        return self._around[key]

    def _visited(self, rows: int) -> list[str]:
        if rows not in self._visits:
            self._visits[rows] = list(visits(self.states[rows], self._world))
        return self._visits[rows]

    def _step(self, rows: int, pc: str) -> list[tuple[int, str]]:
        key = (rows, pc)
        if key not in self._steps:
            steps = step(self.states[rows], pc, self._mutant, self._world)
            self._steps[key] = [(self.number(after), next_pc) for after, next_pc in steps]
        return self._steps[key]


def _put(work: tuple[str, str], i: int, pc: str) -> tuple[str, str]:
    # Two workers are alike, so which of them does what makes no difference: half the states.
    first, second = (pc, work[1]) if i == 0 else (work[0], pc)
    return (first, second) if first >= second else (second, first)


def broken(s: State, world: str) -> str:
    """What must never be true, not even for a moment."""
    if s.status is Status.CONFIRMED:
        if not paid(s) and world != "free":
            return "confirmed without payment"
        if "final" not in (s.a, s.b):
            return "confirmed, but Hapio has no such booking"
        if s.refunded or s.refund_due:
            return "confirmed and refunded"
        if world == "weak" and not s.captured:
            return "confirmed, and the money only held"
    if world == "weak" and s.captured and s.status is Status.PAID and "final" not in (s.a, s.b):
        return "charged before the calendar agreed"
    if s.status is Status.EXPIRED and s.session == "open" and s.url_given:
        return "given back while it can still be paid"
    return ""


def unsettled(s: State, world: str) -> str:
    """What must not be true where no process runs, no event waits and no job is due."""
    if s.status is None:
        return ""
    if s.status in (*UNPAID, Status.PAID):
        return f"stuck in {s.status}"
    if paid(s) and s.status is not Status.CONFIRMED and not s.refunded:
        return "money kept without a booking"
    if "temporary" in (s.a, s.b):
        return "temporary booking leaked in Hapio"
    if s.status is not Status.CONFIRMED and "final" in (s.a, s.b):
        return "booking left in Hapio for a dead row"
    if world == "weak" and s.status is Status.CANCELED and s.other and s.captured and not s.by_customer:
        return "charged for a time that a stranger has"
    excused = s.by_customer or s.was_expired or s.begun or (s.other and world == "weak")
    if s.status is Status.CANCELED and not excused:
        return "paid in time, yet the time was lost"
    return ""


def nothing_helps(s: State, mutant: str, world: str) -> bool:
    """Whether whatever a worker may still try comes to nothing."""
    return all(
        outcome in ((s, ""), (s, "hold.give_up"))
        for job in worker_jobs(s, mutant, world)
        for outcome in step(s, job, mutant, world)
    )


class Outcome(NamedTuple):
    """What a search found: the first problem (or none), how many states, which changes of status were seen."""

    problem: str
    states: int
    changes: frozenset[tuple[Status | None, Status]]
    endings: frozenset[tuple[Status | None, bool, bool]]


@cache
def search(mutant: str = "", world: str = "prompt") -> Outcome:
    """Visit every interleaving, breadth first."""
    known = Rows(mutant, world)
    start = (known.number(State()), IDLE)
    queue, seen = deque([start]), {start}
    changes: set[tuple[Status | None, Status]] = set()
    endings: set[tuple[Status | None, bool, bool]] = set()
    while queue:
        rows, doing = queue.popleft()
        s = known.states[rows]
        idle = doing == IDLE
        settled = idle and s.late and not s.event and not known.jobs(rows)
        if world == "never":
            settled = idle and s.begun and (not s.event or s.dead == "stripe") and nothing_helps(s, mutant, world)
        problem = broken(s, world) or (unsettled(s, world) if settled else "")
        if problem and settled and s.told and s.status is not Status.PAID:
            problem = ""  # the owner knows, and has a way out
        if problem:
            return Outcome(problem, len(seen), frozenset(changes), frozenset(endings))
        if settled:
            endings.add((s.status, paid(s), s.refunded))
        for after in known.follows(rows, doing):
            if after not in seen:
                seen.add(after)
                queue.append(after)
            then = known.states[after[0]].status
            if then is not s.status and then is not None:
                changes.add((s.status, then))
    return Outcome("", len(seen), frozenset(changes), frozenset(endings))
