"""Strangers who take the very time that a visitor is paying for, at any moment, while answers are lost, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from app.domain.booking import Booking, Status
from app.errors import SchedulerError, SlotTaken
from sandbox.calcom import BadControl as CalcomRefusal
from sandbox.faults import BadControl, Fault, FaultKind
from tests.support.stack import Stack

#: How many requests a booking makes to a scheduler at most, so that every one of them may be the stranger's instant.
LONGEST = 10
LOST: tuple[FaultKind, ...] = ("drop_before", "drop_after", "error_after", "error_before")


@dataclass
class Tally:
    """What came of all runs. `wrong` has a sentence for each run that broke a promise; `calls` is of each booking that
    was confirmed with nobody in its way."""

    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    charged_and_refunded: int = 0
    calls: list[int] = field(default_factory=list)


async def play(stack: Stack, runs: range, seed: int = 1, tally: Tally | None = None) -> Tally:
    """Book so many times; in most runs a stranger wants the same time, in some an answer is lost."""
    tally = tally or Tally()
    for run in runs:
        await _run(stack, Random(f"{seed}:{run}"), f"run {run}", tally)
    return tally


async def _run(stack: Stack, chance: Random, name: str, tally: Tally) -> None:
    stack.clock.advance(timedelta(hours=7))
    start = await stack.in_days(chance.randint(2, 5))
    instant = chance.randint(0, LONGEST) if chance.random() < 0.8 else None
    lost = chance.choice(LOST) if chance.random() < 0.3 else None
    before, charged = len(stack.side.calls), _received(stack)
    with _stranger(stack, start, instant), suppress(SlotTaken, SchedulerError):
        booking = await stack.hold(start, customer=stack.customer(f"Visitor {name}"))
        session = await stack.at_stripe(booking)
        if lost:
            method, path = stack.side.create
            stack.side.faults.append(Fault(lost, chance.randint(1, 4), method, path))
        await stack.stripe.pay(session)
        calls = len(stack.side.calls) - before
        await _settle(stack, booking)
        await _audit(stack, booking, name, tally, charged)
        if instant is None and lost is None and await stack.status(booking) is Status.CONFIRMED:
            tally.calls.append(calls)
        await _clear(stack, booking)
        return
    tally.ended["taken before it was held"] += 1
    await _settle(stack, None)


@contextmanager
def _stranger(stack: Stack, start: datetime, instant: int | None) -> Iterator[None]:
    """Before the request of this number from now on, someone books the time at the scheduler, if it is free there."""
    left = instant

    async def interlope() -> None:
        nonlocal left
        if left == 0:
            with suppress(BadControl, CalcomRefusal):
                await stack.side.stranger_takes(start)
        if left is not None:
            left -= 1

    stack.interloper = interlope
    yield
    stack.interloper = None


async def _settle(stack: Stack, booking: Booking | None) -> None:
    """Let the worker do all that is due, until the booking has come to its end."""
    for _ in range(12):
        await stack.tick(after=timedelta(minutes=5))
        await stack.stripe.deliver_due()
        if booking and await stack.status(booking) in {Status.CONFIRMED, Status.CANCELED, Status.EXPIRED}:
            break
    stack.side.faults.clear()
    await stack.tick(after=timedelta(minutes=5), times=2)


async def _audit(stack: Stack, booking: Booking, name: str, tally: Tally, charged: int) -> None:
    now = await stack.now(booking)
    tally.ended[f"{now.status} {now.end_reason or ''}".strip()] += 1
    there = [one for one in stack.side.booked() if one.tag == booking.id]
    captured = _received(stack) - charged
    if now.status is Status.CONFIRMED:
        if [one.reference for one in there] != [now.reservation.reference]:
            tally.wrong.append(f"{name}: confirmed, and the scheduler has {len(there)}")
        if captured != now.terms.price.amount:
            tally.wrong.append(f"{name}: confirmed for {captured}")
        return
    if there:
        tally.wrong.append(f"{name}: {now.status}, and the scheduler has it")
    if now.status not in {Status.CANCELED, Status.EXPIRED}:
        tally.wrong.append(f"{name}: still {now.status}")
    left = (await stack.parts.bookings.view(booking.id)).left
    if left or stack.money_held():
        tally.wrong.append(f"{name}: {now.status}, and {left} is kept, {stack.money_held()} held")
    if captured:
        tally.charged_and_refunded += 1


async def _clear(stack: Stack, booking: Booking) -> None:
    """The next run finds times again."""
    if await stack.status(booking) is Status.CONFIRMED:
        await stack.cancel(booking)
        await stack.tick(after=timedelta(minutes=11), times=2)


def _received(stack: Stack) -> int:
    return sum(one["amount_received"] for one in stack.stripe.state.payment_intents.values())
