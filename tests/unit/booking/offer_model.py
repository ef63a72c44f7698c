"""Late money whose time is gone, as a model: two other times are locked and offered, and one is chosen, or none.

It begins where `lifecycle_model` has a paid booking without a time. The steps are those of `OfferedTimes`, `LateMoney`
and `Confirm`, each one atomic effect; every interleaving of a customer with two tabs and a worker is visited, with a
crash after any step; that two workers do not look for times at once is the booking's lease. `broken` must never hold,
`unsettled` must not hold wherever nothing is left to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from functools import cache
from typing import NamedTuple

from app.domain.booking import TRANSITIONS, Status

MUTANTS = {
    "choose-blindly": "write the choice without checking that the times are still offered",
    "end-blindly": "write the end of the offer without checking that nothing was chosen meanwhile",
    "forget-the-others": "confirm the chosen time and leave the other one locked",
    "keep-offering": "never end an offer from the worker",
    "offer-what-is-not-locked": "offer a time to which the scheduler has not answered",
}


class Time(NamedTuple):
    """One of the other times. `row`: "" none yet, unsure, held, ended (to be let go), over; `there` is the scheduler's:
    none, temporary, final, gone."""

    row: str = ""
    there: str = "none"


class State(NamedTuple):
    """The booking, both times, the money and who is at work."""

    status: Status = Status.PAID
    chosen: int | None = None
    times: tuple[Time, Time] = (Time(), Time())
    refund_due: bool = False
    refunded: bool = False
    lapsed: bool = False
    web: tuple[str, str] = ("", "")
    work: str = ""


def with_time(s: State, i: int, **changes: str) -> State:
    changed = s.times[i]._replace(**changes)
    return s._replace(times=(changed, s.times[1]) if i == 0 else (s.times[0], changed))


def claim(s: State, from_: Collection[Status], to: Status, mutant: str, *, blind: bool = False) -> State | None:
    """The one writer of status; with an end, or the confirmation, every other time is to be let go."""
    if not blind and s.status not in from_:
        return None
    assert blind or to in TRANSITIONS[s.status]
    after = s._replace(status=to)
    for i in (0, 1):
        mine = i == s.chosen and to is Status.CONFIRMED
        forgotten = to is Status.CONFIRMED and mutant == "forget-the-others"
        if to in {Status.CONFIRMED, Status.CANCELED} and s.times[i].row in {"unsure", "held"} and not mine:
            after = with_time(after, i, row="over" if forgotten else "ended")
    return after._replace(refund_due=True) if to is Status.CANCELED else after


def step(s: State, pc: str, mutant: str) -> Iterator[tuple[State, str]]:
    """(state, next step) for every outcome of one step."""
    pc, _, arg = pc.partition(":")
    i = int(arg) if arg else 0
    if pc == "finalize":
        yield from _finalize(s, mutant)
    elif pc == "lock":
        locked = with_time(s, i, there="temporary") if s.times[i].there == "none" else s
        yield locked, f"store:{i}"
        yield locked, ""  # the answer was lost
        yield with_time(s, i, row="ended") if s.times[i].row == "unsure" else s, "finalize"  # refused
    elif pc == "store":
        known = {"unsure": "held", "over": "ended"}.get(s.times[i].row, s.times[i].row)
        yield with_time(s, i, row=known), "finalize"
    elif pc == "offer":
        yield claim(s, (Status.PAID,), Status.OFFERED, mutant) or s, ""
    elif pc == "confirm":
        yield claim(s, (Status.PAID,), Status.CONFIRMED, mutant) or s, ""
    elif pc == "lost":
        gone = with_time(s, i, row="ended")
        if s.times[1 - i].row == "held" and not s.lapsed:
            yield claim(gone, (Status.PAID,), Status.OFFERED, mutant) or s, ""
        else:
            yield claim(gone, (Status.PAID,), Status.CANCELED, mutant) or s, ""
    elif pc == "choose":
        if (s.times[i].row == "held" and not s.lapsed) or mutant == "choose-blindly":
            blind = mutant == "choose-blindly"
            won = claim(s, (Status.OFFERED,), Status.PAID, mutant, blind=blind)
            yield (won._replace(chosen=i), "finalize") if won else (s, "")
        else:
            yield s, ""
    elif pc == "cancel":
        yield claim(s, (Status.PAID,), Status.CANCELED, mutant) or s, ""
    elif pc in {"refund_instead", "lapse"}:
        blind = mutant == "end-blindly"
        yield claim(s, (Status.OFFERED,), Status.CANCELED, mutant, blind=blind) or s, ""
    elif pc == "let_go":
        yield with_time(s, i, there="gone" if s.times[i].there != "none" else "none"), f"noted:{i}"
        yield s, ""  # the scheduler is unreachable
    elif pc == "noted":
        yield with_time(s, i, row="over") if s.times[i].row == "ended" else s, ""
    elif pc == "refund":
        yield s._replace(refunded=True, refund_due=False), ""
    else:
        raise AssertionError(pc)


def _finalize(s: State, mutant: str) -> Iterator[tuple[State, str]]:
    if s.status is not Status.PAID:
        yield s, ""
    elif s.chosen is not None:
        if s.times[s.chosen].there in {"temporary", "final"}:
            yield with_time(s, s.chosen, there="final"), f"confirm:{s.chosen}"
        else:
            yield s, f"lost:{s.chosen}"
    else:
        for i in (0, 1):
            if s.times[i].row == "":
                yield with_time(s, i, row="unsure"), f"lock:{i}"
                return
        unsure = [i for i in (0, 1) if s.times[i].row == "unsure"]  # an earlier try did not live to hear the answer
        if unsure and mutant != "offer-what-is-not-locked":
            yield with_time(s, unsure[0], row="ended"), "finalize"
        elif unsure:
            yield with_time(s, unsure[0], row="held"), "finalize"
        elif any(time.row == "held" for time in s.times):
            yield s, "offer"
        else:
            yield s, "cancel"
    yield s, ""  # the scheduler is unreachable: the worker comes back


def worker_jobs(s: State, mutant: str) -> Iterator[str]:
    """What a worker would find due."""
    if s.status is Status.PAID:
        yield "finalize"
    if s.status is Status.OFFERED and s.lapsed and mutant != "keep-offering":
        yield "lapse"
    for i in (0, 1):
        if s.times[i].row == "ended" or (s.times[i] == Time("over", "temporary") and mutant != "forget-the-others"):
            yield f"let_go:{i}"
    if s.refund_due and not s.refunded:
        yield "refund"


def moves(s: State, mutant: str) -> Iterator[State]:
    """Every state that may follow."""
    if not s.lapsed and s.status is Status.OFFERED:
        yield s._replace(lapsed=True)
    for i in (0, 1):
        if s.times[i] == Time("held", "temporary") and s.status in {Status.OFFERED, Status.PAID}:
            yield with_time(s, i, there="gone")  # someone deletes the lock there
    for i in (0, 1):
        for after, pc in _run(s, s.web[i], mutant):
            yield after._replace(web=_tabs(pc, s.web[1 - i]))
    if s.status is Status.OFFERED and "" in s.web:
        held = [f"choose:{i}" for i in (0, 1) if s.times[i].row == "held"]
        for act in (*held, "refund_instead"):
            yield s._replace(web=_tabs(act, s.web[0]))
    for after, pc in _run(s, s.work, mutant):
        yield after._replace(work=pc)
    if not s.work:
        for job in worker_jobs(s, mutant):
            yield s._replace(work=job)


def _run(s: State, pc: str, mutant: str) -> Iterator[tuple[State, str]]:
    if pc:
        yield from step(s, pc, mutant)
        yield s, ""  # it crashes


def _tabs(one: str, other: str) -> tuple[str, str]:
    # Two tabs are alike, so which of them does what makes no difference: half the states.
    return (one, other) if one >= other else (other, one)


def broken(s: State) -> str:
    """What must never be true, not even for a moment."""
    if s.status is Status.CONFIRMED and (s.refund_due or s.refunded):
        return "confirmed and refunded"
    if s.status is Status.CONFIRMED and (s.chosen is None or s.times[s.chosen].there != "final"):
        return "confirmed, but the scheduler has no such booking"
    if s.status is Status.OFFERED and any(time == Time("held", "none") for time in s.times):
        return "offered, and held nowhere"
    return ""


def unsettled(s: State) -> str:
    """What must not be true where no process runs and no job is due."""
    if s.status in {Status.PAID, Status.OFFERED}:
        return f"stuck in {s.status}"
    if s.status is Status.CANCELED and not s.refunded:
        return "money kept without a booking"
    for i in (0, 1):
        has = s.status is Status.CONFIRMED and i == s.chosen
        if s.times[i].there in {"temporary", "final"} and not has:
            return "a time is left at the scheduler for nobody"
    return ""


class Outcome(NamedTuple):
    """What a search found: the first problem (or none), how many states, which changes of status were seen."""

    problem: str
    states: int
    changes: frozenset[tuple[Status | None, Status]]


@cache
def search(mutant: str = "") -> Outcome:
    """Visit every interleaving, breadth first."""
    queue, seen = deque([State()]), {State()}
    changes: set[tuple[Status | None, Status]] = set()
    while queue:
        s = queue.popleft()
        idle = s.web == ("", "") and not s.work and (s.lapsed or s.status is not Status.OFFERED)
        problem = broken(s) or (unsettled(s) if idle and not any(worker_jobs(s, mutant)) else "")
        if problem:
            return Outcome(problem, len(seen), frozenset(changes))
        for after in moves(s, mutant):
            if after.status is not s.status:
                changes.add((s.status, after.status))
                if s.status is Status.CONFIRMED:
                    return Outcome("taken away after it was confirmed", len(seen), frozenset(changes))
            if after not in seen:
                seen.add(after)
                queue.append(after)
    return Outcome("", len(seen), frozenset(changes))
