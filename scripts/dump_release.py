"""Write the database of a studio in the middle of its week as SQL, for the test that upgrades what a version left.

Run it when a release is made, or before its tables are changed, and never again for that version:
    python -m scripts.dump_release > tests/unit/store/released/0004.sql

The test plays the same once more with the code of the day, so that Hapio and Stripe have what the rows speak of: what
`play` and `play_on` do is never changed. What a later version has next to them gets a play of its own.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from app.domain.booking import Actor
from app.domain.money import Money
from app.errors import SchedulerError, SlotTaken
from app.telemetry.logs import set_up_logs
from sandbox.faults import FaultKind
from sandbox.hapio import Fault
from tests.support.stack import Crash, Stack, open_stack

WIDGET = "reschedule = { other_service = true }"


async def play(stack: Stack) -> None:
    """Everything that leaves a row of its own kind. Ends two days after it began."""
    await stack.confirmed(await stack.in_days(0), customer=stack.customer("Over Past"))
    expired = await stack.hold(await stack.in_days(1), customer=stack.customer("Expired Gone"))
    await stack.at_stripe(expired)
    stack.clock.advance(timedelta(days=2))
    await stack.until_quiet()

    returned = await stack.confirmed(await stack.in_days(3), customer=stack.customer("Returned Money"))
    await stack.cancel(returned)
    await stack.until_quiet()
    partly = await stack.confirmed(await stack.in_days(3), customer=stack.customer("Partly Back"))
    await stack.parts.owner_refunds.give_back(partly.id, Money(20000, "sek"))
    await stack.until_quiet()

    moved = await stack.confirmed(await stack.in_days(4), customer=stack.customer("Moved Once"))
    await stack.move(moved, await stack.in_days(5))
    dearer = await stack.confirmed(
        await stack.in_days(4, "headshot"), service="headshot", customer=stack.customer("Moving Dearer")
    )
    await stack.move(dearer, await stack.in_days(6), service="portrait")
    await stack.confirmed(await stack.in_days(6), customer=stack.customer("Confirmed Paid"))
    await stack.confirmed(
        await stack.in_days(6, "planning"), service="planning", customer=stack.customer("Free Confirmed")
    )
    undoable = await stack.confirmed(await stack.in_days(7), customer=stack.customer("Undoable Yet"))
    await stack.cancel(undoable)
    await stack.hold(await stack.in_days(8), customer=stack.customer("Held Only"))
    await stack.at_stripe(await stack.hold(await stack.in_days(8), customer=stack.customer("Awaiting Payment")))
    called_off = await stack.confirmed(await stack.in_days(9), customer=stack.customer("Called Off"))
    await stack.cancel(called_off, by=Actor.OWNER)

    await _by_program(stack)
    waiting = await stack.hold(await stack.in_days(9), customer=stack.customer("Paid Waiting"))
    stack.hapio.faults.append(Fault("error_before", method="PATCH", times=50))
    await stack.paid(waiting)
    stack.hapio.faults.clear()
    await stack.client.post("/staff", data={"email": "owner@studio.example"})


async def _by_program(stack: Stack) -> None:
    start = await stack.in_days(10)
    body = {
        "serviceId": stack.portrait_id,
        "start": start.isoformat(),
        "end": (start + timedelta(hours=1)).isoformat(),
        "customer": {"name": "Program Made", "email": "program@customer.example"},
    }
    key = str(UUID(int=1, version=4))
    answer = await stack.client.post("/api/bookings/lock", json=body, headers={"Idempotency-Key": key})
    answer.raise_for_status()


async def play_on(stack: Stack) -> None:
    """Everything that is due to the scheduler, and moves that have ended in every way."""
    stack.clock.advance(timedelta(seconds=31))  # since Hapio was last asked in vain
    await _moves_that_have_ended(stack)
    await _bookings_that_go_wrong(stack)
    await _moves_that_go_wrong(stack)


async def _moves_that_have_ended(stack: Stack) -> None:
    twice = await stack.confirmed(await stack.in_days(11), customer=stack.customer("Twice Moved"))
    await stack.move(twice, await stack.in_days(12), by=Actor.OWNER)
    stack.clock.advance(timedelta(minutes=1))
    await stack.move(twice, await stack.in_days(12, "headshot"), service="headshot")

    by_hand = await stack.confirmed(await stack.in_days(13), customer=stack.customer("Calendar Moved"))
    await stack.move(by_hand, await stack.in_days(14))
    stack.clock.advance(timedelta(minutes=1))
    moved = await stack.now(by_hand)
    async with stack.hapio_api() as api:
        later = {"starts_at": moved.starts_at + timedelta(days=1), "ends_at": moved.ends_at + timedelta(days=1)}
        path = f"/bookings/{next(one.id for one in stack.hapio_bookings() if one.starts_at == moved.starts_at)}"
        body = {name: at.isoformat() for name, at in later.items()}
        (await api.patch(path, json=body)).raise_for_status()
    await stack.parts.follow.booking(by_hand.id)

    refused = await stack.confirmed(await stack.in_days(16), customer=stack.customer("Refused Elsewhere"))
    wanted = await stack.in_days(17)
    await stack.book_elsewhere(wanted)
    with suppress(SlotTaken):
        await stack.move(refused, wanted)
    left = await stack.confirmed(
        await stack.in_days(18, "headshot"), service="headshot", customer=stack.customer("Lapsed Unpaid")
    )
    await stack.move(left, await stack.in_days(19), service="portrait")
    await stack.parts.reschedule.give_up(left.id)
    then_off = await stack.confirmed(await stack.in_days(20), customer=stack.customer("Offmoved Undoable"))
    await stack.move(then_off, await stack.in_days(21))
    await stack.cancel(then_off)


async def _bookings_that_go_wrong(stack: Stack) -> None:
    """Paid late, taken back and called off, given up, asked for: each time Hapio says nothing."""
    late = await stack.hold(await stack.in_days(22), customer=stack.customer("Late Money"))
    session_id = await stack.at_stripe(late)
    await stack.parts.hold.give_up(late.id)
    with _silent(stack, ""):
        await stack.pay_late(session_id)
    restoring = await stack.confirmed(await stack.in_days(23), customer=stack.customer("Restoring Soon"))
    await stack.cancel(restoring)
    with _silent(stack, "PATCH"):
        await stack.parts.cancel.undo(restoring.id)
    unheard = await stack.confirmed(await stack.in_days(23), customer=stack.customer("Unheard Cancel"))
    with _silent(stack, "PATCH"):
        await stack.cancel(unheard)
    given_up = await stack.hold(await stack.in_days(24), customer=stack.customer("Givenup Kept"))
    with _silent(stack, "DELETE"):
        await stack.parts.hold.give_up(given_up.id)
    starts_at = await stack.in_days(24)
    with _silent(stack, "", "drop_after"), suppress(SchedulerError):
        await stack.hold(starts_at, customer=stack.customer("Unsure Answer"))
    starts_at = await stack.in_days(25)
    stack.doom.effects, stack.doom.at = 0, 2
    with suppress(Crash):
        await stack.hold(starts_at, customer=stack.customer("Crashed Asking"))
    stack.doom.at = 0
    await stack.restart()


async def _moves_that_go_wrong(stack: Stack) -> None:
    """Decided, paid, done: each time Hapio says nothing to what comes next."""
    shifting = await stack.confirmed(await stack.in_days(26), customer=stack.customer("Shifting Now"))
    with _silent(stack, "PATCH"):
        await stack.move(shifting, await stack.in_days(27))
    leaving = await stack.confirmed(
        await stack.in_days(27, "headshot"), service="headshot", customer=stack.customer("Leaving Old")
    )
    moving = await stack.move(leaving, await stack.in_days(28), service="portrait")
    with _silent(stack, "DELETE"):
        await stack.pay_difference(moving)
    mislaid = await stack.confirmed(
        await stack.in_days(28, "headshot"), service="headshot", customer=stack.customer("Mislaid Lock")
    )
    starts_at = await stack.in_days(29)
    with _silent(stack, "", "drop_after"), suppress(SchedulerError):
        await stack.move(mislaid, starts_at, service="portrait")


@contextmanager
def _silent(stack: Stack, method: str, kind: FaultKind = "error_before") -> Iterator[None]:
    """Hapio answers no such call about a booking; its client goes on asking afterwards."""
    stack.hapio.faults.append(Fault(kind, method=method or None, path="bookings", times=None))
    yield
    stack.hapio.faults.clear()
    stack.clock.advance(timedelta(seconds=31))


async def main() -> None:
    """Play, stop, and print."""
    set_up_logs("error")  # standard output is the dump's
    with TemporaryDirectory() as folder:
        async with open_stack(
            Path(folder), widget=WIDGET, settings={"staff_emails": ("owner@studio.example",)}
        ) as stack:
            stack.hapio.state.switches.rate_limit_per_minute = 10_000
            await play(stack)
            await play_on(stack)
            print(f"-- Made at {stack.clock().isoformat()} by scripts/dump_release.py; never to be changed.")
        with closing(sqlite3.connect(Path(folder) / "holdfast.sqlite3")) as connection:
            sys.stdout.writelines(f"{line}\n" for line in connection.iterdump())


if __name__ == "__main__":
    asyncio.run(main())
